"""The README's commands run as they are printed, in a clone, one after the other; only smaller."""

import os
import re
import shlex
from pathlib import Path

import pytest
from tests.test_documents import blocks

from gatework.cli import explore
from gatework.cli.app import run

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
# What makes a command small enough for a test. A flag that the command has already gets this value.
SMALL = {
    "train": "--steps 4 --hidden-size 8 --batch-size 4 --gap 10 --evaluate-every 4 --checkpoint-every 4",
    "compare": "--cells lstm --gaps 10 --seeds 2 --steps 2 --workers 1 --learning-rates 0.01",
    "generate": "--length 20",
    "report": "--text few.txt",
}
ONLY_WITH = {"--gap": "--task"}


def commands() -> list[list[str]]:
    lines = [line.split(" #")[0].strip() for block in blocks(README, "sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("gatework ")]


def smaller(words: list[str]) -> list[str]:
    small = shlex.split(SMALL.get(words[0], ""))
    for flag, value in zip(small[::2], small[1::2], strict=True):
        if flag in words:
            words = [*words[: words.index(flag) + 1], value, *words[words.index(flag) + 2 :]]
        elif ONLY_WITH.get(flag, words[0]) in words:
            words = [*words, flag, value]
    return words


def named_run(words: list[str]) -> list[str]:
    """Name the run's directory as the command would have been named before it was made smaller."""
    if words[0] == "train" and "--task" in words and "--run" not in words:
        task, gap = words[words.index("--task") + 1], words[words.index("--gap") + 1]
        return [*smaller(words), "--run", f"runs/lstm-{task}-{gap}"]
    return smaller(words)


def test_the_readmes_commands_run_in_a_clone(tmp_path, monkeypatch, capsys):
    for name in ("docs", "examples"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.txt").write_text("def f(x):\n", encoding="utf-8")
    served = []
    monkeypatch.setattr(explore, "serve", lambda opener, *others: served.append(opener()))
    monkeypatch.setattr(explore, "_has_screen", lambda: False)
    ran = set()
    for words in commands():
        status = run(named_run(words))
        said = capsys.readouterr()
        assert not status, f"gatework {shlex.join(words)}: {said.out}{said.err}"
        ran.add(words[0])
    assert {"show", "train", "generate", "evaluate", "compare", "tasks", "draw", "report", "explore", "doctor"} <= ran
    assert len(served) == len([words for words in commands() if words[0] == "explore"])
    assert (tmp_path / "gru.svg").is_file()
    assert (tmp_path / "report.html").is_file()


def test_the_readme_shows_what_show_prints(capsys):
    shown = next(block for block in blocks(README, "text") if block.startswith("gru: "))
    assert run(["show", "gru"]) == 0
    printed = re.sub(r" +\n", "\n", capsys.readouterr().out)
    assert re.sub(r"\s+", " ", shown).strip() in re.sub(r"\s+", " ", printed)


def test_the_readme_names_files_that_there_are():
    text = README.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)\s]+)\)", text)
    paths = [word for words in commands() for word in words if word.startswith(("docs/", "examples/"))]
    assert len(links) > 4
    assert paths
    assert [path for path in (*links, *paths) if not (ROOT / path.partition("#")[0]).exists()] == []


@pytest.mark.parametrize(
    ("words", "small"),
    [
        ("train --gap 5 --steps 99", "train --gap 10 --steps 4"),
        ("show gru", "show gru"),
        ("generate runs/a", "generate runs/a --length 20"),
    ],
)
def test_a_smaller_command_is_the_same_command(words, small):
    assert shlex.join(smaller(words.split())).startswith(small)
