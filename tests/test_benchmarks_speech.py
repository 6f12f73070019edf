"""The limits of speech are held, on recordings so few and noisy that no model keeps them."""

import json
import sys

import pytest
from benchmarks.speech import LIMITS, main, missed
from tests.tasks.recorded.test_speech import write_an4

GOOD = {"cer": 6.8, "wer": 15.5, "wer_by_search": 8.2, "minutes": 4.0, "cer_by_search": 4.8}


def test_each_limit_is_held():
    assert missed(GOOD) == []
    for name, limit in vars(LIMITS).items():
        assert missed(GOOD | {name: limit + 0.01}) == [f"{name} is {limit + 0.01}; at most {limit:g}"]
        assert missed(GOOD | {name: limit}) == []


def test_models_are_trained_with_as_many_parameters_and_measured(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jiwer")
    (tmp_path / "an4").mkdir()
    write_an4(tmp_path / "an4")
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path))
    runs, written = tmp_path / "runs", tmp_path / "found" / "speech.json"
    words = ["--models", "blstm,lstm,brnn", "--epochs", "1", "--runs", str(runs), "--write", str(written)]
    monkeypatch.setattr(sys, "argv", ["speech", *words])
    assert main() == 1
    assert "seed 0: wer is 1" in capsys.readouterr().err
    found = json.loads(written.read_text())["results"]
    assert [one["model"] for one in found] == ["blstm", "lstm", "brnn"]
    sizes = [json.loads((runs / f"speech-{one['model']}-0" / "config.json").read_text()) for one in found]
    assert [one["bidirectional"] for one in sizes] == [True, False, True]
    assert sizes[0]["hidden_size"] == 128
    assert 180 < sizes[1]["hidden_size"] < 260
    with pytest.raises(SystemExit, match="exists, and its minutes are not known"):
        main()
