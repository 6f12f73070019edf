"""Tasks on recorded data: read from tiny folders of the same format, and from the real ones where they are."""

import gzip
import io
import json
import math
import tarfile
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gatework.errors import DataError
from gatework.tasks.recorded.agreement import agreement, is_singular_of
from gatework.tasks.recorded.digits import BANDS, RATE, bands, loudness, spoken_digits
from gatework.tasks.recorded.forecasting import airline, ett_h1, forecast
from gatework.tasks.recorded.heartbeats import heartbeats
from gatework.tasks.recorded.mnist import mixed_order, mnist, mnist_permuted, mnist_rows
from gatework.tasks.recorded.occupancy import occupancy, occupancy_no_light
from gatework.tasks.recorded.polyphony import LONGEST, jsb_chorales, nottingham
from gatework.tasks.recorded.reading import read_table
from gatework.tasks.recorded.vowels import japanese_vowels
from gatework.tasks.sequences import SequenceModel
from gatework.tasks.task import Recorded, Recording, Task
from gatework.training import TrainConfig

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
REAL = [case.task for case in CASES if case.task is not forecast]


@pytest.fixture
def folder(case: Case, tmp_path: Path) -> Path:
    case.write(tmp_path)
    return tmp_path


def check(recording: Recording, task: Task) -> None:
    """Hold a recording against what a batch says of itself."""
    assert set(recording.splits) == set(SPLITS)
    assert task.inputs in (None, recording.inputs)
    assert task.outputs in (None, recording.outputs)
    json.dumps(recording.facts)
    for batch in recording.splits.values():
        steps, size = batch.inputs.shape[:2]
        if task.symbols:
            assert batch.inputs.shape == (steps, size)
            assert batch.inputs.dtype == torch.int64
            assert 0 <= batch.inputs.min() <= batch.inputs.max() < recording.inputs
        else:
            assert batch.inputs.shape == (steps, size, recording.inputs)
            assert batch.inputs.dtype == torch.float32
            assert bool(batch.inputs.isfinite().all())
        if task.kind == "choice":
            assert batch.targets.shape == (steps, size)
            assert batch.targets.dtype == torch.int64
            answers = batch.targets[batch.asked]
            assert 0 <= answers.min() <= answers.max() < recording.outputs
        else:
            assert batch.targets.shape == (steps, size, recording.outputs)
            assert batch.targets.dtype == torch.float32
        assert bool(batch.asked.any(dim=0).all())  # every sequence asks something
        if batch.lengths is not None:
            assert batch.lengths.shape == (size,)
            assert batch.lengths.dtype == torch.int64
            assert int(batch.lengths.max()) == steps
            beyond = torch.arange(steps)[:, None] >= batch.lengths
            assert not bool((batch.asked & beyond).any())
        if batch.groups is not None:
            assert batch.groups.shape == (size,)
            assert 0 <= batch.groups.min() <= batch.groups.max() < len(recording.facts["groups"])


@each_case
def test_batches_are_what_they_say(case, folder):
    recording = load(case.task, folder)
    check(recording, case.task)
    assert tuple(recording.splits[split].size for split in SPLITS) == case.sizes
    for gap in {case.task.gap.least, case.task.check_gap(min(7 * case.task.gap.least + 5, case.task.gap.most or 40))}:
        check(load(case.task, folder, gap), case.task)


@each_case
def test_reading_twice_gives_the_same(case, folder):
    first, second = load(case.task, folder), load(case.task, folder)
    assert first.facts == second.facts
    for split in SPLITS:
        one, other = first.splits[split], second.splits[split]
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets.nan_to_num(-1), other.targets.nan_to_num(-1))


@each_case
def test_defaults_are_settings_of_a_training_run(case):
    assert set(case.task.defaults) <= set(TrainConfig.model_fields)
    assert {"hidden_size", "batch_size", "learning_rate", "steps"} <= set(case.task.defaults)


