"""Tasks on recorded data: what is asked follows from the files."""

import gzip
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from tests.tasks.recorded.tiny import (
    SPLITS,
    load,
    write_agreement,
    write_digits,
    write_heart,
    write_hours,
    write_mnist,
    write_months,
    write_music,
    write_office,
    write_table,
    write_vowels,
)

from gatework.data.recorded import read_table
from gatework.tasks.features.mel import BANDS, log_mel, mel_bands, spectrum_points, window_and_hop
from gatework.tasks.generic.forecast import forecast
from gatework.tasks.recorded.agreement import agreement, is_singular_of
from gatework.tasks.recorded.digits import spoken_digits
from gatework.tasks.recorded.forecasting import airline, ett_h1
from gatework.tasks.recorded.heartbeats import heartbeats
from gatework.tasks.recorded.mnist import mixed_order, mnist, mnist_permuted, mnist_rows
from gatework.tasks.recorded.occupancy import occupancy, occupancy_no_light
from gatework.tasks.recorded.polyphony import LONGEST, jsb_chorales
from gatework.tasks.recorded.vowels import japanese_vowels

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


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_loudest_in_its_own_band(rate):
    """The bands lie where the mel scale says, and nowhere is a hole."""
    weights = mel_bands(rate)
    assert weights.shape == (spectrum_points(rate) // 2 + 1, BANDS)
    assert bool((weights.amax(dim=0) > 0.5).all())
    window, hop = window_and_hop(rate)
    for pitch in (300, 1000, 2500):
        step = 2595 * math.log10(1 + rate / 2 / 700) / (BANDS + 1)
        expected = 2595 * math.log10(1 + pitch / 700) / step - 1
        tone = torch.sin(2 * math.pi * pitch * torch.arange(rate // 10) / rate)
        heard = log_mel(tone, rate)
        assert heard.shape == (1 + (rate // 10 - window) // hop, BANDS)
        assert bool(((heard.argmax(dim=1) - expected).abs() < 1).all())
    assert log_mel(torch.zeros(50), rate).tolist() == [pytest.approx([math.log(1e-6)] * BANDS)]


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


@pytest.mark.parametrize(("task", "season", "gap"), [(airline, 12, 5), (airline, 12, 24), (ett_h1, 24, 30)])
def test_the_season_before_is_among_the_facts(tmp_path, task, season, gap):
    {"ett_h1": write_hours, "airline": write_months}[task.name](tmp_path)
    facts = load(task, tmp_path, gap).facts
    rows = read_table(next(tmp_path.glob("*.csv"))).rows[: sum(facts["rows"].values())]
    rows = np.log(rows) if task is airline else rows
    series = ((rows - facts["mean"]) / facts["deviation"]).tolist()
    first = facts["rows"]["train"] + facts["rows"]["valid"] - 1  # the last step before the test split
    errors = []
    for origin in range(first, len(series) - gap, 50 if task is ett_h1 else 1):
        for place in range(origin + 1, origin + gap + 1):
            before = place
            while before > origin:
                before -= season
            errors += [value - old for value, old in zip(series[place], series[before], strict=True)]
    assert facts["season"]["rows"] == season
    # Of the hours only some are looked at here.
    expected = pytest.approx(sum(abs(e) for e in errors) / len(errors), rel=0.1 if task is ett_h1 else 1e-9)
    assert facts["season"]["mean_absolute_error"] == expected


def test_a_column_that_never_changes_is_read_as_zeros(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(f"{row % 7},0.1" for row in range(300)))
    recording = load(forecast, path)
    for batch in recording.splits.values():
        assert float(batch.inputs[..., 1].abs().max()) < 1e-6
        assert float(batch.inputs[..., 0].abs().max()) > 1
