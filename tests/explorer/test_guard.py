"""Requests that mean harm, or might: each is refused, in a sentence, before any work is done."""

import json

import pytest

from gatework.explorer.guard import HEADERS, Door, host_name, is_loopback
from gatework.explorer.server import address_of, make_door

BODY = {"run": "r0", "text": "def"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]", "10.0.0.1"]
)
def test_another_host_is_refused(small, host):
    """A name that somebody made point at this machine is not one of ours."""
    told = small.refused(421, "GET", "/api/about", headers={"Host": host})
    assert told == "This explorer is not served under that name. Use the address that it printed."


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:9", "127.0.0.1:9999"])
def test_our_own_names_are_answered(small, host):
    """The port may be another: a tunnel to this machine has one of its own."""
    assert small.http.get("/api/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:3000", ""]
)
def test_another_origin_is_refused(small, origin):
    told = small.refused(403, "POST", "/api/traces", json=BODY, headers={"Origin": origin})
    assert told == "A page of another origin cannot use this explorer."
    assert small.http.post("/api/traces", json=BODY, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused(small, site):
    told = small.refused(403, "GET", "/api/about", headers={"Sec-Fetch-Site": site})
    assert told == "A page of another site cannot use this explorer."
    assert small.http.get("/api/about", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    # A link from elsewhere may open the page, which then asks for itself.
    assert small.http.get("/", headers={"Sec-Fetch-Site": site}).status_code in (200, 503)


def test_a_huge_body_is_refused_by_its_length(small):
    told = small.refused(
        413, "POST", "/api/traces", content=b" " * 1_000_001, headers={"Content-Type": "application/json"}
    )
    assert told == "The request has 1000001 bytes; expected at most 1,000,000."


def test_a_huge_body_that_hides_its_length_is_refused(small):
    def pieces():
        for _ in range(200):
            yield b" " * 10_000

    told = small.refused(413, "POST", "/api/traces", content=pieces(), headers={"Content-Type": "application/json"})
    assert told == "The request has more than 1,000,000 bytes."


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_is_posted(small, kind):
    """A form of another site can send other kinds without asking anybody."""
    content = json.dumps(BODY)
    told = small.refused(415, "POST", "/api/traces", content=content, headers={"Content-Type": kind})
    assert told == "The request is not JSON; expected the content type application/json."


@pytest.mark.parametrize("path", ["/", "/api/about", "/assets/x", "/nowhere", "/api/traces/t0/top"])
def test_every_answer_carries_the_headers(small, path):
    answer = small.http.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] == ("no-store" if path.startswith("/api/") else "no-cache")
    refused = small.http.get(path, headers={"Host": "evil.example"})
    assert {name: refused.headers.get(name) for name in HEADERS} == HEADERS


def test_the_policy_lets_nothing_in():
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_methods(small):
    assert small.http.head("/api/about").status_code == 200
    assert small.http.head("/api/about").content == b""
    for method, path in (("OPTIONS", "/api/traces"), ("DELETE", "/api/about"), ("PUT", "/"), ("GET", "/api/traces")):
        answer = small.http.request(method, path)
        assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
        assert answer.headers["allow"]


# --- with a token

DOOR = Door.on("0.0.0.0", 8000, "the secret", frozenset(("machine",)))


@pytest.fixture(scope="module")
def guarded(call, run):
    return call(run, door=DOOR)


@pytest.fixture(autouse=True)
def _no_cookies(request):
    if "guarded" in request.fixturenames:
        request.getfixturevalue("guarded").http.cookies.clear()


def test_without_the_token_nothing_is_answered(guarded):
    for path in ("/", "/api/about", "/assets/x"):
        told = guarded.refused(401, "GET", path)
        assert told == "This explorer is not open to everyone. Use the address that it printed."


@pytest.mark.parametrize("token", ["wrong", "the secre", "the secret ", "é"])
def test_a_wrong_token_is_refused(guarded, token):
    told = guarded.refused(401, "GET", "/", params={"token": token})
    assert told == "That token does not open this explorer. Use the address that it printed."
    guarded.refused(401, "GET", "/api/about", headers={"Cookie": f"{DOOR.cookie}=wrong"})


def test_the_token_opens_the_page_alone(guarded):
    guarded.refused(401, "GET", "/api/about", params={"token": "the secret"})


def test_the_token_becomes_a_cookie(guarded):
    answer = guarded.http.get("/", params={"token": "the secret"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("gatework_8000=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert guarded.http.get("/api/about").status_code == 200


def test_with_a_token_addresses_in_numbers_are_answered(guarded):
    """No name can be made to point at them; names still have to be ours."""
    guarded.http.get("/", params={"token": "the secret"}, follow_redirects=False)
    cookie = {"Cookie": f'{DOOR.cookie}="the secret"'}
    for host in ("192.168.1.7:8000", "[2001:db8::1]:8000", "machine:8000", "localhost"):
        assert guarded.http.get("/api/about", headers={"Host": host} | cookie).status_code == 200
    guarded.refused(421, "GET", "/api/about", headers={"Host": "evil.example"} | cookie)


def test_only_loopback_goes_without_a_token():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]")] == [True] * 5
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.7", "machine", "")] == [False] * 5
    assert make_door("localhost", 1).token == ""
    tokens = {make_door("0.0.0.0", 1).token for _ in range(5)}
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 32


def test_addresses():
    assert address_of("::1", Door.on("::1", 80, "")) == "http://[::1]:80/"
    assert address_of("192.168.1.7", Door.on("192.168.1.7", 81, "abc")) == "http://192.168.1.7:81/?token=abc"
    assert address_of("0.0.0.0", DOOR).endswith(":8000/?token=the secret")
    assert [host_name(host) for host in ("a.b:1", "[::1]", "[::1", "")] == ["a.b", "::1", "::1", ""]
