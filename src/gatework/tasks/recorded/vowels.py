"""Japanese Vowels: which of nine men said it, from a dozen cepstra a step."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.recorded import find_scale, read_text
from gatework.errors import DataError
from gatework.reading.cases import parse_ts
from gatework.tasks.asking import FROM_NOTES, ask_at_the_end, guess
from gatework.tasks.task import Gap, Published, Recorded, Recording, Success, Task

_TRAIN, _TEST = "JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"
# Of the training cases of each class every so many is held out.
_HELD_OUT = 5


def read_cases(path: Path) -> tuple[list[NDArray], list[int], list[str]]:
    """Read a ``.ts`` file of the UEA archive.

    Args:
        path: The file.

    Returns:
        The cases, numbers ``[T, I]`` each; their classes, counted from 0; and the names of the classes.

    Raises:
        DataError: If a line is wrong; the message gives its number.
    """
    cases = parse_ts(read_text(path), path)
    for number, sequence in enumerate(cases.sequences, 1):
        if np.isnan(sequence).any():
            raise DataError(f"'{path}', case {number:,}: a value is not finite; expected numbers only.")
    return cases.sequences, [cases.classes.index(label) for label in cases.labels], cases.classes


def load(path: Path, gap: int) -> Recording:
    """Read Japanese Vowels.

    Args:
        path: The folder with both ``.ts`` files.
        gap: Steps of zeros between the end of a word and the answer.

    Returns:
        The official test split; of each speaker's training cases every fifth is held out.

    Raises:
        DataError: If a file is missing or damaged.
    """
    cases, classes, names = read_cases(path / _TRAIN)
    tested, tested_classes, tested_names = read_cases(path / _TEST)
    if (names, cases[0].shape[1]) != (tested_names, tested[0].shape[1]):
        raise DataError(
            f"'{path / _TEST}' has other classes or dimensions than '{path / _TRAIN}'. Download both again."
        )
    parts: dict[str, list[tuple[NDArray, int]]] = {"train": [], "valid": []}
    seen: Counter[int] = Counter()
    for case, of in zip(cases, classes, strict=True):
        seen[of] += 1
        parts["train" if seen[of] % _HELD_OUT else "valid"].append((case, of))
    if not parts["valid"]:
        raise DataError(f"'{path / _TRAIN}' has too few cases; expected {_HELD_OUT} of a class, one to hold out.")
    parts["test"] = list(zip(tested, tested_classes, strict=True))
    mean, deviation = find_scale(np.concatenate([case for case, _ in parts["train"]]))
    splits = {
        split: ask_at_the_end([(case - mean) / deviation for case, _ in part], [of for _, of in part], gap)
        for split, part in parts.items()
    }
    facts = {
        "classes": names,
        "cases": {split: part.size for split, part in splits.items()},
        "chance": guess(splits["train"], splits["test"], len(names)),
    }
    return Recording(splits, cases[0].shape[1], len(names), facts)


japanese_vowels = Task(
    name="japanese_vowels",
    title="Japanese vowels",
    asks="Nine men said two vowels, one after the other. Which of the men is it?",
    source="Kudo, Toyama & Shimbo 1999, Pattern Recognition Letters 20(11-13); UCI and UEA archives",
    kind="choice",
    gap=Gap(0, "steps of zeros between the end of the word and the answer", least=0),
    success=Success("accuracy", at_least=0.94, words="About what the paper's own method reaches."),
    examples=Recorded("japanese_vowels", load),
    published=(
        Published("passing-through regions", "accuracy 94.1 %", f"Kudo et al. 1999; {FROM_NOTES}"),
        Published("hidden Markov model, five states", "accuracy up to 96.2 %", f"Kudo et al. 1999; {FROM_NOTES}"),
        Published("LSTM-FCN hybrids", "accuracy 97 to 100 %", f"Karim et al. 2019; {FROM_NOTES}"),
    ),
    defaults={"hidden_size": 64, "batch_size": 27, "learning_rate": 5e-3, "steps": 300, "dropout": 0.2},
    notes="Of the 270 training cases, 54 are held out, so 216 remain for training. Every cepstrum is standardised by "
    "the training cases.",
)
