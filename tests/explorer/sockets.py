"""A server on a real socket, and clients that send bytes as they stand."""

import socket
import threading
from contextlib import contextmanager, suppress

from gatework.explorer.server import listen, make_door, serve
from gatework.explorer.settings import Settings


@contextmanager
def served(opener, settings=None, door=None):
    """Serve on a thread; gives the port. The thread ends when the opener's failure, or the test, ends it."""
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    stop = threading.Event()
    thread = threading.Thread(
        target=serve,
        args=(opener, sock, door or make_door("127.0.0.1", port), settings or Settings()),
        kwargs={"stop": stop},
        daemon=True,
    )
    thread.start()
    try:
        yield port
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_all(sock: socket.socket) -> bytes:
    """Read until the other side closes, in whatever way."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            received += piece
    return bytes(received)


def parse(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Take an answer apart: status, headers by their names in lower case, body."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    named = (line.partition(": ") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value for name, _, value in named}, body


def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they stand, and give the status and the body."""
    with connect(port) as sock:
        sock.sendall(request)
        status, _, body = parse(read_all(sock))
    return status, body


def get(path: str, host: str = "localhost") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def ask(port: int, path: str, host: str = "localhost") -> tuple[int, bytes]:
    return raw(port, get(path, host))
