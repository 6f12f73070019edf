"""Timing, counting, copying: what is asked can be answered from what was read, and guessing gets what is said."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gatework.tasks.synthetic import periodic
from gatework.tasks.synthetic.adding_arjovsky import adding_arjovsky
from gatework.tasks.synthetic.copy_memory import copy
from gatework.tasks.synthetic.counting import anbn, anbncn
from gatework.tasks.synthetic.delayed_credit import delayed_credit
from gatework.tasks.synthetic.spike_delay import spike_delay
from gatework.tasks.synthetic.timed_spikes import timed_spikes
from gatework.tasks.task import Batch, Split, Synthetic, Task

# Reads one sequence step by step, and gives its answer at each: a class, a set of classes, or numbers.
Reader = Callable[[list[Any], int], Iterator[Any]]
# Gives scores [T, B, O], or what broadcasts to it, without looking at what is read.
Guesser = Callable[[Task, Batch, int], Tensor]


@dataclass(frozen=True)
class Case:
    """A task, and who answers it."""

    task: Task
    reader: Reader
    # By metric, as the best guess for the loss need not be that for the accuracy.
    guessers: dict[str, Guesser]
    gaps: tuple[int, ...]
    random: bool = True

    def __str__(self) -> str:
        return self.task.name


def drawn(task: Task, size: int, gap: int, split: Split = "train", seed: int = 5) -> Batch:
    assert isinstance(task.examples, Synthetic)
    return task.examples.draw(np.random.default_rng(seed), size, task.check_gap(gap), split)


def grouped(batch: Batch) -> list[int]:
    assert batch.groups is not None
    return batch.groups.tolist()


def read(case: Case, batch: Batch, gap: int) -> Tensor:
    """The reader's answers as scores [T, B, O]."""
    scores = torch.zeros(*batch.targets.shape[:2], case.task.outputs or 0)
    for column in range(batch.size):
        length = len(batch.inputs) if batch.lengths is None else int(batch.lengths[column])
        answers = case.reader(batch.inputs[:length, column].tolist(), gap)
        for step, answer in enumerate(answers):
            if case.task.kind == "choice":
                scores[step, column, sorted(answer) if isinstance(answer, set) else answer] = 1
            else:
                scores[step, column] = torch.tensor(answer, dtype=torch.float32)
    return scores - 0.5 if case.task.kind == "bits" else scores


