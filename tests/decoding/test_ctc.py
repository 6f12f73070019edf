"""Labels from scores: with all prefixes kept, the search finds what trying every path finds, n-gram or not."""

import math
from collections import Counter
from itertools import product

import pytest
import torch

from gatework.decoding import NGram, ctc_best_path, ctc_prefix_search
from gatework.errors import DataError, SizeError
from gatework.heads import Transcript


def drawn(steps, rows, count, seed=0, spread=1.5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, rows, count, generator=generator, dtype=torch.float64) * spread


def labels_of(path, blank):
    found = []
    for place, one in enumerate(path):
        if one != blank and (place == 0 or path[place - 1] != one):
            found.append(one)
    return tuple(found)


def every_labelling(scores, blank):
    """The probability of every labelling of one row ``[T, K]``, summed over all paths."""
    shares, total = scores.softmax(dim=1).tolist(), Counter()
    for path in product(range(scores.shape[1]), repeat=len(shares)):
        total[labels_of(path, blank)] += math.prod(row[one] for row, one in zip(shares, path, strict=True))
    return total


def pairs(hypotheses):
    return {one.symbols: one.score for one in hypotheses}


@pytest.mark.parametrize("blank", [0, 1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_with_all_prefixes_kept_every_labelling_is_found_with_its_probability(seed, blank):
    lengths = torch.tensor([5, 3, 0, 4])
    scores = drawn(5, 4, 3, seed)
    for row, found in enumerate(ctc_prefix_search(scores, lengths, blank, width=200)):
        expected = every_labelling(scores[: lengths[row], row], blank % 3)
        assert pairs(found) == pytest.approx({labels: math.log(share) for labels, share in expected.items()})
        assert [one.score for one in found] == sorted(pairs(found).values(), reverse=True)
        assert all(one.score == one.log_probability for one in found)
        assert all(one.ended for one in found)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_n_gram_of_labels_counts_as_the_formula_says(order):
    ngram = NGram([[0, 1, 1], [1, 0, 1], [0]], order=order)
    scores, weight, bonus = drawn(5, 2, 3, seed=order), 0.7, 0.4
    for row, found in enumerate(ctc_prefix_search(scores, width=200, ngram=ngram, weight=weight, bonus=bonus)):
        expected = {
            labels: math.log(share) + weight * ngram.log_probability(labels) + bonus * len(labels)
            for labels, share in every_labelling(scores[:, row], 2).items()
        }
        assert pairs(found) == pytest.approx(expected)
        assert found[0].symbols == max(expected, key=lambda labels: expected[labels])


def words_of(labels, space):
    words, word = [], ()
    for label in (*labels, space):
        if label != space:
            word = (*word, label)
        elif word:
            words.append(word)
            word = ()
    return words


@pytest.mark.parametrize("seed", range(3))
def test_an_n_gram_of_words_counts_as_the_formula_says(seed):
    space = 1
    ngram = NGram([[(0,), (0, 0)], [(0,)], []], order=2, unknown=True)
    scores, weight, bonus = drawn(6, 1, 3, seed), 1.3, -0.2
    (found,) = ctc_prefix_search(scores, width=500, ngram=ngram, weight=weight, bonus=bonus, space=space)
    expected = {}
    for labels, share in every_labelling(scores[:, 0], 2).items():
        words = words_of(labels, space)
        expected[labels] = math.log(share) + weight * ngram.log_probability(words) + bonus * len(words)
    assert pairs(found) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_only_the_words_of_an_n_gram_without_room_for_others_are_searched_for(seed):
    space = 1
    ngram = NGram([[(0,), (0, 2)], [(0,)], []], order=2)
    scores, weight, bonus = drawn(5, 1, 4, seed), 0.7, 0.4
    (found,) = ctc_prefix_search(scores, width=2000, ngram=ngram, weight=weight, bonus=bonus, space=space)
    expected = {}
    for labels, share in every_labelling(scores[:, 0], 3).items():
        words = words_of(labels, space)
        if set(words) <= {(0,), (0, 2)}:
            expected[labels] = math.log(share) + weight * ngram.log_probability(words) + bonus * len(words)
    assert len(expected) > 10
    assert pairs(found) == pytest.approx(expected)


def test_a_search_that_keeps_no_whole_word_says_so_by_its_score():
    scores = torch.full((1, 1, 4), -50.0)
    scores[0, 0, 0] = 0.0
    ngram = NGram([[(0, 2)]], order=1)
    (found,) = ctc_prefix_search(scores, width=1, ngram=ngram, space=1)
    assert [(one.symbols, one.score) for one in found] == [((0,), -math.inf)]


def naive(logs, blank, width):
    """The search of one row as Hannun et al. write it, with a table of two numbers for each prefix."""
    beams = {(): (0.0, -math.inf)}

    def add(one, other):
        largest = max(one, other)
        return (
            largest if largest == -math.inf else largest + math.log(math.exp(one - largest) + math.exp(other - largest))
        )

    for now in logs:
        table = {}

        def grow(prefix, place, nats, table=table):
            entry = list(table.get(prefix, (-math.inf, -math.inf)))
            entry[place] = add(entry[place], nats)
            table[prefix] = tuple(entry)

        for prefix, (blanked, labelled) in beams.items():
            both = add(blanked, labelled)
            grow(prefix, 0, both + now[blank])
            for label, nats in enumerate(now):
                if label == blank:
                    continue
                if prefix and prefix[-1] == label:
                    grow(prefix, 1, labelled + nats)
                    grow((*prefix, label), 1, blanked + nats)
                else:
                    grow((*prefix, label), 1, both + nats)
        beams = dict(sorted(table.items(), key=lambda one: -add(*one[1]))[:width])
    return {prefix: add(*entry) for prefix, entry in beams.items() if add(*entry) > -math.inf}


@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_narrow_searches_are_those_of_the_paper(seed, width):
    scores = drawn(25, 2, 5, seed)
    for row, found in enumerate(ctc_prefix_search(scores, width=width)):
        expected = naive(scores[:, row].log_softmax(-1).tolist(), 4, width)
        assert pairs(found) == pytest.approx(expected)


def test_the_sum_over_paths_is_torchs():
    scores = drawn(12, 3, 4, spread=3.0)
    head = Transcript(3)
    for row, found in enumerate(ctc_prefix_search(scores, width=3000)):
        best = found[0]
        targets = torch.tensor(best.symbols)[:, None]
        nats = head.losses(scores[:, row : row + 1], targets)
        assert best.log_probability == pytest.approx(-float(nats))


def test_the_most_probable_labels_need_not_be_on_the_best_path():
    scores = torch.tensor([[[0.4, 0.6]], [[0.4, 0.6]]]).log()
    assert ctc_best_path(scores) == [[]]
    assert ctc_prefix_search(scores)[0][0].symbols == (0,)


def test_the_best_path_is_read_to_the_end_of_each_row():
    paths = torch.tensor([[1, 1, 0, 1, 2, 2], [0, 0, 0, 0, 0, 0], [2, 1, 2, 2, 1, 1]]).T
    scores = torch.nn.functional.one_hot(paths, 3).double()
    assert ctc_best_path(scores, blank=0) == [[1, 1, 2], [], [2, 1, 2, 1]]
    assert ctc_best_path(scores, torch.tensor([2, 0, 1]), blank=0) == [[1], [], [2]]
    assert ctc_best_path(scores[:0]) == ctc_best_path(scores, torch.tensor([0, 0, 0])) == [[], [], []]


def test_an_n_gram_corrects_what_was_misheard():
    """ "the" is heard as "thr": the n-gram of a person's texts prefers what they write."""
    letters = "ethr"
    texts = [[letters.index(letter) for letter in word] for word in ("the", "the", "three", "there")]
    heard = torch.full((5, 1, 5), -4.0)
    for step, letter in enumerate("thr"):
        heard[step, 0, letters.index(letter)] = 0.0
    heard[2, 0, letters.index("e")] = -0.5
    heard[3:, 0, 4] = 0.0
    assert [letters[label] for label in ctc_prefix_search(heard)[0][0].symbols] == ["t", "h", "r"]
    (found,) = ctc_prefix_search(heard, ngram=NGram(texts, order=3))
    assert [letters[label] for label in found[0].symbols] == ["t", "h", "e"]


def test_equal_labels_come_in_one_order():
    found = ctc_prefix_search(torch.zeros(2, 3, 3), width=4)
    assert found[0] == found[1] == found[2]
    again = ctc_prefix_search(torch.zeros(2, 1, 3), width=4)
    assert again[0] == found[0]


def test_what_has_probability_0_is_not_found():
    scores = torch.full((3, 1, 3), float("-inf"))
    scores[:, 0, 0] = 0.0
    assert [one.symbols for one in ctc_prefix_search(scores)[0]] == [(0,)]


def test_no_rows_and_no_steps():
    assert ctc_prefix_search(torch.zeros(3, 0, 2)) == ctc_best_path(torch.zeros(3, 0, 2)) == []
    assert [[one.symbols for one in row] for row in ctc_prefix_search(torch.zeros(0, 2, 3))] == [[()], [()]]


LABELS = NGram([[0]])


@pytest.mark.parametrize(
    ("scores", "options", "error", "message"),
    [
        (torch.zeros(3, 2), {}, SizeError, "The scores have the shape [3, 2] of torch.float32; expected [T, B, K]"),
        (torch.zeros(3, 2, 1), {}, SizeError, "expected [T, B, K], time first, for one label or more and the blank."),
        (torch.zeros(3, 2, 3).long(), {}, SizeError, "The scores have the shape [3, 2, 3] of torch.int64"),
        (
            torch.zeros(3, 2, 3),
            {"blank": 3},
            SizeError,
            "blank is 3; expected a number from 0 to 2",
        ),
        (torch.zeros(3, 2, 3), {"width": 0}, SizeError, "width is 0; expected a whole number of 1 or more."),
        (
            torch.zeros(3, 2, 3),
            {"space": 1},
            SizeError,
            "space is 1, and no n-gram is given; expected",
        ),
        (
            torch.zeros(3, 2, 3),
            {"space": 2, "ngram": LABELS},
            SizeError,
            "space is 2, and the blank is 2; expected",
        ),
        (torch.zeros(3, 2, 3), {"weight": -1.0}, SizeError, "weight is -1.0 and bonus is 0.0; expected finite numbers"),
        (torch.zeros(3, 2, 3), {"bonus": math.nan}, SizeError, "bonus is nan; expected finite numbers"),
        (
            torch.zeros(3, 2, 3),
            {"lengths": torch.tensor([4, 1])},
            SizeError,
            "The lengths are [4, 1]; expected",
        ),
        (
            torch.zeros(3, 2, 3),
            {"ngram": LABELS},
            DataError,
            "The symbol 1 is in no text of the n-gram.",
        ),
        (torch.full((3, 2, 3), math.nan), {}, DataError, "The scores of row 0 are NaN or all -inf at a step"),
        (
            torch.full((3, 2, 3), -math.inf),
            {},
            DataError,
            "The scores of row 0 are NaN or all -inf at a step",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(scores, options, error, message):
    with pytest.raises(error) as refused:
        ctc_prefix_search(scores, **options)
    assert message in str(refused.value)
