"""Units that carry what a sentence is about: found by looking, and switched off to see whether they were it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gatework
from evidence.work.training import trained
from gatework.models.sequences import SequenceModel, measure_sequences
from gatework.runs.seeds import mixed_seed
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch, Synthetic, Task
from gatework.tracing import probe

_FIND, _JUDGE, _OTHERS = 11, 12, 13


def measure_units(
    task: str, gap: int, seed: int, sentences: int, counts: Sequence[int], others: int, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Train on sentences, find the units whose cell state follows the answer, and switch them off.

    Args:
        task: A task of sentences with two answers.
        gap: Its gap.
        seed: Where chance begins.
        sentences: How many are read to find the units, and how many others to judge.
        counts: How many units are switched off.
        others: How many times as many other units are drawn and switched off.
        training: Further settings of the training.

    Returns:
        ``accuracy`` as trained; ``read``, how well the answer is read off the first of the units alone before the last
        word; ``correlation`` of that unit with the answer; ``unit``, its number, and ``sentences``, one with each
        answer: their words, the unit's cell state after each, and the answer; and for each count ``off``, the accuracy
        without the units, and ``random``, that without as many others.
    """
    known = TASKS[task]
    trainer, _ = trained({"task": task, "gap": gap, "seed": seed, **training})
    model: Any = trainer.model
    model.eval()
    finding, judging = (_draw(known, gap, sentences, seed, purpose) for purpose in (_FIND, _JUDGE))
    values, answers = _before_the_end(model, finding)
    follows = _correlations(values, answers)
    order = follows.abs().argsort(descending=True).tolist()
    chance = np.random.default_rng(mixed_seed(seed, _OTHERS))
    off, random = {}, {}
    for count in counts:
        off[str(count)] = _without(model, judging, known, order[:count])
        drawn = [chance.choice(order[count:], count, replace=False).tolist() for _ in range(others)]
        random[str(count)] = float(np.mean([_without(model, judging, known, units) for units in drawn]))
    return {
        "accuracy": _without(model, judging, known, []),
        "read": probe(values[:, order[:1]], answers, held_out=0.5).score,
        "correlation": float(follows.abs().max()),
        "unit": order[0],
        "sentences": [_told(model, judging, known, order[0], which) for which in (False, True)],
        "off": off,
        "random": random,
    }


def _told(model: SequenceModel, batch: Batch, task: Task, unit: int, which: bool) -> dict[str, Any]:
    """Give the first sentence with an answer: its words, a unit's cell state after each, and the answer."""
    ends = batch.asked.long().argmax(dim=0)
    answers = batch.targets[ends, torch.arange(batch.size)]
    place = int(((answers == answers.max()) == which).nonzero()[0])
    # What stands at the end is the question: what was held is what it finds.
    one, end = batch.columns(slice(place, place + 1)), int(ends[place]) + 1
    with torch.no_grad():
        kept = gatework.trace(model, one.inputs[:end], "c")["c"][:, 0, unit]
    words = [task.alphabet[symbol] for symbol in one.inputs[:end, 0].tolist()]
    return {"words": words, "values": kept.tolist(), "answer": task.classes[int(answers[place])]}


def _draw(task: Task, gap: int, sentences: int, seed: int, purpose: int) -> Batch:
    assert isinstance(task.examples, Synthetic)
    return task.examples.draw(np.random.default_rng(mixed_seed(seed, purpose)), sentences, gap, "test")


def _before_the_end(model: SequenceModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Give the cell state before the last word of each sentence [B, H], and whether the answer is the second [B]."""
    with torch.no_grad():
        kept = gatework.trace(model, batch.inputs, "c", lengths=batch.lengths)
    columns = torch.arange(batch.size)
    ends = batch.asked.long().argmax(dim=0)
    answers = batch.targets[ends, columns]
    return kept["c"][ends - 1, columns], answers == answers.max()


def _correlations(values: Tensor, answers: Tensor) -> Tensor:
    """Give the correlation of every unit with the answer [H]."""
    scaled, told = values.double() - values.double().mean(0), answers.double() - answers.double().mean()
    spread = scaled.norm(dim=0) * told.norm()
    return torch.where(spread > 0, (scaled * told[:, None]).sum(0) / spread, 0.0)


def _without(model: SequenceModel, batch: Batch, task: Task, units: Sequence[int]) -> float:
    """Give the accuracy with the cell states of some units held at 0."""
    if not units:
        return measure_sequences(model, batch, task)[0].named()["accuracy"]
    with gatework.clamp(model, c=0.0, units=list(units)):
        return measure_sequences(model, batch, task)[0].named()["accuracy"]
