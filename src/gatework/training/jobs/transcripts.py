"""Transcripts of a finished model: decoded along the best path or by search, and held against what was said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatework.decoding import NGram, ctc_best_path, ctc_prefix_search
from gatework.errors import DataError
from gatework.lazy import late
from gatework.models.sequences import SequenceModel
from gatework.tasks.recorded.utterances import labels_of, trivial_answers
from gatework.tasks.task import Batch, Recorded, Task
from gatework.training.jobs.evaluation import Search

# The most numbers of the layers' output in memory at once.
_MOST_OUTPUTS = 1 << 25
_ERROR_RATES = late("gatework.training.jobs.error_rates", "error_rates")  # the package may not be installed


@dataclass(frozen=True)
class Decoder:
    """Turn scores into transcripts.

    Args:
        letters: The letter of each label.
        texts: How often each transcript is among the training transcripts.
        search: How. Where no transcript has a space, an n-gram of words is one of letters.

    Example:
        >>> decoder = Decoder(("a", "b"), {"a b": 1}, Search())
        >>> decoder.texts_of(torch.tensor([[[3.0, 0, 0]], [[0, 0, 3.0]], [[0, 3.0, 0]]]))
        ['ab']
    """

    letters: Sequence[str]
    texts: Mapping[str, int]
    search: Search

    @torch.no_grad()
    def texts_of(self, scores: Tensor, lengths: Tensor | None = None) -> list[str]:
        """Return the transcript of each sequence, from scores ``[T, B, K + 1]``.

        Raises:
            DataError: If scores are no finite numbers.
        """
        if not bool(torch.isfinite(scores).all()):
            raise DataError("The model gives scores that are no finite numbers. Take an earlier checkpoint.")
        if not self.search.beams:
            return [self.spell(labels) for labels in ctc_best_path(scores, lengths)]
        options: dict[str, Any] = {}
        if self.search.ngram != "none":
            words = self.search.ngram == "words" and " " in self.letters
            weight, bonus = (self.search if words else replace(self.search, ngram="letters")).weighing
            options = {"ngram": self._ngram(words), "weight": weight, "bonus": bonus}
            options |= {"space": self.letters.index(" ")} if words else {}
        found = ctc_prefix_search(scores, lengths, width=self.search.beams, **options)
        return [self.spell(hypotheses[0].symbols) for hypotheses in found]

    def spell(self, labels: Sequence[Any]) -> str:
        """Return the text of labels, with one space between words and none at the ends."""
        return " ".join("".join(self.letters[label] for label in labels).split())

    def _ngram(self, words: bool) -> NGram:
        number = {letter: label for label, letter in enumerate(self.letters)}

        def symbols(text: str) -> list[Any]:
            if words:
                return [tuple(number[letter] for letter in word) for word in text.split()]
            return [number[letter] for letter in text]

        every = [symbols(text) for text, count in self.texts.items() for _ in range(count)]
        return NGram(every, self.search.order, () if words else range(len(self.letters)))


def spells(task: Task) -> bool:
    """Tell whether the answers of a task are texts, spelled by the names of its labels."""
    return task.kind == "transcript" and isinstance(task.examples, Recorded) and task.examples.spoken


def known_texts(facts: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the letters and the training transcripts of a run.

    Args:
        facts: The facts about its data.

    Raises:
        DataError: If they are not those of a run on transcripts.
    """
    letters, texts = facts.get("classes", ()), facts.get("transcripts", {})
    fits = isinstance(texts, Mapping) and all(isinstance(letter, str) and len(letter) == 1 for letter in letters)
    fits = fits and all(
        isinstance(text, str) and type(count) is int and 0 < count < 1 << 24 and set(text) <= set(letters)
        for text, count in texts.items()
    )
    if not letters or not texts or not fits:
        raise DataError(
            "The facts of the run have no letters, or no training transcripts made of them. Train it again."
        )
    return tuple(letters), dict(texts)


@torch.no_grad()
def transcribe_batch(model: SequenceModel, batch: Batch, decoder: Decoder) -> list[str]:
    """Return the transcript of each sequence of a batch.

    Args:
        model: The model, in evaluation mode.
        batch: The sequences.
        decoder: What turns scores into transcripts.
    """
    weight, found = model.head.weight, []
    columns = max(1, _MOST_OUTPUTS // (batch.inputs.shape[0] * max(weight.shape)))
    for first in range(0, batch.size, columns):
        part = batch.columns(slice(first, first + columns)).to(weight.device, weight.dtype)
        scores, _ = model(part.inputs, part.lengths)
        found += decoder.texts_of(scores.cpu(), part.lengths)
    return found


def measure_transcripts(
    model: SequenceModel, batch: Batch, facts: Mapping[str, Any], search: Search | None
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Measure the transcripts of a model, and those of predictors that always give the same.

    Args:
        model: The model, in evaluation mode.
        batch: The sequences.
        facts: The facts about the data of the run.
        search: How the model's scores are searched, beside the most probable path; None for the path alone.

    Returns:
        The error rates along the most probable path, and by search those with ``_by_search`` after their names; and
        the error rates of each trivial predictor, by its name.
    """
    letters, texts = known_texts(facts)
    plain = Decoder(letters, texts, Search())
    told = [plain.spell(labels) for labels in labels_of(batch.targets)]
    metrics = _ERROR_RATES(transcribe_batch(model, batch, plain), told)
    if search is not None and search.beams:
        found = _ERROR_RATES(transcribe_batch(model, batch, Decoder(letters, texts, search)), told)
        metrics |= {f"{name}_by_search": value for name, value in found.items()}
    frequent = max(texts, key=lambda text: (texts[text], text))
    trivial = {name: _ERROR_RATES([text] * len(told), told) for name, text in trivial_answers(frequent).items()}
    return metrics, trivial
