"""Heads over classes, words and questions: probabilities sum to one, and samples come as often as they say."""

import math
from itertools import product

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn

from gatework.errors import ConfigError, SizeError
from gatework.heads import HEADS, Bits, Choice, Chord, Head, Words

MANY = 20_000


def drawn(rows, size, seed=0):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patterns(size):
    return torch.tensor(list(product((0.0, 1.0), repeat=size)), dtype=torch.float64)


def chord(size=5, hidden=4, seed=0):
    torch.manual_seed(seed)
    head = Chord(size, hidden).double()
    for weight in head.parameters():  # larger than they are drawn, so that questions depend on each other
        nn.init.normal_(weight)
    return head


def nade(head, scores, answers):
    """One answer after the other, unit by unit, as the papers write it; returns the negative log-probability."""
    inward, outward = head.weight_in.tolist(), head.weight_out.tolist()
    questions, units = scores[: head.size], scores[head.size :]
    nats = 0.0
    for k in range(head.size):
        heard = [
            1 / (1 + math.exp(-(units[j] + sum(inward[i][j] * answers[i] for i in range(k)))))
            for j in range(head.hidden)
        ]
        yes = 1 / (1 + math.exp(-(questions[k] + sum(outward[k][j] * heard[j] for j in range(head.hidden)))))
        nats -= math.log(yes if answers[k] else 1 - yes)
    return nats


def test_a_chord_is_judged_as_the_papers_write_it():
    head, scores = chord(), drawn(8, 9)
    answers = patterns(5)[torch.arange(8) * 4]
    expected = [nade(head, *row) for row in zip(scores.tolist(), answers.tolist(), strict=True)]
    known = torch.tensor(expected, dtype=torch.float64)
    assert_close(head.loss(scores, answers), known)
    assert_close(head.loss(scores.view(2, 4, 9), answers.view(2, 4, 5)), known.view(2, 4))


@pytest.mark.parametrize("head", [chord(6, 3), chord(1, 2), Bits(6)], ids=["chord6", "chord1", "bits6"])
def test_all_patterns_together_have_probability_one(head):
    every = patterns(head.size)
    for row in drawn(4, head.numbers):
        total = (-head.loss(row.expand(len(every), -1), every)).exp().sum().detach()
        assert float(total) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("head", [chord(4, 3), Bits(4)], ids=["chord", "bits"])
def test_patterns_come_as_often_as_they_are_probable(head):
    every, row = patterns(4), drawn(1, head.numbers, seed=5)
    expected = (-head.loss(row.expand(16, -1), every)).exp()
    found = head.sample(row.expand(MANY, -1), torch.Generator().manual_seed(0))
    place = (found * torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)).sum(dim=1).long()
    shares = torch.bincount(place, minlength=16).double() / MANY
    assert bool(((shares - expected).abs() < 5 * (expected * (1 - expected) / MANY).sqrt() + 1e-9).all())


def test_a_chord_without_ties_is_a_row_of_independent_questions():
    head = chord(4, 3)
    nn.init.zeros_(head.weight_out)
    scores, answers = drawn(16, 7), patterns(4)
    assert_close(head.loss(scores, answers), Bits(4).loss(scores[:, :4], answers))
    assert bool((head.answer(scores) == Bits(4).answer(scores[:, :4])).all())


def test_the_answer_of_a_chord_is_the_more_probable_one_in_turn():
    head, scores = chord(4, 3), drawn(6, 7, seed=3)
    for row, answer in zip(scores, head.answer(scores), strict=True):
        for k in range(4):
            # Of all patterns that begin as the answer does, the next question is more probably answered so.
            same = patterns(4)[(patterns(4)[:, :k] == answer[:k]).all(dim=1)]
            shares = (-head.loss(row.expand(len(same), -1), same)).exp().detach()
            yes = float(shares[same[:, k] == 1].sum() / shares.sum())
            assert bool(answer[k]) is (yes > 0.5)


def test_gradients_of_a_chord_are_those_of_differences():
    head, answers = chord(3, 2), patterns(3)
    scores = drawn(8, 5).requires_grad_()

    def loss(given, inward, outward):
        return torch.func.functional_call(head, {"weight_in": inward, "weight_out": outward}, (given, answers))

    head.forward = head.loss
    weights = [weight.detach().clone().requires_grad_() for weight in head.parameters()]
    assert torch.autograd.gradcheck(loss, [scores, *weights])


def test_classes_come_as_often_as_they_are_probable():
    row = drawn(1, 5, seed=1)
    found = Choice(5).sample(row.expand(MANY, -1), torch.Generator().manual_seed(0))
    shares, expected = torch.bincount(found, minlength=5).double() / MANY, row[0].softmax(0)
    assert bool(((shares - expected).abs() < 5 * (expected * (1 - expected) / MANY).sqrt()).all())
    again = Choice(5).sample(row.expand(MANY, -1), torch.Generator().manual_seed(0))
    assert bool((again == found).all())


