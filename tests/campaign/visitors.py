"""The target that visits the explorer: hostile and broken requests, many of them mutated from sound ones."""

import json
import random
from contextlib import redirect_stderr, suppress
from io import StringIO
from typing import Any

from tests.campaign.budget import Budget, Tally
from tests.campaign.child import settings_in
from tests.explorer.sockets import ask, connect, parse, read_all, served

from gatework.explorer.answers import open_answers
from gatework.explorer.guard import HEADERS
from gatework.explorer.settings import Settings
from gatework.training import make_config, train

ALLOWED = (200, 303, 400, 401, 403, 404, 405, 408, 413, 415, 421, 503)
BODIES = (
    {"run": "r0", "text": "the gate opens"},
    {"run": "r0", "text": "a", "interventions": [{"layer": 0, "name": "f", "value": 1.0, "units": [0, 1], "start": 0}]},
    {"preset": "words", "names": ["h"], "layer": 0},
    {"pattern": "(a|b)*c", "names": ["c", "f"], "layer": 0, "direction": 0},
    {"run": "r0", "layer": 0, "name": "h", "unit": 1, "count": 3},
)
PATHS = (
    "/", "/assets/explorer.js", "/api/about", "/api/traces", "/api/elsewhere", "/api/traces/t1/find",
    "/api/traces/t1/values?layer=0&direction=0&name=h&from=0&to=5", "/api/traces/t1/top?from=0&to=3",
    "/api/traces/t1/unit?layer=0&unit=1&from=0&to=9", "/api/traces/t1/overview?layer=0&name=c&buckets=4",
    "/api/traces/t1/terms?layer=0&name=h&unit=0&step=2", "/api/traces/t1/units?layer=0&name=h",
    "/api/traces/t1/gradients?at=3",
)  # fmt: skip
POSTED = ("/api/traces", "/api/elsewhere", "/api/traces/t1/find")
VALUES = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 1e308, "NaN", "", "h", "\u0000", "\ud800", "𝔥" * 50, [], [[]], {},
    {"": {}}, "(a+)+$", "../../etc/passwd", "<script>alert(1)</script>", "a" * 70_000,
)  # fmt: skip
WORDS = (
    b"\r\n", b"\r\n\r\n", b"\0", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: elsewhere\r\n",
    b"Origin: null\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"%00", b"%2e%2e/", b"HTTP/1.0",
    b"HTTP/2.0", b"\xff\xfe", b"[::1", b"-1", b"99999999999999999999", b"{" * 2000, b"PUT", b"HEAD",
)  # fmt: skip


def requests(budget: Budget) -> Tally:
    """Send requests that mean harm: each is answered in order or hung up on, and the next visitor is served."""
    tally = Tally("requests")
    run = str(budget.folder / "run")
    train(make_config(settings_in(budget.folder) | {"run": run}))
    errors = StringIO()
    settings = Settings(arrival=0.2, seconds=5)
    with redirect_stderr(errors), served(lambda: open_answers([run], False, settings), settings) as port:
        _send(port, _sound("POST", "/api/traces", BODIES[0]))  # t1, which others ask about
        for chance in budget.tries(tally):
            request = _hostile(chance)
            wrong = _judge(request, _send(port, request), tally)
            if not wrong and tally.tried % 50 == 0 and ask(port, "/api/about")[0] != 200:
                wrong = "nobody was served after it"
            if "Traceback" in errors.getvalue():
                wrong = f"a fault was told: {errors.getvalue()[-2000:]}"
            if wrong:
                tally.findings.append(f"requests, try {tally.tried}: {request[:400]!r}: {wrong}")
            errors.seek(0)
            errors.truncate()
    return tally


def _sound(method: str, path: str, body: object = None, host: str = "localhost") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    content = json.dumps(body).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def _hostile(chance: random.Random) -> bytes:
    path = chance.choice(PATHS)
    if chance.random() < 0.5:
        path = _mutated_query(chance, path)
        request = _sound(chance.choice(("GET", "GET", "HEAD", "OPTIONS")), path)
    else:
        body: dict[str, Any] = dict(chance.choice(BODIES))
        for _ in range(chance.randint(0, 3)):
            body[chance.choice([*body, "layer", "names", "ranges", "x"])] = chance.choice(VALUES)
        path = chance.choice((*POSTED, *POSTED, path.partition("?")[0]))
        request = _sound("POST", path, body if chance.random() < 0.9 else chance.choice(VALUES))
    return _mutated(chance, request) if chance.random() < 0.4 else request


def _mutated_query(chance: random.Random, path: str) -> str:
    place, _, query = path.partition("?")
    parts = query.split("&") if query else []
    for _ in range(chance.randint(0, 2)):
        value = chance.choice(("", "-1", "1e9", "9" * 5000, "h", "%00", "%ff", "nan", "0x1", "²", "../x"))
        parts.append(f"{chance.choice(('layer', 'from', 'to', 'unit', 'name', 'buckets', 'at', 'x'))}={value}")
    chance.shuffle(parts)
    return (place + ("?" + "&".join(parts) if parts else "")).encode("ascii", "replace").decode()


def _mutated(chance: random.Random, request: bytes) -> bytes:
    content = bytearray(request)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            content[place:place] = chance.choice(WORDS)
        elif kind == 1:
            del content[place : place + chance.randint(1, 20)]
        elif kind == 2 and place < len(content):
            content[place] = chance.randrange(256)
        else:
            content[place:place] = content[place : place + 30]
    return bytes(content)


def _send(port: int, request: bytes) -> bytes:
    with connect(port) as sock:
        with suppress(OSError):  # it may hang up before the end, and have said why
            sock.sendall(request)
        return read_all(sock)


def _judge(request: bytes, received: bytes, tally: Tally) -> str:
    """Say what is wrong with an answer; empty where nothing is."""
    if not received:
        tally.count("hung up on")
        return ""
    if received.startswith(b"HTTP/1.1 100 "):
        received = received.partition(b"\r\n\r\n")[2]
    try:
        status, headers, body = parse(received)
    except (ValueError, IndexError):
        return f"the answer is no HTTP: {received[:200]!r}"
    tally.count(f"answered {status}")
    if status not in ALLOWED:
        return f"answered {status}: {body[:400]!r}"
    if {name: headers.get(name.lower()) for name in HEADERS} != HEADERS:
        return f"answered {status} without its headers: {headers}"
    # After an answer without a body there may stand the answer to what a mutation made the next request.
    if status >= 400 and not request.startswith(b"HEAD"):
        try:
            sentence = json.loads(body[: int(headers.get("content-length", len(body)))])
        except ValueError:
            return f"answered {status} with no JSON: {body[:400]!r}"
        if list(sentence) != ["error"]:
            return f"answered {status} with {sentence}"
    return ""
