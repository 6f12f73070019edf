"""The benchmark runs, on sizes so small that its figures mean nothing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_it_compares_and_prints():
    command = [
        sys.executable,
        ROOT / "benchmarks" / "tracing.py",
        "--sizes",
        "8x2x4",
        "--repeats",
        "1",
        "--cell",
        "gru",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.startswith("gru, float32, 1 threads")
    assert line.split()[:3] == ["8x2x4", "alone", line.split()[2]]
    assert {"everything", "with", "held"} <= set(line.split())
