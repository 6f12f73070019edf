"""The door: verbs, flags, exit codes, and one sentence for everything that is refused."""

import os
import shlex
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from gatework import __version__
from gatework.cells import CELLS
from gatework.cli import app as door
from gatework.cli.app import VERBS, app, main, run
from gatework.cli.output import program

VERB_NAMES = (
    "cells, show, draw, tasks, train, evaluate, predict, transcribe, forecast, generate, translate, compare, explore, "
    "report, doctor"
)
CELL_NAMES = ", ".join(CELLS)

# Words -> the whole of what standard error says after "gatework: ". Every one leaves with 2 and says nothing on
# standard output.
NONSENSE = {
    "trian": f"There is no verb 'trian' here. Did you mean train? The verbs are {VERB_NAMES}.",
    "xyzzy": f"There is no verb 'xyzzy' here. The verbs are {VERB_NAMES}.",
    "--vresion": f"There is no flag '--vresion' here. Did you mean --version? The verbs are {VERB_NAMES}.",
    "cells extra": "Nothing takes 'extra' here. See gatework cells --help.",
    "cells --hiden-size 3": "Unknown option: --hiden-size. Did you mean --hidden-size?",
    "cells --hidden-size": 'Command "cells" parameter --hidden-size requires an argument. See gatework cells --help.',
    "cells --hidden-size many": 'Invalid value for --hidden-size: unable to convert "many" into int.',
    "cells --hidden-size -4": 'Invalid value "-4" for --hidden-size. Must be >= 1.',
    "cells --input-size 0": 'Invalid value "0" for --input-size. Must be >= 1.',
    "show": 'Command "show" parameter CELL requires an argument. See gatework show --help.',
    "show lstm gru": "Nothing takes 'gru' here. See gatework show --help.",
    "show lstmm": f"There is no cell `lstmm`. Did you mean `lstm`? The cells are: {CELL_NAMES}.",
    "show zzz": f"There is no cell `zzz`. The cells are: {CELL_NAMES}.",
    "show clockwork --hidden-size 3": (
        "hidden_size is 3; the cell `clockwork` has blocks and needs a multiple of 8. `block_upper(R_h, 8)` cuts it "
        "into 8 equal parts. Choose 8."
    ),
    "show lstm --proj-size 4": "The cell `lstm` does not project its output. Use `project(cell, 4)`.",
    "doctor --jsn": "Unknown option: --jsn. Did you mean --json?",
    "train book.txt": "Nothing takes 'book.txt' here. Did you mean --data book.txt? See gatework train --help.",
    "train lstm": "Nothing takes 'lstm' here. Did you mean --cell lstm? See gatework train --help.",
    "train my.toml": "Nothing takes 'my.toml' here. Did you mean --config my.toml? See gatework train --help.",
    "train xyzzy": "Nothing takes 'xyzzy' here. See gatework train --help.",
    "train --verbose": "Unknown option: --verbose. See gatework train --help.",
    "train --lr 0.1": "Unknown option: --lr. Did you mean --learning-rate?",
    "compare --task adding --gaps 4 rnn,lstm": (
        "Nothing takes 'rnn,lstm' here. Did you mean --cells rnn,lstm? See gatework compare --help."
    ),
}


@pytest.mark.parametrize(("words", "message"), NONSENSE.items(), ids=NONSENSE)
def test_nonsense_gets_one_sentence(gatework, words, message):
    outcome = gatework(*words.split())
    assert outcome.err == f"gatework: {message}\n"
    assert outcome.out == ""
    assert outcome.code == 2


def test_debug_shows_where(gatework):
    outcome = gatework("--debug", "show", "lstmm")
    assert outcome.code == 2
    assert outcome.err.startswith("Traceback (most recent call last)")
    assert "gatework.errors.CellError: There is no cell `lstmm`." in outcome.err


def test_without_words_it_says_where_to_start(gatework):
    outcome = gatework()
    assert outcome.code == 0
    assert [word for word in ("gatework show lstm", "gatework train", "gatework --help") if word in outcome.out] == [
        "gatework show lstm",
        "gatework train",
        "gatework --help",
    ]


def test_version(gatework):
    assert gatework("--version").out == f"{__version__}\n"


def test_help_lists_every_verb_in_order(gatework):
    outcome = gatework("--help")
    assert outcome.code == 0
    places = [outcome.out.index(f" {verb} ") for verb in VERBS]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_has_an_example(gatework, verb):
    outcome = gatework(verb, "--help")
    assert outcome.code == 0
    assert VERBS[verb].purpose in outcome.out
    assert f"Example: {VERBS[verb].example}" in " ".join(outcome.out.split())
    assert "--json" in outcome.out