@each_case
def test_a_model_learns_from_every_batch(case, folder):
    """Shapes fit, and one step down the gradient makes the loss smaller."""
    recording = load(case.task, folder)
    torch.manual_seed(0)
    model = SequenceModel(
        recording.inputs,
        recording.outputs,
        "lstm",
        8,
        symbols=case.task.symbols,
        embedding_size=case.task.defaults.get("embedding_size"),
    )
    batch = recording.splits["train"].columns(slice(0, 4))
    before, asked, _ = model.loss(batch, case.task.kind)
    assert asked == int(batch.asked.sum())
    (before / asked).backward()
    with torch.no_grad():
        for weights in model.parameters():
            assert weights.grad is not None
            assert bool(weights.grad.isfinite().all())
            weights -= 1e-3 * weights.grad
    assert float(model.loss(batch, case.task.kind)[0].detach()) < float(before.detach())


# --- chance: a guesser in plain Python gets what the facts say


def guess_classes(recording: Recording) -> dict[str, float]:
    seen = Counter(int(x) for x in recording.splits["train"].targets.flatten().tolist() if x >= 0)
    total = sum(seen.values()) + recording.outputs / 2
    favourite = max(range(recording.outputs), key=lambda answer: (seen[answer], -answer))
    test = recording.splits["test"].targets.T.tolist()
    asked = [answer for sequence in test for answer in sequence if answer >= 0]
    return {
        "loss": -sum(math.log((seen[answer] + 0.5) / total) for answer in asked) / len(asked),
        "accuracy": sum(answer == favourite for answer in asked) / len(asked),
        "solved": sum(all(answer in (-100, favourite) for answer in sequence) for sequence in test) / len(test),
    }


def guess_keys(recording: Recording) -> dict[str, float]:
    seen = [step for step in recording.splits["train"].targets.flatten(0, 1).tolist() if not math.isnan(step[0])]
    shares = [(sum(step[key] for step in seen) + 0.5) / (len(seen) + 1) for key in range(88)]
    loss, hits, steps, solved = 0.0, 0, 0, 0
    for piece in recording.splits["test"].targets.transpose(0, 1).tolist():
        asked = [step for step in piece if not math.isnan(step[0])]
        right_ones = [
            all((share > 0.5) == (key > 0.5) for share, key in zip(shares, step, strict=True)) for step in asked
        ]
        loss -= sum(math.log(s if key else 1 - s) for step in asked for s, key in zip(shares, step, strict=True))
        hits, steps, solved = hits + sum(right_ones), steps + len(asked), solved + all(right_ones)
    return {"loss": loss / steps, "accuracy": hits / steps, "solved": solved / recording.splits["test"].size}


def guess_no_change(recording: Recording) -> dict[str, float]:
    rises = [x for x in recording.splits["test"].targets.flatten().tolist() if not math.isnan(x)]
    return {"loss": sum(x * x for x in rises) / len(rises), "mean_absolute_error": sum(map(abs, rises)) / len(rises)}


GUESSES = {"choice": guess_classes, "bits": guess_keys, "number": guess_no_change}


@each_case
def test_chance_is_what_a_guesser_gets(case, folder):
    recording = load(case.task, folder)
    assert recording.facts["chance"] == pytest.approx(GUESSES[case.task.kind](recording), rel=1e-6)


# --- oracles: what is asked follows from the files


def test_agreement_is_told_by_the_forms(tmp_path):
    write_agreement(tmp_path)
    recording = load(agreement, tmp_path)
    assert recording.facts["left_out"] == 1
    words = recording.facts["words"]
    sentences = set()
    for batch in recording.splits.values():
        assert batch.lengths is not None
        assert batch.groups is not None
        for column in range(batch.size):
            length = int(batch.lengths[column])
            read = [words[symbol] for symbol in batch.inputs[:length, column].tolist()]
            # Numbers of nouns in between stand in the text, and the subject tells the class.
            assert read[:2] in (["the", "key"], ["the", "keys"])
            assert read.count("cabinet") == int(batch.groups[column])
            assert int(batch.targets[length - 1, column]) == int(read[1] == "keys")
            sentences.add((" ".join(read), int(batch.groups[column])))
    assert len(sentences) == 6


