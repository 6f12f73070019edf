"""The common base of the reporters of runs and comparisons: where they write, and how.

A reporter shows progress to a person or a program: as a moving display, as lines of text, as lines of JSON, or not at
all. Runs and comparisons report different events, but show them in the same ways.
"""

import json
import sys
from collections.abc import Callable
from typing import IO, Any, Literal, TypeVar

from rich.console import Console
from rich.progress import Progress, TaskID

Mode = Literal["auto", "live", "plain", "json", "quiet"]
Reporter = TypeVar("Reporter")


class Silent:
    """Report nothing; the base of all reporters."""

    def note(self, message: str) -> None:
        """Report nothing."""

    def end(self) -> None:
        """Report nothing."""


class JsonWriter(Silent):
    """Write one JSON object per line, and notes as ``{"note": …}``.

    Args:
        file: Where the lines go.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def note(self, message: str) -> None:
        """Print a note."""
        self._print({"note": message})

    def _print(self, value: Any) -> None:
        print(json.dumps(value, ensure_ascii=False), file=self._file, flush=True)


class TextWriter(Silent):
    """Write lines of text, for a file or a pipe.

    Args:
        file: Where the lines go.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def note(self, message: str) -> None:
        """Print a note."""
        self._print(message)

    def _print(self, text: str) -> None:
        print(text, file=self._file, flush=True)


class Display(Silent):
    """Show one moving bar, and lines of text above it.

    Args:
        console: The terminal.
        bar: The bar.
    """

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task: TaskID | None = None

    def note(self, message: str) -> None:
        """Show a note above the bar."""
        self._print(message)

    def end(self) -> None:
        """Stop the bar, and leave the display on the screen."""
        self._bar.stop()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


def choose(
    mode: Mode,
    file: IO[str] | None,
    live: Callable[[Console], Reporter],
    plain: Callable[[IO[str]], Reporter],
    lines: Callable[[IO[str]], Reporter],
    quiet: Callable[[], Reporter],
) -> Reporter:
    """Choose a reporter.

    Args:
        mode: The kind of reporter; ``auto`` is live on a terminal and plain otherwise.
        file: The file to write to; None for standard error.
        live: Makes the moving display.
        plain: Makes the reporter that writes lines of text.
        lines: Makes the reporter that writes lines of JSON.
        quiet: Makes the reporter that reports nothing.

    Returns:
        The reporter.
    """
    stream = file or sys.stderr
    console = Console(file=stream, highlight=False)
    if mode == "live" or (mode == "auto" and console.is_terminal):
        return live(console)
    if mode in ("auto", "plain"):
        return plain(stream)
    return lines(stream) if mode == "json" else quiet()


def duration(seconds: float) -> str:
    """Format a duration.

    Example:
        >>> duration(75), duration(3700)
        ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
