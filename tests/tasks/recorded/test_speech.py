"""Speech: recordings with transcripts as sequences, from tiny folders and from the real data, and what is refused."""

import io
import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tasks.recorded.tiny import sound, write_digits

from gatework.errors import DataError
from gatework.tasks.features.prepared import Prepared, SpeechOptions
from gatework.tasks.features.spoken import Recipe
from gatework.tasks.recorded.digit_strings import load as load_digits
from gatework.tasks.recorded.speech import load
from gatework.tasks.recorded.utterances import Utterance, disturbance, labels_of, transcribed
from gatework.tasks.task import Batch

SPLITS = ("train", "valid", "test")


def cepstra(count: int, seed: int = 0) -> bytes:
    numbers = np.random.default_rng(seed).normal(size=(count, 13))
    return np.array([numbers.size], ">i4").tobytes() + numbers.astype(">f4").tobytes()


def write_an4(folder: Path, damage: dict[str, bytes] | None = None) -> None:
    """Twenty speakers of two recordings for training, and one for the test."""
    (folder / "etc").mkdir()
    names = {
        "train": [f"an4_clstk/s{n:02}/an{n}{part}-s{n:02}-b" for n in range(20) for part in "ab"],
        "test": ["an4test_clstk/zz/cen1-zz-b", "an4test_clstk/zz/cen2-zz-b"],
    }
    files = {}
    for part, listed in names.items():
        words = ["GO", "NO  GO", "A B B"]
        lines = [f"<s> {words[n % 3]} </s> ({name.rpartition('/')[2]})" for n, name in enumerate(listed)]
        (folder / "etc" / f"an4_{part}.fileids").write_text("\n".join(listed) + "\n")
        (folder / "etc" / f"an4_{part}.transcription").write_text("\n".join(lines) + "\n")
        files |= {f"feat/{name}.mfc": cepstra(30 + n, n) for n, name in enumerate(listed)}
    with tarfile.open(folder / "feat.tar.gz", "w:gz") as archive:
        for name, content in (files | (damage or {})).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_folder(folder: Path, lines: list[str], sounds: dict[str, bytes], header: str = "file,text,split") -> None:
    (folder / "transcripts.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    for name, content in sounds.items():
        (folder / f"{name}.wav").write_bytes(content)


def tone(seconds: float = 0.4, rate: int = 8000, seed: int = 0) -> bytes:
    return sound(np.random.default_rng(seed).normal(size=int(seconds * rate)) / 8, rate)


FOUR = {name: tone(seed=n) for n, name in enumerate("abcd")}
LINES = ["a.wav,ab ba,train", "b.wav, b  a ,train", "c.wav,ab,valid", "d.wav,a,test"]


def said(batch: Batch, letters: list[str]) -> list[str]:
    return ["".join(letters[label] for label in labels) for labels in labels_of(batch.targets)]


def test_the_lists_of_an4_are_read_with_speakers_apart(tmp_path):
    write_an4(tmp_path)
    found = load(tmp_path, 0)
    # Every eighteenth of twenty speakers is held out: the first and the nineteenth, with two recordings each.
    assert [found.splits[split].size for split in SPLITS] == [36, 4, 2]
    assert found.facts["classes"] == [" ", "A", "B", "G", "N", "O"]
    assert said(found.splits["test"], found.facts["classes"]) == ["GO", "NO GO"]
    lengths = found.splits["test"].lengths
    assert lengths is not None
    assert lengths.tolist() == [10, 11]  # 30 and 31 frames, three a step
    assert (found.inputs, found.outputs) == (117, 6)
    json.dumps(found.facts)


def test_trivial_predictors_are_counted_by_hand(tmp_path):
    write_an4(tmp_path)
    found = load(tmp_path, 0).facts
    assert found["transcripts"] == {"GO": 12, "NO GO": 11, "A B B": 13}
    # It takes five edits from "A B B" to "GO", and five to "NO GO"; both together have seven letters.
    assert found["trivial"]["test"]["most frequent transcript"] == {"accuracy": 1 - 10 / 7, "solved": 0.0}
    assert found["trivial"]["test"]["empty transcript"] == {"accuracy": 0.0, "solved": 0.0}


def test_a_folder_of_ones_own_is_read(tmp_path):
    write_folder(tmp_path, LINES, FOUR | {"left": tone()})
    (tmp_path / "c.wav").write_bytes(tone(rate=16_000, seed=9))
    (tmp_path / "d.wav").write_bytes(sound(np.ones(8000) / 8, 8000, channels=2))
    found = load(tmp_path, 2, SpeechOptions("log-mel", 1, 2, "training"))
    assert [said(found.splits[split], found.facts["classes"]) for split in SPLITS] == [["ab ba", "b a"], ["ab"], ["a"]]
    told = " ".join(found.facts["about"])
    for part in (
        "resampled to 8,000 samples a second: 1 recordings",
        "several channels mixed to one: 1 recordings",
        "without a transcript, and not read: 1 recordings",
        "40 mel bands every 10 ms, with their rates of change, standardised by the training recordings",
        "2 frames a step",
    ):
        assert part in told
    train = found.splits["train"]
    assert train.lengths is not None
    assert train.lengths.tolist() == [19 + 2, 19 + 2]  # 38 frames, two a step, and the gap
    assert not train.inputs[19:].any()
    np.testing.assert_allclose(train.inputs[:19].reshape(-1, 80).mean(0), 0, atol=1e-5)


def test_recordings_without_said_splits_are_shared_out(tmp_path):
    names = [f"r{n}" for n in range(20)]
    write_folder(tmp_path, [f"{name}.wav,ab" for name in names], dict.fromkeys(names, tone()), "path,sentence")
    assert [load(tmp_path, 0).splits[split].size for split in SPLITS] == [14, 2, 4]
    elsewhere = tmp_path / "lists"
    elsewhere.mkdir()
    (tmp_path / "transcripts.csv").rename(elsewhere / "mine.csv")
    assert load(tmp_path, 0, SpeechOptions(transcripts=str(elsewhere / "mine.csv"))).splits["train"].size == 14


DAMAGE = {
    "'e.wav', and no such recording": [*LINES, "e.wav,a,train"],
    "line 6: 'a.wav' is listed twice": [*LINES, "a.wav,a,train"],
    "line 6: '../a.wav' does not lie in": [*LINES, "../a.wav,a,train"],
    "line 3: the column 'text' is empty": [LINES[0], "b.wav,  ,train", *LINES[2:]],
    "line 4: the part is 'dev'; expected train, valid, test": [*LINES[:2], "c.wav,ab,dev", LINES[3]],
    "'c.wav' has the symbol 'ß', which no training transcript has": [*LINES[:2], "c.wav,aß,valid", LINES[3]],
    "There is no recording in the part test": [*LINES[:3], "d.wav,a,train"],
    "'a.wav' has 13 steps of 30 ms, and its transcript of 14 symbols needs 23": [
        "a.wav,aaaa bbbb aaaa,train",
        *LINES[1:],
    ],
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_folder_that_cannot_be_used_is_refused(tmp_path, message):
    write_folder(tmp_path, DAMAGE[message], FOUR)
    with pytest.raises(DataError) as refused:
        load(tmp_path, 0)
    assert message in str(refused.value)


def test_a_folder_without_a_list_or_with_another_one_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no transcripts\.csv; expected a list with the columns file and text"):
        load(tmp_path, 0)
    write_folder(tmp_path, ["1,2"], {}, "id,words")
    with pytest.raises(DataError, match="needs a column file and a column text; it has id, words"):
        load(tmp_path, 0)
    with pytest.raises(DataError, match=r"is no folder; expected one with recordings"):
        load(tmp_path / "transcripts.csv", 0)
    write_folder(tmp_path, LINES[:2], FOUR, "file,text,x")
    with pytest.raises(DataError, match="lists 2 recordings; expected three or more"):
        load(tmp_path, 0)


WRONG = {
    "no whole file of 13 cepstra": {"feat/an4_clstk/s00/an0a-s00-b.mfc": cepstra(5)[:-1]},
    "that are no finite numbers": {
        "feat/an4_clstk/s00/an0a-s00-b.mfc": np.array([13], ">i4").tobytes() + np.full(13, math.nan, ">f4").tobytes()
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_damaged_cepstra_are_refused(tmp_path, message):
    write_an4(tmp_path, WRONG[message])
    with pytest.raises(DataError, match=message):
        load(tmp_path, 0)


def test_lists_that_do_not_belong_together_are_refused(tmp_path):
    write_an4(tmp_path)
    place = tmp_path / "etc" / "an4_test.transcription"
    lines = place.read_text().splitlines()
    for changed, message in (
        (lines[::-1], r"line 1: expected the words of 'an4test_clstk/zz/cen1-zz-b', and then its name in brackets"),
        (lines[:1], r"has 1 lines, and the list beside it 2 names"),
    ):
        place.write_text("\n".join(changed) + "\n")
        with pytest.raises(DataError, match=message):
            load(tmp_path, 0)
    with pytest.raises(DataError, match=r"features is 'log-mel', and .* holds AN4, which has cepstra and no sound"):
        load(tmp_path, 0, SpeechOptions("log-mel"))


def test_strings_of_digits_are_made_of_recordings_of_their_split(tmp_path):
    write_digits(tmp_path)
    first, second = load_digits(tmp_path, 3), load_digits(tmp_path, 3)
    assert set(first.facts["classes"]) <= set(" 0123456789")
    for split in SPLITS:
        assert torch.equal(first.splits[split].inputs, second.splits[split].inputs)
        assert torch.equal(first.splits[split].targets, second.splits[split].targets)
        texts = said(first.splits[split], first.facts["classes"])
        assert all(len(word) == 1 for text in texts for word in text.split(" "))
        assert max(len(text.split(" ")) for text in texts) == 3


def test_training_batches_are_disturbed_as_said():
    recipe = Recipe("mfcc", 1, 2)
    prepared = Prepared(recipe)
    batch = Batch(torch.ones(40, 6, 52), torch.zeros(40, 6, dtype=torch.int64), torch.tensor([40, 39, 8, 2, 1, 30]))
    assert disturbance(SpeechOptions(), prepared) is None
    noisy = disturbance(SpeechOptions(noise=0.5), prepared)
    assert noisy is not None
    found = noisy(batch, np.random.default_rng(0)).inputs - 1
    assert abs(float(found.mean())) < 0.02
    assert abs(float(found.std()) - 0.5) < 0.02
    assert torch.equal(found + 1, noisy(batch, np.random.default_rng(0)).inputs)
    assert bool((batch.inputs == 1).all())  # the recorded batch is as it was

    masked = disturbance(SpeechOptions(mask_steps=5), prepared)
    assert masked is not None
    rows = masked(batch, np.random.default_rng(1)).inputs
    gone = (rows == 0).all(-1)
    assert torch.equal(gone, (rows == 0).any(-1))  # whole steps
    assert 0 < int(gone.sum(0).max()) <= 10
    assert batch.lengths is not None
    assert not bool((gone & (torch.arange(40)[:, None] >= batch.lengths)).any())

    features = disturbance(SpeechOptions(mask_features=6), prepared)
    assert features is not None
    rows = features(batch, np.random.default_rng(2)).inputs.unflatten(-1, (2, 2, 13))
    gone = (rows == 0).all(dim=0).all(dim=1).all(dim=1)  # [B, 13]: in every step, frame and rate of change
    assert torch.equal(gone, (rows == 0).any(dim=0).any(dim=1).any(dim=1))
    assert 0 < int(gone.sum(1).max()) <= 6


def test_an_empty_transcript_is_refused():
    one = Utterance("a", " ", np.zeros((9, 13)))
    with pytest.raises(DataError, match="The transcript of 'a' is empty; expected what is said"):
        transcribed({"train": [one], "valid": [one], "test": [one]}, SpeechOptions(), 8000)


def test_the_real_recordings_are_read(data_folder):
    found = load(data_folder / "an4", 0)
    assert [found.splits[split].size for split in SPLITS] == [887, 61, 130]
    texts = said(found.splits["test"], found.facts["classes"])
    assert sum(len(text.split()) for text in texts) == 773
    assert sum(map(len, texts)) == 2565
