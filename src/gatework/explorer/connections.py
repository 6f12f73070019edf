"""Connections: how long one may wait, and which one is closed when there are too many.

The server either works for a connection, from a complete request to its answer, or the connection waits: for a request,
for the rest of a request, or for the client to read. Waiting costs the client nothing, so there is a time limit. When
all places are taken, the connection that has waited longest is closed to make room for a new one.
"""

import asyncio
from http import HTTPStatus

import h11
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from gatework.errors import ExplorerError
from gatework.explorer.guard import protect, refusal
from gatework.explorer.settings import Settings


class Connection(H11Protocol):
    """A uvicorn connection with its own limits. Every refusal carries the headers of an answer."""

    settings = Settings()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait, and make room if there is none."""
        super().connection_made(transport)
        self._waits_since: float | None = None
        self._unread_before: float = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._aborted = False
        self._look()
        self._crowded = not self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._stop_clock()

    def data_received(self, data: bytes) -> None:
        """Receive bytes, or refuse them if the server is working for every connection."""
        if self._crowded and len(self._open()) > self.settings.connections:
            self._refuse(503, "The explorer has too many visitors. Ask again in a moment.")
            return
        self._crowded = False
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Begin to wait again."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP."""
        self._refuse(400, "The request is not HTTP, or its head is too long.")

    def _open(self) -> list["Connection"]:
        return [one for one in self.connections if isinstance(one, Connection) and not one._aborted]

    def _make_room(self) -> bool:
        """Close the connection that has waited longest, if there are too many; return whether there is room."""
        others = self._open()
        if len(others) <= self.settings.connections:
            return True
        waiting = [(one._waits_since, id(one), one) for one in others if one._waits_since is not None and one != self]
        if waiting:
            min(waiting)[2]._abort()
        return bool(waiting)

    def _look(self) -> None:
        """Start the timer when this connection begins to wait, and stop it when the server works for it."""
        cycle = self.cycle
        whole = cycle is not None and not cycle.response_complete and not cycle.more_body
        if whole and not self.flow.write_paused:
            self._stop_clock()
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since, self._unread_before = self.loop.time(), float("inf")
            self._start_clock()

    def _start_clock(self) -> None:
        self._timer = self.loop.call_later(self.settings.arrival, self._too_late)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if 0 < unread < self._unread_before:  # a long answer over a slow connection: the client is reading
            self._unread_before = unread
            self._start_clock()
        elif unread or self.transport.is_closing() or not self._has_begun():
            self._abort()
        else:
            self._refuse(408, f"The request did not arrive within {self.settings.arrival:g} seconds.")
            self._start_clock()

    def _has_begun(self) -> bool:
        """Return whether part of a request has arrived."""
        under_way = self.cycle is not None and not self.cycle.response_complete
        return under_way or bool(self.conn.trailing_data[0])

    def _abort(self) -> None:
        self._aborted = True
        self.transport.abort()

    def _refuse(self, status: int, what: str) -> None:
        """Answer in place of the application, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write(refusal(ExplorerError(what, status)))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _write(self, response: Response) -> None:
        protect(response.headers, "no-store")
        status = response.status_code
        headers = [*response.raw_headers, (b"connection", b"close")]
        head = self.cycle is not None and not self.cycle.response_complete and self.cycle.scope["method"] == "HEAD"
        for event in (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase),
            h11.Data(data=b"" if head else bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")


def connections_within(limits: Settings) -> type[Connection]:
    """Make the class of connections with some limits."""

    class Limited(Connection):
        settings = limits

    return Limited
