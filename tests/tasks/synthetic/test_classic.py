"""The classic tasks: who reads a sequence step by step answers all of it, and who does not look gets what is said."""

import math
from collections.abc import Callable, Generator, Iterator

import numpy as np
import pytest
import torch

from gatework.errors import ConfigError
from gatework.heads import Choice
from gatework.models.sequences import SequenceModel
from gatework.tasks.synthetic.adding import adding
from gatework.tasks.synthetic.latch import latch
from gatework.tasks.synthetic.multiplication import multiplication
from gatework.tasks.synthetic.noise_lags import noise_free_lag, noisy_lag
from gatework.tasks.synthetic.parity import parity
from gatework.tasks.synthetic.reber import continual_reber, embedded_reber, reber
from gatework.tasks.synthetic.temporal_order import temporal_order_2, temporal_order_3
from gatework.tasks.synthetic.two_sequence import two_sequence, two_sequence_noise, two_sequence_targets
from gatework.tasks.task import Batch, Split, Synthetic, Task
from gatework.training import TrainConfig

REBER = (reber, embedded_reber, continual_reber)
TASKS = (
    adding,
    multiplication,
    latch,
    parity,
    two_sequence,
    two_sequence_noise,
    two_sequence_targets,
    noise_free_lag,
    noisy_lag,
    temporal_order_2,
    temporal_order_3,
    *REBER,
)
# Every task at its least gap, at an odd one and at its own.
CASES = [
    pytest.param(task, gap, id=f"{task.name}-{gap}")
    for task in TASKS
    for gap in (task.gap.least, 2 * task.gap.least + 19, task.gap.default)
]
every_case = pytest.mark.parametrize(("task", "gap"), CASES)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)

# An answer: a class, a number, or all symbols that may come.
Answer = int | float | str


def drawn(task: Task, gap: int, seed: int = 0, size: int = 32, split: Split = "test") -> Batch:
    assert isinstance(task.examples, Synthetic)
    return task.examples.draw(np.random.default_rng(seed), size, gap, split)


# --- oracles: each reads one sequence and says what is to be answered at which step


def ask_pairs(values: list[list[float]], start: float, join: Callable[[float, float], float]) -> dict[int, Answer]:
    # A mark of 1 counts, and there is one less of them where the first pair was chosen.
    answer = start
    for value, mark in values:
        if mark == 1:
            answer = join(answer, value)
    return {len(values) - 1: answer}


def ask_parity(values: list[list[float]]) -> dict[int, Answer]:
    odd = False
    for (value,) in values:
        odd ^= value > 0
    return {len(values) - 1: int(odd)}


def ask_beginning(values: list[list[float]], positive: Answer, negative: Answer) -> dict[int, Answer]:
    return {len(values) - 1: positive if sum(value for (value,) in values[:3]) > 0 else negative}


def ask_known(symbols: list[int]) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    after = 0
    for step in range(len(symbols) - 1):
        answers[step] = after
        after = after + 1 if after < 98 else 0
    answers[len(symbols) - 1] = symbols[0]
    return answers


def ask_noisy(symbols: list[int]) -> dict[int, Answer]:
    b, which, *others = symbols
    assert b == 101
    assert others.index(100) == len(others) - 1
    return {len(symbols) - 1: {102: 0, 103: 1}[which]}


def ask_order(symbols: list[int]) -> dict[int, Answer]:
    text = "".join("EBabcdXY"[symbol] for symbol in symbols)
    assert text[0] == "E"
    assert text.index("B") == len(text) - 1
    order = "".join(symbol for symbol in text if symbol in "XY")
    orders = [f"{a}{b}{c}" for a in "XY" for b in "XY" for c in ("X", "Y")]
    return {len(text) - 1: (orders if len(order) == 3 else ["XX", "XY", "YX", "YY"]).index(order)}


Reader = Generator[str, str, None]


