"""Every exception the project raises on purpose.

The tree::

    GateworkError
    ├── EquationError        equations that cannot be parsed, or are inconsistent (with line and caret)
    ├── CellError            an unknown cell, or a cell without the requested gate, state or parameter
    ├── SizeError            sizes, shapes or options that do not fit a layer
    ├── ConfigError          a configuration that cannot be used (unknown key, value out of range)
    ├── KernelError          equations that could not be compiled for this machine
    ├── PlanError            a plan that cannot be turned into code: a bug of gatework, not of the equations
    ├── DataError            a file, folder or prompt that cannot be used as data
    │   └── FileError            a file that cannot be read, or has unexpected contents
    ├── ExplorerError        a request that the explorer refuses, with the HTTP status code
    └── RunError             a run directory, or a run, that cannot continue
        ├── CheckpointError      a checkpoint that is damaged, truncated or of another run
        ├── NonFiniteLossError   the loss became NaN or infinite
        └── Stopped              Ctrl-C or SIGTERM; everything is saved

Each message says what was given, what was expected, where, and what to do, in whole sentences: "steps is 0; expected
1 or more. Give --steps." A message begins with a capital, unless its first word is a name such as ``steps``.

What is probably a mistake but can be used is told as a warning, in one sentence too::

    GateworkWarning
    └── EquationWarning      a name of the equations that looks mistyped
"""

import signal
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

_JOINERS = "\u200c\u200d"  # they only shape letters and emoji


def printable(text: str) -> str:
    r"""Escape what a terminal, a picture or a file cannot show: control characters, direction marks, surrogates.

    Args:
        text: Any text.

    Returns:
        The text. Letters, spaces, tabs and line ends are unchanged.

    Example:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t" or letter in _JOINERS or unicodedata.category(letter) == "Zs":
        return letter
    return repr(letter)[1:-1]


def nearest(given: str, choices: Iterable[str], likeness: float = 0.6) -> str | None:
    """Give the choice that is most like what was given.

    Words that have letters in common are not near yet: there must be few slips between them, or one must be a part, the
    beginning or the initials of the other.

    Args:
        given: What was given.
        choices: What would have been right.
        likeness: How much alike they must be, from 0 to 1.

    Returns:
        The choice; None where none is near.

    Example:
        >>> nearest("hiden_size", ["hidden_size", "steps"]), nearest("lr", ["learning_rate", "run"])
        ('hidden_size', 'learning_rate')
        >>> nearest("verbose", ["proj_size"], 0.5), nearest("counting", ["nottingham"])
        (None, None)
    """
    known = [*choices]
    initials = (choice for choice in known if len(given) > 1 and given == _initials(choice))
    close = (choice for choice in get_close_matches(given, known, n=5, cutoff=likeness) if _is_near(given, choice))
    parts = (choice for choice in known if len(given) > 2 and choice.startswith(given))
    return next(chain(initials, close, parts), None)


def _initials(choice: str) -> str:
    return "".join(word[:1] for word in choice.replace("-", "_").split("_"))


def _is_near(given: str, choice: str) -> bool:
    """Tell whether two words differ by a slip or two, or share their beginning or a whole part."""
    short, long = sorted((given, choice), key=len)
    alike = next((place for place, letter in enumerate(short) if letter != long[place]), len(short))
    if (len(short) > 2 and short in long) or 2 * alike >= max(6, len(long)):
        return True
    return _slips(given, choice) <= max(1, len(long) // 3)


def _slips(one: str, other: str) -> int:
    """Count the letters to add, leave out, replace or swap with their neighbour to turn one word into the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        older, before, row = before, row, [place]
        for index, another in enumerate(other, 1):
            least = min(before[index] + 1, row[-1] + 1, before[index - 1] + (letter != another))
            if place > 1 and index > 1 and letter == other[index - 2] and one[place - 2] == another:
                least = min(least, older[index - 2] + 1)
            row.append(least)
    return row[-1]


def did_you_mean(given: str, choices: Iterable[str], quote: str = "`") -> str:
    """Suggest the choice that is most like what was given.

    Args:
        given: What was given.
        choices: What would have been right.
        quote: What stands before and behind the choice.

    Returns:
        A sentence with a space in front; nothing where no choice is near.

    Example:
        >>> did_you_mean("tahn", ["sigmoid", "tanh"]), did_you_mean("x", ["tanh"])
        (' Did you mean `tanh`?', '')
    """
    near = nearest(given, choices)
    return f" Did you mean {quote}{near}{quote}?" if near else ""


