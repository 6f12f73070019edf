"""Transcripts: the loss is the sum over every path, one by one; and what no path has is refused."""

import math
from collections import Counter
from itertools import product

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn

from gatework.errors import DataError
from gatework.heads import Transcript
from gatework.heads.transcript import count_edits


def drawn(steps, rows, size, seed=0):
    return torch.randn(steps, rows, size + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels_of(path, blank):
    """Take repeats and blanks out of a path, step by step."""
    found = []
    for place, one in enumerate(path):
        if one != blank and (place == 0 or path[place - 1] != one):
            found.append(one)
    return tuple(found)


def every_labelling(scores, blank):
    """The probability of every labelling of one sequence ``[T, K + 1]``, summed over all paths."""
    shares, total = scores.softmax(dim=1).tolist(), Counter()
    for path in product(range(blank + 1), repeat=len(shares)):
        total[labels_of(path, blank)] += math.prod(row[one] for row, one in zip(shares, path, strict=True))
    return total


def padded(rows, steps):
    targets = torch.full((steps, len(rows)), -100)
    for column, row in enumerate(rows):
        targets[: len(row), column] = torch.tensor(row, dtype=torch.long)
    return targets


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_loss_is_the_sum_over_all_paths(size):
    head = Transcript(size)
    lengths = torch.tensor([5, 4, 3, 1, 5])
    rows = [[0, 0], [0], [], [size - 1], [0, size - 1]]
    scores = drawn(5, 5, size, seed=size)
    found = head.losses(scores, padded(rows, 5), lengths)
    expected = [
        -math.log(every_labelling(scores[:length, column], size)[tuple(rows[column])])
        for column, length in enumerate(lengths.tolist())
    ]
    assert_close(found, torch.tensor(expected, dtype=torch.float64))
    # Fewer rows of targets hold the same labels.
    assert_close(head.losses(scores, padded(rows, 2), lengths), found)


def test_all_labellings_together_have_probability_one():
    head, scores = Transcript(2), drawn(4, 1, 2)
    known = every_labelling(scores[:, 0], 2)
    assert sum(known.values()) == pytest.approx(1)
    rows = [list(labels) for labels in known]
    nats = head.losses(scores.expand(4, len(rows), 3), padded(rows, 4))
    assert float((-nats).exp().sum()) == pytest.approx(1, abs=1e-12)


def test_gradients_are_those_of_differences():
    head, targets, lengths = Transcript(2), padded([[0, 0], [1], []], 4), torch.tensor([4, 2, 3])
    scores = drawn(4, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: head.losses(given, targets, lengths), [scores])


def test_what_lies_beyond_the_end_of_a_sequence_is_not_read():
    head, targets, lengths = Transcript(2), padded([[1], [0, 1]], 4), torch.tensor([2, 4])
    scores = drawn(4, 2, 2)
    other = scores.clone()
    other[2:, 0] = 99.0
    torch.testing.assert_close(head.losses(scores, targets, lengths), head.losses(other, targets, lengths))
    assert head.answers(scores, lengths)[0] == head.answers(scores[:2, :1])[0]


def test_the_map_of_a_model_is_taken_before_the_loss():
    head, targets, output = Transcript(2), padded([[0]], 1), torch.randn(3, 1, 6)
    linear = nn.Linear(6, 3)
    torch.testing.assert_close(head.losses(output, targets, None, linear), head.losses(linear(output), targets))
    half = head.losses(output.bfloat16()[..., :3], targets)
    torch.testing.assert_close(half, head.losses(output.bfloat16()[..., :3].float(), targets))


def test_labellings_come_as_often_as_they_are_probable():
    head, scores, many = Transcript(2), drawn(3, 1, 2, seed=4), 20_000
    found = head.sample(scores.expand(3, many, 3), torch.Generator().manual_seed(0))
    counts = Counter(tuple(label for label in row if label >= 0) for row in found.T.tolist())
    for labels, share in every_labelling(scores[:, 0], 2).items():
        assert abs(counts[labels] / many - share) < 5 * (share * (1 - share) / many) ** 0.5


def test_best_paths_are_collapsed():
    head = Transcript(2)
    paths = torch.tensor([[0, 0, 2, 0, 1, 1], [2, 2, 2, 2, 2, 2], [1, 0, 1, 1, 0, 0]]).T
    scores = nn.functional.one_hot(paths, 3).double()
    assert head.answers(scores) == [[0, 0, 1], [], [1, 0, 1, 0]]
    assert head.answers(scores, torch.tensor([4, 6, 1])) == [[0, 0], [], [1]]
    assert head.answer(scores).T.tolist() == [
        [0, 0, 1, -100, -100, -100],
        [-100] * 6,
        [1, 0, 1, 0, -100, -100],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_edits_are_the_fewest(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = (torch.randint(0, 3, (size,), generator=generator).tolist() for size in (4, 5))

    def fewest(first, second):  # by trying all ways
        if not first or not second:
            return len(first) + len(second)
        swapped = fewest(first[1:], second[1:]) + (first[0] != second[0])
        return min(swapped, fewest(first[1:], second) + 1, fewest(first, second[1:]) + 1)

    assert count_edits(one, other) == fewest(one, other) == count_edits(other, one)


def test_the_metrics_are_those_of_labels():
    head = Transcript(2)
    paths = torch.tensor([[0, 2, 1, 1], [0, 1, 0, 2], [2, 2, 2, 2]]).T
    scores = nn.functional.one_hot(paths, 3) * 9.0
    targets = padded([[0, 1], [1], [0]], 4)  # right; two insertions; one deletion
    found = head.measure(scores, targets)
    assert (found["accuracy"], found["solved"]) == (pytest.approx(1 - 3 / 4), pytest.approx(1 / 3))
    scores[0, 0, 0] = float("nan")
    assert head.wrong(scores, targets).tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    ("rows", "lengths", "message"),
    [
        (
            [[0, 0], [1]],
            [2, 2],
            "Sequence 0 has 2 steps, and its 2 labels with 1 repeats need 3. Leave it out, or",
        ),
        ([[0], [1, 0]], [2, 1], "Sequence 1 has 1 steps, and its 2 labels with 0 repeats need 2."),
        (
            [[0], [2]],
            [2, 2],
            "The labels of a sequence are -100 to 2; expected numbers from 0 to 1 from the first",
        ),
        ([[0], [-100, 1]], [2, 2], "expected numbers from 0 to 1 from the first step on, and -100 after the last of"),
        ([[0], [-1]], [2, 2], "The labels of a sequence are -100 to 0; expected numbers from 0 to 1"),
    ],
)
def test_labels_that_no_path_has_are_refused(rows, lengths, message):
    with pytest.raises(DataError) as refused:
        Transcript(2).losses(drawn(2, 2, 2), padded(rows, 2), torch.tensor(lengths))
    assert message in str(refused.value)


def test_no_sequences_have_no_losses():
    head = Transcript(2)
    none = torch.zeros(0, 2, dtype=torch.long)
    # Without steps there are no labels, and that is certain; without labels every step is a blank.
    assert head.losses(torch.zeros(0, 2, 3), none).tolist() == [0.0, 0.0]
    scores = drawn(3, 2, 2)
    expected = -scores.log_softmax(-1)[..., 2].cumsum(0)
    found = head.losses(scores, none, torch.tensor([3, 0]))
    assert_close(found, torch.stack([expected[2, 0], torch.zeros_like(expected[0, 0])]))
    with pytest.raises(DataError, match="Sequence 0 has 0 steps, and its 1 labels with 0 repeats need 1"):
        head.losses(scores, padded([[1], []], 2), torch.tensor([0, 3]))
    assert head.losses(torch.zeros(3, 0, 3), torch.zeros(3, 0, dtype=torch.long)).shape == (0,)
    assert head.answers(torch.zeros(3, 0, 3)) == []
