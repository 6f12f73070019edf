"""The metric ``skill``: the share of a trivial predictor's errors that a model avoids."""

from dataclasses import replace

import pytest
import torch

from gatework.models.sequences import Score, SequenceModel, measure_sequences
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch


def model_and_batch(kind: str) -> tuple[SequenceModel, Batch]:
    """Thirty sequences of up to seven steps with three classes, or two numbers, asked at some of the steps."""
    torch.manual_seed(3)
    lengths = torch.randint(3, 8, (30,))
    lengths[0] = 7
    beyond = torch.arange(7)[:, None] >= lengths
    if kind == "choice":
        targets = torch.randint(0, 3, (7, 30)).masked_fill(beyond | (torch.rand(7, 30) < 0.3), -100)
    else:
        targets = torch.randn(7, 30, 2).masked_fill(beyond[..., None], float("nan"))
    batch = Batch(torch.randn(7, 30, 4), targets, lengths, baseline=1)
    return SequenceModel(4, 3 if kind == "choice" else 2, "gru", 5).eval(), batch


@pytest.mark.parametrize(("kind", "task"), [("choice", "parity"), ("number", "airline")])
def test_skill_is_one_minus_the_ratio_of_errors(kind, task):
    model, batch = model_and_batch(kind)
    score, _ = measure_sequences(model, batch, TASKS[task])
    with torch.no_grad():
        answers, _ = model(batch.inputs, batch.lengths)
    errors = baseline = 0.0
    for column, length in enumerate((batch.lengths if batch.lengths is not None else torch.zeros(30)).tolist()):
        for step in range(int(length)):
            target = batch.targets[step, column]
            if kind == "choice" and target >= 0:
                errors += float(answers[step, column].argmax() != target)
                baseline += float(target != 1)
            elif kind == "number":
                errors += float(((answers[step, column] - target) ** 2).mean())
                baseline += float(((target - 1) ** 2).mean())
    assert score.named()["skill"] == pytest.approx(1 - errors / baseline, rel=1e-5)


def test_parts_of_a_batch_add_up_to_the_skill_of_the_whole():
    model, batch = model_and_batch("choice")
    task = TASKS["parity"]
    parts = [measure_sequences(model, batch.columns(slice(at, at + 11)), task)[0].sums() for at in range(0, 30, 11)]
    whole = Score.of_sums([sum(column) for column in zip(*parts, strict=True)], task)
    assert whole.named()["skill"] == measure_sequences(model, batch, task)[0].named()["skill"]


def test_a_batch_without_a_baseline_has_no_skill():
    model, batch = model_and_batch("choice")
    score, _ = measure_sequences(model, replace(batch, baseline=None), TASKS["parity"])
    assert list(score.named()) == ["loss", "accuracy", "solved"]


def test_nothing_is_better_than_a_baseline_without_errors():
    assert Score(loss=0.0, asked=4, right=4, sequences=4, solved=4, baseline=0.0).named()["skill"] == 0
    assert Score(loss=2.0, asked=4, numbers=True, judged=False, baseline=8.0).named()["skill"] == 0.75