def judged(task: Task, batch: Batch, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Which answers were right, and their losses, both [T, B] and 0 where nothing is asked."""
    asked = batch.asked
    legal = None if batch.legal is None else batch.legal[asked]
    answers = scores.expand(*asked.shape, -1)[asked]
    head = task.head(scores.shape[-1])
    correct, lost = torch.zeros(asked.shape), torch.zeros(asked.shape, dtype=torch.float64)
    correct[asked] = head.right(answers, batch.targets[asked], legal, task.tolerance).float()
    lost[asked] = head.loss(answers, batch.targets[asked]).double()
    return correct, lost


def check_form(case: Case, gap: int, split: Split) -> None:
    task, batch = case.task, drawn(case.task, 7, gap, split)
    shape, outputs = batch.inputs.shape[:2], task.outputs or 0
    if task.symbols:
        assert batch.inputs.dtype == torch.int64
        assert batch.inputs.dim() == 2
        assert int(batch.inputs.min()) >= 0
        assert int(batch.inputs.max()) < (task.inputs or 0)
    else:
        assert batch.inputs.dtype == torch.float32
        assert batch.inputs.shape[2:] == (task.inputs,)
    if task.kind == "choice":
        assert batch.targets.dtype == torch.int64
        assert batch.targets.shape == shape
        assert int(batch.targets[batch.asked].min()) >= 0
        assert int(batch.targets[batch.asked].max()) < outputs
    else:
        assert batch.targets.dtype == torch.float32
        assert batch.targets.shape == (*shape, outputs)
    assert batch.size == 7
    assert batch.asked.any(dim=0).all()
    if batch.lengths is not None:
        assert batch.lengths.dtype == torch.int64
        assert int(batch.lengths.max()) == shape[0]
        assert not batch.asked[torch.arange(shape[0])[:, None] >= batch.lengths].any()
    if batch.legal is not None:
        assert batch.legal.dtype == torch.bool
        assert batch.legal.shape == (*shape, outputs)
        assert batch.legal[batch.asked].gather(1, batch.targets[batch.asked][:, None]).all()
    if batch.groups is not None:
        assert batch.groups.dtype == torch.int64
        assert batch.groups.shape == (7,)


def check_reader(case: Case, gap: int, split: Split) -> None:
    batch = drawn(case.task, 25 if case.random else 2, gap, split)
    correct, _ = judged(case.task, batch, read(case, batch, gap))
    assert torch.equal(correct.bool(), batch.asked)
    # And it could have been wrong.
    other, _ = judged(case.task, batch, 1.7 - 2 * read(case, batch, gap))
    assert not torch.equal(other, correct)


def check_seed(case: Case, gap: int) -> None:
    one, same, other = (drawn(case.task, 9, gap, seed=seed) for seed in (3, 3, 4))
    for name in ("inputs", "targets", "lengths", "legal", "groups"):
        first, second = getattr(one, name), getattr(same, name)
        assert (first is None) == (second is None)
        assert first is None or torch.equal(first.nan_to_num(7), second.nan_to_num(7))
    alike = one.inputs.shape == other.inputs.shape and torch.equal(one.inputs, other.inputs)
    assert alike != case.random


def check_chance(case: Case, gap: int, size: int) -> None:
    """Guessing gets what is said, to four standard errors, the sequences being what is drawn."""
    batch, said = drawn(case.task, size, gap, "test"), case.task.chance(gap)
    assert "accuracy" in said
    assert said.keys() - {"solved"} == case.guessers.keys()
    for metric, guesser in case.guessers.items():
        correct, lost = judged(case.task, batch, guesser(case.task, batch, gap))
        values, asked = (lost if metric == "loss" else correct).double().sum(dim=0), batch.asked.sum(dim=0)
        found = float(values.sum() / asked.sum())
        error = float((values - found * asked).square().sum().sqrt() / asked.sum())
        assert abs(found - said[metric]) <= 4 * error + 1e-6, metric
    if "solved" in said:
        correct, _ = judged(case.task, batch, case.guessers["accuracy"](case.task, batch, gap))
        solved = float((correct.bool() == batch.asked).all(dim=0).double().mean())
        assert abs(solved - said["solved"]) <= 4 * math.sqrt(said["solved"] * (1 - said["solved"]) / size) + 1e-6


def always(*scores: float) -> Guesser:
    return lambda task, batch, gap: torch.tensor(scores, dtype=torch.float32).expand(1, 1, task.outputs or 0)


def measure_delays(inputs: list[list[float]], gap: int) -> Iterator[int]:
    waited = 0
    for step, (spike,) in enumerate(inputs):
        waited += step > 0
        yield min(max(waited - gap, 0), 1)
        if spike:
            waited = 0


def make_spikes(inputs: list[list[float]], gap: int) -> Iterator[float]:
    waited = 0
    for step, (delay,) in enumerate(inputs):
        waited += step > 0
        spike = waited == gap + round(delay)
        yield float(spike)
        if spike:
            waited = 0


def follow(wave: Callable[[int, int], float]) -> Reader:
    return lambda inputs, gap: (wave(step % gap, gap) for step in range(len(inputs)))


def count_letters(letters: int) -> Reader:
    def reader(inputs: list[int], gap: int) -> Iterator[set[int]]:
        seen = [0] * letters
        for symbol in inputs:
            if symbol == letters:
                yield {0}
                continue
            seen[symbol] += 1
            if symbol == 0:
                yield {0, 1}
            elif seen[symbol] < seen[0]:
                yield {symbol}
            else:
                yield {symbol + 1}

    return reader


def copy_symbols(inputs: list[int], gap: int) -> Iterator[int]:
    kept: list[int] = []
    giving = False
    for symbol in inputs:
        yield kept.pop(0) if giving else 8
        if symbol == 9:
            giving = True
        elif symbol < 8:
            kept.append(symbol)


def add_marked(inputs: list[list[float]], gap: int) -> Iterator[float]:
    total = 0.0
    for value, mark in inputs:
        total += value * mark
        yield total


def judge_move(inputs: list[list[float]], gap: int) -> Iterator[int]:
    won, since = 0, 0
    for step in inputs:
        move, board, mark = step[:4], step[4:8], step[8]
        since += 1
        if mark:
            won, since = int(board[move.index(1)] == 1), 0
        yield won
    assert since == gap


def expect_or_not(task: Task, batch: Batch, gap: int) -> Tensor:
    """Always a spike or never one, whichever is right at more steps."""
    return (2 * batch.targets.mean().round() - 1).expand(1, 1, 1)


def steady_rate(task: Task, batch: Batch, gap: int) -> Tensor:
    rate = batch.targets.mean()
    return torch.log(rate / (1 - rate)).expand(1, 1, 1)


def remember_nothing(task: Task, batch: Batch, gap: int) -> Tensor:
    scores = torch.full((gap + 20, 1, 9), -50.0)
    scores[:-10, :, 8] = 0
    scores[-10:, :, :8] = 0
    return scores


def best_of_many(task: Task, batch: Batch, gap: int) -> Tensor:
    """The constant with the most values of a wave near it, by trying a thousand."""
    tried = torch.linspace(0, 1, 1001)
    near = (batch.targets[:gap, 0] - tried).abs() < (task.tolerance or 0)
    return tried[near.sum(dim=0).argmax()].expand(1, 1, 1)


def average(task: Task, batch: Batch, gap: int) -> Tensor:
    return batch.targets[:gap].double().mean().float().expand(1, 1, 1)


WAVES: dict[str, Guesser] = {"accuracy": best_of_many, "loss": average}
CASES = (
    Case(spike_delay, measure_delays, {"accuracy": always(0, 0), "loss": always(0, 0)}, (1, 10, 13)),
    Case(timed_spikes, make_spikes, {"accuracy": expect_or_not, "loss": steady_rate}, (1, 10, 13)),
    Case(periodic.periodic_cosine, follow(lambda t, f: math.sin(math.pi * t / f) ** 2), WAVES, (3, 10, 25), False),
    Case(
        periodic.periodic_triangle,
        follow(lambda t, f: 2 * t / f if 2 * t <= f else 2 - 2 * t / f),
        WAVES,
        (3, 10, 25),
        False,
    ),
    Case(periodic.periodic_rectangle, follow(lambda t, f: float(2 * t > f)), WAVES, (3, 10, 25), False),
    Case(anbn, count_letters(2), {"accuracy": always(1, 2, 0)}, (1, 10, 7)),
    Case(anbncn, count_letters(3), {"accuracy": always(1, 2, 0, 0)}, (1, 10, 7)),
    Case(copy, copy_symbols, {"accuracy": remember_nothing, "loss": remember_nothing}, (1, 20, 33)),
    Case(adding_arjovsky, add_marked, {"accuracy": always(1), "loss": always(1)}, (2, 40, 33)),
    Case(delayed_credit, judge_move, {"accuracy": always(0, 0), "loss": always(0, 0)}, (1, 12, 5)),
)

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
@pytest.mark.parametrize("split", ["train", "valid"])
def test_the_form_is_that_of_a_batch(case, split):
    for gap in case.gaps:
        check_form(case, gap, split)


@every_case
@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_plain_reading_answers_everything(case, split):
    for gap in case.gaps:
        check_reader(case, gap, split)


@every_case
def test_the_seed_decides(case):
    # At the least gap some tasks have only one or two sequences.
    for gap in case.gaps[1:]:
        check_seed(case, gap)


@pytest.mark.parametrize("case", [case for case in CASES if case.task not in (anbn, anbncn)], ids=str)
def test_guessing_gets_what_is_said(case):
    streams = case.task in (spike_delay, timed_spikes) or not case.random
    for gap in case.gaps:
        check_chance(case, gap, 30 if streams else 4000)


@pytest.mark.parametrize(("task", "letters"), [(anbn, 2), (anbncn, 3)])
@pytest.mark.parametrize("gap", [1, 2, 3, 10])
def test_no_order_of_preference_gets_more_than_is_said_of_counting(task, letters, gap):
    batch = drawn(task, 2 * gap, gap, "test")
    assert grouped(batch) == list(range(1, 2 * gap + 1))
    found = []
    for order in np.ndindex(*[letters + 1] * (letters + 1)):
        correct, _ = judged(task, batch, torch.tensor(order, dtype=torch.float32).expand(1, 1, -1))
        found.append(float(correct.sum() / batch.asked.sum()))
        assert not (correct.bool() == batch.asked).all(dim=0).any()
    assert max(found) == pytest.approx(task.chance(gap)["accuracy"], abs=1e-6)


def test_counting_is_trained_on_short_strings_and_tested_on_every_longer_one():
    assert set(grouped(drawn(anbn, 500, 10))) == set(range(1, 11))
    assert set(grouped(drawn(anbn, 500, 10, "test"))) == set(range(1, 21))
    batch = drawn(anbncn, 4, 2, "test")
    assert batch.inputs[:10, 2].tolist() == [3, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert batch.targets[:10, 2].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_spikes_are_as_many_and_as_far_apart_as_said():
    batch = drawn(spike_delay, 40, 10, "test")
    assert len(batch.inputs) == 10_501
    spikes = batch.asked.sum(dim=0).double()
    assert abs(float(spikes.mean()) - 1000) < 4 * 1000 * 0.5 / 10.5 / math.sqrt(1000 * 40)
    times = batch.inputs[:, 0, 0].nonzero()[:, 0]
    assert set(times.diff().tolist()) == {10, 11}
    # The answer at a spike is not told by the inputs around it.
    assert set(batch.targets[batch.asked].tolist()) == {0, 1}
    assert int(batch.inputs[batch.asked].min()) == 1


def test_always_a_spike_is_the_best_guess_where_most_steps_have_one():
    assert timed_spikes.chance(1)["accuracy"] == pytest.approx(2 / 3, abs=1e-3)
    assert timed_spikes.chance(2)["accuracy"] == pytest.approx(3 / 5, abs=1e-3)


def test_one_mark_stands_in_each_half():
    marks = drawn(adding_arjovsky, 2000, 9).inputs[..., 1]
    assert torch.equal(marks[:4].sum(dim=0), torch.ones(2000))
    assert torch.equal(marks[4:].sum(dim=0), torch.ones(2000))
    assert bool((marks.sum(dim=1) > 0).all())


def test_copying_begins_right_after_the_sign():
    batch = drawn(copy, 3, 5)
    assert batch.inputs.shape == (25, 3)
    assert batch.inputs[10:, 0].tolist() == [8] * 4 + [9] + [8] * 10
    assert batch.targets[:15, 0].tolist() == [8] * 15
    assert torch.equal(batch.targets[15:], batch.inputs[:10])
