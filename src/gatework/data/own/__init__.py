"""Tables of one's own, of whatever layout. Only the call of a function needs pyarrow, which is an extra."""

from pathlib import Path

from gatework.data.options import TableOptions
from gatework.data.table import Table
from gatework.errors import DataError
from gatework.lazy import late

_read = late("gatework.data.own.table", "read_own_table")


def read_own_table(path: Path, options: TableOptions, labelled: bool, unlabelled: bool = False) -> Table:
    """Read a table of one's own: CSV, Parquet or Arrow, with one row for each step.

    Args:
        path: The file.
        options: What a person says about it; the rest is decided from all rows.
        labelled: Whether one column holds labels.
        unlabelled: Whether the column of labels may be missing.

    Returns:
        The sequences, in the order of their first rows in the file.

    Raises:
        DataError: If the file does not hold such a table, a decision would be a guess, or pyarrow is not installed.
    """
    try:
        return _read(path, options, labelled, unlabelled)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise DataError(
            f"'{path}' is a table, and pyarrow, which reads tables, is not installed: pip install 'gatework[tables]'."
        ) from error
