"""Visitors who say nothing, or too little, or do not listen: whoever comes next is answered all the same."""

import json
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.responses import Response
from tests.explorer.sockets import ask, connect, get, parse, read_all, served

from gatework.explorer import routes
from gatework.explorer.answers import open_answers
from gatework.explorer.guard import HEADERS, Door
from gatework.explorer.settings import Settings

HEAD = "POST /api/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
SILENT = b""
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: local"
NO_BODY = f"{HEAD}\r\n{{".encode()
REFUSED_AND_STILL_TALKING = HEAD.replace("localhost", "elsewhere").encode() + b"\r\n{"
ANSWERED = b"GET /assets/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
MUTE = {
    "silent": SILENT,
    "half a head": HALF_A_HEAD,
    "no body": NO_BODY,
    "refused": REFUSED_AND_STILL_TALKING,
    "answered": ANSWERED,
}


@pytest.fixture(scope="module")
def opened(run):
    return open_answers([run], False, Settings())


@pytest.fixture
def serving(opened):
    """Serve the small run; keywords change the settings."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(served(lambda: opened, replace(Settings(), **changes)))


@pytest.fixture
def visitors():
    """Open connections that send some bytes and then nothing."""
    with ExitStack() as stack:

        def come(port, number, sent):
            socks = [stack.enter_context(connect(port)) for _ in range(number)]
            for sock in socks:
                sock.sendall(sent)
            return socks

        yield come


@pytest.mark.parametrize("sent", MUTE.values(), ids=MUTE)
@pytest.mark.parametrize("number", [64, 200])
def test_a_crowd_that_says_nothing_keeps_nobody_out(serving, visitors, number, sent):
    port = serving(arrival=60)
    visitors(port, number, sent)
    began = time.monotonic()
    for _ in range(3):
        assert ask(port, "/api/about")[0] == 200
    assert time.monotonic() - began < 10


def test_a_crowd_with_a_token_to_guess_keeps_nobody_out(opened, visitors):
    door = Door.on("0.0.0.0", 1, "the secret")
    with served(lambda: opened, replace(Settings(), arrival=60), door) as port:
        visitors(port, 200, NO_BODY)
        assert ask(port, "/api/about")[0] == 401


def test_the_one_that_has_waited_longest_goes_first(serving, visitors):
    port = serving(connections=4, arrival=60)
    first = visitors(port, 1, HALF_A_HEAD)[0]
    time.sleep(0.05)
    others = visitors(port, 3, SILENT)
    assert ask(port, "/assets/none")[0] == 404
    assert first.recv(1) == b""
    for sock in others:
        sock.sendall(get("/assets/none"))
        assert parse(read_all(sock))[0] == 404


def test_one_that_is_worked_for_is_not_closed(opened, visitors, monkeypatch):
    """Only where all places are worked for is a newcomer refused, and asked to come again."""
    go = threading.Event()
    slow = SimpleNamespace(about=lambda: go.wait(20))
    monkeypatch.setattr(routes, "write", lambda answer: Response(b"done"))
    with served(lambda: slow, replace(Settings(), connections=2, at_once=2, arrival=0.3)) as port:
        working = visitors(port, 2, get("/api/about"))
        time.sleep(0.5)
        newcomer = visitors(port, 1, get("/"))[0]
        status, headers, body = parse(read_all(newcomer))
        assert (status, headers["retry-after"]) == (503, "2")
        assert json.loads(body) == {"error": "The explorer has too many visitors. Ask again in a moment."}
        assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
        go.set()
        assert [parse(read_all(sock))[::2] for sock in working] == [(200, b"done")] * 2
        assert ask(port, "/assets/none")[0] == 404


@pytest.mark.parametrize("sent", [HALF_A_HEAD, NO_BODY], ids=["half a head", "no body"])
def test_a_request_that_does_not_become_whole_is_not_waited_for(serving, visitors, sent):
    port = serving(arrival=0.3)
    began = time.monotonic()
    status, headers, body = parse(read_all(visitors(port, 1, sent)[0]))
    assert 0.2 < time.monotonic() - began < 3
    assert (status, json.loads(body)) == (408, {"error": "The request did not arrive within 0.3 seconds."})
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("piece", [b"X", b" "], ids=["of a head", "of a body"])
def test_one_byte_after_another_is_no_request(serving, visitors, piece):
    """The limit is for the whole request: each further byte does not begin it anew."""
    port = serving(arrival=0.5)
    sock = visitors(port, 1, NO_BODY if piece == b" " else HALF_A_HEAD)[0]
    began = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - began < 5:
            sock.sendall(piece)
            time.sleep(0.05)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("sent", [SILENT, REFUSED_AND_STILL_TALKING], ids=["silent", "refused"])
def test_silence_ends_in_silence(serving, visitors, sent):
    port = serving(arrival=0.3)
    sock = visitors(port, 1, sent)[0]
    assert read_all(sock).count(b"HTTP/1.1 ") == (1 if sent else 0)


def test_an_answer_that_nobody_reads_is_let_go(visitors, monkeypatch):
    """Two questions at once, so that the second is whole and waits for the first answer to be read."""
    monkeypatch.setattr(routes, "write", lambda answer: Response(bytes(20_000_000)))
    whole = b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(lambda: SimpleNamespace(about=lambda: None), replace(Settings(), connections=8, arrival=1)) as port:
        deaf = visitors(port, 8, whole * 2)
        time.sleep(0.5)
        began = time.monotonic()
        assert ask(port, "/assets/none")[0] == 404
        assert time.monotonic() - began < 2
        time.sleep(2.5)
        for sock in deaf:
            assert len(read_all(sock)) < 20_000_000


def test_a_long_answer_that_is_read_slowly_arrives(opened, visitors, monkeypatch):
    monkeypatch.setattr(routes, "write", lambda answer: Response(bytes(8_000_000)))
    with served(lambda: opened, replace(Settings(), arrival=0.2)) as port:
        sock = visitors(port, 1, get("/api/about"))[0]
        received = 0
        while piece := sock.recv(500_000):
            received += len(piece)
            time.sleep(0.05)
        assert received > 8_000_000


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000, 400),
        (get("/", "[elsewhere"), 421),
        (get("/api/about", "elsewhere"), 421),
        (get("/nowhere"), 404),
        (get("/").replace(b"GET", b"DELETE"), 405),
        (HEAD.replace("99", "9999999").encode() + b"Connection: close\r\n\r\n", 413),
        (HEAD.replace("Content-Length: 99", "Transfer-Encoding: chunked").encode() + b"\r\nnonsense\r\n", 400),
    ],
    ids=["TLS", "no host", "long head", "odd host", "other host", "no path", "method", "long body", "bad pieces"],
)
def test_every_refusal_carries_the_headers(serving, visitors, capfd, sent, expected):
    port = serving()
    sock = visitors(port, 1, sent)[0]
    status, headers, body = parse(read_all(sock))
    assert status == expected
    assert list(json.loads(body)) == ["error"]
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert "Traceback" not in capfd.readouterr().err


def test_a_request_that_is_broken_off_leaves_no_traceback(serving, visitors, capfd):
    port = serving()
    for sock in visitors(port, 5, NO_BODY):
        sock.close()
    assert ask(port, "/assets/none")[0] == 404
    time.sleep(0.2)
    assert "Traceback" not in capfd.readouterr().err
