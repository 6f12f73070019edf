"""Runs written by an earlier version: they load, answer, and go on as a fresh run of the same settings does.

``before/`` holds a run on a text and one on a task, 8 steps each in float64, with checkpoints at steps 4 and 8; only
their pictures were left out. Numbers are compared to seven digits, and parameters to 1e-7, a hundred-thousandth of what
a step may change: another processor rounds otherwise, and Adam divides a gradient by its own size, so that the rounding
of tiny gradients grows. Settings, vocabulary, random generators and samples are compared as they are.
"""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gatework.errors import RunError
from gatework.training import evaluate, generate, train
from gatework.training.config import make_config
from gatework.training.run import WALL_CLOCK, RunDirectory

BEFORE = Path(__file__).parent / "before"
NAMES = ("text", "sequences")
NEAR = 1e-7


@pytest.fixture(params=NAMES)
def old(request, tmp_path):
    shutil.copytree(BEFORE, tmp_path / "before")
    return tmp_path / "before" / request.param


def settings(run, goes_to=None):
    """What a run is told, with its text where the copy has it."""
    told = json.loads((run / "config.json").read_text())
    data = str(run.parent / "text.txt") if told["data"] else ""
    return make_config(told | {"data": data, "run": str(goes_to or run)})


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def close(one, other):
    """Assert that two run directories hold the same run."""
    kept = [{k: v for k, v in line.items() if k not in WALL_CLOCK} for line in lines(one)]
    for expected, line in zip(kept, lines(other), strict=True):
        assert {k: v for k, v in line.items() if k not in WALL_CLOCK} == pytest.approx(expected, rel=NEAR)
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    names = [name for name in names if name.name not in (".lock", "loss.png")]
    for name in names:
        if name.suffix == ".safetensors":
            first, second = (safetensors.torch.load_file(run / name) for run in (one, other))
            assert first.keys() == second.keys()
            for key, tensor in first.items():
                assert tensor.dtype == second[key].dtype
                torch.testing.assert_close(tensor, second[key], rtol=1e-5, atol=NEAR)
        elif name.name in ("data.json", "vocabulary.json") or name.suffix == ".txt":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
        elif name.name == "training.json":
            first, second = (json.loads((run / name).read_text()) for run in (one, other))
            assert first["fingerprint"] == second["fingerprint"]
            assert first.get("sums", {}) == pytest.approx(
                second.get("sums", {}), rel=NEAR
            )  # the best weights have none


def test_what_it_was_told_is_what_would_be_told_today(old):
    """Settings that came later have their defaults."""
    told = json.loads((old / "config.json").read_text())
    config = RunDirectory(old).read_config().model_dump(mode="json")
    assert {name: config[name] for name in told} == told


def test_both_checkpoints_measure_what_the_run_had_written_down(old):
    config = settings(old)
    RunDirectory(old).write_config(config)
    for line in lines(old):
        if "valid_loss" in line:
            expected = {name.removeprefix("valid_"): v for name, v in line.items() if name.startswith("valid_")}
            assert evaluate(str(old), step=line["step"]).metrics == pytest.approx(expected, rel=NEAR)


def test_a_text_is_gone_on_with_and_a_task_is_not(old):
    if old.name == "text":
        assert generate(str(old), "the gate ", length=20).text.startswith("the gate ")
    else:
        with pytest.raises(RunError, match="was trained on task 'temporal_order_2'; expected a run on text"):
            generate(str(old))


def test_going_on_ends_where_a_fresh_run_does(old, tmp_path):
    assert train(settings(old)).already
    shutil.rmtree(old / "checkpoints" / "step-8")
    result = train(settings(old))
    assert (result.step, result.already) == (8, False)
    close(BEFORE / old.name, old)
    fresh = tmp_path / "fresh"
    train(settings(old, goes_to=fresh))
    close(old, fresh)
