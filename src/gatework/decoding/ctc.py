"""From the scores of a transcript to its labels: the best path, and the search over prefixes (CTC)."""

from collections.abc import Hashable
from functools import cache
from math import inf, log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.decoding.beam import Hypothesis
from gatework.decoding.ngram import END, NGram
from gatework.errors import DataError, SizeError

Labels = tuple[int, ...]


def ctc_best_path(scores: Tensor, lengths: Tensor | None = None, blank: int = -1) -> list[list[int]]:
    """Give the labels of the most probable path of each row.

    The most probable labels may be others, because many paths can lead to them: see :func:`ctc_prefix_search`.

    Args:
        scores: Unnormalised log-probabilities of labels and blank ``[T, B, K]``.
        lengths: The number of steps of each row ``[B]``; None if all have T.
        blank: The number of the blank among the K; by default the last.

    Returns:
        The labels of each row.

    Raises:
        SizeError: If a size does not fit.

    Source:
        Graves et al. 2006 (doi:10.1145/1143844.1143891), section 3.2.

    Example:
        >>> scores = torch.tensor([[[2.0, 0, 0]], [[2.0, 0, 0]], [[0, 0, 2.0]], [[2.0, 0, 0]], [[0, 2.0, 0]]])
        >>> ctc_best_path(scores)
        [[0, 0, 1]]
    """
    last, number = _check(scores, lengths, blank)
    found = collapse(scores.argmax(dim=-1), number, last)
    return [row[:count] for row, count in zip(found[0].T.tolist(), found[1].tolist(), strict=True)]


