"""Every head as that of a task: trained, stopped and resumed to the bit, loaded, measured and compared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gatework.cells import CELLS
from gatework.errors import ConfigError, RunError, SizeError
from gatework.heads import HEADS
from gatework.models.sequences import SequenceModel, measure_sequences
from gatework.search import compare
from gatework.tasks.own import knowing
from gatework.tasks.task import Batch, Gap, Success, Synthetic, Task
from gatework.training import load, train
from gatework.training.jobs.shape import SequenceShape

SMALL = {"cell": "gru", "hidden_size": 8, "batch_size": 16, "log_every": 10, "checkpoint_every": 10, "threads": 1}
SIZES = {"pen": 3, "transcript": 2, "words": 4}
OPTIONS = {"chord": {"hidden": 3}, "mixture": {"components": 2}, "pen": {"components": 2}}


def draw(kind):
    """Sequences whose targets follow from what was just read, so that there is something to learn."""

    def drawn(rng, size, gap, split):
        numbers = rng.normal(size=(gap, size, 2))
        signs = (numbers > 0).astype(int)
        lengths = torch.from_numpy(rng.integers(gap // 2, gap + 1, size))
        inside = torch.arange(gap)[:, None] < lengths
        if kind == "transcript":
            targets = torch.full((gap, size), -100)
            targets[0] = torch.from_numpy(signs[0, :, 0])
        elif HEADS[kind].counted:
            targets = torch.from_numpy(signs[..., 0]).masked_fill(~inside, -100)
        else:
            bits = kind in ("bits", "chord")
            values = torch.from_numpy(signs if bits else numbers).float()
            if kind == "pen":
                values = torch.cat([values, torch.from_numpy(signs[..., :1]).float()], dim=-1)
            targets = values.masked_fill(~inside[..., None], float("nan"))
        return Batch(torch.from_numpy(numbers).float(), targets, lengths)

    return drawn


def some(kind, size, gap):
    return draw(kind)(np.random.default_rng(0), size, gap, "test")


def task(kind, **changes):
    made = Task(
        name=f"own_{kind}",
        title=kind,
        kind=kind,
        options=OPTIONS.get(kind, {}),
        inputs=2,
        outputs=SIZES.get(kind, 2),
        gap=Gap(6, "steps of a sequence", least=2),
        success=Success("loss", at_most=100),
        examples=Synthetic(draw(kind), test_size=40),
        defaults={"learning_rate": 0.02},
    )
    return replace(made, **changes)


@pytest.mark.parametrize("kind", HEADS)
def test_a_task_of_any_head_is_trained_resumed_loaded_and_measured(tmp_path, kind):
    own = task(kind)
    common: dict[str, Any] = SMALL | {"task": own, "schedule": "constant"}
    straight = train(**common, steps=40, run=str(tmp_path / "straight"))
    train(**common, steps=20, run=str(tmp_path / "run"))
    resumed = train(**common, steps=40, run=str(tmp_path / "run"))
    last = [run / "checkpoints" / "step-40" / "model.safetensors" for run in (straight.run, resumed.run)]
    assert last[0].read_bytes() == last[1].read_bytes()
    losses = [line["train_loss"] for line in load(straight.run, task=own).history if "train_loss" in line]
    assert losses[-1] < losses[0]
    run = load(resumed.run, task=own)
    assert run.evaluate().metrics == resumed.metrics
    answered = run.predict(torch.randn(5, 3, 2), lengths=torch.tensor([5, 4, 2]))
    head: Any = own.head()
    assert (answered.kind, answered.scores.shape[-1]) == (kind, head.numbers)
    assert answered.answers.shape == ((5, 3) if head.counted else (5, 3, head.size))
    if kind in ("choice", "words", "bits", "transcript"):
        assert answered.probabilities.shape == answered.scores.shape
    else:
        with pytest.raises(RunError, match=rf"The answers of this model are {head.gives}, which have no probabilities"):
            assert answered.probabilities
    if kind == "transcript":
        rows = head.answers(answered.scores, answered.lengths)
        assert answered.named == [[str(row[n]) for row in rows if n < len(row)] for n in range(5)]
        with pytest.raises(RunError, match=r"and no step has its own\. Take `answers`"):
            assert answered.last


@pytest.mark.parametrize("kind", ["gauss", "chord", "transcript"])
def test_sequences_measured_part_by_part_give_what_the_head_gives_at_once(kind, monkeypatch):
    own = task(kind)
    batch, head = some(kind, 30, 8), own.head()
    model = SequenceModel(2, head, "lstm", 6)
    monkeypatch.setattr("gatework.models.sequences._MOST_OUTPUTS", 8 * model.head.weight.shape[0] * 7)
    monkeypatch.setattr("gatework.models.sequences._PART", 3)
    found = measure_sequences(model, batch, own)[0].named()
    model.eval()
    with torch.no_grad():
        scores, _ = model(batch.inputs, batch.lengths)
    assert found == pytest.approx(head.measure(scores, batch.targets, batch.lengths), rel=1e-5)
    # With one length for all, steps are read in parts where a head can be judged step by step.
    whole = batch.targets if kind == "transcript" else batch.targets.nan_to_num(0.0)
    even = replace(batch, lengths=None, targets=whole)
    with torch.no_grad():
        scores, _ = model(even.inputs)
    found = measure_sequences(model, even, own)[0].named()
    assert found == pytest.approx(head.measure(scores, even.targets), rel=1e-5)


def test_the_parameters_of_a_head_are_counted():
    own = task("chord")
    counted = SequenceShape(2, own.head()).count(CELLS["gru"], 8)
    model = SequenceModel(2, own.head(), "gru", 8)
    assert counted == sum(parameter.numel() for parameter in model.parameters())
    assert counted - SequenceShape(2, 5).count(CELLS["gru"], 8) == 2 * 2 * 3


def test_cells_are_compared_on_it(tmp_path):
    small = {"seeds": 2, "learning_rates": [0.02], "steps": 10, "batch_size": 8, "hidden_size": 4}
    found = compare(task=task("mixture"), cells="rnn,gru", gaps=[4], run=str(tmp_path), **small)
    assert {len(summary.values) for summary in found.summary.values()} == {2}
    assert all(value is not None for summary in found.summary.values() for value in summary.values)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (replace(task("choice"), kind="chioce"), "There is no head 'chioce'. Did you mean 'choice'?"),
        (
            task("mixture", options={"component": 3}),
            "Task 'own_mixture' has the option 'component', which head 'mixture' does not have; expected components.",
        ),
        (
            task("bits", options={"hidden": 3}),
            "has the option 'hidden', which head 'bits' does not have; expected none.",
        ),
        (
            task("transcript", examples=Synthetic(draw("transcript"), windows=2)),
            "cuts its sequences into 2 windows, and head 'transcript' judges sequences as a whole.",
        ),
        (
            task("gauss", examples=Synthetic(lambda *given: replace(draw("gauss")(*given), baseline=0))),
            "function of task 'own_gauss' returned a baseline; expected none for head 'gauss', whose errors it has no",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, own, message):
    with pytest.raises(ConfigError) as refused:
        train(**SMALL, task=own, steps=2, run=str(tmp_path / "run"))
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_model_knows_which_head_it_was_built_for():
    with pytest.raises(SizeError, match="size is 2; expected 3 for a pen"), knowing(task("pen", outputs=2)):
        pass
    with pytest.raises(SizeError, match=r"gives 4 scores, and was built without the head 'gauss', which wants 8"):
        SequenceModel(2, 4, "gru", 3).loss(some("gauss", 3, 4), "gauss")
