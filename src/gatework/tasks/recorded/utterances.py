"""Recordings with transcripts as the sequences of a task: letters as labels, without their places."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.targets import IGNORED
from gatework.errors import DataError
from gatework.heads.transcript import count_edits
from gatework.tasks.asking import check_size
from gatework.tasks.features.prepared import Prepared, SpeechOptions
from gatework.tasks.task import Batch, Recording, Split


@dataclass(frozen=True)
class Utterance:
    """A recording, and what is said in it.

    Args:
        name: Its name, for messages.
        text: The transcript; spaces at its ends, and more than one between words, do not count.
        frames: The frames ``[T, bands]``, one every 10 ms.
    """

    name: str
    text: str
    frames: NDArray[np.float64]


def transcribed(
    parts: Mapping[Split, Sequence[Utterance]], options: SpeechOptions, rate: int, gap: int = 0
) -> Recording:
    """Make recorded sequences of recordings with transcripts.

    The labels are the letters of the training transcripts, and the space.

    Args:
        parts: The recordings of each split.
        options: How they are read.
        rate: Their number of samples a second.
        gap: Steps of zeros after the end of each recording.

    Returns:
        The sequences.

    Raises:
        DataError: If a split is empty, a transcript is empty, has a letter that no training transcript has, or needs
            more steps than its recording has.
    """
    for split, part in parts.items():
        if not part:
            raise DataError(f"There is no recording in the part {split}; expected at least one with a transcript.")
    texts = {split: [clean(one.text) for one in part] for split, part in parts.items()}
    letters = sorted({letter for text in texts["train"] for letter in text})
    prepared = Prepared.fit(options.recipe(rate), options.normalize, [one.frames for one in parts["train"]])
    splits: dict[str, Batch] = {}
    for split, part in parts.items():
        labels = [_labels(one.name, text, letters) for one, text in zip(part, texts[split], strict=True)]
        steps = [prepared.steps(one.frames) for one in part]
        for one, read, asked in zip(part, steps, labels, strict=True):
            _check_length(one.name, len(read) + gap, asked, prepared.recipe.stack)
        splits[split] = _side_by_side(steps, labels, gap)
    counts = Counter(texts["train"])
    frequent = max(counts, key=lambda text: (counts[text], text))
    seconds = sum(len(one.frames) for part in parts.values() for one in part) / 100
    facts: dict[str, Any] = {
        "about": [
            f"speech: {seconds / 60:,.1f} minutes; {_words_of(prepared)}",
            f"labels: {len(letters):,} letters; the most frequent of {len(counts):,} transcripts is '{frequent}'",
        ],
        "classes": letters,
        "sound": prepared.facts(),
        "transcripts": dict(counts),
        "trivial": {split: _guess(texts[split], frequent) for split in parts},
        "recordings": {split: len(part) for split, part in parts.items()},
    }
    return Recording(splits, prepared.recipe.width, len(letters), facts, disturbance(options, prepared))


def clean(text: str) -> str:
    """Leave one space between words, and none at the ends of a text.

    Example:
        >>> clean(" go  on ")
        'go on'
    """
    return " ".join(text.split())


def disturbance(options: SpeechOptions, prepared: Prepared) -> Callable[[Batch, np.random.Generator], Batch] | None:
    """Return the function that disturbs a training batch; None if nothing is to be disturbed.

    Each sequence gets two masks over steps and one over features, in which its standardised features are zero, and
    normal noise is added to all of them. The width of a mask is drawn evenly, from none to the most.

    Args:
        options: The noise, and the widths of the masks.
        prepared: What the features are.

    Source:
        Park et al. 2019 (arXiv:1904.08779), section 2, for the masks, without the warping of time; Graves, Mohamed &
        Hinton 2013 (arXiv:1303.5778) train with noise, on the weights.
    """
    if not (options.noise or options.mask_steps or options.mask_features):
        return None
    recipe = prepared.recipe

    def disturb(batch: Batch, rng: np.random.Generator) -> Batch:
        inputs = batch.inputs.clone()
        if options.noise:
            inputs += options.noise * torch.from_numpy(rng.standard_normal(inputs.shape, np.float32))
        for column in range(batch.size):
            mine = inputs[:, column].unflatten(-1, (recipe.stack, 1 + recipe.deltas, recipe.bands))
            steps = len(mine) if batch.lengths is None else int(batch.lengths[column])
            for _ in range(2):
                mine[_span(rng, options.mask_steps, steps)] = 0
            mine[..., _span(rng, options.mask_features, recipe.bands)] = 0
        return replace(batch, inputs=inputs)

    return disturb


def _span(rng: np.random.Generator, most: int, size: int) -> slice:
    width = min(int(rng.integers(0, most + 1)), size)
    first = int(rng.integers(0, size - width + 1))
    return slice(first, first + width)


def _labels(name: str, text: str, letters: Sequence[str]) -> list[int]:
    if not text:
        raise DataError(f"The transcript of '{name}' is empty; expected what is said. Else take the recording out.")
    for letter in text:
        if letter not in letters:
            raise DataError(
                f"The transcript of '{name}' has the symbol '{letter}', which no training transcript has. Spell it "
                "otherwise, or train on recordings that have it."
            )
    return [letters.index(letter) for letter in text]


def _check_length(name: str, steps: int, labels: Sequence[int], stack: int) -> None:
    """Refuse a transcript that no path through so few steps gives."""
    needed = len(labels) + sum(one == other for one, other in pairwise(labels))
    if needed > steps:
        raise DataError(
            f"The recording '{name}' has {steps:,} steps of {10 * stack} ms, and its transcript of {len(labels):,} "
            f"symbols needs {needed:,}. Check that they belong together, or take a smaller --stack."
        )


def _side_by_side(steps: Sequence[NDArray[np.float32]], labels: Sequence[Sequence[int]], gap: int) -> Batch:
    lengths = torch.tensor([len(one) + gap for one in steps])
    longest, size = int(lengths.max()), len(steps)
    check_size(longest, size, steps[0].shape[1])
    inputs, targets = torch.zeros(longest, size, steps[0].shape[1]), torch.full((longest, size), IGNORED)
    for column, (read, asked) in enumerate(zip(steps, labels, strict=True)):
        inputs[: len(read), column] = torch.from_numpy(read)
        targets[: len(asked), column] = torch.tensor(asked)
    return Batch(inputs, targets, lengths)


def labels_of(targets: Tensor) -> list[list[int]]:
    """Return the labels of each sequence of a batch, from targets ``[T, B]``.

    Example:
        >>> labels_of(torch.tensor([[0, 2], [1, -100]]))
        [[0, 1], [2]]
    """
    return [[label for label in row if label != IGNORED] for row in targets.T.tolist()]


def _guess(texts: Sequence[str], frequent: str) -> dict[str, dict[str, float]]:
    """Return the metrics of predictors that always give the same transcript."""
    found = {}
    for name, answer in trivial_answers(frequent).items():
        spelled = [ord(letter) for letter in answer]
        wrong = sum(count_edits(spelled, [ord(letter) for letter in text]) for text in texts)
        total = sum(map(len, texts))
        found[name] = {"accuracy": 1 - wrong / total, "solved": sum(text == answer for text in texts) / len(texts)}
    return found


def trivial_answers(frequent: str) -> dict[str, str]:
    """Return the answer of each trivial predictor, by its name.

    Args:
        frequent: The most frequent transcript of the training recordings.
    """
    return {"most frequent transcript": frequent, "empty transcript": ""}


def _words_of(prepared: Prepared) -> str:
    recipe = prepared.recipe
    kind = "mel-frequency cepstra" if recipe.kind == "mfcc" else "mel bands"
    by = "each recording" if prepared.mean is None else "the training recordings"
    changes = ("", ", with their rates of change", ", with their first and second rates of change")[recipe.deltas]
    return (
        f"{recipe.bands} {kind} every 10 ms{changes}, standardised by {by}; {recipe.stack} frames a step, "
        f"{recipe.rate:,} samples a second"
    )
