"""Speech: a recording is read, and its transcript is asked, letter by letter and without places."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gatework.data.label_list import read_label_list
from gatework.data.sounds import SUFFIXES, Samples, read_samples
from gatework.data.table import split_sequences
from gatework.errors import DataError
from gatework.reading.files import list_folder
from gatework.tasks.features.prepared import SpeechOptions
from gatework.tasks.features.spoken import frames_of
from gatework.tasks.recorded.an4 import RATE, is_an4, read_an4
from gatework.tasks.recorded.utterances import Utterance, clean, transcribed
from gatework.tasks.task import Gap, Published, Recorded, Recording, Split, Success, Task

# The list of transcripts in a folder, unless another file is named, and the names of its columns.
_LISTS = ("transcripts.csv", "transcripts.tsv")
_FILES, _TEXTS, _SPLITS = ("file", "path", "name"), ("transcript", "text", "sentence"), ("split", "part")


def load(path: Path, gap: int, options: SpeechOptions = SpeechOptions()) -> Recording:  # noqa: B008, it is frozen
    """Read recordings with transcripts: AN4, or a folder of recordings with a list of transcripts.

    Args:
        path: The folder.
        gap: Steps of zeros after the end of each recording.
        options: How recordings are read.

    Returns:
        The recordings, with the letters of their transcripts as labels.

    Raises:
        DataError: If files are missing or damaged, or do not fit the options.
    """
    if not options.transcripts and is_an4(path):
        if options.features != "mfcc":
            raise DataError(
                f"features is '{options.features}', and '{path}' holds AN4, which has cepstra and no sound. Leave it "
                "out, or take mfcc."
            )
        return transcribed(read_an4(path), options, RATE, gap)
    listed = _read_list(path, options.transcripts)
    sounds = [(one, read_samples(path / one.file)) for one in listed]
    rates = Counter(sound.rate for _, sound in sounds)
    rate = max(rates, key=lambda known: (rates[known], -known))
    parts: dict[Split, list[Utterance]] = {"train": [], "valid": [], "test": []}
    for one, sound in sounds:
        parts[one.split].append(Utterance(one.file, one.text, frames_of(sound.at(rate).values, options.recipe(rate))))
    recording = transcribed(parts, options, rate, gap)
    recording.facts["about"].extend(_told(path, listed, [sound for _, sound in sounds], rate))
    return recording


@dataclass(frozen=True)
class _Listed:
    """A line of a list of transcripts."""

    file: str
    text: str
    split: Split


def _read_list(folder: Path, given: str) -> list[_Listed]:
    """Read the list of transcripts of a folder."""
    if not folder.is_dir():
        raise DataError(f"'{folder}' is no folder; expected one with recordings and {_LISTS[0]}.")
    path = Path(given).expanduser() if given else next((p for n in _LISTS if (p := folder / n).is_file()), None)
    if path is None:
        raise DataError(
            f"'{folder}' has no {_LISTS[0]}; expected a list with the columns file and text. Write one, or name it "
            "with --transcripts."
        )
    rows = read_label_list(path)
    file, text, part = rows.place(_FILES), rows.place(_TEXTS), rows.place(_SPLITS)
    if file is None or text is None:
        raise DataError(f"'{path}' needs a column file and a column text; it has {', '.join(rows.names)}.")
    files, texts, seen = rows.column(file), rows.column(text), set()
    for line, name in zip(rows.lines, files, strict=True):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"'{path}', line {line}: '{name}' does not lie in '{folder}'.")
        if name in seen:
            raise DataError(f"'{path}', line {line}: '{name}' is listed twice.")
        if not (folder / name).is_file():
            raise DataError(
                f"'{path}', line {line}: there is a transcript of '{name}', and no such recording in '{folder}'. Add "
                "it, or take the line out."
            )
        seen.add(name)
    splits = _said_splits(path, rows.lines, rows.column(part)) if part is not None else _own_splits(path, files)
    return [_Listed(*row) for row in zip(files, map(clean, texts), splits, strict=True)]


def _said_splits(path: Path, lines: list[int], said: list[str]) -> list[Split]:
    splits: list[Split] = []
    for line, name in zip(lines, said, strict=True):
        found = next((split for split in _NAMES if split == name.lower()), None)
        if found is None:
            raise DataError(f"'{path}', line {line}: the part is '{name}'; expected {', '.join(_NAMES)}.")
        splits.append(found)
    return splits


def _own_splits(path: Path, files: list[str]) -> list[Split]:
    if len(files) < len(_NAMES):
        raise DataError(
            f"'{path}' lists {len(files)} recordings; expected three or more, one each for training, validation and "
            "test."
        )
    of = {number: name for name, part in split_sequences(files).items() for number in part}
    return [next(split for split in _NAMES if split == of[number]) for number in range(len(files))]


_NAMES: tuple[Split, ...] = ("train", "valid", "test")


def _told(folder: Path, listed: list[_Listed], sounds: list[Samples], rate: int) -> list[str]:
    """Say what was done to recordings, and which were not read."""
    told = []
    if others := sum(sound.rate != rate for sound in sounds):
        told.append(f"resampled to {rate:,} samples a second: {others:,} recordings")
    if mixed := sum(bool(sound.changes) for sound in sounds):
        told.append(f"several channels mixed to one: {mixed:,} recordings")
    known = {Path(one.file) for one in listed}
    left = sum(
        file.suffix.lower() in SUFFIXES and file.relative_to(folder) not in known for file in list_folder(folder)
    )
    return [*told, *([f"without a transcript, and not read: {left:,} recordings"] if left else [])]


DEFAULTS = {
    "hidden_size": 128,
    "num_layers": 2,
    "bidirectional": True,
    "batch_size": 16,
    "epochs": 40,
    "learning_rate": 4e-3,
    "warmup_steps": 300,
    "weight_decay": 0.01,
    "dropout": 0.3,
    "clip_norm": 5.0,
    "input_noise": 0.3,
    "mask_steps": 8,
}
"""The settings of a run on speech, unless others are given."""

speech = Task(
    name="speech",
    title="Speech",
    asks="A person says something. What are its letters, in their order?",
    source="Graves, Fernandez, Gomez & Schmidhuber 2006, doi:10.1145/1143844.1143891; AN4 of Carnegie Mellon "
    "University",
    kind="transcript",
    gap=Gap(0, "steps of zeros after the end of a recording", least=0),
    success=Success(
        "accuracy",
        at_least=0.89,
        words="The accuracy is one minus the share of wrong letters along the most probable path, so at most 11 % are "
        "wrong. It is our own level, because no paper has established one for this network.",
    ),
    examples=Recorded("an4", load, spoken=True),
    published=(
        Published(
            "VGG-BLSTM, CTC, beams of 20", "12.6 % of the letters wrong", "ESPnet, egs/an4/asr1/RESULTS, its test part"
        ),
        Published(
            "Transformer, CTC and attention, recordings at three speeds",
            "3.6 % of the letters and 7.4 % of the words wrong",
            "ESPnet, egs2/an4/asr1/README.md, its test part",
        ),
    ),
    defaults=DEFAULTS,
    notes="The test split is the official one, of 130 recordings. Five of the 74 speakers of the official training "
    "split are held out for validation. A folder of your own needs a list transcripts.csv with the columns file and "
    "text, and perhaps split; see the guide to speech.",
)