def collapse(paths: Tensor, blank: int, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Take repeats and then blanks out of paths.

    Args:
        paths: A label or the blank for each step ``[T, B]``.
        blank: The number of the blank.
        lengths: The number of steps of each row ``[B]``; None if all have T.

    Returns:
        The labels ``[T, B]``, with the rest of the path after them; and how many they are ``[B]``.

    Example:
        >>> labels, counts = collapse(torch.tensor([[0], [0], [2], [0], [1]]), blank=2)
        >>> labels[: counts[0], 0].tolist()
        [0, 0, 1]
    """
    kept = paths != blank
    kept[1:] &= paths[1:] != paths[:-1]
    if lengths is not None:
        kept &= torch.arange(len(paths), device=paths.device)[:, None] < lengths.to(paths.device)
    # A stable sort brings what is kept to the front, in its order.
    order = torch.argsort(kept.to(torch.int8), dim=0, descending=True, stable=True)
    return paths.gather(0, order), kept.sum(dim=0)


def ctc_prefix_search(
    scores: Tensor,
    lengths: Tensor | None = None,
    blank: int = -1,
    *,
    width: int = 16,
    ngram: NGram | None = None,
    weight: float = 1.0,
    bonus: float = 0.0,
    space: int | None = None,
) -> list[list[Hypothesis]]:
    """Search for the most probable labels of each row, summed over all paths that lead to them.

    After each step, the ``width`` most probable prefixes are kept. If no prefix is ever dropped, the result is exact.

    Args:
        scores: Unnormalised log-probabilities of labels and blank ``[T, B, K]``.
        lengths: The number of steps of each row ``[B]``; None if all have T.
        blank: The number of the blank among the K; by default the last.
        width: The number of prefixes W.
        ngram: What says how probable labels are in the texts of a person; its symbols are the numbers of labels. With
            ``space``, its symbols are words, each a tuple of labels; if it has no room for unknown ones, only its words
            are searched for.
        weight: What the log-probability by the n-gram counts, beside the one by the scores.
        bonus: What is added for each label, or with ``space`` for each word, because an n-gram prefers short texts.
        space: The label that stands between words, for an n-gram of words.

    Returns:
        For each row at most W hypotheses, the best one first. Their ``log_probability`` is the one by the scores, and
        ``score`` is the sum that they are ranked by. If all that were kept end within a word, where only known words
        are searched for, it is -inf.

    Raises:
        SizeError: If a size or a setting does not fit.
        DataError: If the scores of a row are NaN, or the n-gram does not know a label.

    Source:
        Graves et al. 2006 (doi:10.1145/1143844.1143891), section 3.2; Hannun, Maas, Jurafsky & Ng 2014
        (arXiv:1408.2873), algorithm 1, for the n-gram and its weight and bonus.

    Example:
        >>> scores = torch.tensor([[[0.4, 0.6]], [[0.4, 0.6]]]).log()
        >>> ctc_best_path(scores), [one.symbols for one in ctc_prefix_search(scores)[0]]
        ([[]], [(0,), ()])
        >>> print(round(np.exp(ctc_prefix_search(scores)[0][0].score), 2))  # paths 0 0, 0 blank, blank 0
        0.64
    """
    last, number = _check(scores, lengths, blank)
    if type(width) is not int or width < 1:
        raise SizeError(f"width is {width!r}; expected a whole number of 1 or more.")
    if space is not None and (ngram is None or not 0 <= space < scores.shape[2] or space == number):
        given = "no n-gram is given" if ngram is None else f"the blank is {number}"
        raise SizeError(f"space is {space!r}, and {given}; expected the label between words, for an n-gram of words.")
    if not (np.isfinite(weight) and weight >= 0 and np.isfinite(bonus)):
        raise SizeError(f"weight is {weight!r} and bonus is {bonus!r}; expected finite numbers, the weight 0 or more.")
    known = [label for label in range(scores.shape[2]) if label != number]
    knowledge = _Knowledge(ngram, weight, bonus, space, known)
    logs = scores.double().log_softmax(dim=-1).cpu().numpy()
    found = []
    for row in range(scores.shape[1]):
        mine = logs[: int(last[row]), row]
        if np.isnan(mine).any():
            raise DataError(f"The scores of row {row} are NaN or all -inf at a step; expected log-probabilities.")
        found.append(_search(mine, number, width, knowledge))
    return found


def _check(scores: Tensor, lengths: Tensor | None, blank: int) -> tuple[Tensor, int]:
    """Refuse scores that are none; return the lengths and the number of the blank."""
    if scores.dim() != 3 or scores.shape[2] < 2 or not scores.is_floating_point():
        raise SizeError(
            f"The scores have the shape {list(scores.shape)} of {scores.dtype}; expected [T, B, K], time first, for "
            "one label or more and the blank."
        )
    steps, rows, count = scores.shape
    if not -count <= blank < count:
        raise SizeError(f"blank is {blank}; expected a number from 0 to {count - 1}, or -1 for the last.")
    last = torch.full((rows,), steps) if lengths is None else lengths.cpu()
    if last.shape != (rows,) or bool(((last < 0) | (last > steps)).any()):
        raise SizeError(
            f"The lengths are {last.tolist()}; expected {rows:,} whole numbers from 0 to {steps:,}, one for each row."
        )
    return last, blank % count


class _Knowledge:
    """What an n-gram adds to the score of labels, as they grow.

    Args:
        ngram: The n-gram; None if there is none.
        weight: What its log-probabilities count.
        bonus: What is added for each label or word.
        space: The label between words; None for an n-gram of labels.
        labels: All labels.
    """

    def __init__(self, ngram: NGram | None, weight: float, bonus: float, space: int | None, labels: list[int]) -> None:
        self.ngram, self.weight, self.bonus, self.space, self.labels = ngram, weight, bonus, space, labels
        self._of_labels = cache(self._after)
        # What a word can begin with, where only the words of the n-gram are searched for.
        self._lexicon: set[Labels] | None = None
        if ngram is not None and space is not None and not ngram.unknown:
            words = [word for word in ngram.symbols if isinstance(word, tuple)]
            self._lexicon = {word[:length] for word in words for length in range(len(word) + 1)}

    def grown(self, prefix: Labels) -> NDArray[np.float64]:
        """Return what each further label adds to the score of a prefix ``[K - 1]``."""
        added = np.full(len(self.labels), 0.0 if self.space is not None else self.bonus)
        if self.ngram is not None and self.space is None:
            return added + self._of_labels(self.ngram.context(prefix))
        if self.space is not None:
            added[self.labels.index(self.space)] = self._of_word(prefix)
            if self._lexicon is not None:
                word = self._last(prefix)
                for place, label in enumerate(self.labels):
                    if label != self.space and (*word, label) not in self._lexicon:
                        added[place] = -inf
        return added

    def ended(self, prefix: Labels) -> float:
        """Return what the end adds to the score of all labels."""
        if self.ngram is None:
            return 0.0
        if self.space is None:
            return self.weight * log(self.ngram.probability(END, prefix))
        word = self._of_word(prefix)
        return word if word == -inf else word + self.weight * log(self.ngram.probability(END, self._words(prefix)))

    def _after(self, context: tuple[Hashable, ...]) -> NDArray[np.float64]:
        """Return what the n-gram says of each label after others ``[K - 1]``."""
        assert self.ngram is not None
        return np.array([self.weight * log(self.ngram.probability(label, context)) for label in self.labels])

    def _last(self, prefix: Labels) -> Labels:
        """Return what follows the last space of a prefix."""
        begin = next((place for place in range(len(prefix), 0, -1) if prefix[place - 1] == self.space), 0)
        return prefix[begin:]

    def _words(self, prefix: Labels) -> list[Labels]:
        """Return the words of a prefix, the last of which need not be complete; there are no empty ones."""
        words: list[list[int]] = [[]]
        for label in prefix:
            if label == self.space:
                words.append([])
            else:
                words[-1].append(label)
        return [tuple(word) for word in words if word]

    def _of_word(self, prefix: Labels) -> float:
        """Return what the completion of the last word adds; nothing if it has no labels."""
        if not prefix or prefix[-1] == self.space:
            return 0.0
        assert self.ngram is not None
        *before, word = self._words(prefix)
        if self._lexicon is not None and word not in self.ngram.symbols:
            return -inf
        return self.weight * log(self.ngram.probability(word, before)) + self.bonus


def _search(logs: NDArray[np.float64], blank: int, width: int, knowledge: _Knowledge) -> list[Hypothesis]:
    """Search one row ``[T, K]`` of log-probabilities."""
    prefixes: list[Labels] = [()]
    # The log-probability of each prefix over paths that end with a blank, and with its last label; what knowledge adds.
    blanks, labels, known = np.zeros(1), np.full(1, -inf), np.zeros(1)
    names = np.array(knowledge.labels)
    column = {label: place for place, label in enumerate(knowledge.labels)}
    adds: dict[Labels, NDArray[np.float64]] = {}
    for now in logs:
        both = np.logaddexp(blanks, labels)
        grown = both[:, None] + now[names]  # [n, K - 1]: one more label
        stay = np.full(len(prefixes), -inf)  # the last label once more, without a blank between
        for place, prefix in enumerate(prefixes):
            if prefix:
                grown[place, column[prefix[-1]]] = blanks[place] + now[prefix[-1]]
                stay[place] = labels[place] + now[prefix[-1]]
        where = {prefix: place for place, prefix in enumerate(prefixes)}
        for prefix, place in where.items():
            parent = where.get(prefix[:-1]) if prefix else None
            if parent is not None:  # the parent grows into a prefix that is there already
                spot = parent, column[prefix[-1]]
                stay[place] = np.logaddexp(stay[place], grown[spot])
                grown[spot] = -inf
        adds = {prefix: adds[prefix] if prefix in adds else knowledge.grown(prefix) for prefix in prefixes}
        added = known[:, None] + np.stack([adds[prefix] for prefix in prefixes])
        blanks = both + now[blank]
        ranked = np.concatenate([np.logaddexp(blanks, stay) + known, (grown + added).ravel()])
        taken = np.argsort(-ranked, kind="stable")[:width]
        taken = taken[ranked[taken] > -inf]
        count = len(prefixes)
        old, new = taken[taken < count], taken[taken >= count] - count
        source, label = new // len(names), new % len(names)
        prefixes = [prefixes[place] for place in old] + [
            (*prefixes[place], int(names[one])) for place, one in zip(source, label, strict=True)
        ]
        blanks = np.concatenate([blanks[old], np.full(len(new), -inf)])
        labels = np.concatenate([stay[old], grown[source, label]])
        known = np.concatenate([known[old], added[source, label]])
    nats = np.logaddexp(blanks, labels)
    found = [
        Hypothesis(prefix, float(nats[place] + known[place] + knowledge.ended(prefix)), float(nats[place]))
        for place, prefix in enumerate(prefixes)
    ]
    ended = [one for one in found if one.score > -inf]  # the others end within a word that has to be a known one
    return sorted(ended or found, key=lambda one: -one.score)
