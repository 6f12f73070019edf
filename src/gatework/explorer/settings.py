"""How much the explorer may use, and where its page lies."""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "page"
NOTICES = "notices.txt"  # among the page's assets: the licences of what is in its script


@dataclass(frozen=True)
class Settings:
    """Limits of the server.

    Args:
        memory: Bytes of traces that are kept.
        seconds: How long one request may take.
        text: The most symbols of a text that is posted.
        steps: The most symbols of a sample.
        body: The most bytes of a request.
        at_once: How many requests are worked on side by side, short and long ones apart.
        waiting: How many long ones may wait for that.
        connections: How many connections are open at once.
        arrival: Seconds until a request must be whole.
    """

    memory: int = 512_000_000
    seconds: float = 60.0
    text: int = 20_000
    steps: int = 100_000
    body: int = 1_000_000
    at_once: int = 2
    waiting: int = 16
    connections: int = 128
    arrival: float = 10.0