def sentences(*parts: str) -> str:
    """Join the parts of a message to sentences, each with a stop.

    Args:
        parts: Sentences, with or without a stop; a part may be empty.

    Returns:
        The sentences, with a space between them.

    Example:
        >>> sentences("'a.csv' is empty", "Expected a table.", "")
        "'a.csv' is empty. Expected a table."
    """
    return " ".join(part if part[-1] in ".?!" else f"{part}." for part in parts if part)


class GateworkError(Exception):
    """Base class of every error that the project raises on purpose.

    The message says what was given, what was expected, where, and what to do. It may quote hostile text, so the message
    is made printable.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class EquationError(GateworkError, ValueError):
    """Equations that cannot be parsed or are inconsistent.

    Args:
        message: What is wrong and what to do, in one or two sentences.
        text: The whole text of the equations; the message quotes the line from it.
        line: The line of the error, counted from 1, or 0 if no single line is wrong.
        column: The column of the error, counted from 0.
    """

    def __init__(self, message: str, *, text: str = "", line: int = 0, column: int = 0) -> None:
        self.reason = printable(message)
        self.line = line
        self.column = column
        lines = text.split("\n")
        if 0 < line <= len(lines):
            # A tab before the column would shift the caret.
            quoted = lines[line - 1].replace("\t", " ")
            shown, start = _window(quoted, column)
            message = f"{message}\n  line {line}: {shown}\n{' ' * (len(f'  line {line}: ') + column - start)}^"
        super().__init__(message)


class GateworkWarning(UserWarning):
    """Base class of every warning of the project. The commands print it as one line."""

    def __str__(self) -> str:
        return printable(super().__str__())


class EquationWarning(GateworkWarning):
    """Equations that can be used and look mistyped."""


class CellError(GateworkError, ValueError):
    """An unknown cell, or a cell without the requested gate, state or parameter."""


class SizeError(GateworkError, ValueError):
    """Sizes, shapes or options that do not fit a layer."""


class ConfigError(GateworkError, ValueError):
    """A configuration that cannot be used."""


class KernelError(GateworkError, RuntimeError):
    """Equations that could not be compiled for this machine, or a kernel that was stopped by the check of bounds."""


class PlanError(GateworkError, RuntimeError):
    """A plan that cannot be turned into code: a bug of gatework, not of the equations."""


class DataError(GateworkError, ValueError):
    """A file, folder or prompt that cannot be used as data."""


class FileError(DataError):
    """A file that cannot be read, or has unexpected contents. The file readers raise no other error.

    Args:
        path: The file.
        reason: What is wrong with the file: the rest of a sentence that begins with its name.
        advice: What was expected, or what to do, as sentences.
        inside: The place in the file that is wrong, such as a line.
    """

    def __init__(self, path: str | Path, reason: str, advice: str = "", inside: str = "") -> None:
        self.reason = (f"{inside} {reason}" if inside else reason).removesuffix(".")
        self.advice = advice
        super().__init__(sentences(f"'{path}', {self.reason}" if inside else f"'{path}' {self.reason}", advice))


class ExplorerError(GateworkError, ValueError):
    """A request that the explorer refuses.

    Args:
        message: What was requested, what is available, and what to do.
        status: The HTTP status code: 400 for an invalid request, 404 for something that does not exist, 413 for a
            request that is too large, 503 for a busy server.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


class RunError(GateworkError, RuntimeError):
    """A run directory, or a run, that cannot continue."""


class CheckpointError(RunError):
    """A checkpoint that is damaged, truncated or of another run."""


class NonFiniteLossError(RunError):
    """The loss of a training step became NaN or infinite."""


class Stopped(RunError):
    """A run that a signal stopped; everything is saved.

    Args:
        number: The number of the signal.
        step: The last step, which is in the checkpoint.
        run: The run directory.
        after: The progress in words, if it is not counted in steps.

    Attributes:
        exit_code: The exit code that a shell expects: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, number: int, step: int, run: str, after: str = "") -> None:
        self.number = number
        self.step = step
        self.exit_code = 128 + number
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        super().__init__(
            f"Stopped by {name} after {after or f'step {step:,}'}, saved in '{run}'. "
            "The same command goes on from there."
        )


def _window(line: str, column: int, width: int = 100) -> tuple[str, int]:
    """Cut a long line to the part around the error; return the part and where it starts."""
    if len(line) <= width:
        return line, 0
    start = max(0, min(column - width // 2, len(line) - width))
    return line[start : start + width], start