@pytest.mark.parametrize("verb", VERBS)
def test_examples_in_the_help_are_ones_the_verb_takes(verb):
    app.parse_args(shlex.split(VERBS[verb].example)[1:], exit_on_error=False, print_error=False)


def test_fault_of_our_own_leaves_with_1(gatework, monkeypatch):
    def broken() -> int:
        raise KeyError("x")

    monkeypatch.setattr(door, "welcome", broken)
    outcome = gatework()
    assert outcome.code == 1
    assert outcome.err == "gatework: KeyError: 'x'. This is a fault in gatework; --debug shows where.\n"


def test_failing_disk_is_named(gatework, monkeypatch):
    def failing() -> int:
        raise PermissionError(13, "Permission denied", "runs/x")

    monkeypatch.setattr(door, "welcome", failing)
    outcome = gatework()
    assert (outcome.code, outcome.err) == (2, "gatework: runs/x: Permission denied.\n")


def test_ctrl_c_leaves_with_130(gatework, monkeypatch):
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "welcome", interrupted)
    assert gatework().code == 130


def test_main_always_leaves(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gatework", "--version"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0


def test_installed_command_is_this_one():
    (script,) = entry_points(group="console_scripts", name="gatework")
    assert script.load() is main


def test_as_a_process(process):
    outcome = process("show", "lstmm")
    assert outcome.code == 2
    assert outcome.err.startswith("gatework: There is no cell `lstmm`. Did you mean `lstm`?")
    assert "Traceback" not in outcome.err


def test_terminal_without_unicode_gets_stand_ins(process):
    outcome = process("show", "lstm", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert outcome.code == 0, outcome.err
    assert "W_i 128?64" in outcome.out


def test_closed_pipe_is_no_error(tmp_path):
    """As with `gatework cells | head -1`, when nobody reads on."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "gatework", "cells"]
    result = subprocess.run(command, cwd=tmp_path, stdout=write_end, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write_end)
    assert result.stderr == b""
    assert result.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("cells",), ("show", "lstm"), ("trian",)])
def test_quick_verbs_do_not_wait_for_torch(words):
    """With torch blocked they still work; that is what keeps them quick."""
    program = "import sys\nsys.modules['torch'] = None\nfrom gatework.cli.app import run\nsys.exit(run(sys.argv[1:]))\n"
    command = [sys.executable, "-c", program, *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == (2 if words == ("trian",) else 0), result.stderr


def test_missing_torch_is_said_plainly():
    program = "import sys; sys.modules['torch'] = None; from gatework.cli.app import run; sys.exit(run(['doctor']))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == (
        "gatework: torch cannot be imported, which gatework needs: pip install --upgrade gatework puts that right.\n"
    )


def test_run_gives_back_the_code_and_stays():
    assert run(["--version"]) == 0


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(gatework, flag):
    assert gatework(flag).out == f"{__version__}\n"


def test_printed_commands_call_the_program_as_it_was_called(tmp_path, monkeypatch):
    """A program in an environment that is not active is not found by its name."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "gatework").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    for started, expected in {
        str(folder / "gatework"): ".venv/bin/gatework",
        ".venv/bin/gatework": ".venv/bin/gatework",
        "/opt/my tools/gatework": "'/opt/my tools/gatework'",
        "/lib/python/gatework/__main__.py": f"{sys.executable} -m gatework",
        "/lib/python/pytest/__main__.py": "gatework",
    }.items():
        monkeypatch.setattr(sys, "argv", [started])
        assert program() == expected
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "argv", [str(folder / "gatework")])
    assert program() == "gatework"


def test_a_name_that_looks_mistyped_is_told_once_in_one_line(gatework, tmp_path):
    (tmp_path / "mine.txt").write_text("c = 0.5 * C + 0.5 * c + x\nh = tanh(c)\n")
    outcome = gatework("show", tmp_path / "mine.txt", "--json")
    assert outcome.json["states"] == ["h", "c"]
    assert outcome.err == (
        "gatework: `C` is no state, no input and no line, so it is learned as a parameter. Did you mean `c`? If it is "
        "meant to be learned, another name, or a value in init, ends this warning.\n"
    )
    (tmp_path / "mine.txt").write_text("c = 0.5 * c + x\nh = tanh(c)\n")
    assert gatework("show", tmp_path / "mine.txt").err == ""
