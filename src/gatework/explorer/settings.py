"""The explorer's limits, and the location of its page."""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "page"
NOTICES = "notices.txt"  # in the page's assets: the licences of the code in its script


@dataclass(frozen=True)
class Settings:
    """The limits of the server.

    Args:
        trace_bytes: The most bytes of traces that are stored.
        seconds: The most seconds that one request may take.
        text: The most symbols of a text that is posted.
        steps: The most symbols of a sample.
        body: The most bytes of a request.
        at_once: The number of requests worked on at the same time, short and long ones counted separately.
        waiting: The number of long requests that may wait.
        connections: The number of connections that may be open at the same time.
        arrival: The seconds within which a request must arrive whole.
    """

    trace_bytes: int = 512_000_000
    seconds: float = 60.0
    text: int = 20_000
    steps: int = 100_000
    body: int = 1_000_000
    at_once: int = 2
    waiting: int = 16
    connections: int = 128
    arrival: float = 10.0
