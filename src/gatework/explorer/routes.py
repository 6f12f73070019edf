"""From paths to answers: reading requests, and writing answers.

    GET  /                            the page
    GET  /assets/NAME                 what belongs to it
    GET  /api/about                   the runs, their quantities, pictures and samples, and the limits
    GET  /api/scene                   the cell's chain                  run, kind, language
    POST /api/traces                  read a text; the answer has the id that stands for T below
    GET  /api/traces/T/top            the likeliest next symbols        from, to
    GET  /api/traces/T/values         a quantity [n, H]                 layer, direction, name, from, to
    GET  /api/traces/T/overview       its extremes [buckets, 2, H]      layer, direction, name, buckets
    GET  /api/traces/T/unit           all of a unit [names, n]          layer, direction, unit, from, to
    GET  /api/traces/T/terms          an equation in numbers            layer, direction, name, unit, step
    GET  /api/traces/T/units          figures for every unit            layer, direction, name
    GET  /api/traces/T/gradients      what mattered to a prediction     at
    GET  /api/traces/T/opening        the unit to begin with
    POST /api/traces/T/find           units that follow a mark
    POST /api/elsewhere               where else a unit is high or low

Arrays are little-endian float32, row after row, with the shape in ``X-Shape``. ``unit`` names its rows in ``X-Names``,
and gives their values before the first symbol in ``X-Before``: after the line end that precedes every text. Everything
else is JSON, errors too: ``{"error": "one sentence"}``.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gatework.errors import ExplorerError, GateworkError
from gatework.explorer import messages
from gatework.explorer.guard import refusal
from gatework.explorer.messages import read_message
from gatework.explorer.settings import PAGE, Settings

if TYPE_CHECKING:
    from gatework.explorer.answers import Answers, Numbers

_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
_NOT_BUILT = "The explorer's page is not built. In a checkout of gatework, run: make page\n"
# These are answered from stored values. All others run a model over a whole text.
_SHORT = frozenset(("about", "scene", "top", "terms", "values", "unit"))
Answer = TypeVar("Answer")


class Work:
    """Work outside the event loop. A few long pieces run at once, a few more may wait, and the rest is refused.

    Short work has its own threads and is never refused. It waits its turn, and each connection has at most one piece.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._limiter = CapacityLimiter(settings.at_once)
        self._short = CapacityLimiter(settings.at_once)

    @property
    def waiting(self) -> int:
        """The number of long pieces that are waiting."""
        return self._limiter.statistics().tasks_waiting

    async def do(self, deed: Callable[[], Answer], *, short: bool = False) -> Answer:
        """Run a function on another thread.

        Args:
            deed: The function.
            short: Whether it is short work, which is never refused.

        Returns:
            The function's result.

        Raises:
            ExplorerError: If too much long work is already waiting.
        """
        if short:
            return await anyio.to_thread.run_sync(deed, limiter=self._short)
        if self.waiting >= self.settings.waiting:
            raise ExplorerError("The explorer is busy. Ask again in a moment.", 503)
        return await anyio.to_thread.run_sync(deed, limiter=self._limiter)


class Desk:
    """Takes requests and writes answers.

    Args:
        answers: Returns the object that answers, once it is there.
        work: Runs the answering.
    """

    def __init__(self, answers: "Callable[[], Awaitable[Answers]]", work: Work) -> None:
        self._answers = answers
        self._work = work

    def routes(self) -> list[Route]:
        """Return the table of paths."""
        trace = "/api/traces/{trace}"
        gets: dict[str, tuple[type[BaseModel], str]] = {
            "top": (messages.TopWindow, "top"),
            "values": (messages.Window, "values"),
            "overview": (messages.Overview, "overview"),
            "unit": (messages.UnitWindow, "unit"),
            "terms": (messages.Term, "terms"),
            "units": (messages.Quantity, "units"),
            "gradients": (messages.At, "gradients"),
        }
        return [
            Route("/", page),
            Route("/assets/{name}", asset),
            Route("/api/about", self._about),
            Route("/api/scene", partial(self._get, messages.Scene, "scene")),
            Route("/api/traces", partial(self._post, messages.TraceRequest, "trace"), methods=["POST"]),
            Route(f"{trace}/opening", self._opening),
            Route(f"{trace}/find", partial(self._post, messages.FindRequest, "find"), methods=["POST"]),
            Route("/api/elsewhere", partial(self._post, messages.ElsewhereRequest, "elsewhere"), methods=["POST"]),
            *(Route(f"{trace}/{path}", partial(self._get, kind, name)) for path, (kind, name) in gets.items()),
        ]

    async def _about(self, request: Request) -> Response:
        return await self._answer("about")

    async def _opening(self, request: Request) -> Response:
        return await self._answer("opening", request.path_params["trace"])

    async def _get(self, kind: type[BaseModel], name: str, request: Request) -> Response:
        given = request.query_params.multi_items()
        if len(dict(given)) < len(given):
            raise ExplorerError("A name stands twice in the query.")
        return await self._answer(name, *request.path_params.values(), read_message(kind, dict(given)))

    async def _post(self, kind: type[BaseModel], name: str, request: Request) -> Response:
        asked = read_message(kind, await request.body())
        return await self._answer(name, *request.path_params.values(), asked)

    async def _answer(self, name: str, *asked: Any) -> Response:
        answers = await self._answers()
        return await self._work.do(lambda: write(getattr(answers, name)(*asked)), short=name in _SHORT)


def write(answer: "BaseModel | Numbers") -> Response:
    """Write an answer: as JSON, or numbers as bytes."""
    if isinstance(answer, BaseModel):
        return Response(answer.model_dump_json(by_alias=True, exclude_unset=True), media_type="application/json")
    headers = {"X-Shape": ",".join(map(str, answer.shape))}
    if answer.names:
        headers["X-Names"] = json.dumps(list(answer.names))
        headers["X-Before"] = json.dumps(list(answer.before))
    return Response(answer.content(), headers=headers, media_type="application/octet-stream")


async def page(request: Request) -> Response:
    """Return the page."""
    return await anyio.to_thread.run_sync(_file, PAGE, "index.html")


async def asset(request: Request) -> Response:
    """Return one of the page's assets."""
    return await anyio.to_thread.run_sync(_file, PAGE / "assets", request.path_params["name"])


def _file(folder: Path, name: str) -> Response:
    # The name is looked up among the existing assets. No path is ever made of it.
    known = {path.name: path for path in folder.iterdir() if path.is_file()} if folder.is_dir() else {}
    if name in known:
        return Response(known[name].read_bytes(), media_type=_KINDS.get(known[name].suffix, "application/octet-stream"))
    if not (PAGE / "index.html").is_file():
        return PlainTextResponse(_NOT_BUILT, 503)
    return refusal(ExplorerError("There is nothing at this address.", 404))


async def broken_off(request: Request, error: Exception) -> Response:
    """Answer a request whose client has gone; nobody reads this answer."""
    return refusal(ExplorerError("The request was broken off."))


async def refused(request: Request, error: Exception) -> Response:
    """Answer a request that was refused or failed."""
    if isinstance(error, HTTPException):
        what = "there is nothing at this address" if error.status_code == 404 else error.detail
        response = refusal(ExplorerError(what, error.status_code))
        response.headers.update(error.headers or {})
        return response
    if isinstance(error, ExplorerError):
        return refusal(error)
    if isinstance(error, GateworkError):
        return refusal(ExplorerError(str(error)))
    return refusal(ExplorerError("Something went wrong here, which is a fault in gatework.", 500))
