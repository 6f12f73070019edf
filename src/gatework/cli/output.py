"""The output of the verbs: tables for people on the terminal, JSON for programs."""

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

# The width for output that is not a terminal, so that wide tables are not wrapped.
PIPED_WIDTH = 140


def whole_number(kind: type, tokens: Sequence[Token]) -> int:
    """Parse a whole number; cyclopts itself would round 1.5.

    Args:
        kind: The requested type, int.
        tokens: The single given word.

    Returns:
        The number.

    Raises:
        ValueError: If the word is not a whole number; cyclopts prefixes the message with the name of the option.
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
    """Return the console for results, on the current standard output."""
    return _console(sys.stdout.isatty(), stderr=False)


def err() -> Console:
    """Return the console for errors and progress, on the current standard error."""
    return _console(sys.stderr.isatty(), stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, indented, on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """Make a table that looks the same in every verb.

    Args:
        columns: The headings.
        rows: The cells of each row, as text; square brackets are markup.
        right: Headings of the right-aligned columns.

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
    """Make a table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, value in values.items():
        table.add_row(name, value)
    return table


class _PipeConsole(Console):
    """A console that leaves a closed pipe to :func:`gatework.cli.app.run`, which returns the exit code for it."""

    def on_broken_pipe(self) -> None:
        """Raise again what rich has just caught."""
        raise BrokenPipeError


def _console(is_terminal: bool, *, stderr: bool) -> Console:
    width = None if is_terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    return _PipeConsole(stderr=stderr, width=width, highlight=False)