def read_reber() -> Reader:
    """Say what may come, be told what came: the grammar as a way through loops, not as a graph."""
    yield "B"
    upper = (yield "TP") == "T"
    if upper:
        while (yield "SX") == "S":
            pass
    while True:
        if upper and (yield "XS") == "S":
            break
        while (yield "TV") == "T":
            pass
        if (yield "PV") == "V":
            break
        upper = True
    yield "E"


def read_embedded() -> Reader:
    yield "B"
    outer = yield "TP"
    yield from read_reber()
    yield outer
    yield "E"


def read_stream() -> Reader:
    while True:
        yield from read_embedded()


def ask_grammar(symbols: list[int], reader: Callable[[], Reader]) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    reading = reader()
    may_come = next(reading)
    for step, symbol in enumerate("BTSXPVE"[symbol] for symbol in symbols):
        assert symbol in may_come
        answers[step] = may_come = reading.send(symbol)
    return answers


ORACLES: dict[str, Callable[[list], dict[int, Answer]]] = {
    "adding": lambda values: ask_pairs(values, 0.5, lambda answer, value: answer + value / 4),
    "multiplication": lambda values: ask_pairs(values, 1.0, lambda answer, value: answer * value),
    "latch": lambda values: ask_beginning(values, 1, 0),
    "parity": ask_parity,
    "two_sequence": lambda values: ask_beginning(values, 1.0, 0.0),
    "two_sequence_noise": lambda values: ask_beginning(values, 1.0, 0.0),
    "two_sequence_targets": lambda values: ask_beginning(values, 0.2, 0.8),
    "noise_free_lag": ask_known,
    "noisy_lag": ask_noisy,
    "temporal_order_2": ask_order,
    "temporal_order_3": ask_order,
    "reber": lambda symbols: ask_grammar(symbols, read_reber),
    "embedded_reber": lambda symbols: ask_grammar(symbols, read_embedded),
    "continual_reber": lambda symbols: ask_grammar(symbols, read_stream),
}


def sequences(batch: Batch) -> Iterator[list]:
    for column in range(batch.size):
        end = None if batch.lengths is None else int(batch.lengths[column])
        yield batch.inputs[:end, column].tolist()


def scored(answer: Answer, outputs: int) -> list[float]:
    if isinstance(answer, float):
        return [answer] * outputs
    best = [answer] if isinstance(answer, int) else ["BTSXPVE".index(symbol) for symbol in answer]
    return [float(place in best) for place in range(outputs)]


@every_case
def test_who_reads_step_by_step_answers_all(task, gap):
    batch = drawn(task, gap, size=8 if task is continual_reber else 32)
    scores = torch.full((*batch.targets.shape[:2], task.outputs), float("nan"))
    for column, sequence in enumerate(sequences(batch)):
        for step, answer in ORACLES[task.name](sequence).items():
            scores[step, column] = torch.tensor(scored(answer, task.outputs))
    asked = batch.asked
    assert torch.equal(asked, ~scores.isnan().any(dim=-1))
    legal = None if batch.legal is None else batch.legal[asked]
    correct = task.head(scores.shape[-1]).right(scores[asked], batch.targets[asked], legal, task.tolerance)
    if task is two_sequence_noise:  # its noise may turn the signal round, once in 9,000 sequences
        assert (~correct).sum() <= 1
    else:
        assert correct.all()


# --- guessers: each gives scores [n, O] for the steps that ask, without looking at what was read

Guess = Callable[[Batch], torch.Tensor]


def always(*scores: float) -> Guess:
    return lambda batch: torch.tensor(scores).expand(int(batch.asked.sum()), -1)


def first_of(classes: int) -> dict[str, Guess]:
    return {"loss": always(*[0.0] * classes), "accuracy": always(1.0, *[0.0] * (classes - 1))}


def mean_target(batch: Batch) -> torch.Tensor:
    targets = batch.targets[batch.asked]
    return targets.mean(dim=0).expand_as(targets)


