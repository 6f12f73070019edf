"""A run on a sequence task: killed and resumed, measured, asked over another gap; and what it refuses."""

import json
import re

import numpy as np
import pytest
import torch

from gatework.errors import ConfigError, DataError, RunError
from gatework.models.sequences import Score
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Synthetic
from gatework.training import evaluate, generate, train
from gatework.training.config import make_config
from gatework.training.jobs import sequence_model
from gatework.training.jobs.registry import open_job
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.parallel import ProcessGroup
from gatework.training.progress import Quiet
from gatework.training.trainer import Trainer

SMALL = {
    "hidden_size": 8,
    "batch_size": 4,
    "steps": 24,
    "log_every": 5,
    "evaluate_every": 12,
    "checkpoint_every": 10,
    "threads": 1,
}
CSV = "time,a,b\n" + "".join(f"{t},{np.sin(t / 3):.6f},{np.cos(t / 5):.6f}\n" for t in range(1600))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


@pytest.fixture
def configure(tmp_path):
    def configured(run="run", **changes):
        return make_config(SMALL | {"run": str(tmp_path / run)} | changes)

    return configured


class Killed(BaseException):
    """Stands for a SIGKILL."""


class KillAt(Quiet):
    def __init__(self, at):
        self.at = at

    def step(self, step, tokens, loss):
        if step == self.at:
            raise Killed


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "adding", "gap": 20},
        {"task": "continual_reber", "gap": 60},  # windows of a stream: the state goes on over a kill
        {"task": "continual_reber", "gap": 60, "tbptt": "5,20", "steps": 24},
        {"task": "embedded_reber", "cell": "gru", "dropout": 0.3},
        {"task": "verb_number", "embedding_size": 6, "num_layers": 2},
        {"task": "forecast", "gap": 3},
        {"task": "copy", "gap": 30, "shortest_gap": 2},
        {"task": "parity", "gap": 12, "cell": "mut1"},  # a learned map before the layer
    ],
    ids=lambda changes: changes["task"],
)
def test_killed_twice_and_the_same_to_the_bit(configure, same, table, changes):
    if changes["task"] == "forecast":
        changes = changes | {"data": str(table)}
    straight = train(configure("straight", **changes))
    broken = configure("broken", **changes)
    for step in (13, 22):
        with pytest.raises(Killed):
            train(broken, KillAt(step))
    result = train(broken)
    assert result.step == straight.step == 24
    assert result.metrics == straight.metrics
    same(straight.run, result.run)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if isinstance(task.examples, Synthetic)])
def test_every_drawn_task_can_be_trained_and_measured(name):
    """Two steps with the task's own settings, made small, and a measurement whose metrics are all there."""
    config = make_config({"task": name, "hidden_size": 8, "batch_size": 3, "steps": 2, "threads": 1})
    job = open_job(config)
    assert isinstance(job, SequenceJob)
    trainer = Trainer(config, job, ProcessGroup())
    losses = [trainer.train_step()[1] for _ in range(2)]
    assert np.isfinite(losses).all()
    assert isinstance(job.task.examples, Synthetic)
    job._held["valid"] = job.task.examples.draw(np.random.default_rng(0), 5, job.gap, "valid")
    named = trainer.measure("valid").named()
    assert named.keys() >= {"loss", job.task.success.metric}
    assert all(0 <= named[metric] <= 1 for metric in ("accuracy", "solved") if metric in named)
    assert job.baseline().keys() <= named.keys()


def test_seed_decides_the_data_and_nothing_else_does(configure):
    def first(**changes):
        job = open_job(configure(task="adding", gap=20, **changes))
        assert isinstance(job, SequenceJob)
        return job.batches.training(0)[0].inputs, job.held("test").inputs

    for one, other in zip(first(cell="rnn", hidden_size=5), first(cell="gru"), strict=True):
        assert torch.equal(one, other)
    train_batch, test_batch = first(seed=1)
    assert not torch.equal(train_batch, first()[0])
    assert not torch.equal(test_batch, first()[1])


def test_gaps_of_training_are_drawn_from_the_shortest_on(configure):
    job = open_job(configure(task="copy", gap=100, shortest_gap=3))
    assert isinstance(job, SequenceJob)
    gaps = np.array([job.batches.training(step)[0].inputs.shape[0] - 20 for step in range(2000)])
    assert (gaps.min(), gaps.max()) == (3, 100)
    # Even in its logarithm: as many below the geometric middle as above it.
    assert 0.45 < (gaps < np.sqrt(4 * 102) - 1).mean() < 0.55
    assert {job.held(split).inputs.shape[0] for split in ("valid", "test")} == {120}
    assert "gap 100 (" in job.about()[0]
    assert job.about()[0].endswith(", in training 3 and more")
    alone = open_job(configure(task="copy", gap=5, shortest_gap=5))
    assert isinstance(alone, SequenceJob)
    assert {alone.batches.training(step)[0].inputs.shape[0] for step in range(50)} == {25}


