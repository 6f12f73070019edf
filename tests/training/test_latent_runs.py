"""Runs of models with latent variables: killed and resumed, measured, compared, and what they refuse."""

from dataclasses import replace
from math import comb, log
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.test_sequence_runs import SMALL, KillAt, Killed

import gatework
from gatework.cells import CELLS, LATENT
from gatework.errors import CellError, ConfigError, RunError
from gatework.models.latent import LatentModel
from gatework.search import compare
from gatework.search.comparing.matching import nearest_size
from gatework.tasks.task import Batch, Gap, Success, Synthetic, Task
from gatework.training import evaluate, train
from gatework.training.config import make_config
from gatework.training.jobs.registry import knowing_own, open_job

LENGTH = 12
every = pytest.mark.parametrize("cell", LATENT)


def walk(rng, size, gap, split):
    """Random walks in the plane that keep the direction of their first step: what comes next has two centres."""
    way = np.where(rng.random(size) < 0.5, 1.0, -1.0)[None, :, None]
    steps = way * rng.normal(1.0, 0.3, (LENGTH + 1, size, 2))
    found = torch.from_numpy(steps).float()
    return Batch(found[:-1].clone(), found[1:].clone())


def chords(rng, size, gap, split):
    """Sequences of different lengths over five bits, of which a hidden coin turns all on or off together."""
    coin = rng.random((LENGTH + 1, size, 1)) < 0.5
    found = torch.from_numpy((rng.random((LENGTH + 1, size, 5)) < np.where(coin, 0.9, 0.1)).astype(np.float32))
    lengths = torch.from_numpy(rng.integers(2, LENGTH + 1, size))
    lengths[0] = LENGTH
    targets = found[1:].clone()
    targets[torch.arange(LENGTH)[:, None] >= lengths] = float("nan")
    return Batch(found[:-1].clone(), targets, lengths)


def task_of(draw, kind, size):
    return Task(
        name=f"drawn_{kind}",
        title="Drawn",
        kind=kind,
        inputs=size,
        outputs=size,
        gap=Gap(1, "steps ahead", 1, 2),
        success=Success("loss", at_most=3.0),
        examples=Synthetic(draw, test_size=60),
    )


WALKS, CHORDS = task_of(walk, "gauss", 2), task_of(chords, "bits", 5)
both = pytest.mark.parametrize("task", [WALKS, CHORDS], ids=lambda task: task.kind)


@pytest.fixture
def configure(tmp_path):
    def configured(run="run", **changes):
        return make_config(SMALL | {"run": str(tmp_path / run), "latent_size": 3} | changes)

    return configured


@every
@both
def test_killed_twice_and_the_same_to_the_bit(configure, same, cell, task):
    with knowing_own(task):
        given = {"task": task.name, "cell": cell, "dropout": 0.2, "kl_warmup_steps": 9}
        straight = train(configure("straight", **given))
        broken = configure("broken", **given)
        for step in (13, 22):
            with pytest.raises(Killed):
                train(broken, KillAt(step))
        result = train(broken)
    assert result.step == straight.step == 24
    assert result.metrics == straight.metrics
    assert set(result.metrics) == {"loss", "kl"}
    same(straight.run, result.run)


@every
def test_a_measurement_has_the_bound_and_the_estimate(configure, cell):
    with knowing_own(CHORDS):
        run = str(train(configure(task=CHORDS.name, cell=cell, steps=150, learning_rate=0.02)).run)
        bound = evaluate(run, split="test").metrics
        found = evaluate(run, split="test", draws=30)
    assert set(bound) == {"loss", "kl"}
    assert set(found.metrics) == {"loss", "kl", "estimate"}
    assert found.metrics["estimate"] < found.metrics["loss"]
    assert found.metrics["loss"] == pytest.approx(bound["loss"], abs=0.1)
    loaded = gatework.load(run, task=CHORDS)
    assert loaded.evaluate("test", draws=30).metrics == found.metrics
    assert isinstance(loaded.model, LatentModel)
    assert loaded.model.latent_size == 3
    steps = torch.zeros(4, 2, 5)
    assert loaded.trace(steps)["sd0"].shape == (4, 2, 3)
    with pytest.raises(RunError, match="its models do not answer what comes next by one score each: they draw it"):
        loaded.predict(steps)


