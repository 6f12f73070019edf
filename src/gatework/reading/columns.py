"""Tables by columns: CSV, Parquet and Arrow. Needs pyarrow."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, ipc, parquet

from gatework.errors import FileError

MOST_COLUMNS = 10_000
"""The most columns of a table: the widest common data sets for forecasting have some hundreds."""

# The most fields of a table in columns: nine bytes each, and their text.
_MOST_FIELDS = 1 << 30
# A row with its quoted line ends must fit into one block.
_BLOCK = 1 << 24


def split_columns(
    content: memoryview, path: str | Path, delimiter: str, count: int, is_comment: Callable[[str], bool]
) -> tuple[list[pa.ChunkedArray], tuple[int, int, str] | None, int]:
    """Split CSV into columns of text.

    Args:
        content: The rows below the header, UTF-8.
        path: The file, for error messages.
        delimiter: The character between two fields.
        count: The number of fields of a row.
        is_comment: Tells whether a row with another number of fields is a comment, which is skipped.

    Returns:
        The columns; the first row that has another number of fields and is no comment (its number, counted from 1 with
        the comments, its number of fields, and its text), or None; and the number of comments.

    Raises:
        FileError: If the file is not CSV in UTF-8.
    """
    names = [str(place) for place in range(count)]
    wrong: list[tuple[int, int, str]] = []
    comments = [0]

    def take_other(row: Any) -> str:
        if is_comment(row.text):
            comments[0] += 1
        elif not wrong:
            wrong.append((row.number or 0, row.actual_columns, row.text))
        return "skip"

    try:
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(content)),
            # Only one thread counts the rows, and few fields gain from more.
            read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK),
            parse_options=csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                # In a table of one column, an empty line is a hole.
                ignore_empty_lines=count > 1,
                invalid_row_handler=take_other,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise FileError(path, f"cannot be read as CSV ({_first_line(error)})", "Expected rows of fields.") from error
    return table.columns, wrong[0] if wrong else None, comments[0]


def parse_parquet(content: bytes, path: str | Path) -> pa.Table:
    """Read a Parquet file.

    Args:
        content: The bytes of the file.
        path: The file, for error messages.

    Returns:
        The table.

    Raises:
        FileError: If the file is damaged or too large.
    """
    try:
        file = parquet.ParquetFile(pa.BufferReader(pa.py_buffer(content)))
        _check_size(path, file.metadata.num_rows, len(file.schema_arrow))
        return file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _damaged(path, "a Parquet", error) from error


def parse_arrow(content: bytes, path: str | Path) -> pa.Table:
    """Read an Arrow file (also called Feather, version 2), or an Arrow stream.

    Args:
        content: The bytes of the file.
        path: The file, for error messages.

    Returns:
        The table.

    Raises:
        FileError: If the file is damaged or too large.
    """
    options = ipc.IpcReadOptions(use_threads=False)
    source = pa.BufferReader(pa.py_buffer(content))
    try:
        opened = ipc.open_file(source, options=options) if content.startswith(b"ARROW1") else None
        if opened is not None:
            batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
            return _gather(path, opened.schema, batches)
        stream = ipc.open_stream(source, options=options)
        return _gather(path, stream.schema, iter(stream))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _damaged(path, "an Arrow", error) from error


def _gather(path: str | Path, schema: pa.Schema, batches: Any) -> pa.Table:
    """Collect batches up to the largest size."""
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in islice(batches, 1 << 20):
        batch.validate(full=True)
        rows += batch.num_rows
        _check_size(path, rows, len(schema))
        kept.append(batch)
    return pa.Table.from_batches(kept, schema)


def _check_size(path: str | Path, rows: int, columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise FileError(path, f"has {columns:,} columns", f"Expected at most {MOST_COLUMNS:,}.")
    if rows < 0 or rows * columns > _MOST_FIELDS:
        raise FileError(path, f"has {rows:,} rows of {columns:,} columns", f"Expected at most {_MOST_FIELDS:,} fields.")


def _damaged(path: str | Path, format: str, error: BaseException) -> FileError:
    if isinstance(error, FileError):
        return error
    return FileError(path, f"is {format} file that cannot be read ({_first_line(error)})", "Write it again.")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(" .")[:200] or type(error).__name__