def test_words_are_smoothed_in_training_only_and_padding_counts_nothing():
    scores, targets = drawn(6, 7), torch.tensor([3, -100, 0, 6, -100, 2])
    head = Words(7, smoothing=0.2)
    logs = scores.log_softmax(1)
    plain = [0.0 if t < 0 else -float(logs[n, t]) for n, t in enumerate(targets.tolist())]
    spread = [0.0 if t < 0 else -float(logs[n].mean()) for n, t in enumerate(targets.tolist())]
    mixed = [0.8 * one + 0.2 * other for one, other in zip(plain, spread, strict=True)]
    assert_close(head.loss(scores, targets), torch.tensor(mixed, dtype=torch.float64))
    head.eval()
    assert_close(head.loss(scores, targets), torch.tensor(plain, dtype=torch.float64))
    assert head.loss(scores.view(2, 3, 7), targets.view(2, 3)).shape == (2, 3)
    assert head.losses(scores[:, None], targets[:, None]).shape == (4,)
    measured = head.train().measure(scores[:, None], targets[:, None])["loss"]
    assert measured == pytest.approx(sum(plain) / 4)
    assert head.training


def test_what_is_read_is_the_text_one_step_late():
    head, symbols = Words(9), torch.tensor([[4, 5, 7], [6, 8, 7], [3, 8, 7]])
    read, targets = head.shift(symbols, torch.tensor([3, 1, 0]), start=1, end=2)
    assert read.T.tolist() == [[1, 4, 6, 3], [1, 5, 2, 2], [1, 2, 2, 2]]
    assert targets.T.tolist() == [[4, 6, 3, 2], [5, 2, -100, -100], [2, -100, -100, -100]]
    whole, all_of_it = head.shift(symbols, None, start=1, end=2)
    assert whole[1:].tolist() == symbols.tolist() == all_of_it[:-1].tolist()
    with pytest.raises(SizeError, match=r"The symbols are 2 to 9; expected numbers from 0 to 8."):
        head.shift(symbols + 2, torch.tensor([2, 1, 1]), start=1, end=2)
    with pytest.raises(SizeError, match=r"The lengths are \[4, 1, 0\]; expected 3 whole numbers from 0 to 3, one for"):
        head.shift(symbols, torch.tensor([4, 1, 0]), start=1, end=2)
    empty, asked = head.shift(torch.zeros(0, 2, dtype=torch.long), None, start=1, end=2)
    assert (empty.tolist(), asked.tolist()) == ([[1, 1]], [[2, 2]])


def test_legal_classes_have_to_score_above_all_others():
    head, legal = Choice(3), torch.tensor([[True, True, False]] * 3)
    scores = torch.tensor([[2.0, 1.0, 0.0], [2.0, 0.0, 1.0], [2.0, float("nan"), 0.0]])
    assert head.right(scores, torch.tensor([0, 0, 0]), legal).tolist() == [True, False, False]
    assert head.right(scores, torch.tensor([0, 0, 0])).tolist() == [True, True, False]


@pytest.mark.parametrize("name", HEADS)
def test_every_row_keeps_what_the_table_says(name):
    head = HEADS[name]() if name == "pen" else HEADS[name](3)
    assert isinstance(head, Head)
    assert isinstance(head.numbers, int)
    assert head.gives
    given = drawn(10, head.numbers).view(5, 2, -1)
    assert head.loss.__doc__
    targets = head.sample(given, torch.Generator().manual_seed(0))
    assert targets.shape == ((5, 2) if head.counted else (5, 2, head.size))
    assert bool(torch.equal(targets, head.sample(given, torch.Generator().manual_seed(0))))
    assert head.answer_all(given).shape == targets.shape
    found = head.measure(given, targets)
    assert {"loss"} <= found.keys() <= {"loss", "accuracy", "solved", "mean_absolute_error"}
    assert all(math.isfinite(value) for value in found.values())
    assert ("accuracy" in found) is head.judged()
    asked = head.losses(given, targets)
    assert found["loss"] == pytest.approx(float(asked.detach().sum()) / max(1, int(head.asked(targets).sum())))
    assert asked.shape == ((2,) if head.whole else (int(head.asked(targets).sum()),))
    if not head.whole:
        # Steps without a target count nothing.
        fewer = targets.clone()
        fewer[2] = -100 if head.counted else float("nan")
        kept = torch.tensor([0, 1, 3, 4])
        assert_close(head.losses(given, fewer), head.losses(given[kept], targets[kept]))
        assert head.measure(given, fewer) == pytest.approx(head.measure(given[kept], targets[kept]))


def test_an_unknown_head_gets_the_nearest_one_as_a_hint():
    with pytest.raises(ConfigError, match=r"There is no head 'mixtur'. Did you mean 'mixture'\? The heads are:"):
        HEADS["mixtur"]
    with pytest.raises(SizeError, match=r"smoothing is 1; expected a share from 0 to below 1\."):
        Words(3, smoothing=1)
