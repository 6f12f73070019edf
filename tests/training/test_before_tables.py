"""A run on a table that the first versions read: it is measured and goes on, though tables are read otherwise today.

``before_tables/table`` is what this program wrote at commit 17a0676, without the picture; ``step``, a column of numbers
that a time is called by today, was learned and forecast:

    train(make_config({"task": "forecast", "data": "table.csv", "gap": 2, "steps": 8, "hidden_size": 3, "batch_size": 2,
        "dtype": "float64", "threads": 1, "evaluate_every": 4, "checkpoint_every": 4, "log_every": 1, "dropout": 0.0,
        "run": "table"}))
"""

import json
import shutil
from pathlib import Path

import pytest

from gatework.training import evaluate, train
from gatework.training.config import make_config
from gatework.training.jobs.registry import open_job

BEFORE = Path(__file__).parent / "before_tables"


@pytest.fixture
def config(tmp_path):
    shutil.copytree(BEFORE, tmp_path / "before")
    run = tmp_path / "before" / "table"
    told = json.loads((run / "config.json").read_text())
    told |= {"data": str(run.parent / "table.csv"), "run": str(run)}
    (run / "config.json").write_text(json.dumps(told))
    return make_config(told)


def measured(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["valid_loss"] for line in lines if "valid_loss" in line}


def test_a_run_is_measured_and_goes_on_as_it_began(config):
    run = config.directory
    for step, loss in measured(BEFORE / "table").items():
        assert evaluate(str(run), step=step).metrics["loss"] == pytest.approx(loss, rel=1e-7)
    shutil.rmtree(run / "checkpoints" / "step-8")
    result = train(config)
    assert (result.step, result.already) == (8, False)
    assert measured(run) == pytest.approx(measured(BEFORE / "table"), rel=1e-7)


def test_a_new_run_on_the_same_table_takes_the_time_for_a_time(config, tmp_path):
    old, new = (open_job(config.model_copy(update={"run": str(run)})) for run in (config.run, tmp_path / "new"))
    assert old.facts()["facts"]["columns"] == ["step", "a", "b"]
    assert new.facts()["facts"]["columns"] == ["a", "b"]
