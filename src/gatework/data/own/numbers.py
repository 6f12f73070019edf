"""Columns of numbers in any notation: which sign stands before the decimals is decided over all rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatework.data.own.guesses import (
    AROUND,
    CURRENCIES,
    HOLES,
    NUMBER,
    SPACES,
)
from gatework.errors import DataError

_HOLES = pa.array(HOLES)
# Rows of which the kind of a column is guessed, before all are read.
_SAMPLE = 1000
_ONE_GROUP = r"[+-]?[1-9]\d{0,2}[.,]\d{3}"
# Names a row of a column in words, for the beginning of a sentence or, if short, for its middle.
Place = Callable[..., str]
_SIGNS = {"percent": "[%‰]", "currency": f"[{CURRENCIES}]"}


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of a table as text.

    Args:
        name: The name of the column.
        fields: The fields ``[n]`` without surrounding spaces; null at holes.
        texts: The same fields as text, where only empty fields are holes: a class may be called ``none`` or ``-``.
    """

    name: str
    fields: pa.ChunkedArray
    texts: pa.ChunkedArray

    @property
    def filled(self) -> int:
        """The number of fields that are no holes."""
        return len(self.fields) - self.fields.null_count


def trim_column(name: str, fields: pa.ChunkedArray) -> TextColumn:
    """Take the spaces around fields off, and put null at holes."""
    fields = pc.utf8_trim_whitespace(fields)
    is_hole = pc.is_in(pc.utf8_lower(fields), value_set=_HOLES)
    # Without holes, both are the same memory.
    whole = pc.if_else(is_hole, None, fields) if pc.any(is_hole).as_py() else fields
    return TextColumn(name, whole, fields)


