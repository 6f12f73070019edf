"""The layout of a CSV table: what stands between fields, which line names the columns, where the rows begin."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatework.data.options import TableOptions
from gatework.data.own.guesses import Kind, kind_of
from gatework.errors import DataError
from gatework.reading.tables import split_rows

DELIMITERS = "\t;|,"
_MOST_COLUMNS = 10_000
# The beginning of the file that decides the layout.
_HEAD, _HEAD_ROWS = 1 << 18, 300
_MOST_ABOVE = 50  # lines above the header
_SEP = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_YEARS = range(1800, 2200)


@dataclass(frozen=True)
class Layout:
    """The layout of a CSV table.

    Args:
        delimiter: The character between two fields.
        names: The names of the fields of a row; those of columns without a name are empty.
        begin: The number of lines before the first row.
        header: Whether a line names the columns.
        row_names: Whether the rows have one field more than the header, in front, as R writes them.
        trailing: Whether every row ends in a delimiter.
        units: The units of the columns, if a line below the header gives them.
        above: The lines above the header that are left out.
    """

    delimiter: str
    names: tuple[str, ...]
    begin: int
    header: bool
    row_names: bool = False
    trailing: bool = False
    units: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


def find_layout(content: bytes, path: Path, options: TableOptions) -> Layout:
    """Find the layout of a CSV table.

    Args:
        content: The table in UTF-8.
        path: The file, for error messages.
        options: What a person says about the table.

    Returns:
        The layout.

    Raises:
        DataError: If it cannot be told; the message names the flag that decides.
    """
    text = _head(content)
    delimiter, lines = options.delimiter, 0
    if match := _SEP.match(text):
        delimiter, lines, text = delimiter or match[1], 1, text[match.end() :]
    above, text = _leading_comments(text)
    lines += len(above)
    if not text.strip():
        raise DataError(f"'{path}' holds no rows; expected a table with numbers.")
    delimiter = delimiter or _find_delimiter(text, path, options)
    rows = split_rows(text, delimiter, _HEAD_ROWS)
    if above and (named := _commented_names(above[-1], delimiter, rows)):
        rows, above = [(0, named), *rows], above[:-1]
    width = _usual_width(rows)
    if width > _MOST_COLUMNS:
        raise DataError(f"'{path}' has {width:,} columns, and at most {_MOST_COLUMNS:,} are taken.")
    rows, more = _without_preamble(rows, width)
    fields = [[field.strip() for field in row] for _, row in rows]
    first, body = fields[0], [row for row in fields[1:] if len(row) == width]
    header = _has_header(first, body or [first], path, options, alone=not body)
    if not header:
        return Layout(delimiter, ("",) * width, lines + more[1], header=False, above=(*above, *more[0]))
    if not body:
        raise DataError(f"'{path}' has a header and no rows.")
    first, row_names, trailing = _fit_names(first, body, width, path)
    has_units = _is_units(body)
    begin = lines + rows[1 if has_units else 0][0]
    units = tuple(body[0]) if has_units else ()
    return Layout(delimiter, tuple(first), begin, True, row_names, trailing, units, (*above, *more[0]))


def _head(content: bytes) -> str:
    """Return the beginning of a table up to a line end, as text."""
    if len(content) <= _HEAD:
        return content.decode(errors="replace")
    end = content.rfind(b"\n", 0, _HEAD) + 1
    # A row of thousands of columns may be longer than the beginning.
    end = end or content.find(b"\n", _HEAD) + 1 or len(content)
    if content.count(b"\n", 0, end) < 3:
        end = content.find(b"\n", content.find(b"\n", end) + 1) + 1 or len(content)
    return content[:end].decode(errors="replace")


def _leading_comments(text: str) -> tuple[list[str], str]:
    """Take off lines that begin with # above the table."""
    above: list[str] = []
    while text.startswith("#"):
        line, _, text = text.partition("\n")
        above.append(line.strip())
    return above, text


def _commented_names(line: str, delimiter: str, rows: list[tuple[int, list[str]]]) -> list[str] | None:
    """Return the names of columns if the last comment is a header, as in ``# time,value``."""
    named = next(iter(split_rows(line.lstrip("# "), delimiter, 1)), (0, []))[1]
    width = _usual_width(rows)
    is_header = len(named) == width > 1 and all(kind_of(name) is Kind.TEXT for name in named)
    # Without a header of its own: the first row has as many numbers as the others.
    return named if is_header and any(kind_of(field) is Kind.NUMBER for field in rows[0][1]) else None


def _usual_width(rows: Sequence[tuple[int, list[str]]]) -> int:
    counts = Counter(len(fields) for _, fields in rows)
    return max(counts, key=lambda width: (counts[width], width))


def _without_preamble(
    rows: list[tuple[int, list[str]]], width: int
) -> tuple[list[tuple[int, list[str]]], tuple[list[str], int]]:
    """Take off lines above the header: those before the first row that is about as wide as the others."""
    near = (0, 1, -1) if width > 2 else (0,)
    place = next((at for at, (_, fields) in enumerate(rows) if width - len(fields) in near), 0)
    if width == 2 and place == 1:
        # One field above rows of two: a title if a header follows, and otherwise the header of R's row names.
        kinds = [[kind_of(field) for field in fields] for _, fields in rows[1:3]]
        place = int(set(kinds[0]) == {Kind.TEXT} and Kind.NUMBER in kinds[-1])
    if not 0 < place <= _MOST_ABOVE:
        return rows, ([], 0)
    return rows[place:], ([" ".join(fields).strip() for _, fields in rows[:place]], rows[place - 1][0])


