"""Every exception the project raises on purpose.

The tree::

    GateworkError
    ├── EquationError        equations that cannot be read, or do not fit together (line and caret)
    ├── CellError            an unknown cell, or a cell asked for what it does not have
    ├── SizeError            sizes, shapes or options that do not fit a layer
    ├── ConfigError          a configuration that cannot be used (unknown key, value out of range)
    ├── KernelError          equations that could not be compiled for this machine
    ├── PlanError            a plan that no code can be made of: a fault of ours, not of the equations
    ├── DataError            a file, folder or prompt that cannot be used as data
    │   └── FileError            a file that cannot be read, or holds something else than it should
    ├── ExplorerError        a request that the explorer refuses, with HTTP's number for the reason
    └── RunError             a run directory, or a run, that cannot go on
        ├── CheckpointError      a checkpoint that is damaged, cut short or foreign
        ├── NonFiniteLossError   the loss became NaN or infinite
        └── Stopped              Ctrl-C or SIGTERM; everything is saved

Each message says what was given, what was expected, where, and what to do.
"""

import signal
import unicodedata
from pathlib import Path

_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and steer nothing


def printable(text: str) -> str:
    r"""Spell out what a terminal, a picture or a file cannot take: control characters, turns of direction, surrogates.

    Args:
        text: Any text.

    Returns:
        The text, where letters, spaces, tabs and line ends are as they were.

    Example:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t" or letter in _JOINERS or unicodedata.category(letter) == "Zs":
        return letter
    return repr(letter)[1:-1]


class GateworkError(Exception):
    """Base of every error the project raises on purpose.

    Its message says what was given, what was expected, where, and what to do. What it quotes may be hostile, so it is
    made printable.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class EquationError(GateworkError, ValueError):
    """Equations that cannot be read or do not fit together.

    Args:
        message: What is wrong and what to do, in one or two sentences.
        text: The whole text of the equations, to quote the line from.
        line: Line of the fault, counted from 1; 0 where no single line is at fault.
        column: Column of the fault, counted from 0.
    """

    def __init__(self, message: str, *, text: str = "", line: int = 0, column: int = 0) -> None:
        self.reason = printable(message)
        self.line = line
        self.column = column
        lines = text.split("\n")
        if 0 < line <= len(lines):
            # A tab before the fault would put the caret elsewhere than the eye expects.
            quoted = lines[line - 1].replace("\t", " ")
            shown, start = _window(quoted, column)
            message = f"{message}\n  line {line}: {shown}\n{' ' * (len(f'  line {line}: ') + column - start)}^"
        super().__init__(message)


class CellError(GateworkError, ValueError):
    """An unknown cell, or a cell asked for something it does not have."""


class SizeError(GateworkError, ValueError):
    """Sizes, shapes or options that do not fit a layer."""


class ConfigError(GateworkError, ValueError):
    """A configuration that cannot be used."""


class KernelError(GateworkError, RuntimeError):
    """Equations that could not be compiled for this machine, or a kernel that was stopped by the check of bounds."""


class PlanError(GateworkError, RuntimeError):
    """A plan of kernels that no code can be made of: a fault of ours, not of the equations."""


class DataError(GateworkError, ValueError):
    """A file, folder or prompt that cannot be used as data."""


class FileError(DataError):
    """A file that cannot be read, or holds something else than it should: all that the readers of files raise.

    Args:
        path: The file.
        reason: What is wrong with it: the sentence behind its name.
        advice: What was expected, or what to do.
        inside: The place in it that is at fault, such as a line.
    """

    def __init__(self, path: str | Path, reason: str, advice: str = "", inside: str = "") -> None:
        self.reason = f"{inside} {reason}" if inside else reason
        self.advice = advice
        message = f"'{path}', {self.reason}" if inside else f"'{path}' {reason}"
        super().__init__(f"{message}: {advice}" if advice else message)


class ExplorerError(GateworkError, ValueError):
    """A request that the explorer refuses.

    Args:
        message: What was asked for, what is to be had, and what to do.
        status: HTTP's number for the reason: 400 for a request that makes no sense, 404 for what is not there, 413 for
            too much, 503 where there is too much to do already.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


class RunError(GateworkError, RuntimeError):
    """A run directory, or a run, that cannot go on."""


class CheckpointError(RunError):
    """A checkpoint that is damaged, cut short or foreign."""


class NonFiniteLossError(RunError):
    """The loss of a training step became NaN or infinite."""


class Stopped(RunError):
    """A run that a signal stopped; everything is saved.

    Args:
        number: The signal.
        step: The last step, which is in the checkpoint.
        run: The run directory.
        after: How far it had come, in words, where that is not counted in steps.

    Attributes:
        exit_code: What a shell expects: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, number: int, step: int, run: str, after: str = "") -> None:
        self.number = number
        self.step = step
        self.exit_code = 128 + number
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        super().__init__(
            f"stopped by {name} after {after or f'step {step:,}'}, saved in '{run}': "
            "the same command goes on from there"
        )


def _window(line: str, column: int, width: int = 100) -> tuple[str, int]:
    """Cut a long line to the part around the fault; returns the part and where it starts."""
    if len(line) <= width:
        return line, 0
    start = max(0, min(column - width // 2, len(line) - width))
    return line[start : start + width], start
