"""Runs on speech, from training to transcripts: a language of tones, one pitch for each letter."""

import importlib
import io
import json
import shutil
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gatework
from gatework.cli.app import run as command
from gatework.errors import ConfigError, DataError, RunError
from gatework.training import Search, make_config
from gatework.training.jobs.registry import open_job
from gatework.training.jobs.transcripts import Decoder

RATE, PITCHES = 8000, {"a": 500.0, "b": 1100.0, "c": 2300.0, " ": 0.0}


def spoken(text: str, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """Say a text: each letter a tone of 90 ms, and a short pause after it."""
    parts = []
    for letter in text:
        time = np.arange(int(0.09 * rate)) / rate
        parts += [0.4 * np.sin(2 * np.pi * PITCHES[letter] * time + rng.uniform(0, 6)), np.zeros(int(0.03 * rate))]
    sound = np.concatenate(parts)
    return sound + rng.normal(size=len(sound)) * 0.01


def wav(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * (2**15 - 1)).astype("<i2").repeat(channels).tobytes())
    return stream.getvalue()


def write_recordings(folder: Path, count: int = 60) -> None:
    rng, lines = np.random.default_rng(0), ["file,text,split"]
    for number in range(count):
        words = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
        text, split = " ".join(words), "test" if number % 6 == 0 else "valid" if number % 6 == 1 else "train"
        (folder / f"{number}.wav").write_bytes(wav(spoken(text, rng)))
        lines.append(f"{number}.wav,{text},{split}")
    (folder / "transcripts.csv").write_text("\n".join(lines) + "\n")