def test_every_drawn_task_takes_a_shorter_gap_in_training():
    for name, task in TASKS.items():
        if isinstance(task.examples, Synthetic):
            told = {"task": name, "shortest_gap": task.gap.least, "hidden_size": 4, "batch_size": 2, "threads": 1}
            job = open_job(make_config(told))
            assert isinstance(job, SequenceJob)
            trainer = Trainer(make_config(told), job, ProcessGroup())
            assert np.isfinite([trainer.train_step()[1] for _ in range(3)]).all(), name


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            {"task": "copy", "gap": 10, "shortest_gap": 11},
            "shortest_gap is 11; expected 1 to 10, the gap that is measured.",
        ),
        (
            {"task": "copy", "gap": 10, "shortest_gap": 0},
            "shortest_gap is 0; expected 1 to 10, the gap that is measured.",
        ),
        (
            {"task": "forecast", "gap": 3, "shortest_gap": 1},
            "the sequences of task 'forecast' are recorded, and their gap",
        ),
        ({"shortest_gap": 1}, "shortest_gap is 1, and a text has none. Leave it out, or choose a --task"),
    ],
)
def test_shortest_gaps_that_cannot_be(told, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_config(told)


def test_recorded_sequences_are_all_seen_once_a_pass(configure, table):
    job = open_job(configure(task="forecast", gap=3, data=str(table), batch_size=7))
    assert isinstance(job, SequenceJob)
    assert job.recording is not None
    assert job.steps_per_epoch is not None
    everything = job.recording.splits["train"].inputs
    assert job.steps_per_epoch == everything.shape[1] // 7
    one, two = (
        torch.cat(
            [job.batches.training(epoch * job.steps_per_epoch + step)[0].inputs for step in range(job.steps_per_epoch)],
            dim=1,
        )
        for epoch in (0, 1)
    )
    assert one.shape[1] == everything.shape[1] - everything.shape[1] % 7
    assert torch.unique(one, dim=1).shape == one.shape  # nothing twice
    assert not torch.equal(one, two)


def test_evaluation_is_what_training_found(configure):
    result = train(configure(task="adding", gap=20))
    found = evaluate(str(result.run))
    assert found.metrics == result.metrics
    assert (found.gap, found.solved) == (20, False)
    assert found.chance.keys() == {"loss", "accuracy"}
    wider = evaluate(str(result.run), gap=60)
    assert wider.gap == 60
    assert wider.metrics != found.metrics
    assert json.dumps(wider.to_json())
    assert evaluate(str(result.run), split="test").tokens == 2560
    by_group = evaluate(str(train(configure("groups", task="verb_number")).run)).groups
    assert sum(line["sequences"] for line in by_group.values()) == 500


def test_what_a_run_on_a_task_refuses(configure, tmp_path, monkeypatch):
    run = str(train(configure(task="adding", gap=20)).run)
    with pytest.raises(RunError, match="was trained on task 'adding'; expected a run on text"):
        generate(run)
    with pytest.raises(ConfigError, match=r"streams is 1, and run .* was trained on a task"):
        evaluate(run, streams=1)
    with pytest.raises(DataError, match="has no split 'rest': it has train, valid, test"):
        evaluate(run, split="rest")
    with pytest.raises(RunError, match="another configuration: gap is 20 there and 30 now"):
        train(configure(task="adding", gap=30))
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    with pytest.raises(DataError, match=r"needs recorded data\. Give their place with --data, or set GATEWORK_DATA"):
        train(configure("other", task="jsb_chorales"))
    with pytest.raises(DataError, match="does not exist"):
        train(configure("other", task="jsb_chorales", data=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match=r"draws new sequences for ever\. Give --steps"):
        train(configure("other", task="adding", epochs=2, steps=None))


def test_data_that_have_changed_are_noticed(configure, table):
    config = configure(task="forecast", gap=3, data=str(table))
    run = str(train(config).run)
    table.write_text(CSV.replace("0.", "0.1"), encoding="utf-8")
    with pytest.raises(DataError, match="have changed since it was trained"):
        evaluate(run)
    with pytest.raises(RunError, match="was trained on other data"):
        train(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "addin"}, "There is no task 'addin'. Did you mean 'adding'? The tasks are: latch,"),
        ({"gap": 3}, "gap is 3, and a text has none. Leave it out, or choose a --task"),
        ({"task": "adding", "gap": 3}, "gap is 3: task 'adding' takes 4 and more"),
        ({"task": "adding", "level": "word"}, "level is 'word', and has no meaning in task 'adding'. Leave it out."),
        (
            {"task": "adding", "data": "foo.txt"},
            "data is 'foo.txt', and the sequences of task 'adding' are drawn. Leave",
        ),
        ({"task": "adding", "window": 3}, "window is 3, and has no meaning in task 'adding'. Leave it out."),
    ],
)
def test_configurations_that_do_not_fit(values, message):
    with pytest.raises(ConfigError) as caught:
        make_config(values)
    assert message in str(caught.value)