def by_heart(batch: Batch) -> torch.Tensor:
    steps, size = batch.targets.shape
    scores = torch.full((steps, size, 101), -1e9)
    for step in range(steps - 1):
        scores[step, :, step % 99] = 0
    scores[-1, :, 99] = 1e-6  # one of the two has to be the likelier
    scores[-1, :, 100] = 0
    return scores[batch.asked]


def frequencies(batch: Batch) -> torch.Tensor:
    targets = batch.targets[batch.asked]
    return (targets.bincount(minlength=7) / len(targets)).log().expand(len(targets), -1)


def best_ranking(batch: Batch) -> torch.Tensor:
    asked = batch.asked
    assert batch.legal is not None
    targets, legal = batch.targets[asked], batch.legal[asked]
    rankings = torch.eye(7)[:, None] * 2 + torch.eye(7)[None]
    best = max(
        rankings.flatten(0, 1),
        key=lambda scores: int(Choice(scores.shape[-1]).right(scores.expand(len(targets), -1), targets, legal).sum()),
    )
    return best.expand(len(targets), -1)


GUESSERS: dict[str, dict[str, Guess]] = {
    "adding": {"loss": always(0.5), "accuracy": always(0.5)},
    "multiplication": {"loss": mean_target, "accuracy": always(0.04)},
    "latch": first_of(2),
    "parity": first_of(2),
    "two_sequence": {"loss": always(0.5), "accuracy": always(1.0), "mean_absolute_error": always(0.5)},
    "two_sequence_noise": {"loss": always(0.5), "accuracy": always(1.0), "mean_absolute_error": always(0.5)},
    "two_sequence_targets": {"loss": always(0.5), "accuracy": always(0.2), "mean_absolute_error": always(0.5)},
    "noise_free_lag": {"loss": by_heart, "accuracy": by_heart, "solved": by_heart},
    "noisy_lag": first_of(2),
    "temporal_order_2": first_of(4),
    "temporal_order_3": first_of(8),
    "reber": {"loss": frequencies, "accuracy": best_ranking},
    "embedded_reber": {"loss": frequencies, "accuracy": best_ranking},
    "continual_reber": {"loss": frequencies, "accuracy": best_ranking},
}


def measured(task: Task, batch: Batch, metric: str, scores: torch.Tensor) -> tuple[float, float]:
    """Give a metric and its standard error, from its sums over each sequence."""
    asked = batch.asked
    targets = batch.targets[asked]
    head = task.head(scores.shape[-1])
    legal = None if batch.legal is None else batch.legal[asked]
    values = {
        "loss": lambda: head.loss(scores, targets),
        "mean_absolute_error": lambda: (scores - targets).abs().mean(dim=-1),
    }.get(metric, lambda: head.right(scores, targets, legal, task.tolerance))()
    spread = torch.zeros(asked.shape, dtype=torch.float64)
    spread[asked] = values.double()
    sums, counts = spread.sum(dim=0), asked.sum(dim=0)
    if metric == "solved":
        sums, counts = (sums == counts).double(), torch.ones_like(counts)
    value = sums.sum() / counts.sum()
    return float(value), float((sums - value * counts).square().sum().sqrt() / counts.sum())


@every_case
def test_who_does_not_look_gets_what_is_said(task, gap):
    batch = drawn(task, gap, size=20 if task is continual_reber else 5000 if gap < 100 else 1000)
    said = task.chance(gap)
    assert {"loss", "accuracy"} <= set(said)
    assert set(said) == set(GUESSERS[task.name])
    for metric, guess in GUESSERS[task.name].items():
        value, error = measured(task, batch, metric, guess(batch))
        assert abs(value - said[metric]) <= 4 * error + 1e-6, metric


# --- what a batch is