def _find_delimiter(text: str, path: Path, options: TableOptions) -> str:
    """Find the character that splits most rows into the same number of fields; the rarer sign wins a tie."""
    shares: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        rows = split_rows(text, delimiter, _HEAD_ROWS)
        width = _usual_width(rows)
        if width > 1:
            shares[delimiter] = sum(len(fields) == width for _, fields in rows) / len(rows), width
    # A comma inside numbers splits rows too, but it does not split their header.
    whole = {delimiter: share for delimiter, (share, _) in shares.items()}
    if not whole:
        _refuse_spaces(text, path)
        return ","
    best = max(whole, key=lambda delimiter: (round(whole[delimiter], 2), -DELIMITERS.index(delimiter)))
    if best == ",":
        if options.decimal == ",":
            rest = {delimiter: share for delimiter, share in whole.items() if delimiter != ","}
            return max(rest, key=lambda delimiter: rest[delimiter]) if rest else "\t"
        _refuse_one_column(text, path)
    return best


def _refuse_one_column(text: str, path: Path) -> None:
    """Refuse a header of one field above rows such as 1,5: one column with decimal commas, or R's row names."""
    rows = [fields for _, fields in split_rows(text, ",", _HEAD_ROWS)]
    if len(rows) < 2 or len(rows[0]) != 1 or any(len(fields) != 2 for fields in rows[1:]):
        return
    if not all(field.strip().lstrip("+-").isdigit() for fields in rows[1:] for field in fields):
        return
    numbers = [int(fields[0]) for fields in rows[1:]]
    if len(numbers) < 3 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise DataError(
            f"'{path}' has one name, '{rows[0][0].strip()}', above rows such as {','.join(rows[1])}. Say --decimal "
            "comma if each is one number with a decimal comma, or --delimiter , if each is two fields."
        )


def _refuse_spaces(text: str, path: Path) -> None:
    """Refuse rows of one field that are several numbers with spaces between."""
    lines = [line for line in text.splitlines()[1:50] if line.strip()]
    if lines and all(
        len(words := line.split()) > 1 and all(kind_of(word) is Kind.NUMBER for word in words) for line in lines
    ):
        raise DataError(
            f"'{path}' has rows such as '{lines[0].strip()[:60]}', with spaces between numbers. Put commas or tabs "
            "there; for one space between fields say --delimiter ' '."
        )


def _has_header(first: list[str], body: list[list[str]], path: Path, options: TableOptions, alone: bool) -> bool:
    """Tell whether the first row names the columns."""
    if options.header:
        return options.header == "yes"
    kinds = [kind_of(field) for field in first]
    if len(first) != len(body[0]):  # R's row names, or a trailing delimiter
        return True
    if alone:
        return not any(kind is Kind.NUMBER for kind in kinds)
    below = [_kind_below([row[place] for row in body]) for place in range(len(first))]
    if any(one is Kind.TEXT and under in (Kind.NUMBER, Kind.TIME) for one, under in zip(kinds, below, strict=True)):
        return True
    numbers = [field for field, kind in zip(first, kinds, strict=True) if kind is Kind.NUMBER]
    if not numbers:
        return True
    if all(field.isdigit() for field in numbers):
        return _are_numbered(first, [int(field) for field in numbers], body, path)
    return False


def _kind_below(fields: list[str]) -> Kind:
    """Return the kind of most fields of a column."""
    counts = Counter(kind for kind in map(kind_of, fields) if kind is not Kind.HOLE)
    return counts.most_common(1)[0][0] if counts else Kind.HOLE


def _are_numbered(first: list[str], numbers: list[int], body: list[list[str]], path: Path) -> bool:
    """Tell whether whole numbers in the first row number the columns: 0, 1, 2 or years."""
    places = [place for place, field in enumerate(first) if field.isdigit()]
    counted = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    from_start = counted and numbers[0] in (0, 1)
    years = counted and len(numbers) > 1 and all(number in _YEARS for number in numbers)
    if not from_start and not years:
        return False
    columns = [[row[place] for row in body] for place in places]
    whole = [all(field.isdigit() or kind_of(field) is Kind.HOLE for field in column) for column in columns]
    goes_on = whole[0] and columns[0][0].isdigit() and int(columns[0][0]) in (numbers[0], numbers[0] + 1)
    if (len(numbers) > 2 and not goes_on) or not any(whole):
        return True
    if years and not from_start and any(whole):
        return False
    raise DataError(
        f"'{path}' begins with {','.join(first)[:60]}, which may number the columns or be the first row. Say --header "
        "yes if it names the columns, or --header no if it is data."
    )


def _fit_names(first: list[str], body: list[list[str]], width: int, path: Path) -> tuple[list[str], bool, bool]:
    """Give every field of a row a name: one more in front for R's row names, one more behind for a last delimiter."""
    if len(first) == width + 1 and not first[-1]:
        return first[:-1], False, False
    if len(first) == width - 1:
        if all(not row[-1] for row in body):
            return [*first, ""], False, True
        return ["", *first], True, False
    if len(first) != width:
        raise DataError(f"'{path}', line 2 has {width} fields, and the header has {len(first)}.")
    return first, False, False


def _is_units(body: list[list[str]]) -> bool:
    """Tell whether the first row below the header holds units: words where all other rows hold numbers or times."""
    if len(body) < 3:
        return False
    below = [_kind_below([row[place] for row in body[1:]]) for place in range(len(body[0]))]
    measured = [(field, under) for field, under in zip(body[0], below, strict=True) if under is Kind.NUMBER]
    kinds = [kind_of(field) for field, _ in measured]
    return Kind.TEXT in kinds and all(kind in (Kind.TEXT, Kind.HOLE) for kind in kinds)
