"""The metrics of translations: the loss of the known ones, and the BLEU of those that the model finds."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import torch

from gatework.data.sentences import Sentences
from gatework.lazy import late
from gatework.models.loss import widened
from gatework.models.translator import Translator
from gatework.training.jobs.kind import Wish
from gatework.training.jobs.translation_data import Bilingual, PairedText

# The package that measures BLEU may not be installed.
_count: Callable[..., list[float]] = late("gatework.models.bleu", "count_matches")
_score: Callable[..., float] = late("gatework.models.bleu", "score_matches")
signature: Callable[..., str] = late("gatework.models.bleu", "signature")

# Sentences that are read at once; each has as many rows as there are beams.
_ROWS = 256
_COUNTS = 10


@dataclass(frozen=True)
class TranslationScore:
    """The metrics of a model on sentences; the scores of parts add up.

    Args:
        loss: The sum of the cross entropy of the known translations, in nats.
        asked: The number of their symbols.
        right: The number of symbols of which the model finds the known one most probable, after the known ones before.
        counts: What BLEU is made of; empty if nothing was translated.
    """

    loss: float
    asked: int
    right: int = 0
    counts: tuple[float, ...] = ()

    def sums(self) -> list[float]:
        """Return the sums, which add up over several processes."""
        return [self.loss, self.asked, self.right, *(self.counts or (0.0,) * _COUNTS)]

    @classmethod
    def of(cls, sums: Sequence[float]) -> "TranslationScore":
        """Make one score from the sums of several."""
        loss, asked, right, *counts = sums
        return cls(loss, int(asked), int(right), tuple(counts))

    def named(self) -> dict[str, float]:
        """Return the loss per symbol in nats, the perplexity, and for what was translated accuracy and BLEU."""
        loss = self.loss / max(1, self.asked)
        values = {"loss": loss, "perplexity": exp(min(loss, 709.0))}
        if self.counts:
            values |= {"accuracy": self.right / max(1, self.asked), "bleu": _score(self.counts)}
        return values


@torch.no_grad()
def find_translations(model: Translator, vocabulary: Bilingual, lines: Sequence[str], wish: Wish) -> list[Any]:
    """Translate sentences; the longest first, so that few symbols are padding.

    Args:
        model: The model. It is set to evaluation mode, and afterwards back to its mode.
        vocabulary: The vocabularies.
        lines: The sentences, of which none is empty.
        wish: How to search.

    Returns:
        The hypotheses of each sentence, the best one first, in the order of the sentences.
    """
    training, device = model.training, model.head.weight.device
    model.eval()
    order = sorted(range(len(lines)), key=lambda number: -len(lines[number]))
    found: list[Any] = [None] * len(lines)
    size = max(1, _ROWS // wish.beams)
    for begin in range(0, len(order), size):
        which = order[begin : begin + size]
        source, lengths = vocabulary.read([lines[number] for number in which])
        how = {"beams": wish.beams, "penalty": wish.penalty}
        rows = model.translate(source.to(device), lengths, vocabulary.end, **how)
        for number, row in zip(which, rows, strict=True):
            found[number] = row
    model.train(training)
    return found


@torch.no_grad()
def measure_translations(
    model: Translator, text: PairedText, split: str, wish: Wish, lowercase: bool, share: tuple[int, int] = (0, 1)
) -> TranslationScore:
    """Measure a model on a split: its loss on the known translations, and the BLEU of its own.

    Args:
        model: The model. It is set to evaluation mode, and afterwards back to its mode.
        text: The sentences.
        split: The split.
        wish: How to search for translations.
        lowercase: Whether capitals count as small letters.
        share: The rank of this process and the number of processes; each measures only its share of the sentences.

    Returns:
        The score of this share.
    """
    training, weight = model.training, model.head.weight
    model.eval()
    rank, size = share
    loss, asked, right, mine = 0.0, 0, 0, []
    for which in _batches(text, split, rank, size):
        mine += which.tolist()
        batch = text.batch(split, which, model.answers.shift)
        before, targets = batch.before.to(weight.device), batch.targets.to(weight.device)
        scores = model(batch.source.to(weight.device), batch.lengths, before)
        loss += float(widened(model.answers.losses(scores, targets)).sum())
        counted = targets != -100
        asked += int(counted.sum())
        right += int((scores.argmax(-1) == targets)[counted].sum())
    model.train(training)
    sentences = text.splits[split].chosen(sorted(mine))
    rows = find_translations(model, text.vocabulary, sentences.source, wish)
    found = [text.vocabulary.write(row[0].symbols) if row else "" for row in rows]
    return TranslationScore(loss, asked, right, tuple(_count(found, sentences.target, lowercase=lowercase)))


def _batches(text: PairedText, split: str, rank: int, size: int) -> Iterator[Any]:
    return iter(text.by_length(split, _ROWS // 4)[rank::size])


def measure_trivial(train: Sentences, held: Sentences, *, lowercase: bool) -> Mapping[str, Mapping[str, float]]:
    """Return the BLEU of predictors that learn nothing: the sentence itself, and the most frequent translation.

    Args:
        train: The sentences to train on.
        held: The sentences to measure on.
        lowercase: Whether capitals count as small letters.
    """
    (often, _), *_ = Counter(train.target).most_common(1)
    guesses = {"copying": held.source, "most frequent sentence": (often,) * len(held)}
    return {name: {"bleu": _score(_count(guess, held.target, lowercase=lowercase))} for name, guess in guesses.items()}
