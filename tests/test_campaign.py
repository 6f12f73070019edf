"""The campaign in small; and that it would say so if it found something."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each breaks one promise: that a run goes on to the same bits, that a refusal is a sentence, that an answer is sealed.
FAULTS = {
    "operations": "import gatework.training.trainer as it; it.Trainer._restore_generators = lambda *given: None",
    "disk": "import contextlib, gatework.runs.directory as directory, gatework.training.loop as loop; "
    "import gatework.training.run as run; "
    "directory.saving = loop.saving = run.saving = lambda *given: contextlib.nullcontext()",
    "requests": "import gatework.explorer.guard as it; it.protect.__code__ = (lambda headers, cache: None).__code__",
}
PROGRAM = "import sys; from tests.campaign.__main__ import main; {fault}; sys.exit(main(sys.argv[1:]))"


def campaign(tmp_path, target, most, fault="pass"):
    """Run one target; gives the exit code, what it said, and its counts."""
    counts = tmp_path / "counts.json"
    words = ["--only", target, "--most", str(most), "--minutes", "5", "--seed", "3", "--json", str(counts)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(fault=fault), *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert counts.exists(), done.stderr
    return done.returncode, done.stdout, json.loads(counts.read_text())["targets"][0]


@pytest.mark.parametrize(
    ("target", "most"), [("kills", 1), ("operations", 1), ("disk", 1), ("interrupts", 1), ("requests", 200)]
)
def test_nothing_is_found(tmp_path, target, most):
    code, said, tally = campaign(tmp_path, target, most)
    assert tally["findings"] == []
    assert (code, tally["tried"]) == (0, most), said
    assert said.endswith("0 findings\n")


@pytest.mark.parametrize(("target", "most"), [("operations", 4), ("disk", 4), ("requests", 5)])
def test_a_planted_fault_is_found(tmp_path, target, most):
    code, said, tally = campaign(tmp_path, target, most, FAULTS[target])
    assert code == 1
    assert tally["findings"]
    assert tally["findings"][0] in said


def test_an_unknown_target_is_refused():
    words = [sys.executable, "-m", "tests.campaign", "--only", "floods"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "there is no target floods: expected some of kills, operations, disk, interrupts, requests" in done.stderr
