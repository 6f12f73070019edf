"""The server on a real socket: raw requests, several at once, and what happens when runs cannot be opened."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.explorer.sockets import ask, connect, raw, served

from gatework.errors import ExplorerError, RunError
from gatework.explorer.answers import open_answers
from gatework.explorer.guard import Door, refusal
from gatework.explorer.routes import Work
from gatework.explorer.server import listen, serve
from gatework.explorer.settings import Settings


@pytest.fixture(scope="module")
def port(run):
    with served(lambda: open_answers([run], False, Settings())) as port:
        yield port


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../settings.py",
        "/assets/..%2f..%2fsettings.py",
        "/assets/..%2fsettings.py",
        "/assets/%2e%2e%2fsettings.py",
        "/assets/%252e%252e%252fsettings.py",
        "/assets/..\\settings.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/.",
        "/assets/..",
        "/assets/",
        "/assets/explorer.js%00",
        "/assets/~root",
        "/../../etc/passwd",
        "//etc/passwd",
        "/api/traces/../about",
        "/api/traces/..%2fabout/top",
        "/page/index.html",
        "/demo/model.json",
    ],
)
def test_paths_lead_nowhere(port, path):
    status, body = ask(port, path)
    assert status in (404, 405)
    assert list(json.loads(body)) == ["error"]


def test_a_request_without_a_host_is_refused(port):
    assert raw(port, b"GET /api/about HTTP/1.0\r\n\r\n")[0] == 421
    assert raw(port, b"GET /api/about HTTP/1.1\r\nConnection: close\r\n\r\n")[0] == 400
    twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw(port, twice)[0] in (400, 421)


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "99999999999999999999"])
def test_lengths_that_are_none(port, length):
    head = f"POST /api/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    assert raw(port, head.encode())[0] in (400, 413)


def test_a_websocket_is_refused(port):
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA"
    request = f"GET /api/about HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n{upgrade}\r\n\r\n"
    with connect(port) as sock:
        sock.sendall(request.encode())
        assert b" 403 " in sock.recv(65536).partition(b"\r\n")[0]


def test_two_clients_at_once_get_their_own(port):
    """Each asks for another text; one of them holds a gate open. Nobody is given the other's numbers."""

    def post(body: dict) -> dict:
        content = json.dumps(body).encode()
        head = (
            "POST /api/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        status, answer = raw(port, head.encode() + content)
        assert status == 200, answer
        return json.loads(answer)

    held = [{"layer": 0, "name": "f", "value": 1.0}]
    bodies = [
        {"run": "r0", "text": "def f(a):\n    return a\n" * 8},
        {"run": "r0", "text": "x = [1, 2]\n" * 9, "interventions": held},
    ]
    alone = [post(body) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(post, bodies * 12))
    assert len({answer["trace"] for answer in together}) == 24
    for place, answer in enumerate(together):
        expected = alone[place % 2]
        assert {**answer, "trace": ""} == {**expected, "trace": ""}


def test_the_page_does_not_wait_for_the_runs(run):
    """The page comes at once, its questions when the runs are open."""
    slowly = threading.Event()

    def opener():
        slowly.wait(20)
        return open_answers([run], False, Settings())

    with served(opener) as port:
        assert ask(port, "/")[0] in (200, 503)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, port, "/api/about")
            time.sleep(0.2)
            assert not waiting.done()
            slowly.set()
            assert waiting.result(20)[0] == 200


def test_runs_that_cannot_be_opened_end_the_server():
    def opener():
        raise RunError("it is gone")

    sock = listen("127.0.0.1", 0)
    with pytest.raises(RunError, match="it is gone"):
        serve(opener, sock, Door.on("127.0.0.1", 1, ""), Settings())


def test_a_port_that_is_taken():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        expected = rf"cannot listen at 127\.0\.0\.1, port {port}: Address already in use. Choose another --port, or 0"
        with pytest.raises(ExplorerError, match=expected):
            listen("127.0.0.1", port)
    with pytest.raises(ExplorerError, match=r"cannot listen at no\.such\.name\.invalid, port 0"):
        listen("no.such.name.invalid", 0)


def test_too_much_waiting_is_refused():
    """Two are worked on, two wait, the fifth is sent away; and when the first are done, the waiting are."""
    work = Work(Settings(at_once=2, waiting=2))
    go = threading.Event()

    async def main() -> list[bool]:
        tasks = [asyncio.create_task(work.do(lambda: go.wait(20))) for _ in range(4)]
        while work.waiting < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(ExplorerError, match=r"The explorer is busy\. Ask again in a moment") as caught:
            await work.do(lambda: None)
        assert refusal(caught.value).status_code == 503
        assert refusal(caught.value).headers["retry-after"] == "2"
        go.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [True] * 4


def test_what_serves_the_page_needs_no_torch():
    """Or the page would wait for it."""
    program = "import sys, gatework.cli.explore; print({'torch', 'matplotlib', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout == "set()\n"


def test_short_work_is_never_refused():
    """It waits behind nothing but short work, however much of it there is."""
    work = Work(Settings(at_once=1, waiting=1))
    go = threading.Event()

    async def main() -> list[int]:
        long = asyncio.create_task(work.do(lambda: go.wait(20)))
        done = await asyncio.gather(*(work.do(lambda number=number: number, short=True) for number in range(100)))
        go.set()
        assert await long
        return done

    assert asyncio.run(main()) == list(range(100))
