"""Subject-verb agreement: is the next word, a verb, singular or plural?"""

import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.data.recorded import read_text
from gatework.errors import DataError
from gatework.tasks.asking import FROM_NOTES, ask_at_the_end, guess
from gatework.tasks.task import Batch, Gap, Published, Recorded, Recording, Success, Task

_TEXT, _GOLD = "subj_agr_filtered.text", "subj_agr_filtered.gold"
_CLASSES = ("singular", "plural")
# Irregular forms: singular, plural.
_IRREGULAR = {("is", "are"), ("has", "have"), ("was", "were"), ("does", "do"), ("goes", "go")}
# A place or a number of attractors, neither of them more than the words of a sentence.
_COUNT = re.compile("[0-9]{1,4}")
# A word of the training sentences that occurs less often is read as <unk>, the symbol 0.
LEAST_COUNT = 2
UNKNOWN = "<unk>"


def is_singular_of(form: str, other: str) -> bool:
    """Tell whether one form of a verb is the third person singular of the other.

    Args:
        form: A form such as ``tries``.
        other: A form such as ``try``.

    Example:
        >>> is_singular_of("tries", "try"), is_singular_of("discuss", "discusses")
        (True, False)
    """
    form, other = form.lower(), other.lower()
    if (form, other) in _IRREGULAR or form in (other + "s", other + "es"):
        return True
    return other.endswith("y") and form == other[:-1] + "ies"


def load(path: Path, gap: int) -> Recording:
    """Read the sentences, up to the verb.

    Args:
        path: The folder with the ``.text`` and the ``.gold`` file.
        gap: The largest number of words before the verb.

    Returns:
        Four in five sentences for training, one in ten for validation and one in ten for the test, chosen by the
        SHA-256 of the sentence, so equal sentences are in the same split. Groups are the numbers of attractors.

    Raises:
        DataError: If a file is missing or damaged, with the number of the line.
    """
    sentences, left_out = _read(path)
    # The hash assigns each sentence to a random split, which is always the same.
    order = sorted(sentences, key=lambda sentence: sha256(" ".join(sentence[0]).encode()).digest())
    first, second = len(order) * 8 // 10, len(order) * 9 // 10
    parts = {"train": order[:first], "valid": order[first:second], "test": order[second:]}
    for split, part in parts.items():
        if not part:
            raise DataError(f"'{path / _TEXT}' has {len(order)} sentences, none left for {split}; expected 10 or more.")
    counts = Counter(word for words, *_ in parts["train"] for word in words)
    known = sorted(word for word, count in counts.items() if count >= LEAST_COUNT and word != UNKNOWN)
    numbers = {word: number for number, word in enumerate(known, 1)}

    def symbols(words: list[str]) -> NDArray[np.int64]:
        return np.array([numbers.get(word, 0) for word in words[-gap:]], dtype=np.int64)

    splits = {
        split: ask_at_the_end(
            [symbols(words) for words, *_ in part], [of for _, of, _ in part], groups=[count for *_, count in part]
        )
        for split, part in parts.items()
    }
    facts = {
        "classes": list(_CLASSES),
        "groups": [
            f"{count} attractor{'' if count == 1 else 's'}"
            for count in range(1 + max(count for *_, count in sentences))
        ],
        "sentences": {split: part.size for split, part in splits.items()},
        "left_out": left_out,
        "plural": {split: _plural(part) for split, part in splits.items()},
        "words": [UNKNOWN, *known],
        "chance": guess(splits["train"], splits["test"], len(_CLASSES)),
    }
    return Recording(splits, len(known) + 1, len(_CLASSES), facts)


def _plural(part: Batch) -> dict[int, float]:
    """Return the share of plural verbs in each group. It grows with the attractors, which a baseline could use."""
    groups, classes = part.groups, part.targets.amax(dim=0)  # one target of each sentence, and else -100
    if groups is None:
        return {}
    return {group: float(classes[groups == group].double().mean()) for group in groups.unique().tolist()}


def _read(path: Path) -> tuple[list[tuple[list[str], int, int]], int]:
    """Return each sentence's words before the verb, class and attractors, and the number of unclear sentences."""
    texts, answers = read_text(path / _TEXT).splitlines(), read_text(path / _GOLD).splitlines()
    if len(texts) != len(answers):
        raise DataError(
            f"'{path / _TEXT}' has {len(texts)} lines and '{path / _GOLD}' {len(answers)}; "
            "expected one for each other. Download both again."
        )
    sentences: list[tuple[list[str], int, int]] = []
    left_out = 0
    for number, (text, answer) in enumerate(zip(texts, answers, strict=True), 1):
        where = f"'{path / _GOLD}', line {number}"
        fields, words = answer.split("\t"), text.split()
        if len(fields) != 4 or not _COUNT.fullmatch(fields[0]) or not _COUNT.fullmatch(fields[3]):
            raise DataError(f"{where}: '{answer}'; expected place, right form, wrong form and attractors, with tabs.")
        place, right, wrong, attractors = int(fields[0]), fields[1], fields[2], int(fields[3])
        if not 0 < place < len(words) or words[place] != right.lower():
            raise DataError(f"{where}: word {place} of the sentence is not '{right}'. Download both files again.")
        if attractors >= place:
            raise DataError(
                f"{where}: {attractors} attractors; expected fewer than the {place} words before the verb. "
                "Download both files again."
            )
        if is_singular_of(right, wrong) == is_singular_of(wrong, right):
            left_out += 1  # forms that do not tell the number, such as 'lie' and 'lie'
            continue
        sentences.append((words[:place], 0 if is_singular_of(right, wrong) else 1, attractors))
    return sentences, left_out


agreement = Task(
    name="agreement",
    title="Subject-verb agreement",
    asks="The model reads the words of a sentence up to its verb. Is the verb singular or plural?",
    source="Linzen, Dupoux & Goldberg 2016, TACL 4, arXiv:1611.01368, number prediction; the sentences are those of "
    "Gulordava, Bojanowski, Grave, Linzen & Baroni 2018, arXiv:1803.11138",
    kind="choice",
    symbols=True,
    gap=Gap(50, "words read before the verb, at most"),
    success=Success(
        "accuracy",
        at_least=0.8,
        words="The paper reports errors below 1 % overall, because most of its sentences have no attractors, and shows "
        "how errors increase with attractors. Here three in four sentences have one or more attractors, and there is a "
        "twentieth of the training data, so this level is our own. With more attractors the verb is more often plural, "
        "so the number of attractors alone is informative: see the facts.",
    ),
    examples=Recorded("agreement_en/linzen", load),
    published=(
        Published("LSTM, 50 units, trained on the number", "errors below 1 % over all", "Linzen et al. 2016, abstract"),
        Published(
            "LSTM, 50 units, trained on the number",
            "about 18 % errors with four attractors",
            "Linzen et al. 2016, section 4; quoted from memory, not compared with the paper",
        ),
        Published(
            "LSTM language model",
            "6.8 % errors over all, of the paper's own sentences",
            f"Linzen et al. 2016; {FROM_NOTES}",
        ),
    ),
    defaults={
        "hidden_size": 50,
        "embedding_size": 50,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "steps": 1500,
        "dropout": 0.3,
    },
    notes="The paper learns from 121,500 sentences, which are not here; these are 7,489 of its test sentences, "
    "chosen so that all numbers of attractors are there. The class comes from the two forms of the verb; sentences "
    f"whose forms do not tell it are left out. Words seen fewer than {LEAST_COUNT} times in training are read as "
    f"{UNKNOWN}.",
)
