"""Tiny folders: of each set of recorded data one of the same format."""

import gzip
import io
import json
import tarfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatework.tasks.generic.forecast import forecast
from gatework.tasks.recorded.agreement import agreement
from gatework.tasks.recorded.digits import RATE, spoken_digits
from gatework.tasks.recorded.forecasting import airline, ett_h1
from gatework.tasks.recorded.heartbeats import heartbeats
from gatework.tasks.recorded.mnist import mnist, mnist_permuted, mnist_rows
from gatework.tasks.recorded.occupancy import occupancy, occupancy_no_light
from gatework.tasks.recorded.polyphony import LONGEST, jsb_chorales, nottingham
from gatework.tasks.recorded.vowels import japanese_vowels
from gatework.tasks.task import Recorded, Recording, Task

SPLITS = ("train", "valid", "test")


def load(task: Task, path: Path, gap: int | None = None) -> Recording:
    assert isinstance(task.examples, Recorded)
    return task.examples.load(path, task.check_gap(gap))


# --- tiny folders: each writes what its loader reads


def write_agreement(folder: Path) -> None:
    # Thirty sentences whose first word tells the number, one that no form tells.
    texts, gold = [], []
    for number in range(30):
        subject, form, other = (("key", "is", "are"), ("keys", "are", "is"))[number % 2]
        texts.append(f"the {subject} " + "to the cabinet " * (number % 3) + f"{form} number {number} . <eos>")
        gold.append(f"{2 + 3 * (number % 3)}\t{form}\t{other}\t{number % 3}")
    texts.append("they lie here . <eos>")
    gold.append("1\tlie\tlie\t0")
    (folder / "subj_agr_filtered.text").write_text("\n".join(texts) + "\n")
    (folder / "subj_agr_filtered.gold").write_text("\n".join(gold) + "\n")


def write_mnist(folder: Path) -> None:
    for name, count in (("train", 20), ("t10k", 6)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        head = np.array([0x0803, count, 28, 28], dtype=">u4").tobytes()
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        classes = (images[:, 0, 0] % 10).tobytes()
        head = np.array([0x0801, count], dtype=">u4").tobytes()
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + classes))


def write_music(folder: Path) -> None:
    chance = np.random.default_rng(4)
    pieces = {
        split: [[sorted(chance.choice(88, 3, replace=False) + 21) for _ in range(length)] for length in (9, 5, longest)]
        for split, longest in (("train", 300), ("valid", 20), ("test", LONGEST + 1))
    }
    pieces["train"].append([[], [60]])  # a rest, and too short for a gap of 2
    content = json.dumps(pieces, default=int).encode()
    for name in ("JSB_Chorales", "Nottingham"):
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(content))


def sound(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 2**14).astype("<i2").tobytes())
    return stream.getvalue()


def write_archive(folder: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(folder / "recordings.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_digits(folder: Path) -> None:
    chance = np.random.default_rng(5)
    files = {
        f"recordings/{digit}_{speaker}_{index}.wav": sound(chance.normal(size=600 + 80 * digit + index) / 8)
        for digit in range(3)
        for speaker in ("ann", "bob")
        for index in range(12)
    }
    write_archive(folder, files)


def write_vowels(folder: Path) -> None:
    chance = np.random.default_rng(6)
    for name, count in (("TRAIN", 20), ("TEST", 7)):
        lines = ["#about", "@problemName tiny", "@classLabel true a b", "@data"]
        for number in range(count):
            columns = chance.normal(number % 2, 1, (3, 4 + number % 3))
            lines.append(":".join(",".join(f"{x:.4f}" for x in column) for column in columns) + ":" + "ab"[number % 2])
        (folder / f"JapaneseVowels_{name}.ts").write_text("\n".join(lines) + "\n")


def write_office(folder: Path) -> None:
    chance = np.random.default_rng(7)
    names = ("date", "Temperature", "Humidity", "Light", "CO2", "HumidityRatio", "Occupancy")
    for name, count in (("training", 203), ("test", 65)):
        lines = [",".join(f'"{column}"' for column in names)]
        for row in range(1, count + 1):
            numbers = ",".join(f"{x:.3f}" for x in chance.normal(size=5))
            lines.append(f'"{row}","2015-02-04 17:51:00",{numbers},{int(row % 7 < 2)}')
        (folder / f"data{name}.txt").write_text("\n".join(lines) + "\n")


def write_heart(folder: Path, **changed: Any) -> None:
    arrays: dict[str, Any] = {
        "signal": np.random.default_rng(8).integers(-9, 9, (6000, 2)).astype(np.int16),
        "ann_sample": np.array([3, *range(100, 5999, 300), 5990], dtype=np.int32),
        "ann_symbol": np.array(["+", *("NNNA" * 5), "N"]),
        "fs": np.int32(360),
    }
    np.savez(folder / "record_100.npz", **(arrays | changed))


def write_months(folder: Path) -> None:
    months = [(year, month, 100 + 3 * year + 10 * (month % 6)) for year in range(12) for month in range(1, 13)]
    (folder / "Airline.csv").write_text(
        "Date,Passengers\n" + "".join(f"{1949 + year}-{month:02},{count}\n" for year, month, count in months)
    )


def write_hours(folder: Path) -> None:
    numbers = np.random.default_rng(9).normal(size=(14500, 7)).cumsum(axis=0)
    lines = ["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"]
    lines += [f"2016-07-01 {row},{','.join(f'{x:.2f}' for x in numbers[row])}" for row in range(len(numbers))]
    (folder / "ETTh1.csv").write_text("\n".join(lines) + "\n")


def write_table(folder: Path) -> None:
    (folder / "mine.csv").write_text("\n".join(f"{row};day {row};{row * row % 17}" for row in range(400)))


@dataclass(frozen=True)
class Case:
    """A task, what writes a folder for it, and sequences of each split when the folder is read at the task's gap."""

    task: Task
    write: Callable[[Path], None]
    sizes: tuple[int, int, int]


CASES = (
    Case(agreement, write_agreement, (24, 3, 3)),
    Case(mnist, write_mnist, (18, 2, 6)),
    Case(mnist_permuted, write_mnist, (18, 2, 6)),
    Case(mnist_rows, write_mnist, (18, 2, 6)),
    Case(jsb_chorales, write_music, (5, 3, 3)),
    Case(nottingham, write_music, (5, 3, 3)),
    Case(spoken_digits, write_digits, (12, 30, 30)),
    Case(japanese_vowels, write_vowels, (16, 4, 7)),
    Case(occupancy, write_office, (3, 1, 2)),
    Case(occupancy_no_light, write_office, (3, 1, 2)),
    Case(heartbeats, write_heart, (6, 2, 2)),
    Case(ett_h1, write_hours, (89, 30, 30)),
    Case(airline, write_months, (3, 1, 2)),
    Case(forecast, write_table, (11, 1, 3)),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.task.name)
