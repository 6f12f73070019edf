"""The benchmarks run, on a text so small that their figures mean nothing."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SENTENCE = "the gate opens and the gate closes while a cell keeps what it has to keep"
WORDS = SENTENCE.split()
TEXT = "\n".join(" ".join(WORDS[(7 * i + j * j) % len(WORDS)] for j in range(3 + i % 5)) for i in range(80)) + "\n"


def run(*words):
    command = [sys.executable, ROOT / "benchmarks" / "ptb_beside_torch.py", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)


def test_ptb_beside_torch(tmp_path):
    """Both begin alike, and after a few steps they are still alike; cells that torch lacks are trained alone."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"ptb.{split}.txt").write_text(TEXT)
    settings = tmp_path / "small.toml"
    settings.write_text(
        (ROOT / "examples" / "ptb_small_lstm.toml")
        .read_text()
        .replace("hidden_size = 200", "hidden_size = 8")
        .replace("batch_size = 20", "batch_size = 4")
        .replace("learning_rate = 1.0", "learning_rate = 0.1")
    )
    written = tmp_path / "results" / "ptb.json"
    told = ("--data", tmp_path, "--config", settings, "--write", written, "--turn", "3", "--epochs", "2")
    done = run(*told, "--cells", "lstm,gru,cifg,peephole")
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())["cells"]
    assert list(found) == ["lstm", "gru", "cifg", "peephole"]
    for cell, peer in (("lstm", "torch.nn.LSTM"), ("gru", "torch.nn.GRU")):
        assert 0 < found[cell]["first_step"]["gradient"] < 1e-4
        ours, theirs = found[cell]["gatework"], found[cell][peer]
        assert ours["seconds"] > 0 < theirs["seconds"]
        assert len(ours["valid_perplexity"]) == len(theirs["valid_perplexity"]) == 2
        # More than the first step is the same: two epochs of carried states, clipping and schedule.
        assert abs(ours["test_perplexity"] / theirs["test_perplexity"] - 1) < 1e-3
    assert set(found["peephole"]) == {"steps", "gatework"}


def test_what_the_plain_loop_does_not_do_is_refused(tmp_path):
    settings = tmp_path / "other.toml"
    settings.write_text("dropout = 0.5\n")
    done = run("--data", tmp_path, "--config", settings, "--steps", "2")
    assert done.returncode != 0
    assert "the loop beside ours has no optimizer, reduction, dropout" in done.stderr


def test_single_steps_beside_torchs():
    """States and gradients are compared before anything is timed; every row of the table is there."""
    command = [sys.executable, ROOT / "benchmarks" / "single_steps.py", "--sizes", "2x3x4", "--steps", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--repeats", "1"], capture_output=True, text=True, timeout=240, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 + 3 * 2 * 3


def test_reading_a_table_is_measured():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.read_table", "--rows", "3000", "--columns", "3"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["columns"]) == (3000, 3)
    assert found["megabytes"] > 0 < found["processor_seconds"]


def test_the_memory_of_a_text(tmp_path, monkeypatch):
    """What it divides by what; the peaks are those of processes that take 7 bytes per byte of the text."""
    main = runpy.run_path(str(ROOT / "benchmarks" / "text_memory.py"), run_name="text_memory")
    sizes = []

    def peak(verb, *words):
        texts = sorted(tmp_path.glob("*.txt"), key=lambda path: path.stat().st_mtime_ns)
        sizes.append((verb, texts[-1].stat().st_size))
        return 7 * sizes[-1][1] + 10**6, 1.0

    monkeypatch.setitem(main["measure"].__globals__, "peak", peak)
    found = main["measure"]("char", main["LETTERS"]["chinese"], 200_000, tmp_path)
    assert [verb for verb, _ in sizes] == ["train", "evaluate"] * 2
    assert 7 * 2 < found["train"] == found["evaluate"] < 7 * 3  # a character has three bytes, a blank has one


def test_bounds_of_translations_that_are_not_met_are_told():
    """The whole benchmark takes an hour, so only its verdict is tried."""
    failures = runpy.run_path(str(ROOT / "benchmarks" / "translation.py"), run_name="translation")["failures"]
    good = {"beams": 31.5, "greedy": 31.0, "minutes": 25.0}
    assert failures({"additive": good, "none": {"beams": 20.0}}) == []
    told = failures({"additive": {"beams": 30.0, "greedy": 31.0, "minutes": 40.0}, "none": {"beams": 25.0}})
    assert [line.split(" is ")[0].split(" took ")[0].split(" give ")[0] for line in told] == [
        "BLEU with attention",
        "Training",
        "5 beams",
        "Attention",
    ]
