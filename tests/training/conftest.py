"""A small text and a small configuration, and what it means that two runs are the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from gatework.training.config import make_config
from gatework.training.run import WALL_CLOCK

SENTENCE = "the gate opens and the gate closes while a cell keeps what it has to keep"
WORDS = SENTENCE.split()
TEXT = "\n".join(" ".join(WORDS[(7 * i + j * j) % len(WORDS)] for j in range(3 + i % 5)) for i in range(58)) + "\n"

SMALL = {
    "hidden_size": 12,
    "batch_size": 4,
    "window": 16,
    "steps": 24,
    "log_every": 5,
    "evaluate_every": 12,
    "checkpoint_every": 10,
    "threads": 1,
}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def configure(text, tmp_path):
    """Make a small configuration; keywords change it."""

    def configured(run="run", **changes):
        return make_config(SMALL | {"data": str(text), "run": str(tmp_path / run)} | changes)

    return configured


def metrics_of(run):
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in WALL_CLOCK} for line in lines]


def contents_of(run):
    """Everything in a run directory that has to be the same, however the run came there."""
    run = Path(run)
    found: dict[str, Any] = {"metrics": metrics_of(run)}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.suffix in (".safetensors", ".txt") or name in ("vocabulary.json", "data.json"):
            found[name] = path.read_bytes()
        if path.name == "training.json":
            facts = json.loads(path.read_text())
            found[name] = {k: v for k, v in facts.items() if k not in ("seconds", "checksum")}
    return found


@pytest.fixture
def same():
    """Assert that two runs are the same to the bit."""

    def check(one, other):
        first, second = contents_of(one), contents_of(other)
        assert first.keys() == second.keys()
        assert [name for name in first if first[name] != second[name]] == []

    return check


@pytest.fixture
def metrics():
    return metrics_of