def test_agreement_reads_the_last_words_and_does_not_know_rare_ones(tmp_path):
    lines = [f"word{number} the dog barks loudly" for number in range(20)]
    (tmp_path / "subj_agr_filtered.text").write_text("\n".join(lines))
    (tmp_path / "subj_agr_filtered.gold").write_text("\n".join(["3\tbarks\tbark\t0"] * 20))
    recording = load(agreement, tmp_path)
    assert recording.facts["words"] == ["<unk>", "dog", "the"]
    assert recording.splits["train"].inputs.T.unique(dim=0).tolist() == [[0, 2, 1]]
    short = load(agreement, tmp_path, 2).splits["train"]
    assert short.inputs.T.unique(dim=0).tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("form", "other"),
    [("is", "are"), ("Has", "Have"), ("makes", "make"), ("passes", "pass"), ("tries", "try"), ("goes", "go")],
)
def test_singular_forms(form, other):
    assert is_singular_of(form, other)
    assert not is_singular_of(other, form)
    assert not is_singular_of(form, form)


def test_pixels_are_read_in_their_order(tmp_path):
    write_mnist(tmp_path)
    images = np.random.default_rng(6).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    by_pixel, by_row = load(mnist, tmp_path).splits["test"], load(mnist_rows, tmp_path).splits["test"]
    mixed = load(mnist_permuted, tmp_path).splits["test"]
    order = mixed_order()
    assert sorted(order.tolist()) == list(range(784))
    assert order[:5].tolist() == [280, 256, 215, 26, 468]  # the same for ever
    for number in range(6):
        pixels = [value / 255 for row in images[number].tolist() for value in row]
        assert by_pixel.inputs[:, number, 0].tolist() == pytest.approx(pixels)
        assert by_row.inputs[:, number].flatten().tolist() == pytest.approx(pixels)
        assert mixed.inputs[:, number, 0].tolist() == pytest.approx([pixels[place] for place in order])
        for batch in (by_pixel, by_row, mixed):
            assert int(batch.targets[-1, number]) == images[number, 0, 0] % 10
            assert int(batch.asked[:, number].sum()) == 1


@pytest.mark.parametrize("gap", [1, 3])
def test_music_asks_for_a_later_chord(tmp_path, gap):
    write_music(tmp_path)
    pieces = json.loads(gzip.decompress((tmp_path / "JSB_Chorales.json.gz").read_bytes()))
    for split, batch in load(jsb_chorales, tmp_path, gap).splits.items():
        parts = [
            (piece[begin : begin + LONGEST], piece[begin + gap : begin + gap + LONGEST])
            for piece in pieces[split]
            for begin in range(0, len(piece) - gap, LONGEST)
        ]
        assert len(parts) == batch.size
        for column, (read, asked) in enumerate(parts):
            for step, chord in enumerate(asked):
                assert (batch.inputs[step, column].nonzero().flatten() + 21).tolist() == read[step]
                assert (batch.targets[step, column].nonzero().flatten() + 21).tolist() == chord
            assert int(batch.asked[:, column].sum()) == len(asked)


