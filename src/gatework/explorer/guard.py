"""Who may ask, and how much: the checks before every request, and the headers of every answer.

Every page that is open in a browser on this machine can reach a server on this machine. Such a page must neither read
answers nor cause work. So requests that name another host (a name that was made to point here), that come from another
origin, or that a page of another site sent are refused before anything else looks at them.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gatework.errors import ExplorerError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API = "/api/"
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
_OUR_SITES = ("same-origin", "none")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Door:
    """The names and the token with which the server is reached.

    Args:
        names: The names. If there is a token, any numeric address counts as well, because nobody can make a name
            point at it.
        token: The token that a visitor must know; empty on loopback.
        port: The port, which tells cookies of several explorers apart.
    """

    names: frozenset[str]
    token: str = ""
    port: int = 0

    @classmethod
    def on(cls, host: str, port: int, token: str, others: frozenset[str] = frozenset()) -> "Door":
        """Make the door of a server.

        Args:
            host: The address that it listens at.
            port: Its port.
            token: The token; empty for none.
            others: Further names of this machine.
        """
        own = frozenset((host.strip("[]").lower(),))
        return cls(_LOOPBACK | own | others if token else _LOOPBACK | own, token, port)

    @property
    def cookie(self) -> str:
        """The name of the cookie that stands for the token."""
        return f"gatework_{self.port}"

    def knows(self, host: str) -> bool:
        """Return whether a request that names this host may be answered."""
        name = host_name(host)
        return name in self.names or (bool(self.token) and is_address(name))

    def opens(self, token: str) -> bool:
        """Return whether this is the token. The time taken does not depend on how much of it is right."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode("utf-8"))


def host_name(host: str) -> str:
    """Remove the port from a host, and the brackets from an address.

    Example:
        >>> host_name("localhost:8000"), host_name("[::1]:8000")
        ('localhost', '::1')
    """
    name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def is_address(name: str) -> bool:
    """Return whether a host is a numeric address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    name = host.strip("[]").lower()
    return name == "localhost" or (is_address(name) and ip_address(name).is_loopback)


class Guard:
    """Refuse bad requests, count the bytes of their bodies, and put headers on every answer.

    Args:
        app: The guarded application.
        door: The names and the token of the server.
        body: The most bytes of a request.
    """

    def __init__(self, app: App, door: Door, body: int) -> None:
        self.app = app
        self.door = door
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, _with_headers(scope["path"], send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            response = self._check(request)
        except ExplorerError as error:
            response = refusal(error)
        if response is not None:
            await response(scope, receive, send)
        else:
            await self.app(scope, _counted(receive, self.body), send)

    def _check(self, request: Request) -> Response | None:
        """Refuse a request, answer it at once, or let it pass."""
        headers, path = request.headers, request.scope["path"]
        self._check_origin(headers, path)
        if self.door.token:
            given = request.query_params.get("token", "")
            if path == "/" and given:
                return self._let_in(given)
            if not self.door.opens(request.cookies.get(self.door.cookie, "")):
                raise ExplorerError("This explorer is not open to everyone. Use the address that it printed.", 401)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > self.body:
            raise ExplorerError(f"The request has {length[:20]} bytes; expected at most {self.body:,}.", 413)
        if request.method == "POST" and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise ExplorerError("The request is not JSON; expected the content type application/json.", 415)
        return None

    def _check_origin(self, headers: Headers, path: str) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.door.knows(hosts[0]):
            raise ExplorerError("This explorer is not served under that name. Use the address that it printed.", 421)
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
            raise ExplorerError("A page of another origin cannot use this explorer.", 403)
        if path.startswith(API) and headers.get("sec-fetch-site", "none") not in _OUR_SITES:
            raise ExplorerError("A page of another site cannot use this explorer.", 403)

    def _let_in(self, token: str) -> Response:
        if not self.door.opens(token):
            raise ExplorerError("That token does not open this explorer. Use the address that it printed.", 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(self.door.cookie, token, httponly=True, samesite="strict", path="/")
        return response


def refusal(error: ExplorerError) -> Response:
    """Turn a refusal into an answer."""
    headers = {"Retry-After": "2"} if error.status == 503 else {}
    return JSONResponse({"error": str(error)}, error.status, headers)


def protect(headers: MutableHeaders, cache: str) -> None:
    """Add the headers of every answer.

    Args:
        headers: The answer's headers.
        cache: How long the answer may be cached, if the answer does not say so itself.
    """
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", cache)


def _with_headers(path: str, send: Send) -> Send:
    """Put the headers on every answer."""
    cache = "no-store" if path.startswith(API) else "no-cache"

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            protect(MutableHeaders(scope=message), cache)
        await send(message)

    return sending


def _counted(receive: Receive, most: int) -> Receive:
    """Count the bytes that arrive. A length in the headers may be wrong or missing."""
    received = 0

    async def receiving() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise ExplorerError(f"The request has more than {most:,} bytes.", 413)
        return message

    return receiving
