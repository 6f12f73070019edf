"""The kind of one field: a number in any notation, a time, a hole, or text."""

import re
from enum import Enum

HOLES = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", "missing", "<na>", "nat", "#value!")
"""What stands in a field without a value, in lower case."""

SPACES = " \u00a0\u202f\u2009'’"
# Signs around a number that are taken off: currencies and percent.
CURRENCIES = "$€£¥₹"
PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
COMMA = r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?"
GROUPS_OF_COMMAS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
GROUPS_OF_POINTS = r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?"
GROUPS_OFSPACES = rf"[+-]?[1-9]\d{{0,2}}(?:[{SPACES}]\d{{3}})+(?:[.,]\d*)?"
NUMBER = "|".join((PLAIN, COMMA, GROUPS_OF_COMMAS, GROUPS_OF_POINTS, GROUPS_OFSPACES))
"""A number in any notation, for :func:`re.fullmatch`."""
AROUND = rf"[{CURRENCIES}%‰\s]"
"""One of the signs around a number that are taken off."""

CLOCK = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:[.,]\d{1,9})?)?\s?(?:[aApP]\.?[mM]\.?)?"
ISO = r"\d{4}-\d{1,2}(?:-\d{1,2})?(?:[T ]\d{1,2}(?::\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?\s?(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
SLASHES = rf"\d{{4}}/\d{{1,2}}/\d{{1,2}}(?:[T ,]+{CLOCK})?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
WRITTEN = rf"{_DAY}(?P<mark>[./-]){_DAY}(?P=mark)(?:\d{{4}}|\d{{2}})(?:[T ,]+{CLOCK})?"

_NUMBER = re.compile(NUMBER)
_TIME = re.compile("|".join((ISO, SLASHES, WRITTEN)))
_AROUND = re.compile(AROUND)


class Kind(Enum):
    """The kind of a field."""

    NUMBER = "number"
    TIME = "time"
    HOLE = "hole"
    TEXT = "text"


def kind_of(field: str) -> Kind:
    """Return the kind of a field.

    Args:
        field: The field.

    Example:
        >>> [kind_of(field).value for field in ("1.5", "1.234,5 €", "12 %", "2026-01-31", "n/a", "north")]
        ['number', 'number', 'number', 'time', 'hole', 'text']
    """
    field = field.strip()
    if field.lower() in HOLES:
        return Kind.HOLE
    if _TIME.fullmatch(field):
        return Kind.TIME
    bare = _AROUND.sub("", field) if not _NUMBER.fullmatch(field) else field
    return Kind.NUMBER if _NUMBER.fullmatch(bare.replace("−", "-")) else Kind.TEXT