@every_case
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_batches_are_as_they_should_be(task, gap, split):
    batch = drawn(task, gap, size=5, split=split)
    steps = batch.inputs.shape[0]
    assert batch.inputs.shape == ((steps, 5) if task.symbols else (steps, 5, task.inputs))
    assert batch.inputs.dtype == (torch.int64 if task.symbols else torch.float32)
    assert batch.targets.shape == ((steps, 5) if task.kind == "choice" else (steps, 5, task.outputs))
    assert batch.targets.dtype == (torch.int64 if task.kind == "choice" else torch.float32)
    lengths = torch.full((5,), steps) if batch.lengths is None else batch.lengths
    assert lengths.shape == (5,)
    assert lengths.dtype == torch.int64
    assert int(lengths.max()) == steps
    assert not (batch.asked & (torch.arange(steps)[:, None] >= lengths)).any()
    assert batch.asked.any(dim=0).all()
    if task.symbols:
        assert 0 <= int(batch.inputs.min()) <= int(batch.inputs.max()) < task.inputs
    else:
        assert torch.isfinite(batch.inputs).all()
    if task.kind == "choice":
        targets = batch.targets[batch.asked]
        assert 0 <= int(targets.min()) <= int(targets.max()) < task.outputs
    assert (batch.legal is not None) == (task in REBER)
    if batch.legal is not None:
        assert batch.legal.shape == (steps, 5, task.outputs)
        assert batch.legal[batch.asked].gather(1, batch.targets[batch.asked][:, None]).all()


def same(one: Batch, other: Batch) -> bool:
    if one.inputs.shape != other.inputs.shape:
        return False
    both = torch.equal(one.targets.nan_to_num(7), other.targets.nan_to_num(7))
    return torch.equal(one.inputs, other.inputs) and both


@every_task
def test_a_seed_says_which_sequences(task):
    gap = 2 * task.gap.least + 19
    assert same(drawn(task, gap, seed=3), drawn(task, gap, seed=3))
    assert not same(drawn(task, gap, seed=3), drawn(task, gap, seed=4))


@every_task
def test_a_model_reads_them(task):
    torch.manual_seed(0)
    batch = drawn(task, task.gap.least, size=3, split="train")
    model = SequenceModel(task.inputs, task.outputs, "lstm", 4, symbols=task.symbols)
    nats, asked, _ = model.loss(batch, task.kind)
    assert math.isfinite(float(nats.detach()))
    assert asked == int(batch.asked.sum())


@every_task
def test_tables_of_tasks_hold(task):
    assert set(task.defaults) <= set(TrainConfig.model_fields)
    metrics = task.chance(task.gap.default)
    assert not task.success.reached({"solved": 0.0, **metrics})
    with pytest.raises(ConfigError, match=f"gap is {task.gap.least - 1}: task '{task.name}' takes {task.gap.least} "):
        task.check_gap(task.gap.least - 1)


# --- what the gap does


@pytest.mark.parametrize(
    ("task", "stretches"),
    [(temporal_order_2, [(10, 20), (50, 60)]), (temporal_order_3, [(10, 20), (33, 43), (66, 76)])],
)
@pytest.mark.parametrize("scale", [1, 3])
def test_places_of_the_paper_scale_with_the_gap(task, stretches, scale):
    batch = drawn(task, 100 * scale, size=2000)
    assert batch.lengths is not None
    assert (int(batch.lengths.min()), int(batch.lengths.max())) == (100 * scale, 110 * scale)
    places = [(column >= 6).nonzero().flatten().tolist() for column in batch.inputs.t()]
    for number, (begin, end) in enumerate(stretches):
        found = {where[number] for where in places}
        assert found == set(range(begin * scale, end * scale + 1))


@pytest.mark.parametrize(("task", "hundredths"), [(temporal_order_2, 40), (temporal_order_3, 24)])
@pytest.mark.parametrize("gap", [10, 37, 100])
def test_the_last_that_counts_is_as_far_from_the_question_as_said(task, hundredths, gap):
    batch = drawn(task, gap, size=4000)
    assert batch.lengths is not None
    last = torch.where(batch.inputs >= 6, torch.arange(len(batch.inputs))[:, None], -1).amax(dim=0)
    nearest = int((batch.lengths - 1 - last).min())
    assert f"at least {hundredths} % of it, less one step" in task.gap.meaning
    assert nearest == math.ceil(gap * hundredths / 100) - 1


