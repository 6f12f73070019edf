"""The server: puts door, routes and answers together, and listens.

It listens before torch is loaded and the models are read. So the page comes at once, and only its first question
waits.
"""

import asyncio
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gatework.errors import ExplorerError
from gatework.explorer.connections import connections_within
from gatework.explorer.guard import App, Door, Guard, is_loopback
from gatework.explorer.routes import Desk, Work, broken_off, refused
from gatework.explorer.settings import Settings
from gatework.system import claim_port

if TYPE_CHECKING:
    from gatework.explorer.answers import Answers

_BACKLOG = 128  # connections that the system holds until the server accepts them


def make_app(opener: "Callable[[], Answers]", door: Door, settings: Settings, on_failure: Callable[[], None]) -> App:
    """Make the application.

    Args:
        opener: Opens the runs. It is called once, on its own thread, when the server starts.
        door: The names and the token of the server.
        settings: The limits.
        on_failure: Called if the runs could not be opened.

    Returns:
        The application, guarded.
    """
    opening: dict[str, asyncio.Task[Answers]] = {}

    async def answers() -> "Answers":
        return await asyncio.shield(opening["task"])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        opening["task"] = task = asyncio.create_task(asyncio.to_thread(opener))
        task.add_done_callback(lambda done: on_failure() if done.exception() else None)
        yield

    app = Starlette(
        routes=Desk(answers, Work(settings)).routes(),
        exception_handlers={
            Exception: refused,
            ExplorerError: refused,
            HTTPException: refused,
            ClientDisconnect: broken_off,
        },
        lifespan=lifespan,
    )
    return Guard(app, door, settings.body)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a server.

    Args:
        host: The address to listen at.
        port: The port; 0 for any free one.

    Returns:
        The socket, listening.

    Raises:
        ExplorerError: If it cannot listen at that address.
    """
    name = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        claim_port(sock)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        raise ExplorerError(
            f"The explorer cannot listen at {host}, port {port}: {error.strerror}. Choose another --port, or 0 for any."
        ) from error
    return sock


def make_door(host: str, port: int) -> Door:
    """Make the door of a server, with a token unless only this machine can reach it.

    Args:
        host: The address that it listens at.
        port: Its port.

    Returns:
        The door.
    """
    token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    others = frozenset((socket.gethostname().lower(), socket.getfqdn().lower())) if token else frozenset[str]()
    return Door.on(host, port, token, others)


def address_of(host: str, door: Door) -> str:
    """Return the address to open in a browser.

    Example:
        >>> address_of("127.0.0.1", Door.on("127.0.0.1", 8000, ""))
        'http://127.0.0.1:8000/'
    """
    name = socket.gethostname() if host.strip("[]") in ("0.0.0.0", "::") else host
    shown = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"http://{shown}:{door.port}/" + (f"?token={door.token}" if door.token else "")


class _Server(uvicorn.Server):
    """A server that leaves SIGINT ignored if it was, as ``nohup`` and a shell's ``&`` require."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not (self._deaf and sig == signal.SIGINT):
            super().handle_exit(sig, frame)


def serve(
    opener: "Callable[[], Answers]",
    sock: socket.socket,
    door: Door,
    settings: Settings,
    stop: threading.Event | None = None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        opener: Opens the runs.
        sock: The socket to listen on.
        door: The names and the token of the server.
        settings: The limits.
        stop: Ends the server too, if given.

    Raises:
        GateworkError: If the runs cannot be opened.
    """
    failed: list[BaseException] = []

    def opening() -> "Answers":
        try:
            return opener()
        except BaseException as error:
            failed.append(error)
            raise

    def end() -> None:
        server.should_exit = True

    def wait() -> None:
        assert stop is not None
        stop.wait()
        end()

    config = uvicorn.Config(
        make_app(opening, door, settings, end),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=connections_within(settings),
        backlog=_BACKLOG,
        timeout_graceful_shutdown=2,
        ws="none",
        lifespan="on",
    )
    server = _Server(config)
    if stop is not None:
        threading.Thread(target=wait, daemon=True).start()
    server.run(sockets=[sock])
    if failed:
        raise failed[0]
