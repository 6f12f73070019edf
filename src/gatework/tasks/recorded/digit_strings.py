"""Strings of spoken digits: recordings of single digits one after the other, and the digits are asked."""

from pathlib import Path

import numpy as np

from gatework.tasks.features.prepared import SpeechOptions
from gatework.tasks.features.spoken import frames_of
from gatework.tasks.recorded.digits import ARCHIVE, RATE, read_recordings, split_of
from gatework.tasks.recorded.speech import DEFAULTS
from gatework.tasks.recorded.utterances import Utterance, transcribed
from gatework.tasks.task import Gap, Recorded, Recording, Split, Success, Task

# The longest pause between two digits, in seconds, and how many strings there are for each recording.
_PAUSE, _SHARE = 0.1, {"train": 1.0, "valid": 0.5, "test": 0.5}
_SEED = 20


def load(path: Path, gap: int, options: SpeechOptions = SpeechOptions()) -> Recording:  # noqa: B008, it is frozen
    """Join recordings of one speaker and one split to strings of one digit to ``gap`` digits.

    Args:
        path: The folder with the archive of recordings.
        gap: The most digits of a string.
        options: How recordings are read.

    Returns:
        The strings, with their digits and the spaces between as labels. The same strings are made each time.

    Raises:
        DataError: If the archive is missing or damaged, or holds something else.
    """
    recordings = read_recordings(path / ARCHIVE)
    speakers = sorted({speaker for _, speaker, _ in recordings})
    parts: dict[Split, list[Utterance]] = {"train": [], "valid": [], "test": []}
    for place, (split, part) in enumerate(parts.items()):
        rng = np.random.default_rng((_SEED, place, gap))
        for speaker in speakers:
            mine = sorted(key for key in recordings if key[1] == speaker and split_of(key[2]) == split)
            for number in range(int(_SHARE[split] * len(mine))):
                chosen = [mine[at] for at in rng.integers(0, len(mine), rng.integers(1, gap + 1))]
                pauses = [np.zeros(int(rng.uniform(0, _PAUSE) * RATE)) for _ in chosen]
                pieces = [
                    piece
                    for key, pause in zip(chosen, pauses, strict=True)
                    for piece in (recordings[key].double().numpy(), pause)
                ]
                text = " ".join(str(digit) for digit, *_ in chosen)
                frames = frames_of(np.concatenate(pieces), options.recipe(RATE))
                part.append(Utterance(f"{speaker}, {split} string {number}", text, frames))
    return transcribed(parts, options, RATE)


speech_digits = Task(
    name="speech_digits",
    title="Strings of spoken digits",
    asks="A speaker says some digits, one after the other. Which ones?",
    source="Free Spoken Digit Dataset, Jackson and others, github.com/Jakobovski/free-spoken-digit-dataset; "
    "four of its speakers, joined",
    kind="transcript",
    gap=Gap(5, "digits of a string, at most", most=50),
    success=Success(
        "accuracy",
        at_least=0.95,
        words="The accuracy is one minus the share of wrong symbols along the most probable path. It is our own level, "
        "because no paper has established one.",
    ),
    examples=Recorded("fsdd", load, spoken=True),
    defaults=DEFAULTS | {"hidden_size": 64, "epochs": 15, "mask_steps": 4},
    notes="Symbols are the digits and the space between them, so a word is a digit. The strings are made of recordings "
    "of the same speakers in every split, with pauses of up to a tenth of a second. No result is listed, because none "
    "was published for strings like these.",
)
