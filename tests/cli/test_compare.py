"""``gatework compare``, from the outside."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatework.search import CompareConfig
from gatework.search.comparing.config import make_compare_config
from gatework.search.running import worker

FAKE = Path(__file__).parent.parent / "search" / "fake_worker.py"
SMALL = "--task adding --gaps 10,50 --seeds 3 --steps 300 --hidden-size 4 --learning-rates 0.001,0.01,0.1 --workers 2"


@pytest.fixture(autouse=True)
def _fake_worker(monkeypatch):
    monkeypatch.setattr(worker, "COMMAND", (sys.executable, str(FAKE)))


@pytest.fixture
def small(gatework, tmp_path):
    """Run a small comparison, its trials by the fake worker."""

    def call(words):
        given = shlex.split(words)
        flags = [pair for pair in batched(shlex.split(SMALL)) if pair[0] not in given]
        return gatework("compare", *(word for pair in flags for word in pair), "--run", tmp_path / "a run", *given)

    return call


def batched(words):
    return zip(words[::2], words[1::2], strict=True)


def test_tables_words_and_paths(small, tmp_path):
    outcome = small("--cells rnn,gru,lstm")
    assert outcome.code == 0, outcome.err
    shown = outcome.out
    assert shown.startswith("Adding problem: accuracy on test sequences, median [95 % interval]\n")
    assert re.search(r"^ lstm +4 +117 +10 +0\.01 +1\.000 \[1\.000, 1\.000\] +3 of 3 \[44%, 100%\] +100 $", shown, re.M)
    assert re.search(r"^ +50 +0\.01 +0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] +0 of 3 \[0%, 56%\] +- $", shown, re.M)
    assert re.search(
        r"^A run is solved at accuracy of at least 0.99. Guessing gets 0.156 at 10, 0.1\d+ at 50.$", shown, re.M
    )
    assert "As many parameters as lstm, as nearly as units allow.\n" in shown
    assert "  lstm  solved up to gap 10, not at 50\n" in shown
    assert "  rnn  no gap solved\n" in shown
    assert re.search(r"^ lstm over rnn +0\.\d{3} +6 : 0 of 6 +0\.031 +0\.094 +not shown +$", shown, re.M)
    assert "  LSTM 1997, 2 blocks of 2 cells: T=100: 1 of 2,560 wrong" in shown
    run = tmp_path / "a run"
    assert f"Everything: '{run}'/results.json, the picture: '{run}'/gaps.png\n" in shown
    assert (run / "gaps.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((run / "results.json").read_text())["reference"] == "lstm"
    assert "24/36" in outcome.err


def test_the_same_again_prints_the_same(small):
    first, again = small("--cells lstm,rnn"), small("--cells lstm,rnn")
    assert again.out == first.out
    assert again.err == ""


def test_a_rate_at_the_edge_is_told(small):
    shown = small("--cells lstm,rnn --learning-rates 0.001,0.01").out
    assert (
        "The best rate was the largest or the smallest tried, so that another may be better: "
        "lstm at 10, lstm at 50, rnn at 10, rnn at 50.\n"
    ) in shown


def test_json_is_lines_and_the_result(small, tmp_path):
    outcome = small("--cells rnn,lstm --json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert len([line for line in lines if "trial" in line]) == 24
    assert lines[-1]["result"] == json.loads((tmp_path / "a run" / "results.json").read_text())
    assert outcome.err == ""


def test_own_cells_take_part(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "three"):
        Path(f"{name}.txt").write_text("h = tanh(W @ x + R @ h + b)\n")
    outcome = small("--cells lstm,one.txt --cell two.txt --cell three.txt --json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out.splitlines()[-1])["result"]
    assert list(result["sizes"]) == ["lstm", "one", "two", "three"]
    assert result["config"]["cells"]["two"] == "h = tanh(W @ x + R @ h + b)\n"


def test_one_cell_has_nobody_to_be_compared_with(small):
    outcome = small("--cells lstm")
    assert outcome.code == 0, outcome.err
    assert "more than chance" not in outcome.out


def test_help_lists_every_setting_with_its_default(gatework):
    words = " ".join(gatework("compare", "--help").out.replace("│", " ").split())
    for name, field in CompareConfig.model_fields.items():
        assert f"--{name.replace('_', '-')} " in words
        if name != "cells":  # two flags stand for it
            assert str(field.description) in words
    assert words.count("[required]") == 2
    for default in ("5", "0.001,0.003,0.01,0.03", "parameters", "100", "2", "0"):
        assert f"[default: {default}]" in words


def test_a_flag_that_is_not_given_leaves_the_settings_own_default(small, tmp_path):
    assert small("--cells rnn").code == 0
    config = json.loads((tmp_path / "a run" / "config.json").read_text())
    assert config == make_compare_config(
        {"task": "adding", "cells": "rnn", "gaps": "10,50", "seeds": 3, "steps": 300, "hidden_size": 4, "workers": 2}
        | {"learning_rates": "0.001,0.01,0.1", "run": str(tmp_path / "a run")}
    ).model_dump(mode="json")


# Flags -> the one sentence, or its beginning.
NONSENSE = {
    "": "No cells are given. Say which are to be compared, such as --cells rnn,lstm,gru.\n",
    "--cells rnn,lstmm": "There is no cell `lstmm`. Did you mean `lstm`?",
    "--cells none.txt": "Cell file 'none.txt' cannot be read (No such file or directory)",
    "--cells rnn --cell rnn": "Two cells are called 'rnn'; expected each once",
    "--cells rnn --gaps 5,x": "'x' is no number; expected numbers with commas between, such as 5,20,100.\n",
    "--cells rnn --gaps 2": "gap is 2: task 'adding' takes 4 and more (least length of a sequence",
    "--cells rnn --seeds 0": "seeds is 0; it should be greater than or equal to 1.\n",
    "--cells rnn --seeds 1.5": 'Invalid value for --seeds: unable to convert "1.5" into int.\n',
    "--cells rnn --learning-rates fast": "'fast' is no number; expected numbers with commas between",
    "--cells rnn --learning-rates 0,-1": "learning_rates: 0 is given; expected numbers above 0, up to 10,000, such as ",
    "--cells rnn --data none": "data is 'none', and the sequences of task 'adding' are drawn. Leave it out.\n",
    "--cells rnn --match width": 'Invalid value "width" for --match. Choose from: "parameters", "size".\n',
    "--cells rnn --reference lsmt": "reference is 'lsmt'; expected one of rnn, or another cell's name. Did you mean",
    "--cells lstm,clockwork --match size": "These cells cannot take part at this task and size: clockwork (",
    "--cells rnn --task text": "gap is 10, and a text has none. Leave it out, or choose a --task.\n",
    "--cells rnn --task addin": "There is no task 'addin'. Did you mean 'adding'?",
    "--cells rnn --stpes 3": "Unknown option: --stpes. Did you mean --steps?\n",
    "--cells rnn --workers 0": "workers is 0; it should be greater than or equal to 1.\n",
}


@pytest.mark.parametrize(("words", "message"), NONSENSE.items(), ids=NONSENSE)
def test_nonsense_gets_one_sentence_and_writes_nothing(small, tmp_path, words, message):
    outcome = small(words)
    assert outcome.err.startswith(f"gatework: {message}")
    assert outcome.err.count("\n") == 1
    assert (outcome.code, outcome.out) == (2, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["task", "gaps"])
def test_what_is_missing_is_named(gatework, flag):
    words = {"task": "adding", "gaps": "5"}
    del words[flag]
    outcome = gatework("compare", "--cells", "rnn", *(w for name, value in words.items() for w in (f"--{name}", value)))
    assert outcome.code == 2
    assert (
        outcome.err
        == f'gatework: Command "compare" parameter --{flag} requires an argument. See gatework compare --help.\n'
    )


def test_another_comparison_in_the_directory(small, tmp_path):
    assert small("--cells rnn,lstm").code == 0
    outcome = small("--cells rnn,lstm --tuning-seeds 2")
    assert outcome.code == 2
    assert outcome.err == (
        f"gatework: Directory '{tmp_path / 'a run'}' has another comparison: tuning_seeds is 1 there and 2 now. "
        "Give the same settings, to which cells, gaps and seeds may be added, or another directory with --run.\n"
    )


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_leave(tmp_path, number):
    """As a process of its own, with real trials, far more of them than could be over before the signal comes."""
    words = "--task adding --cells rnn,lstm --gaps 5 --seeds 500 --learning-rates 0.01 --hidden-size 2 --workers 1"
    command = [sys.executable, "-m", "gatework", "compare", *shlex.split(words), "--run", "r"]
    with subprocess.Popen(
        [*command, "--steps", "2"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("1/1000"):
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == 128 + number
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    told = rf"^Stopped by {name} after \d+ of 1000 trials, saved in 'r'. The same command goes on"
    assert re.search(told, rest, re.M)
    assert "Traceback" not in rest
    assert 1 <= len((tmp_path / "r" / "trials.jsonl").read_text().splitlines()) < 1000