SMALL: dict[str, Any] = {
    "task": "speech",
    "hidden_size": 24,
    "num_layers": 1,
    "batch_size": 8,
    "epochs": None,
    "learning_rate": 2e-2,
    "warmup_steps": 10,
    "dropout": 0.0,
    "input_noise": 0.1,
    "mask_steps": 1,
    "mask_features": 1,
    "features": "log-mel",
    "deltas": 1,
    "steps": 150,
    "normalize": "training",
    "bidirectional": False,
    "log_every": 50,
    "threads": 1,
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_recordings(folder)
    return folder


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "tones"
    gatework.train(make_config({**SMALL, "data": str(recordings), "run": str(run)}))
    return run


@pytest.fixture(scope="module")
def both_ways(recordings, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "both"
    settings = {"bidirectional": True, "num_layers": 2, "normalize": "recording", "steps": 80, "features": "mfcc"}
    gatework.train(make_config({**SMALL, **settings, "data": str(recordings), "run": str(run)}))
    return run


def test_a_model_learns_to_write_what_it_hears(trained, recordings):
    pytest.importorskip("jiwer")
    found = gatework.evaluate(str(trained), split="test", beams=8, search=Search(ngram="letters"))
    assert found.metrics["cer"] < 0.05
    assert found.metrics["accuracy"] == pytest.approx(1 - found.metrics["cer"])
    assert found.metrics["wer_by_search"] < 0.1
    assert found.trivial["empty transcript"]["wer"] == 1.0
    assert found.trivial["most frequent transcript"]["cer"] > 0.5
    assert found.solved


def test_a_model_of_both_directions_learns(both_ways):
    pytest.importorskip("jiwer")
    loaded = gatework.load(both_ways)
    assert loaded.model.recurrent.bidirectional
    assert loaded.evaluate("test").metrics["cer"] < 0.3
    with pytest.raises(ConfigError, match="reads in both directions, so it needs the whole recording"):
        loaded.listen()


def test_a_resumed_run_has_the_same_bits(recordings, tmp_path):
    settings = {**SMALL, "data": str(recordings), "dropout": 0.2, "checkpoint_every": 5, "bidirectional": True}
    settings |= {"schedule": "constant"}
    whole = gatework.train(make_config({**settings, "steps": 12, "run": str(tmp_path / "whole")}))
    gatework.train(make_config({**settings, "steps": 5, "run": str(tmp_path / "parts")}))
    gatework.train(make_config({**settings, "steps": 12, "run": str(tmp_path / "parts")}))
    one, other = (gatework.load(path).model.state_dict() for path in (whole.run, tmp_path / "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_recordings_are_transcribed_without_the_data(trained, tmp_path, recordings, monkeypatch):
    loaded = gatework.load(trained)
    monkeypatch.setattr("gatework.training.jobs.sequence.load_recording", None)
    rng = np.random.default_rng(9)
    (tmp_path / "a.wav").write_bytes(wav(spoken("ab c", rng)))
    (tmp_path / "b.wav").write_bytes(wav(spoken("ca", rng, 16_000), 16_000, channels=2))
    first, second = loaded.transcribe([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert (first.text, first.changes) == ("ab c", ())
    assert second.text == "ca"
    assert second.changes == ("2 channels mixed to one", "resampled from 16,000 to 8,000 samples a second")
    assert "".join(letter for letter, _ in first.spikes) == "ab c"
    # Letter n sounds from 0.12 n to 0.12 n + 0.09 seconds; its spike may be late by a few steps.
    assert all(0.12 * n - 0.1 < second < 0.12 * n + 0.4 for n, (_, second) in enumerate(first.spikes))
    assert loaded.transcribe(spoken("cab", rng)).text == "cab"
    assert loaded.transcribe(torch.from_numpy(spoken("cab", rng)).float()).text == "cab"
    assert loaded.transcribe(spoken("cab", rng), beams=4, ngram="letters").text == "cab"
    with pytest.raises(ConfigError, match=r"ngram is given, and beams is 0\. Give beams, such as 16\."):
        loaded.transcribe(spoken("cab", rng), ngram="letters")


@pytest.mark.parametrize("longest", [3, 100, 777, 20_000])
def test_pieces_give_the_transcript_and_the_bits_of_the_whole(trained, longest):
    loaded = gatework.load(trained)
    samples = spoken("abc ba", np.random.default_rng(4))[: 900 if longest == 3 else None]
    transcriber = loaded.transcriber(Search())
    expected = transcriber.scores(transcriber.prepared.of_samples(samples))
    hearing, rng, at, text = loaded.listen(), np.random.default_rng(longest), 0, ""
    while at < len(samples):
        size = int(rng.integers(1, longest + 1))
        text += hearing.feed(samples[at : at + size])
        at += size
    text += hearing.finish()
    assert torch.equal(hearing.scores, expected[:, 0])
    assert " ".join(text.split()) == hearing.text == loaded.transcribe(samples).text
    with pytest.raises(DataError, match=r"The recording has ended\. Begin another one with listen\(\)\."):
        hearing.feed(samples)


def test_whole_recordings_have_the_scores_of_the_model(trained):
    loaded = gatework.load(trained)
    transcriber = loaded.transcriber(Search())
    steps = transcriber.prepared.of_samples(spoken("abc ba", np.random.default_rng(4)))
    with torch.no_grad():
        expected, _ = loaded.model(torch.from_numpy(steps)[:, None])
    torch.testing.assert_close(transcriber.scores(steps), expected, rtol=1e-5, atol=1e-5)


def test_sound_that_is_none_is_refused(trained):
    loaded = gatework.load(trained)
    for given, message in (
        (np.zeros((2, 5)), r"The sound has the shape \[2, 5\] of float64; expected samples \[n\], floats between"),
        (np.zeros(0), r"The sound has the shape \[0\] of float64"),
        (np.zeros(5, np.int16), r"The sound has the shape \[5\] of int16"),
        (np.full(5, 3.0), r"The samples reach 3; expected finite numbers between -1 and 1\. Divide whole numbers"),
        (np.array([np.nan]), r"The samples reach nan; expected finite numbers"),
        (np.array([-np.inf]), r"The samples reach inf; expected finite numbers"),
    ):
        with pytest.raises(DataError, match=message):
            loaded.transcribe(given)
        if len(given):  # pieces may have no samples
            with pytest.raises(DataError, match=message):
                loaded.listen().feed(given)
    assert loaded.listen().feed(np.zeros(0)) == ""


def test_forged_facts_are_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "forged")
    path = tmp_path / "forged" / "data.json"
    facts = json.loads(path.read_text())
    for changed, message in (
        ({"sound": {**facts["facts"]["sound"], "rate": 10**9}}, "do not say how recordings are read"),
        ({"sound": {**facts["facts"]["sound"], "kind": ["mfcc"]}}, "do not say how recordings are read"),
        ({"sound": {**facts["facts"]["sound"], "mean": "many"}}, "do not say how recordings are read"),
        ({"sound": {**facts["facts"]["sound"], "mean": [1.0]}}, "have the scale of 1 features; expected 80"),
        ({"sound": None}, "do not say how recordings are read"),
        ({"transcripts": {"xyz": 1}}, "no letters, or no training transcripts"),
        ({"transcripts": {"ab": 10**12}}, "no letters, or no training transcripts"),
        ({"classes": [[1]] * 4}, "no letters, or no training transcripts"),
    ):
        path.write_text(json.dumps(facts | {"facts": facts["facts"] | changed}))
        with pytest.raises(DataError, match=message):
            gatework.load(tmp_path / "forged").transcribe(np.zeros(900))


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_types_of_numbers_read_pieces_too(recordings, tmp_path, dtype):
    run = gatework.train(
        make_config({**SMALL, "data": str(recordings), "dtype": dtype, "steps": 2, "run": str(tmp_path)})
    ).run
    loaded, samples = gatework.load(run), spoken("ab", np.random.default_rng(1))
    transcriber, hearing = loaded.transcriber(Search()), loaded.listen()
    for first in range(0, len(samples), 300):
        hearing.feed(samples[first : first + 300])
    hearing.finish()
    assert torch.equal(hearing.scores, transcriber.scores(transcriber.prepared.of_samples(samples))[:, 0])
    assert hearing.scores.dtype == getattr(torch, dtype)


def test_runs_on_other_tasks_hear_nothing(tmp_path):
    run = gatework.train(
        make_config({"task": "parity", "gap": 3, "hidden_size": 4, "steps": 1, "run": str(tmp_path)})
    ).run
    with pytest.raises(RunError, match="was trained on task 'parity', whose models hear no speech"):
        gatework.load(run).transcribe("a.wav")
    with pytest.raises(ConfigError, match=r"A search for transcripts is given, and run .* hears no speech\."):
        gatework.evaluate(str(run), search=Search(4))


def test_each_recording_by_itself_cannot_be_read_in_pieces(recordings, tmp_path):
    settings = {**SMALL, "data": str(recordings), "normalize": "recording", "steps": 1, "run": str(tmp_path)}
    gatework.train(make_config(settings))
    with pytest.raises(ConfigError, match=r"cannot read recordings in pieces\. Each recording is standardised by"):
        gatework.load(tmp_path).listen()


def test_error_rates_need_jiwer_and_are_those_of_the_definition(monkeypatch):
    pytest.importorskip("jiwer")
    rates = importlib.import_module("gatework.training.jobs.error_rates")
    found = rates.error_rates(["b c", ""], ["a b c", "d"])
    assert found == {"cer": pytest.approx(3 / 6), "wer": pytest.approx(2 / 4)}
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(DataError, match=r"need the package jiwer, .* pip install 'gatework\[speech\]'"):
        importlib.reload(rates)


def test_an_n_gram_of_the_training_transcripts_decides_between_paths():
    letters = (" ", "a", "b")
    # Along the most probable path "ab"; "aa" is nearly as probable, and the only word of the transcripts.
    scores = torch.full((3, 1, 4), -9.0)
    scores[0, 0, 1] = scores[1, 0, 3] = 2.0
    scores[2, 0, 1], scores[2, 0, 2] = 1.9, 2.0
    texts = {"aa": 5, "aa aa": 1}
    assert Decoder(letters, texts, Search()).texts_of(scores) == ["ab"]
    assert Decoder(letters, texts, Search(8, "none")).texts_of(scores) == ["ab"]
    assert Decoder(letters, texts, Search(8, "words")).texts_of(scores) == ["aa"]
    assert Decoder(letters, texts, Search(8, "letters", 3)).texts_of(scores) == ["aa"]
    assert Decoder(("c", "a", "b"), {"aa": 5}, Search(8, "words")).texts_of(scores) == ["aa"]  # no spaces at all
    with pytest.raises(DataError, match="The model gives scores that are no finite numbers"):
        Decoder(letters, texts, Search()).texts_of(scores * torch.nan)


WRONG: dict[str, dict[str, Any]] = {
    "beams is 5000; expected a whole number from 0 to 4,096.": {"beams": 5000},
    "order is 0; expected a whole number from 1 to 16.": {"order": 0},
    "ngram is 'phones'; expected words, letters or none.": {"ngram": "phones"},
    "weight is -1.0 and bonus is 4.5; expected finite numbers, the weight 0 or more.": {"weight": -1.0},
}


@pytest.mark.parametrize("message", WRONG)
def test_searches_out_of_range_are_refused(message):
    with pytest.raises(ConfigError) as refused:
        Search(**WRONG[message])
    assert str(refused.value) == message


def test_settings_of_speech_are_for_speech():
    with pytest.raises(ConfigError, match="deltas is '1', and task 'adding' reads no speech"):
        make_config({"task": "adding", "deltas": 1})
    with pytest.raises(ConfigError, match=r"stack is 2, and a text has none\."):
        make_config({"stack": 2})
    with pytest.raises(ConfigError, match="normalize is 'none'"):
        make_config({"task": "speech", "normalize": "none"})


def test_parameters_of_both_directions_are_counted(recordings):
    for settings in ({"bidirectional": True, "num_layers": 2}, {"bidirectional": False}):
        job: Any = open_job(make_config({**SMALL, **settings, "data": str(recordings)}))
        model = job.build(torch.device("cpu"))
        assert job.shape.count(gatework.CELLS["lstm"], 24) == sum(part.numel() for part in model.parameters())


def test_the_verb_writes_transcripts(trained, tmp_path, capsys):
    rng = np.random.default_rng(9)
    for name, rate in (("a", RATE), ("b", 16_000)):
        (tmp_path / f"{name}.wav").write_bytes(wav(spoken("ab c", rng, rate), rate))
    files = [str(tmp_path / f"{name}.wav") for name in "ab"]
    assert command(["transcribe", str(trained), files[0]]) == 0
    assert capsys.readouterr().out == "ab c\n"
    assert command(["transcribe", str(trained), *files, "--beams", "4", "--ngram", "letters"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{files[0]}: ab c\n{files[1]}: ab c\n"
    assert told.err == f"{files[1]}: resampled from 16,000 to 8,000 samples a second.\n"
    assert command(["transcribe", str(trained), files[0], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["text"] for one in found["transcripts"]] == ["ab c"]
    assert [spike["letter"] for spike in found["transcripts"][0]["spikes"]] == list("ab c")
    assert command(["transcribe", str(trained), str(tmp_path / "none.wav")]) == 2
    assert "none.wav" in capsys.readouterr().err
    assert command(["transcribe", str(trained), files[0], "--ngram", "letters"]) == 2
    assert "An n-gram or a bonus is given, and no search that it is for." in capsys.readouterr().err


def test_the_verb_measures_error_rates(trained, capsys, monkeypatch):
    pytest.importorskip("jiwer")
    monkeypatch.setenv("COLUMNS", "200")  # so that no name is broken over two lines
    assert command(["evaluate", str(trained), "--split", "test", "--beams", "4"]) == 0
    told = capsys.readouterr().out
    for part in ("cer", "wer by search", "most frequent transcript", "empty transcript"):
        assert part in told
