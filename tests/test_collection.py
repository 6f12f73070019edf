"""The names of the tests depend on nothing but the source: workers that run side by side must find the same ones."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def collecting(folder: Path, seed: int) -> subprocess.Popen:
    """Collect the suite as a process of its own, with its own seed of hashes and its own temporary folder."""
    folder.mkdir()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    settings = {"PYTHONHASHSEED": str(seed), "TMPDIR": str(folder)}
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTEST_ADDOPTS", "GATEWORK_CACHE")
    }
    return subprocess.Popen(command, cwd=ROOT, env=environment | settings, stdout=subprocess.PIPE, text=True)


def test_every_collection_finds_the_same_names(tmp_path):
    first = collecting(tmp_path / "one", seed=1)
    time.sleep(3)  # the clock of a time stamp in a file counts seconds
    second = collecting(tmp_path / "other", seed=2)
    names, others = (
        [line for line in process.communicate(timeout=600)[0].splitlines() if "::" in line]
        for process in (first, second)
    )
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(names) > 5000
    assert [(one, other) for one, other in zip(names, others, strict=True) if one != other] == []