@pytest.mark.parametrize(
    ("task", "beginning", "end"),
    [(noisy_lag, [("b",), ("x", "y")], "e"), (noise_free_lag, [("x", "y"), ("a1",), ("a2",)], None)],
)
def test_symbols_have_the_names_that_the_words_speak_of(task, beginning, end):
    batch = drawn(task, 20)
    lengths = [len(batch.inputs)] * batch.size if batch.lengths is None else batch.lengths.tolist()
    for column, length in enumerate(lengths):
        names = [task.alphabet[symbol] for symbol in batch.inputs[:length, column]]
        assert all(name in known for name, known in zip(names, beginning, strict=False))
        assert {name for name in names if name in "xy"} == {task.classes[batch.targets[length - 1, column]]}
        assert end is None or names.index(end) == length - 1


@pytest.mark.parametrize("task", [adding, multiplication])
@pytest.mark.parametrize("gap", [4, 9, 30, 101])
def test_both_numbers_stand_where_the_words_say(task, gap):
    batch = drawn(task, gap, size=4000)
    assert batch.lengths is not None
    marked = batch.inputs[..., 1] == 1
    steps = torch.arange(len(marked))[:, None]
    # A first pair that is chosen shows no mark: then only one does, and the first stands at 0.
    first = torch.where(marked.sum(dim=0) == 2, torch.where(marked, steps, len(marked)).amin(dim=0), 0)
    last = torch.where(marked, steps, -1).amax(dim=0)
    assert int(first.max()) < 10
    assert 2 * int((batch.lengths - 1 - last).min()) >= gap
    assert int(last.max()) == gap // 2 - 1


@pytest.mark.parametrize("task", [adding, multiplication])
def test_half_a_sequence_lies_behind_the_second_mark(task):
    marks = drawn(task, 101, size=3000).inputs[..., 1]
    assert not (marks[50:] == 1).any()
    assert (marks[49] == 1).any()
    number = (marks == 1).sum(dim=0)
    # The first pair, which shows no mark, is among the two in one sequence of nine.
    assert set(number.tolist()) == {1, 2}
    assert (marks[0] == -1).all()


@pytest.mark.parametrize(("task", "around"), [(reber, 0), (embedded_reber, 4)])
@pytest.mark.parametrize("gap", [5, 6, 7, 40])
def test_strings_are_as_long_as_the_gap_asks(task, around, gap):
    lengths = drawn(task, gap, size=3000).lengths
    assert lengths is not None
    assert int(lengths.min()) + 1 == gap + around  # the last symbol is not read
    assert int(lengths.max()) > gap + around + 10


def test_a_lag_that_is_noisy_is_of_any_length_above_the_gap():
    lengths = drawn(noisy_lag, 50, size=5000).lengths
    assert lengths is not None
    assert int(lengths.min()) == 53  # b, x or y, and e
    assert float(lengths.double().mean()) == pytest.approx(53 + 9, abs=0.6)


def test_only_targets_that_are_trained_on_are_noisy():
    clean = drawn(two_sequence_targets, 20, size=4000).targets
    noisy = drawn(two_sequence_targets, 20, size=4000, split="train").targets
    clean, noisy = clean[~clean.isnan()], noisy[~noisy.isnan()]
    assert set(clean.tolist()) == {float(torch.tensor(0.2)), float(torch.tensor(0.8))}
    # Both answers, 0.3 from their mean, and noise of variance 0.1.
    assert float(noisy.var()) == pytest.approx(0.09 + 0.1, rel=0.1)


def test_streams_are_longer_where_they_are_measured():
    assert drawn(continual_reber, 30, split="train").inputs.shape[0] == 30
    assert drawn(continual_reber, 30, split="valid").inputs.shape[0] == 300
    assert drawn(continual_reber, 30, split="test").inputs.shape[0] == 3000
