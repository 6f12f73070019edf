"""``gatework train``, ``evaluate`` and ``generate``, from the outside."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gatework.cli.app import run as call
from gatework.cli.settings import as_toml, make_flags
from gatework.training import TrainConfig, make_config, read_toml
from gatework.training.generation import Stream
from gatework.training.jobs.settings import listed

SMALL = shlex.split("--hidden-size 8 --batch-size 4 --window 16 --evaluate-every 5 --checkpoint-every 5 --log-every 2")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "song.txt"
    path.write_text("Row, row, row your boat, gently down the stream.\n" * 60, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory) -> Path:
    """A small finished run."""
    directory = tmp_path_factory.mktemp("runs") / "song"
    assert call(["train", "--data", str(text), "--run", str(directory), "--steps", "10", *SMALL]) == 0
    return directory


def test_train_ends_with_sample_curve_and_next_commands(gatework, text, tmp_path):
    run = tmp_path / "a run"
    outcome = gatework("train", "--data", text, "--run", run, "--steps", 6, *SMALL)
    assert outcome.code == 0, outcome.err
    assert "What it writes after step 6" in outcome.out
    assert re.search(r"Held-out text: loss \d\.\d{3}, perplexity \d+\.\d{3}, bits per character \d\.\d{3}", outcome.out)
    assert f"The curve: {run / 'loss.png'}" in outcome.out
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    # The commands it offers are ones that work, quoted as a shell needs it.
    offered = re.findall(r"^  gatework (.*)$", outcome.out, re.MULTILINE)
    assert [command.split()[0] for command in offered] == ["generate", "evaluate"]
    for command in offered:
        script = f"{sys.executable} -m gatework {command}"
        result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stderr


def test_the_same_command_again_has_nothing_to_do(gatework, text, trained):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file() and path.name != ".lock"}
    outcome = gatework("train", "--data", text, "--run", trained, "--steps", 10, *SMALL)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"The run {trained} is at step 10 already: nothing was left to do.\n")
    after = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_train_json_is_lines_and_the_result(gatework, text, tmp_path):
    outcome = gatework("train", "--data", text, "--run", tmp_path / "r", "--steps", 6, *SMALL, "--json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert lines[-1]["result"]["step"] == 6
    assert [line["step"] for line in lines if "valid_loss" in line] == [5, 6]
    written = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert lines[:-1] == written


def test_evaluate(gatework, trained, text):
    result = gatework("evaluate", trained, "--json").json
    told = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert result["tokens"] == json.loads((trained / "data.json").read_text())["splits"]["valid"]["tokens"]
    assert result["metrics"]["loss"] == pytest.approx(told["valid_loss"], rel=1e-6)
    shown = gatework("evaluate", trained, "--split", "train").out
    assert re.search(r"^bits per character +\d\.\d{4}", shown, re.MULTILINE)
    # A text of one's own is read whole.
    assert gatework("evaluate", trained, "--data", text, "--json").json["tokens"] == len(text.read_text())


def test_evaluate_counts_what_the_vocabulary_lacks(gatework, trained, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Row, Ωmega!\n")
    assert "2 of them, which the vocabulary lacks or" in gatework("evaluate", trained, "--data", other).out


def test_generate(gatework, trained):
    words = ("generate", trained, "--prompt", "Row", "--length", 20, "--seed", 4)
    first, again = gatework(*words), gatework(*words)
    assert first.code == 0, first.err
    assert first.out == again.out
    assert first.out.startswith("Row")
    assert len(first.out) == len("Row") + 20 + 1
    assert gatework(*words, "--json").json["text"] + "\n" == first.out
    assert gatework(*words[:-1], 5).out != first.out


def test_control_characters_do_not_reach_a_terminal(gatework, trained, monkeypatch):
    written = Stream(1, "", iter(["a\x1b", "[2Jb\n"]))
    monkeypatch.setattr("gatework.cli.generate.stream", lambda *_, **__: written)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "a\\x1b[2Jb" in gatework("generate", trained).out


def test_print_config_reads_back(gatework, tmp_path):
    outcome = gatework("train", "--print-config", "--hidden-size", 32, "--zoneout", "c=0.5,h=0.1", "--tie-weights")
    path = tmp_path / "settings.toml"
    path.write_text(outcome.out)
    assert make_config(read_toml(path)) == make_config(
        {"hidden_size": 32, "zoneout": "c=0.5,h=0.1", "tie_weights": True}
    )
    # Flags win over the file, and the file over the defaults.
    both = gatework("train", "--config", path, "--hidden-size", 64, "--print-config", "--json").json
    assert (both["hidden_size"], both["tie_weights"]) == (64, True)
    assert not list(tmp_path.glob("runs*"))


def test_steps_and_epochs_win_over_one_another(gatework, tmp_path):
    path = tmp_path / "settings.toml"
    for told, flag, other in (("epochs = 13", "steps", "epochs"), ("steps = 13", "epochs", "steps")):
        path.write_text(told)
        found = gatework("train", "--config", path, f"--{flag}", 5, "--print-config", "--json").json
        assert (found[flag], found[other]) == (5, None)
    both = gatework("train", "--config", path, "--steps", 5, "--epochs", 5)
    assert both.err == "gatework: steps is 5 and epochs is 5; expected one of the two.\n"


def test_words_with_a_test_split_by_an_example(gatework, tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"song.{split}.txt").write_text("row row row your boat\n gently <unk> the stream\n" * 30)
    example = Path(__file__).parents[2] / "examples" / "ptb_small_lstm.toml"
    run = tmp_path / "r"
    outcome = gatework(
        "train", "--config", example, "--data", tmp_path, "--run", run, "--hidden-size", 8, "--epochs", 2
    )
    assert outcome.code == 0, outcome.err
    assert re.search(r"^Held-out text: loss \d\.\d{3}, perplexity \d+\.\d{3}$", outcome.out, re.MULTILINE)
    assert f"gatework evaluate {run} --split test --streams 1\n" in outcome.out
    found = gatework("evaluate", run, "--split", "test", "--streams", 1, "--json").json
    assert (found["text"], found["tokens"]) == ("test", 30 * 11)


def test_a_cell_file_in_the_settings_becomes_its_equations(gatework, tmp_path):
    cell = tmp_path / "mine.txt"
    cell.write_text('h = tanh(W @ x + R @ h + b)  # "größer"\n')
    printed = gatework("train", "--print-config", "--cell", cell).out
    assert tomllib.loads(printed)["cell"] == cell.read_text()


def test_toml_of_every_setting_reads_back(tmp_path):
    odd = make_config({"data": 'a "b"\\\x7f\tü', "forget_bias": -1e-3, "steps": 7, "learning_rate": 1e-5})
    path = tmp_path / "odd.toml"
    path.write_text(as_toml(odd), encoding="utf-8")
    assert make_config(read_toml(path)) == odd


def test_every_setting_is_a_flag_with_help():
    flags = list(vars(make_flags(TrainConfig, listed(TrainConfig))()))
    assert sorted(flags) == sorted(TrainConfig.model_fields)
    assert all(field.description for field in TrainConfig.model_fields.values())
    # What only one job knows stands with what it belongs to.
    assert flags[:3] == ["task", "gap", "shortest_gap"]
    assert flags.index("data") < flags.index("level") < flags.index("cell") < flags.index("tie_weights")


# Flags of `train` -> the beginning of the one sentence; {data}, {run} and {folder} are paths.
NONSENSE = {
    "--hiden-size 3": "Unknown option: --hiden-size. Did you mean --hidden-size?",
    "--hidden-size -3": "hidden_size is -3; ",
    "--hidden-size abc": 'Invalid value for --hidden-size: unable to convert "abc" into int.',
    "--hidden-size 1.5": 'Invalid value for --hidden-size: unable to convert "1.5" into int.',
    "--embedding-size 0": "embedding_size is 0; ",
    "--task adding --data foo.txt": "data is 'foo.txt', and the sequences of task 'adding' are drawn. Leave it out.",
    "--data ~nobody-of-this-name/a.txt": "Data '~nobody-of-this-name/a.txt' does not exist",
    "--level chr": 'Invalid value "chr" for --level. Choose from: "byte", "char", "word", "bpe". Did you mean "char"?',
    "--cell lstmm": "There is no cell `lstmm`. Did you mean `lstm`?",
    "--cell none.txt": "Cell file 'none.txt' cannot be read (No such file or directory)",
    "--steps 3 --epochs 3": "steps is 3 and epochs is 3; expected one of the two.",
    "--zoneout q": "zoneout is 'q'; expected rates by state, such as c=0.5,h=0.05.",
    "--encoding utf-9": "'utf-9' is not the name of a text encoding",
    "--config none.toml": "Settings file 'none.toml' cannot be read (No such file or directory)",
    "--config {folder}/bad.toml": "Settings file '{folder}/bad.toml' is not TOML",
    "--config {folder}/unknown.toml": (
        "Settings file '{folder}/unknown.toml': 'hiden_size' is no setting. Did you mean 'hidden_size'?"
    ),
    "--data {folder}/none.txt": "Data '{folder}/none.txt' does not exist",
    "--data {folder}/empty.txt": "Data '{folder}/empty.txt' is empty",
    "--data {folder}/binary.txt": "'binary.txt' looks binary: there is a NUL byte at offset 3",
    "--data {folder}/latin.txt": "'latin.txt' is not utf-8 text: byte 0xfc at offset 1 does not fit",
    "--data {data} --hidden-size 10000000": "Training this would take about ",
    "--data {data} --run {run} --hidden-size 9": "Run directory '{run}' has another configuration: ",
    "--data {data} --run {folder}": "'{folder}' is not a run and not empty",
    "--data {data} --run {data}": "'{data}' is a file; expected the name of a directory for the run",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "bad.toml").write_text("hidden_size = = 3")
    (tmp_path / "unknown.toml").write_text("hiden_size = 3")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "binary.txt").write_bytes(b"abc\0def")
    (tmp_path / "latin.txt").write_bytes("süß".encode("latin-1"))
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(("flags", "message"), NONSENSE.items(), ids=NONSENSE)
def test_nonsense_gets_one_sentence_and_damages_nothing(
    gatework, trained, text, folder, flags, message, monkeypatch, tmp_path_factory
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    places = {"data": text, "run": trained, "folder": folder}
    before = contents(trained) | contents(folder)
    outcome = gatework("train", *(word.format(**places) for word in flags.split()))
    assert outcome.err.startswith(f"gatework: {message.format(**places)}")
    assert outcome.err.count("\n") == 1
    assert (outcome.code, outcome.out) == (2, "")
    assert contents(trained) | contents(folder) == before


# Words -> the beginning of the sentence, where {run} is a finished run.
NONSENSE_AFTERWARDS = {
    "evaluate": 'Command "evaluate" parameter RUN requires an argument. See gatework evaluate --help.',
    "evaluate nowhere": "'nowhere' is not a run: it does not exist",
    "evaluate {run}/config.json": "'{run}/config.json' is not a run: it is a file",
    "evaluate {run}/samples": "'{run}/samples' is not a run: it holds no config.json",
    "evaluate {run} --split test": "The text has no split 'test': it has train, valid",
    "evaluate {run} --streams 0": 'Invalid value "0" for --streams. Must be >= 1.',
    "evaluate {run} --step 7": "Run '{run}' has no checkpoint of step 7; it has 5, 10",
    "evaluate {run} --data nowhere.txt": "Data 'nowhere.txt' does not exist",
    "evaluate {run} --device gpu": "device is 'gpu'",
    "generate nowhere": "'nowhere' is not a run: it does not exist",
    "generate {run} --temperature -1": "temperature is -1.0; expected 0 (always the likeliest) or a number above it.",
    "generate {run} --top-p 2": "top_p is 2.0; expected a number above 0, up to 1",
    "generate {run} --length 0": "length is 0; expected 1 or more.",
    "generate {run} --json --length 100000000": "length is 100,000,000; expected at most 10,000,000 symbols where",
    "generate {run} --seed -1": "seed is -1; expected a whole number from 0 to 2**63 - 1.",
    "generate {run} --prompt Ω": "The prompt has characters that the run's vocabulary lacks: 'Ω'",
    "generate {run} --promt x": "Unknown option: --promt. Did you mean --prompt?",
}


@pytest.mark.parametrize(("words", "message"), NONSENSE_AFTERWARDS.items(), ids=NONSENSE_AFTERWARDS)
def test_nonsense_about_a_run(gatework, trained, words, message):
    before = contents(trained)
    outcome = gatework(*(word.format(run=trained) for word in words.split()))
    assert outcome.err.startswith(f"gatework: {message.format(run=trained)}")
    assert outcome.err.count("\n") == 1
    assert (outcome.code, outcome.out) == (2, "")
    assert contents(trained) == before


def test_names_and_prompts_that_are_not_utf_8(process, tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / name).write_text("one two three\n" * 40)
    outcome = process("train", "--data", name, "--run-dir", "r", "--level", "byte", *SMALL, "--steps", 2)
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "r/config.json").read_bytes())["data"] == str(tmp_path / name)
    assert process("evaluate", "r").code == 0
    written = process("generate", "r", "--length", 1, "--prompt", os.fsdecode(b"\xe9"))
    assert written.code == 0, written.err


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_leave(text, tmp_path, number):
    run = tmp_path / "r"
    command = [sys.executable, "-m", "gatework", "train", "--data", str(text), "--run", str(run), *SMALL]
    with subprocess.Popen(
        [*command, "--steps", "1000000"], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "held out:" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == 128 + number
    assert re.search(r"^Stopped by (Ctrl-C|SIGTERM) after step [\d,]+, saved in", rest, re.MULTILINE)
    assert "Traceback" not in rest
    assert list((run / "checkpoints").glob("step-*"))


@pytest.mark.usefixtures("interruptible")
def test_text_appears_while_it_is_written_and_ctrl_c_ends_it(trained):
    """Of a length that would take days, the first symbols are there at once."""
    command = [sys.executable, "-m", "gatework", "generate", str(trained), "--length", "100000000", "--prompt", "Row, "]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.read(40)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.stderr.read() == b""
        assert process.wait(60) == 130
    assert first.startswith(b"Row, ")
    assert (first + rest).endswith(b"\n")


def test_what_is_written_part_by_part_is_the_whole(gatework, trained):
    words = ("generate", trained, "--length", 50, "--prompt", "Row, ", "--seed", 3)
    assert gatework(*words).out == gatework(*words, "--json").json["text"] + "\n"
    assert (
        gatework(*words[:2], "--length", 50).out == gatework(*words[:2], "--length", 50, "--json").json["text"] + "\n"
    )