def test_a_tone_is_loudest_in_its_own_band():
    """The bands lie where the mel scale says, and nowhere is a hole."""
    weights = bands()
    assert weights.shape == (257, BANDS)
    assert bool((weights.amax(dim=0) > 0.5).all())
    for pitch in (300, 1000, 2500):
        step = 2595 * math.log10(1 + 4000 / 700) / (BANDS + 1)
        expected = 2595 * math.log10(1 + pitch / 700) / step - 1
        tone = torch.sin(2 * math.pi * pitch * torch.arange(800) / RATE)
        heard = loudness(tone)
        assert heard.shape == (1 + (800 - 200) // 80, BANDS)
        assert bool(((heard.argmax(dim=1) - expected).abs() < 1).all())
    assert loudness(torch.zeros(50)).tolist() == [pytest.approx([math.log(1e-6)] * BANDS)]


def test_recordings_go_where_their_index_says(tmp_path):
    write_digits(tmp_path)
    recording = load(spoken_digits, tmp_path, 2)
    assert recording.facts["groups"] == ["ann", "bob"]
    indices = {"test": range(5), "valid": range(5, 10), "train": range(10, 12)}
    for split, batch in recording.splits.items():
        # Sorted by digit, speaker and index; how long a recording is tells its digit and index.
        expected = [(d, s, 1 + (400 + 80 * d + i) // 80) for d in range(3) for s in range(2) for i in indices[split]]
        assert batch.lengths is not None
        assert batch.groups is not None
        found = zip(
            batch.targets.amax(dim=0).tolist(), batch.groups.tolist(), (batch.lengths - 2).tolist(), strict=True
        )
        assert list(found) == expected
        last = batch.inputs[batch.lengths - 1, torch.arange(batch.size)]
        assert not bool(last.any())  # the blank steps
    train = recording.splits["train"]
    assert train.lengths is not None
    steps = torch.cat([train.inputs[: length - 2, column] for column, length in enumerate(train.lengths.tolist())])
    torch.testing.assert_close(steps.mean(dim=0), torch.zeros(BANDS), atol=1e-4, rtol=0)
    torch.testing.assert_close(steps.std(dim=0, correction=0), torch.ones(BANDS), atol=1e-4, rtol=0)


def test_every_fifth_case_of_a_speaker_is_held_out(tmp_path):
    write_vowels(tmp_path)
    lines = (tmp_path / "JapaneseVowels_TRAIN.ts").read_text().split("@data\n")[1].splitlines()
    held = [line for letter in "ab" for line in [x for x in lines if x.endswith(letter)][4::5]]
    valid = load(japanese_vowels, tmp_path).splits["valid"]
    assert valid.lengths is not None
    expected = Counter((line[-1], line.count(",") // 3 + 1) for line in held)
    assert Counter(zip(["ab"[x] for x in valid.targets.amax(dim=0)], valid.lengths.tolist(), strict=True)) == expected


@pytest.mark.parametrize("task", [occupancy, occupancy_no_light], ids=lambda task: task.name)
def test_the_office_is_read_in_the_order_of_time(tmp_path, task):
    write_office(tmp_path)
    recording = load(task, tmp_path, 60)
    rows = [line.split(",") for line in (tmp_path / "datatraining.txt").read_text().splitlines()[1:]]
    columns = [2, 3, 4, 5, 6] if task is occupancy else [2, 3, 5, 6]
    train, valid = recording.splits["train"], recording.splits["valid"]
    numbers = np.array([[float(row[column]) for column in columns] for row in rows])
    learned = numbers[:162]
    expected = (numbers - learned.mean(axis=0)) / learned.std(axis=0)
    for first, batch in ((0, train), (162, valid)):
        for step in range(int(batch.asked.sum())):
            place, column = step % 60, step // 60
            torch.testing.assert_close(batch.inputs[place, column], torch.tensor(expected[first + step]).float())
            assert int(batch.targets[place, column]) == int(rows[first + step][-1])


def test_a_heart_has_beaten_for_a_tenth_of_a_second(tmp_path):
    write_heart(tmp_path)
    batch = torch.cat([b.targets.T.flatten() for b in load(heartbeats, tmp_path, 500).splits.values()])
    answers = [x for x in batch.tolist() if x >= 0]
    peaks = [*range(100, 5999, 300), 5990]  # the first mark is of rhythm
    assert answers == [int(any(peak <= step <= peak + 36 for peak in peaks)) for step in range(6000)]
    groups = load(heartbeats, tmp_path, 300).splits["train"].groups
    assert groups is not None
    assert groups.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0][: len(groups)]


@pytest.mark.parametrize(("task", "gap"), [(ett_h1, 3), (airline, 1), (airline, 12), (forecast, 5)])
def test_forecasts_are_asked_once_each_and_told_by_the_table(tmp_path, task, gap):
    {"ett_h1": write_hours, "airline": write_months, "forecast": write_table}[task.name](tmp_path)
    file = next(tmp_path.glob("*.csv"))
    recording = load(task, tmp_path, gap)
    rows = read_table(file).rows[:14400] if task is ett_h1 else read_table(file).rows
    rows = np.log(rows) if task is airline else rows
    ends = np.cumsum([recording.facts["rows"][split] for split in SPLITS]).tolist()
    series = (rows - rows[: ends[0]].mean(axis=0)) / rows[: ends[0]].std(axis=0)
    read = series
    if task is airline:
        read = np.diff(series, axis=0, prepend=series[:1])
        read = read / read[1 : ends[0]].std(axis=0)
    context = recording.facts["context"]
    for split, begin, end in zip(SPLITS, (0, *ends), ends, strict=False):
        batch = recording.splits[split]
        # Every step from which all that is asked lies within the split, once, and with enough read before it.
        expected = list(range(max(begin, context) - 1, end - gap))
        places = [(int(t), int(b)) for b, t in batch.asked.T.nonzero()]
        assert len(places) == len(expected)
        assert batch.lengths is not None
        for (step, column), origin in zip(places, expected, strict=True):
            rise = series[origin + 1 : origin + 1 + gap] - series[origin]
            assert float(np.abs(batch.targets[step, column].numpy() - rise.ravel()).max()) < 1e-5
            assert step >= context - 1
            if origin % 97 == 0 or len(expected) < 400:
                before = torch.tensor(read[origin - step : origin + 1]).float()
                torch.testing.assert_close(batch.inputs[: step + 1, column], before)


# --- tables

TABLES = {
    "a,b\n1,2\n\n3,4\n": (("a", "b"), [[1, 2], [3, 4]], ()),
    "1;2\n3;4": (("column 1", "column 2"), [[1, 2], [3, 4]], ()),
    "day\tx\nmon\t-1e3\ntue\t.5": (("x",), [[-1000], [0.5]], ("day",)),
    '"x","y"\n"1",5,"a, b"\n"2",6,c\n': (("x",), [[5], [6]], ("y",)),
    "\ufeffx\r\n7\r\n": (("x",), [[7]], ()),
}


@pytest.mark.parametrize("text", TABLES, ids=repr)
def test_tables_are_read(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert (table.names, table.rows.tolist(), table.ignored) == TABLES[text]


NO_TABLES = {
    "": "'{path}' is empty: expected the data in it; fetch the file anew",
    "a,b\n": "'{path}' holds no line of numbers: expected a table with a column of numbers",
    "a,b\nx,y\n": "'{path}', line 2: no field is a number, expected a column of numbers",
    "a,b\n1,2\n3\n": "'{path}', line 3: 1 fields, expected 2 as in the first line",
    "a,b\n1,2\n\n3,\n": "'{path}', line 4, column 'b': '' is not a number; "
    "fill the hole, or take the line or the column out",
    "1\nnan": "'{path}', line 2, column 'column 1': 'nan' is not a number; "
    "fill the hole, or take the line or the column out",
    'a\n"1': "'{path}', line 2: unexpected end of data; expected CSV, with quotes that end",
    "a\n\xe9": "'{path}' is not utf-8 text: byte 0xe9 at offset 2 does not fit; "
    "fetch the file anew, or save it as UTF-8",
}


@pytest.mark.parametrize("text", NO_TABLES, ids=repr)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as refusal:
        read_table(path)
    assert str(refusal.value) == NO_TABLES[text].format(path=path)


# --- damaged folders: the file, what stands in it instead, and the sentence

TEN = "\n".join(["0"] * 10)
DAMAGES = [
    (agreement, "subj_agr_filtered.gold", b"2\tis\tare\t0", "has 31 lines and '{path}' 1: expected one for each other"),
    (agreement, "subj_agr_filtered.gold", b"2 is are 0\n" * 31, "line 1: '2 is are 0', expected place, right form"),
    (agreement, "subj_agr_filtered.gold", b"3\tis\tare\t0\n" * 31, "line 1: word 3 of the sentence is not 'is'"),
    (
        mnist,
        "train-images-idx3-ubyte.gz",
        b"png",
        "is not a whole gzip file (Not a gzipped file (b'pn')): fetch it anew",
    ),
    (
        mnist,
        "train-labels-idx1-ubyte.gz",
        gzip.compress(b"\0\0\x08\x03" + bytes(9)),
        "is not an idx file of bytes in 1",
    ),
    (
        mnist,
        "t10k-labels-idx1-ubyte.gz",
        gzip.compress(b"\0\0\x08\x01\0\0\0\x06ab"),
        "says it holds (6,) bytes, and holds 2",
    ),
    (
        mnist,
        "t10k-labels-idx1-ubyte.gz",
        gzip.compress(b"\0\0\x08\x01\0\0\0\x06abcdef"),
        "has a class 102, expected 0 to 9",
    ),
    (jsb_chorales, "JSB_Chorales.json.gz", gzip.compress(b"{"), "is not JSON (Expecting property name"),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        gzip.compress(b'{"train": []}'),
        "lacks one of the lists train, valid, test",
    ),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        gzip.compress(b'{"train": [[[60], [109]]], "valid": [], "test": []}'),
        "train piece 1, step 2: [109], expected MIDI numbers from 21 to 108",
    ),
    (
        jsb_chorales,
        "JSB_Chorales.json.gz",
        gzip.compress(b'{"train": [[[60]]], "valid": [], "test": []}'),
        "has no train piece of more than 1 steps: take a smaller gap",
    ),
    (spoken_digits, "recordings.tar.gz", b"tar", "is not a whole .tar.gz archive (not a gzip file): fetch it anew"),
    (japanese_vowels, "JapaneseVowels_TEST.ts", b"@data\n", "holds no case: expected lines of numbers after '@data'"),
    (
        japanese_vowels,
        "JapaneseVowels_TRAIN.ts",
        b"@classLabel true a b\n@data\n1,2:3,x:a\n",
        "line 3: could not convert string to float: 'x'; expected numbers separated by ','",
    ),
    (
        japanese_vowels,
        "JapaneseVowels_TRAIN.ts",
        b"@data\n1,2:3:a\n",
        "line 2: dimensions of [1, 2] steps, expected one",
    ),
    (japanese_vowels, "JapaneseVowels_TRAIN.ts", b"@data\n1:a\n", "line 2: class 'a' is not one of ''"),
    (occupancy, "datatest.txt", b"Light,Occupancy\n1,0\n", "has no column of numbers named Temperature, Humidity, CO2"),
    (heartbeats, "record_100.npz", b"PK", "is not an .npz file with signal, ann_sample, ann_symbol, fs"),
    (ett_h1, "ETTh1.csv", b"x\n1\n2\n", "has 2 rows, expected 14,400 or more"),
    (airline, "Airline.csv", f"x\n1\n{TEN}".encode(), "has a value of 0: expected numbers above zero only"),
    (airline, "Airline.csv", b"x\n1\n2\n", "has 2 rows, expected 61 or more"),
    (forecast, "mine.csv", b"x\n" + b"1\n" * 60, "has 60 rows, and its valid part is too short to ask 24 steps ahead"),
]


@pytest.mark.parametrize(("task", "file", "content", "sentence"), DAMAGES)
def test_damaged_files_are_refused(tmp_path, task, file, content, sentence):
    next(case.write for case in CASES if case.task is task)(tmp_path)
    path = tmp_path / file
    assert path.exists()
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        load(task, tmp_path)
    assert sentence.format(path=path) in str(refusal.value)
    assert f"'{path}'" in str(refusal.value)


@each_case
def test_missing_and_empty_files_are_refused(case, folder):
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        file.write_bytes(b"")
        if file.name.split(".")[0] == {"jsb_chorales": "Nottingham", "nottingham": "JSB_Chorales"}.get(case.task.name):
            continue
        with pytest.raises(DataError, match="is empty: expected the data in it; fetch the file anew"):
            load(case.task, folder)
        file.unlink()
        with pytest.raises(DataError, match=r"cannot be read \(No such file|holds 0 CSV files: expected one"):
            load(case.task, folder)
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("../../etc/7_ann_1.wav", b"", "holds '../../etc/7_ann_1.wav' (0 bytes): expected nothing but files such as"),
        ("recordings/7_ann_1.wav", bytes(10**6), "(1,000,000 bytes): expected nothing but files such as"),
        ("recordings/7_ann_1.wav", b"RIFF", "'recordings/7_ann_1.wav': not a wave file ("),
        ("recordings/7_ann_1.wav", sound(np.zeros(9), rate=16000), "1 channels of 16 bits at 16000 Hz, 18 of 18 bytes"),
        ("recordings/7_ann_1.wav", sound(np.zeros(8), channels=2), "2 channels of 16 bits at 8000 Hz"),
        (
            "recordings/7_ann_1.wav",
            sound(np.zeros(9))[:-4],
            "14 of 18 bytes; expected one channel of 16 bits at 8000 Hz",
        ),
        ("recordings/7_ann_1.wav", sound(np.zeros(9)), "has no recording for train: expected indices 0 to 49"),
    ],
)
def test_archives_with_anything_else_are_refused(tmp_path, name, content, sentence):
    write_archive(tmp_path, {name: content})
    with pytest.raises(DataError) as refusal:
        load(spoken_digits, tmp_path)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"fs": np.int32(250)}, "at 250 Hz, expected numbers [n, leads] of a second or more at 360 Hz"),
        ({"signal": np.zeros(6000)}, "a signal float64 (6000,) at 360 Hz"),
        ({"ann_sample": np.arange(3)}, "annotations (3,) and (22,), expected places and a mark for each"),
        ({"ann_sample": np.arange(22) + 5990}, "an annotation lies outside the 6,000 samples of the signal"),
        ({"ann_symbol": np.array([{}] * 22)}, "is not an .npz file with signal, ann_sample"),
    ],
)
def test_other_recordings_of_hearts_are_refused(tmp_path, changed, sentence):
    write_heart(tmp_path, **changed)
    with pytest.raises(DataError) as refusal:
        load(heartbeats, tmp_path)
    assert sentence in str(refusal.value)


