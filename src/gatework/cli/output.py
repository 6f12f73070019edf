"""The output of the verbs: tables for people on the terminal, JSON for programs."""

import csv
import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
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


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""Write a table as CSV.

    Args:
        header: The names of the columns.
        rows: The fields of each row.

    Returns:
        The text. Numbers have nine digits, and texts are as they are.

    Example:
        >>> csv_text(["city", "height"], [["Oslo", 0.1 + 0.2]])
        'city,height\nOslo,0.3\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{value:.9g}" if isinstance(value, float) else value for value in row] for row in rows)
    return text.getvalue()


# Types of options that several verbs have.
Whole = Annotated[int, Parameter(converter=whole_number)]
Size = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(negative="", help="Print JSON, for programs.")]
Checkpoint = Annotated[str, Parameter(name=("--checkpoint", "--step"))]


def checkpoint_step(given: str) -> Any:
    """Turn the word for a checkpoint into a step; other words are refused where the checkpoint is looked up.

    Args:
        given: ``best``, ``last`` or a number.

    Example:
        >>> checkpoint_step("best"), checkpoint_step("250")
        ('best', 250)
    """
    return int(given) if given.isascii() and given.isdigit() else given


def out() -> Console:
    """Return the console for results, on the current standard output."""
    return _console(sys.stdout.isatty(), stderr=False)


def err() -> Console:
    """Return the console for errors and progress, on the current standard error."""
    return _console(sys.stderr.isatty(), stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, indented, on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def program() -> str:
    """Return what to type for this program, so that the commands it prints can be pasted.

    Returns:
        ``gatework`` where the shell finds this program under that name; else the path or the module it was started by.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py" and started.parent.name == "gatework":
        python = Path(sys.executable)
        on_path = _is_on_path(python.name, python)
        return f"{python.name if on_path else _from_here(python)} -m gatework"
    if started.stem == "gatework" and started.parent != Path() and not _is_on_path("gatework", started):
        return _from_here(started)
    return "gatework"


def _is_on_path(name: str, file: Path) -> bool:
    """Tell whether the shell finds a file by its name alone."""
    found = shutil.which(name)
    return found is not None and os.path.abspath(found) == os.path.abspath(file)


def _from_here(path: Path) -> str:
    """Write a path as a person would type it: from the current folder, if the file lies in it."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    return shlex.quote(str(shown) if shown.parent != Path() else os.path.join(os.curdir, shown))


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
