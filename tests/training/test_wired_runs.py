"""``bidirectional``, ``skip`` and ``tie_layers`` of a run: what is built, what is refused, and what goes on working."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.generic.walks import sign_of_first, write_walks
from tests.tolerances import assert_close

import gatework
from gatework.cells import CELLS
from gatework.cli.app import run as run_command
from gatework.errors import ConfigError
from gatework.models.sequences import SequenceModel
from gatework.search import compare
from gatework.search.comparing.config import make_compare_config
from gatework.search.comparing.plan import ComparisonPlan
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Synthetic
from gatework.training import TrainConfig, make_config, train
from gatework.training.jobs import sequence_model, text
from gatework.training.jobs.registry import open_job
from gatework.training.progress import Quiet

WIRED: dict[str, dict[str, Any]] = {
    "both directions": {"task": "verb_number", "bidirectional": True, "num_layers": 2, "dropout": 0.2},
    "all at each step": {"task": "copy", "gap": 20, "bidirectional": True, "num_layers": 3, "skip": "both"},
    "tied": {"task": "adding", "gap": 20, "num_layers": 4, "tie_layers": True, "skip": "in"},
    "text": {"num_layers": 3, "tie_layers": True, "skip": "both"},
    "text, one matrix": {"num_layers": 2, "skip": "out", "tie_weights": True},
}


UNFIT = ("text", "mut1")  # the cell reads its input elementwise, and the model of a text has no learned map before it


class Killed(BaseException):
    """Stands for a SIGKILL."""


class KillAt(Quiet):
    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, step: int, tokens: int, loss: float) -> None:
        if step == self.at:
            raise Killed


@pytest.fixture
def configured(configure):
    """Make a small configuration of a text, or of a task, which has no windows."""

    def make(run: str, **changes: Any) -> TrainConfig:
        return configure(run, **({"window": 64, "data": ""} if "task" in changes else {}) | changes)

    return make


@pytest.mark.parametrize("name", WIRED)
def test_killed_and_the_same_to_the_bit(configured, same, name):
    straight, broken = train(configured("straight", **WIRED[name])), configured("broken", **WIRED[name])
    with pytest.raises(Killed):
        train(broken, KillAt(13))
    result = train(broken)
    assert result.metrics == straight.metrics
    same(straight.run, result.run)


@pytest.mark.parametrize("task", ["copy", "verb_number", "text"])
@pytest.mark.parametrize("cell", ["lstm", "mut1", "lstm_projected"])
def test_every_parameter_is_counted_before_a_model_is_built(monkeypatch, task, cell):
    """For the estimate of memory, and for comparisons."""
    counted: list[int] = []
    for module in (sequence_model, text):
        monkeypatch.setattr(module, "check_memory", lambda config, cell, needs, *rest: counted.append(needs.parameters))
    tried = 0
    ways = itertools.product((False, True), (None, "in", "out", "both"), (False, True), (1, 2, 4))
    for bidirectional, skip, tie_layers, num_layers in ways:
        if (skip and num_layers < 2) or (tie_layers and num_layers < 3) or (bidirectional and task == "text"):
            continue
        if (bidirectional and skip and task == "verb_number") or (skip in ("in", "both") and (task, cell) == UNFIT):
            continue
        wired = {"bidirectional": bidirectional, "skip": skip, "tie_layers": tie_layers, "num_layers": num_layers}
        projected = {"proj_size": 4} if cell == "lstm_projected" else {}
        job = open_job(make_config({"task": task, "cell": cell, "hidden_size": 8, "batch_size": 2} | wired | projected))
        model = job.build(torch.device("cpu"))
        parameters = sum(one.numel() for one in model.parameters())
        assert counted.pop() == parameters
        if job.shape is not None:
            assert job.shape.count(CELLS[cell], 8) == parameters
        layers = model.recurrent
        assert isinstance(layers, gatework.Recurrent)
        assert (layers.bidirectional, layers.wiring.skip, layers.wiring.tie_layers) == (bidirectional, skip, tie_layers)
        tried += 1
    assert tried >= 7


def test_an_answer_at_the_end_has_read_the_sequence_twice():
    """Each direction to its own end: the head reads the last states of both."""
    job = open_job(make_config({"task": "adding", "gap": 30, "hidden_size": 5, "bidirectional": True}))
    model = job.build(torch.device("cpu"))
    assert isinstance(model, SequenceModel)
    x = torch.randn(9, 4, model.inputs)
    read, _ = model.read(x)
    forward, backward = model.recurrent(x)[0].chunk(2, -1)
    assert_close(read[-1], torch.cat([forward[-1], backward[0]], -1))
    asked_everywhere = open_job(make_config({"task": "copy", "gap": 5, "hidden_size": 5, "bidirectional": True}))
    assert not asked_everywhere.build(torch.device("cpu")).asked_last


def test_no_drawn_task_that_shows_its_answers_later_is_read_from_the_end():
    """Where an answer is the next symbol, and where symbols that may come next are asked for, the task says so."""
    for name, task in TASKS.items():
        if not isinstance(task.examples, Synthetic) or not task.symbols or task.kind != "choice":
            continue
        batch = task.examples.draw(np.random.default_rng(0), 8, task.check_gap(None), "train")
        ends = torch.full((8,), len(batch.inputs)) if batch.lengths is None else batch.lengths
        inside = batch.asked[:-1] & (torch.arange(1, len(batch.inputs))[:, None] < ends)
        shown = batch.inputs[1:][inside] == batch.targets[:-1][inside]
        assert bool(len(shown) and shown.float().mean() > 0.9) == task.foretells, name


FORETELL = {
    *("reber", "embedded_reber", "continual_reber", "noise_free_lag", "arithmetic", "xml_tags", "anbn", "anbncn"),
    *("jsb_chorales", "nottingham", "ett_h1", "airline", "forecast"),
}


def test_tasks_that_ask_for_what_comes_next_are_refused():
    assert {name for name, task in TASKS.items() if task.foretells} == FORETELL
    for name in FORETELL:
        with pytest.raises(ConfigError) as caught:
            make_config({"task": name, "bidirectional": True})
        assert str(caught.value) == (
            f"bidirectional is true, and task '{name}' asks for what comes next, which a model that reads from the end "
            "has read. Leave it out."
        )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"bidirectional": True},
            "bidirectional is true, and the model of a text predicts each symbol from those before it, and from its "
            "end it would read them all. Leave it out.",
        ),
        ({"skip": "in"}, "skip is 'in' and num_layers is 1; expected 2 or more layers."),
        ({"skip": "up", "num_layers": 2}, "skip is 'up'; it should be 'in', 'out' or 'both'."),
        (
            {"tie_layers": True, "num_layers": 2},
            "tie_layers is true and num_layers is 2; expected 3 or more, as the first layer has weights of its own.",
        ),
        (
            {"tie_weights": True, "skip": "out", "num_layers": 2, "hidden_size": 8, "embedding_size": 8},
            "tie_weights needs an embedding of the layers' output size 16, and embedding_size is 8. Leave "
            "embedding_size out, or set it to 16.",
        ),
    ],
)
def test_what_is_refused(values, told):
    with pytest.raises(ConfigError) as caught:
        make_config(values)
    assert str(caught.value) == told


def test_a_skip_and_last_states_do_not_go_together(configured):
    told = r"skip is 'out' and bidirectional is true, and task 'adding' asks at the end of a sequence.*Leave one of"
    config = configured("run", task="adding", gap=20, bidirectional=True, skip="out", num_layers=2)
    with pytest.raises(ConfigError, match=told):
        train(config)


def test_a_finished_run_is_used_without_its_data(tmp_path):
    """That sequences are asked at their end stands in the directory of the run."""
    data = write_walks(tmp_path / "my.csv", sign_of_first)
    told = {"task": "classify", "data": str(data), "steps": 4, "hidden_size": 6, "batch_size": 8, "threads": 1}
    result = train(make_config(told | {"bidirectional": True, "run": str(tmp_path / "run")}))
    evaluated = gatework.load(str(result.run)).evaluate().metrics
    assert evaluated == result.metrics
    assert json.loads((Path(result.run) / "data.json").read_text())["facts"]["asked_last"] is True
    data.unlink()
    loaded = gatework.load(str(result.run))
    assert loaded.model.asked_last
    assert loaded.model.recurrent.bidirectional
    plain = train(make_config(told | {"data": str(write_walks(data, sign_of_first)), "run": str(tmp_path / "plain")}))
    assert "asked_last" not in json.loads((Path(plain.run) / "data.json").read_text())["facts"]


def test_a_text_with_wired_layers_is_generated_measured_and_explored(configure, tmp_path):
    page = tmp_path / "page.html"
    result = train(configure("run", **WIRED["text"]))
    model = gatework.load(str(result.run))
    assert model.evaluate().metrics == result.metrics
    assert len(model.generate("the ", length=9).text) == 13
    assert run_command(["report", str(result.run), "-o", str(page)]) == 0
    assert page.stat().st_size > 10_000


def test_comparisons_match_wired_models(tmp_path):
    told = {"task": "verb_number", "cells": "lstm,gru", "gaps": "10", "seeds": 1, "learning_rates": "0.01", "steps": 4}
    told |= {"num_layers": 2, "bidirectional": True, "hidden_size": 8, "workers": 1, "run": str(tmp_path / "run")}
    plan = ComparisonPlan(make_compare_config(told))
    for label, size in plan.sizes.items():
        config = make_config({"task": "verb_number", "gap": 10, "cell": label, "hidden_size": size.hidden_size})
        config = config.model_copy(update={"num_layers": 2, "bidirectional": True})
        model = open_job(config).build(torch.device("cpu"))
        assert sum(one.numel() for one in model.parameters()) == size.parameters
    found = compare(make_compare_config(told))
    assert found.to_json()["config"]["bidirectional"] is True
    # A comparison of an earlier version has no word of it, and goes on.
    plain = told | {"num_layers": None, "bidirectional": False, "run": str(tmp_path / "plain")}
    before = compare(make_compare_config(plain)).to_json()
    assert {"bidirectional", "skip", "tie_layers", "num_layers"}.isdisjoint(before["config"])
    path = tmp_path / "plain" / "config.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({key: kept[key] for key in kept if key not in ("bidirectional", "skip", "tie_layers")}))
    assert compare(make_compare_config(plain)).to_json()["trials"] == before["trials"]
    with pytest.raises(ConfigError, match="bidirectional is true, and task 'reber' asks for what comes next"):
        make_compare_config({"task": "reber", "cells": "lstm", "gaps": "10", "bidirectional": True})