@every
def test_latent_numbers_explain_what_independent_bits_cannot(configure, cell):
    """The five bits of a step hang together, and only a latent number says so; their entropy is known exactly."""
    weights = [(0.9**on * 0.1 ** (5 - on) + 0.1**on * 0.9 ** (5 - on)) / 2 for on in range(6)]
    entropy = -sum(comb(5, on) * weight * log(weight) for on, weight in enumerate(weights))
    shared = {"steps": 500, "learning_rate": 0.01, "evaluate_every": 500, "checkpoint_every": 500, "batch_size": 16}
    with knowing_own(CHORDS):
        run = train(configure(task=CHORDS.name, cell=cell, hidden_size=16, latent_size=2, **shared)).run
        found = evaluate(str(run), draws=50).metrics
    assert found["kl"] > 0.5
    # 500 sequences say the entropy to about 0.03 nats. Independent bits, as an LSTM has them, cost 5 log(2) = 3.47.
    assert entropy - 0.1 < found["estimate"] < found["loss"] < entropy + 0.3


def test_a_cell_of_ones_own_is_such_a_model_too(configure):
    """The one that the guide shows."""
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "latent.md").read_text(encoding="utf-8")
    (text,) = [block.split("```")[0] for block in guide.split("```text\n")[1:]]
    with knowing_own(CHORDS):
        result = train(configure(task=CHORDS.name, cell=text))
        assert set(result.metrics) == {"loss", "kl"}
    model = gatework.load(result.run, task=CHORDS).model
    assert model.draw(torch.zeros(1, 2, 5), 3, torch.Generator()).shape == (3, 2, 5)


@every
def test_parameters_are_counted_before_a_model_is_built(configure, cell):
    with knowing_own(CHORDS):
        for latent in (None, 3):
            job = open_job(configure(task=CHORDS.name, cell=cell, latent_size=latent))
            model = job.build(torch.device("cpu"))
            assert job.shape is not None
            counted = job.shape.count(LATENT[cell], 8)
            assert counted == sum(one.numel() for one in model.parameters())
        wanted = job.shape.count(CELLS["lstm"], 40)
        assert abs(nearest_size(LATENT[cell], job.shape, wanted).parameters / wanted - 1) < 0.1


def test_they_are_compared_beside_others(tmp_path):
    few = {"gaps": [1], "seeds": 1, "learning_rates": [0.02], "steps": 20, "evaluate_every": 10, "hidden_size": 12}
    found = compare(task=CHORDS, cells="lstm,vrnn,storn", run=str(tmp_path / "compare"), workers=1, **few)
    assert {cell for cell, _ in found.summary} == {"lstm", "vrnn", "storn"}
    sizes = {one: size.parameters for one, size in found.sizes.items()}
    assert max(sizes.values()) / min(sizes.values()) < 1.15


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"task": "adding"}, ConfigError, "The cell `vrnn` has latent variables and explains whole sequences"),
        ({"task": "continual_reber"}, ConfigError, "Those of task 'continual_reber' are not. Expected a task such as"),
        ({"task": "drawn_bits", "num_layers": 2}, ConfigError, "num_layers is 2; expected 1 for the cell `vrnn`"),
        ({"task": "drawn_bits", "bidirectional": True}, ConfigError, "bidirectional is True; expected False for the"),
        ({"task": "drawn_bits", "proj_size": 3}, ConfigError, "proj_size is 3; expected 0 for the cell `vrnn`"),
        ({"task": "drawn_bits", "cell": "gru"}, ConfigError, "latent_size is 3, and the cell `gru` has no latent"),
        ({"task": "text"}, ConfigError, "latent_size is 3, and a text has none. Leave it out"),
        ({"task": "text", "latent_size": None}, CellError, "The cell `vrnn` has latent variables, and explains steps"),
    ],
)
def test_what_cannot_be_is_refused_before_a_run_begins(configure, tmp_path, changes, error, message):
    text = tmp_path / "text.txt"
    text.write_text("a cell keeps what it has to keep\n" * 50, encoding="utf-8")
    data = {"data": str(text)} if changes["task"] == "text" else {}
    with knowing_own(CHORDS), pytest.raises(error, match=message):
        train(configure(**{"cell": "vrnn"} | changes | data))
    assert not (tmp_path / "run").exists()


def test_draws_are_for_latent_variables_alone(configure):
    run = str(train(configure(task="parity", gap=5, steps=2, latent_size=None)).run)
    with pytest.raises(ConfigError, match=r"draws is 5, and the model of run .* has no latent variables to draw"):
        evaluate(run, draws=5)
    with pytest.raises(ConfigError, match="draws is 0; expected 1 or more"):
        evaluate(run, draws=0)


def test_another_gap_would_not_continue(configure):
    def draw(rng, size, gap, split):
        batch = walk(rng, size, gap, split)
        return batch if gap == 1 else Batch(batch.inputs, batch.inputs)

    task = replace(WALKS, name="gapped", examples=Synthetic(draw, test_size=10))
    with knowing_own(task):
        run = str(train(configure(task="gapped", cell="vrnn", steps=2)).run)
        with pytest.raises(ConfigError, match="Those of task 'gapped' are not"):
            evaluate(run, gap=2)