def matching(fields: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Tell which fields are matched whole by a pattern; null at holes."""
    return pc.match_substring_regex(fields, rf"^(?:{pattern})$")


def share_of_numbers(column: TextColumn) -> tuple[int, int | None]:
    """Count the numbers of a column, in any notation.

    Returns:
        The number of them, and the row of the first field that is neither a number nor a hole; None if there is none.
    """
    is_number = matching(_bare(column.fields), NUMBER)
    count = pc.sum(is_number).as_py() or 0
    return count, None if count == column.filled else first_of(pc.invert(is_number))


def looks_numeric(column: TextColumn) -> bool:
    """Tell whether at least one of the first fields of a column is a number."""
    sample = column.fields.drop_null().slice(0, _SAMPLE)
    return share_of_numbers(TextColumn(column.name, sample, sample))[0] > 0


def first_of(mask: pa.ChunkedArray) -> int | None:
    """Return the first row where a mask is true; None if there is none."""
    place = pc.index(pc.fill_null(mask, False), True).as_py()
    return None if place < 0 else place


def _bare(fields: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take currencies and percent signs off numbers, and write the minus sign of typesetters as a hyphen."""
    unusual = r"[^0-9.,+\-eE\s'’\x{00a0}\x{202f}\x{2009}]"
    if not pc.any(pc.match_substring_regex(fields, unusual)).as_py():
        return fields
    fields = pc.replace_substring(fields, "−", "-")
    return pc.replace_substring_regex(fields, rf"^([+-]?){AROUND}+|{AROUND}+$", r"\1")


@dataclass(frozen=True)
class Evidence:
    """What a column says about the sign before decimals.

    Args:
        point: A row whose field has a decimal point for certain; None if there is none.
        comma: The same for a decimal comma.
        either: A row whose field, such as 1.234, may have decimals or thousands.
    """

    point: int | None
    comma: int | None
    either: int | None


def gather_evidence(column: TextColumn) -> Evidence:
    """Find out what a column of numbers says about the sign before decimals."""
    fields = _bare(column.fields)
    if not pc.any(pc.match_substring_regex(fields, "[.,]")).as_py():
        return Evidence(None, None, None)
    either = matching(fields, _ONE_GROUP)
    point, comma = (pc.and_not(matching(fields, _sure(*signs)), either) for signs in ((r"\.", ","), (",", r"\.")))
    return Evidence(first_of(point), first_of(comma), first_of(either))


def _sure(decimal: str, group: str) -> str:
    """Return the pattern of numbers that show which sign stands before decimals, if they are not of one group."""
    grouped = r"[+-]?[1-9]\d{0,2}"
    return (
        rf"[+-]?(?:\d+{decimal}\d*|{decimal}\d+)(?:[eE][+-]?\d+)?"
        rf"|{grouped}(?:{group}\d{{3}})+{decimal}\d*|{grouped}(?:{group}\d{{3}}){{2,}}"
        rf"|{grouped}(?:[{SPACES}]\d{{3}})+{decimal}\d*"
    )


def decide_decimal(columns: Sequence[TextColumn], delimiter: str, place: Place) -> str:
    """Decide which sign stands before the decimals of a table, from all its columns of numbers.

    Args:
        columns: The columns of numbers.
        delimiter: The character between fields; empty if no text was split.
        place: Names a row of a column, for error messages.

    Returns:
        ``.`` or ``,``; empty if no number has either.

    Raises:
        DataError: If columns contradict each other, or nothing tells 1.234 with decimals from thousands.
    """
    evidence = [gather_evidence(column) for column in columns]
    point, comma, either = (
        next(
            (
                (column, row)
                for column, one in zip(columns, evidence, strict=True)
                if (row := getattr(one, name)) is not None
            ),
            None,
        )
        for name in ("point", "comma", "either")
    )
    if point and comma:
        raise DataError(
            f"{place(*point)}: '{_field(*point)}' has a decimal point, and {place(*comma, short=True)}: "
            f"'{_field(*comma)}' has a decimal comma. Say --decimal point or --decimal comma, "
            "and the other one is refused by name, or choose columns with --columns."
        )
    if point or comma:
        return "." if point else ","
    if not either:
        return ""
    # Between commas, a point is the sign before decimals.
    if delimiter == "," and not any(
        "," in _field(column, one.either)
        for column, one in zip(columns, evidence, strict=True)
        if one.either is not None
    ):
        return "."
    raise DataError(
        f"{place(*either)}: '{_field(*either)}' may have thousands or decimals, and no other number tells. "
        "Say --decimal point or --decimal comma for the sign before decimals."
    )


def _field(column: TextColumn, row: int) -> str:
    return column.fields[row].as_py()


def to_numbers(column: TextColumn, decimal: str) -> tuple[NDArray[np.float64], tuple[str, ...], int | None]:
    """Convert a column to numbers.

    Args:
        column: The column.
        decimal: The sign before decimals.

    Returns:
        The numbers ``[n]``, NaN at holes; the kinds of signs that were taken off: ``percent``, ``currency``,
        ``thousands``; and the first row that is no finite number, or None.
    """
    fields, signs = column.fields, ()
    try:
        if decimal == ",":
            raise pa.ArrowInvalid
        numbers = pc.cast(fields, pa.float64())
    except pa.ArrowInvalid:
        signs = tuple(name for name, sign in _SIGNS.items() if pc.any(pc.match_substring_regex(fields, sign)).as_py())
        fields = _bare(fields)
        point, group = (r"\.", ",") if decimal != "," else (",", r"\.")
        taken = matching(fields, _written(point, group))
        if (wrong := first_of(pc.invert(taken))) is not None:
            return np.empty(0), signs, wrong
        groups = f"[{SPACES}{group}]"
        if pc.any(pc.match_substring_regex(fields, groups)).as_py():
            signs = (*signs, "thousands")
            fields = pc.replace_substring_regex(fields, groups, "")
        numbers = pc.cast(pc.replace_substring(fields, ",", ".") if decimal == "," else fields, pa.float64())
    finite = pc.is_finite(numbers)
    wrong = first_of(pc.invert(finite))
    return pc.fill_null(numbers, np.nan).to_numpy(), signs, wrong


def _written(decimal: str, group: str) -> str:
    """Return the pattern of numbers with a sign before decimals and a sign between thousands."""
    grouped = r"[+-]?[1-9]\d{0,2}"
    return (
        rf"[+-]?(?:\d+(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
        rf"|{grouped}(?:{group}\d{{3}})+(?:{decimal}\d*)?|{grouped}(?:[{SPACES}]\d{{3}})+(?:{decimal}\d*)?"
    )