def test_a_folder_of_several_tables_is_refused(tmp_path):
    write_table(tmp_path)
    whole = load(forecast, tmp_path / "mine.csv").facts
    assert whole == load(forecast, tmp_path).facts
    (tmp_path / "other.csv").write_text("1")
    with pytest.raises(
        DataError, match=r"holds 2 CSV files \(mine.csv, other.csv\): expected one; give the file itself"
    ):
        load(forecast, tmp_path)


# --- the real data, where GATEWORK_DATA names them

# Of each split the sequences, and the questions asked: what the sources say of their sets.
COUNTS = {
    "agreement": {"sequences": (5988, 748, 749)},
    "mnist": {"sequences": (55000, 5000, 10000)},
    "mnist_permuted": {"sequences": (55000, 5000, 10000)},
    "mnist_rows": {"sequences": (55000, 5000, 10000)},
    "jsb_chorales": {"sequences": (229, 76, 77), "asked": (13807 - 229, 4602 - 76, 4725 - 77)},
    "nottingham": {"asked": (176561 - 694, 45513 - 173, 44463 - 170)},
    "spoken_digits": {"sequences": (1600, 200, 200)},
    "japanese_vowels": {"sequences": (216, 54, 370)},
    "occupancy": {"asked": (6514, 8143 - 6514, 2665)},
    "occupancy_no_light": {"asked": (6514, 8143 - 6514, 2665)},
    "heartbeats": {"asked": (433333, 108333, 108334)},
    "ett_h1": {"asked": (8640 - 95 - 24, 2880 - 23, 2880 - 23)},
    "airline": {"sequences": (3, 1, 2), "asked": (84 - 23 - 12, 24 - 11, 36 - 11)},
}


@pytest.mark.parametrize("task", REAL, ids=lambda task: task.name)
def test_the_real_data_are_read(task, data_folder):
    assert isinstance(task.examples, Recorded)
    recording = load(task, data_folder / task.examples.folder)
    check(recording, task)
    counts = {
        "sequences": tuple(recording.splits[split].size for split in SPLITS),
        "asked": tuple(int(recording.splits[split].asked.sum()) for split in SPLITS),
    }
    assert {name: counts[name] for name in COUNTS[task.name]} == COUNTS[task.name]
    assert not task.success.reached(recording.facts["chance"])  # guessing solves nothing
