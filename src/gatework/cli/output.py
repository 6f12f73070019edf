"""Where the verbs write: tables for people on the terminal, JSON for programs."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token
from cyclopts.validators import Number
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

# Not a terminal: nobody's window limits the line, so wide tables stay whole.
PIPED_WIDTH = 140


def whole_number(kind: type, tokens: Sequence[Token]) -> int:
    """Read a whole number; cyclopts by itself would round 1.5.

    Args:
        kind: The type asked for, int.
        tokens: The one word given.

    Returns:
        The number.

    Raises:
        ValueError: When it is none; cyclopts puts the name of the option before this message.
    """
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f'unable to convert "{tokens[0].value}" into {kind.__name__}.') from None


# Types of options that several verbs have.
Whole = Annotated[int, Parameter(converter=whole_number)]
Size = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(negative="", help="Print JSON, for programs.")]


def out() -> Console:
    """Give the console for results: standard output as it is now."""
    return _console(sys.stdout.isatty(), stderr=False)


def err() -> Console:
    """Give the console for errors and progress: standard error as it is now."""
    return _console(sys.stderr.isatty(), stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, indented, on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """Make a table that looks the same in every verb.

    Args:
        columns: The headings.
        rows: The cells of each row, as text; square brackets are markup.
        right: Headings of the columns set flush right.

    Returns:
        The table, ready to print.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(
            column,
            justify="right" if column in right else "left",
            style="cyan" if position == 0 else "",
            no_wrap=position == 0 or column in right,
        )
    for row in rows:
        table.add_row(*row)
    return table


def pairs(values: Mapping[str, str]) -> Table:
    """Make a table of names and what they are."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, value in values.items():
        table.add_row(name, value)
    return table


class _PipeConsole(Console):
    """A console that leaves a closed pipe to the door, which knows the exit code for it."""

    def on_broken_pipe(self) -> None:
        """Say again what rich has just caught."""
        raise BrokenPipeError


def _console(is_terminal: bool, *, stderr: bool) -> Console:
    width = None if is_terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    return _PipeConsole(stderr=stderr, width=width, highlight=False)
