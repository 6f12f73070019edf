"""The n-gram: its probabilities sum to one after anything, and are the formula, counted by hand."""

import math
from itertools import product

import pytest

from gatework.decoding import NGram
from gatework.errors import DataError, SizeError

TEXTS = ["abracadabra", "abba", "", "cab"]


def counted(texts, order, before, symbol, vocabulary):
    """The Witten-Bell formula, with counts that are found anew in the texts for every question."""
    padded = [("^",) * (order - 1) + tuple(text) + ("$",) for text in texts]
    history = (("^",) * (order - 1) + tuple(before))[len(before) :] if order > 1 else ()

    def share(context):
        shorter = share(context[1:]) if context else None
        followers = [
            line[place]
            for line in padded
            for place in range(order - 1, len(line))
            if line[place - len(context) : place] == context
        ]
        below = 1 / len(vocabulary) if shorter is None else shorter
        kinds = len(set(followers))
        return (followers.count(symbol) + kinds * below) / (len(followers) + kinds) if followers else below

    return share(history)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_the_formula(order):
    ngram = NGram(TEXTS, order=order)
    assert ngram.symbols == ("a", "b", "r", "c", "d")
    for before in ("", "a", "ab", "xq", "rab", "abrac"):
        for symbol in "abrcd$":
            expected = counted(TEXTS, order, before, symbol, "abrcd$")
            found = ngram.probability(None if symbol == "$" else symbol, before)
            assert found == pytest.approx(expected, rel=1e-12)
            assert found > 0


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("unknown", [False, True])
def test_probabilities_sum_to_one(order, unknown):
    ngram = NGram(TEXTS, order=order, symbols="xyz", unknown=unknown)
    for before in ("", "a", "ca", "zzz", "abrac"):
        total = sum(ngram.probability(symbol, before) for symbol in (*ngram.symbols, None))
        assert total + (ngram.probability("?", before) if unknown else 0) == pytest.approx(1, abs=1e-12)


def test_all_texts_together_have_probability_one():
    ngram = NGram(["ab", "b", "aab"], order=3)
    total = sum(
        math.exp(ngram.log_probability(text, ended=len(text) < 9))
        for length in range(10)
        for text in product("ab", repeat=length)
    )
    assert total == pytest.approx(1, abs=1e-12)


def test_words_and_labels_are_symbols_too():
    words = NGram([["the", "cat"], ["the", "dog"]], order=2)
    assert words.probability("cat", ["the"]) == words.probability("dog", ["the"]) > words.probability("the", ["the"])
    labels = NGram([[1, 2], [1, 3]], order=2)
    assert labels.probability(2, [1]) == words.probability("cat", ["the"])
    assert words.log_probability(["the", "cat"]) == pytest.approx(labels.log_probability((1, 2)))


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(SizeError, match=r"order is 0; expected a whole number of 1 or more\."):
        NGram(TEXTS, order=0)
    with pytest.raises(DataError, match=r"There is no text to count; expected at least one\."):
        NGram([])
    with pytest.raises(DataError, match=r"A symbol is None, which stands for the end of a text"):
        NGram([["a", None]])
    with pytest.raises(DataError, match=r"The symbol 'x' is in no text of the n-gram\. Give it as one of symbols, or"):
        NGram(TEXTS).probability("x")
