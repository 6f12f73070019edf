"""Measure the processor time and the memory of reading a table of one's own, against the size of its file.

python -m benchmarks.read_table --rows 1000000 --columns 10
"""

import argparse
import importlib
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from gatework.tasks.generic.reading import open_series


def write(path: Path, rows: int, columns: int) -> None:
    """Write a table of dates, a minute apart, and random numbers of five decimals."""
    rng = np.random.default_rng(0)
    begin = np.datetime64("2000-01-01T00:00")
    with path.open("w", encoding="utf-8") as file:
        file.write("date," + ",".join(f"s{number}" for number in range(columns)) + "\n")
        for row in range(rows):
            file.write(f"{begin + row}," + ",".join(map(str, rng.normal(size=columns).round(5).tolist())) + "\n")


def peak() -> int:
    """Return the largest memory that this process has had, in bytes (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Write a table, read it, and print what that took as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=10)
    told = parser.parse_args()
    importlib.import_module("gatework.data.own.table")  # what the modules take is not the table's
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write(path, told.rows, told.columns)
        size, before, began = path.stat().st_size, peak(), time.process_time()
        table = open_series(path)
        seconds = time.process_time() - began
    assert table.steps.shape == (told.rows, 1, told.columns)
    taken = {"megabytes": size / 1e6, "processor_seconds": seconds, "memory_per_byte_of_file": (peak() - before) / size}
    print(json.dumps({"rows": told.rows, "columns": told.columns} | taken))


if __name__ == "__main__":
    main()