def test_a_task_brings_its_settings_and_what_is_said_wins():
    own = TASKS["adding"].defaults
    config = make_config({"task": "adding"})
    assert {name: getattr(config, name) for name in own} == dict(own)
    assert make_config({"task": "adding", "hidden_size": 5}).hidden_size == 5
    assert make_config({"task": "jsb_chorales", "epochs": 2}).steps is None
    # A gate that the cell lacks is not asked for.
    assert make_config({"task": "adding", "cell": "rnn"}).init == "torch"


@pytest.mark.parametrize("cell", ["mut1", "mut2", "lstm_projected", "lstm"])
@pytest.mark.parametrize(
    "values",
    [
        {"task": "adding"},
        {"task": "arithmetic", "num_layers": 2},
        {"task": "arithmetic", "embedding_size": 5},
        {"task": "arithmetic", "embedding_size": 8},
        {"task": "adding", "num_layers": 3, "proj_size": 3},
        {"task": "arithmetic", "embedding_size": 8, "proj_size": 3},
        {"task": "arithmetic", "embedding_size": 8, "num_layers": 2, "proj_size": 3},
    ],
    ids=str,
)
def test_counted_before_it_is_built_is_what_a_model_learns(cell, values, monkeypatch):
    counted = []
    monkeypatch.setattr(
        sequence_model, "check_memory", lambda config, cell, needs, *rest: counted.append(needs.parameters)
    )
    model = SequenceJob(make_config({"cell": cell, "hidden_size": 8, **values})).build(torch.device("cpu"))
    assert counted == [sum(parameter.numel() for parameter in model.parameters())]


def test_a_cell_that_reads_its_input_elementwise_gets_a_map_and_says_so(configure, tmp_path):
    config = configure(task="adding", gap=20, cell="mut1")
    job = SequenceJob(config)
    assert job.about()[-1] == "input: a learned map from 2 to 8, as mut1 reads it elementwise"
    result = train(config)
    assert evaluate(str(result.run)).metrics == result.metrics
    without = {"task": "arithmetic", "cell": "mut1", "embedding_size": 8}, {"task": "adding", "cell": "gru"}
    assert not any("learned map" in line for told in without for line in SequenceJob(configure(**told)).about())
    own = tmp_path / "own.txt"
    own.write_text("h = tanh(x + R @ h + b)\n", encoding="utf-8")
    about = SequenceJob(configure(task="adding", cell=str(own))).about()
    assert about[-1] == "input: a learned map from 2 to 8, as own-cell reads it elementwise"


def test_a_cell_that_has_to_project_gives_half_its_units():
    assert make_config({"task": "adding", "cell": "lstm_projected", "hidden_size": 9}).proj_size == 4
    half = TASKS["adding"].defaults["hidden_size"] // 2
    assert make_config({"task": "adding", "cell": "lstm_projected"}).proj_size == half
    assert make_config({"task": "adding", "cell": "h = P @ tanh(W @ x + R @ h)", "hidden_size": 8}).proj_size == 4
    assert make_config({"task": "adding", "cell": "lstm_projected", "proj_size": 3}).proj_size == 3
    assert make_config({"task": "adding", "cell": "lstm"}).proj_size == 0
    assert make_config({"cell": "lstm_projected"}).proj_size == 0  # of a text it is said


def test_scores_of_parts_add_up():
    task = TASKS["adding"]
    one, two = Score(3.0, 4, 3, 2, 1, 0.5, numbers=True), Score(1.0, 6, 6, 6, 6, 0.25, numbers=True)
    both = Score.of_sums([a + b for a, b in zip(one.sums(), two.sums(), strict=True)], task)
    assert both.named() == {"loss": 0.4, "accuracy": 0.9, "solved": 7 / 8, "mean_absolute_error": 0.075}
