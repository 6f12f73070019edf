"""The list of labels of a folder of recordings: a small CSV file whose first line names its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatework.errors import DataError
from gatework.reading.files import decode, read_file
from gatework.reading.tables import parse_csv, parse_number

_MOST_BYTES, _MOST_COLUMNS = 1 << 28, 10_000


@dataclass(frozen=True)
class LabelList:
    """The fields of a CSV file.

    Args:
        path: The file.
        names: The names of its columns.
        fields: The fields of each row.
        lines: The number of each row's line in the file.
    """

    path: Path
    names: tuple[str, ...]
    fields: list[list[str]]
    lines: list[int]

    def place(self, kind: Sequence[str]) -> int | None:
        """Find the column with one of several names; a single letter counts only if no column has a whole word.

        Args:
            kind: The names.

        Returns:
            The index of the column; None if there is none.

        Raises:
            DataError: If several columns have such a name.
        """
        words = [place for place, name in enumerate(self.names) if name.lower() in kind and len(name) > 1]
        places = words or [place for place, name in enumerate(self.names) if name.lower() in kind]
        if len(places) > 1:
            twins = " and ".join(f"'{self.names[place]}'" for place in places[:2])
            raise DataError(
                f"'{self.path}' has the columns {twins}, and each could be the {kind[0]}. Rename one of them, or take "
                "it out."
            )
        return places[0] if places else None

    def column(self, place: int) -> list[str]:
        """Return the fields of one column, without surrounding spaces.

        Raises:
            DataError: If a field is empty.
        """
        column = [fields[place].strip() for fields in self.fields]
        if "" in column:
            line = self.lines[column.index("")]
            raise DataError(f"'{self.path}', line {line}: the column '{self.names[place]}' is empty.")
        return column


def read_label_list(path: Path) -> LabelList:
    """Read a list of labels: a CSV file whose first line names its columns, with ``,``, ``;`` or tabs between fields.

    Args:
        path: The file.

    Returns:
        One or more rows.

    Raises:
        DataError: If the file cannot be read, has no header, or a line has more or fewer fields than the header.
    """
    content = read_file(path, _MOST_BYTES, f"expected the file '{path.name}'; check --data")
    lines = list(parse_csv(decode(content, path, advice="Save it as UTF-8."), path))
    names = tuple(field.strip() for field in lines[0][1]) if lines else ()
    if not names or any(parse_number(name) is not None for name in names):
        raise DataError(f"'{path}' has no header: its first line has to name the columns, such as id,time,x,label.")
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"'{path}' has {len(names):,} columns, and at most {_MOST_COLUMNS:,} are taken.")
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name or name in seen:
            fault = f"two columns named '{name}'" if name else f"no name for column {place + 1}"
            raise DataError(f"'{path}' has {fault}: each column needs a name of its own.")
        seen.add(name)
    if len(lines) == 1:
        raise DataError(f"'{path}' has a header and no rows.")
    for line, fields in lines[1:]:
        if len(fields) != len(names):
            raise DataError(f"'{path}', line {line} has {len(fields)} fields, and the header has {len(names)}.")
    return LabelList(path, names, [fields for _, fields in lines[1:]], [line for line, _ in lines[1:]])
