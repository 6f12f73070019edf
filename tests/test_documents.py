"""What the documents show works: their Python runs, their commands are ones the command line takes."""

import re
import runpy
import shlex
from pathlib import Path
from textwrap import dedent

import pytest

from gatework.cli.app import VERBS, app

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("guide/[!_]*.md"), ROOT / "docs/index.md"]
)
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(path: Path, *languages: str) -> list[str]:
    return [dedent(match[3]) for match in BLOCK.finditer(path.read_text(encoding="utf-8")) if match[2] in languages]


PROGRAMS = [path for path in DOCUMENTS if blocks(path, "python")]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_python_in_documents_runs(path, tmp_path, monkeypatch, capsys):
    """The blocks of a document are one program, in order."""
    program = "\n".join(blocks(path, "python"))
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "document.py"
    script.write_text(program, encoding="utf-8")
    runpy.run_path(str(script))


def commands(path: Path) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks(path, "sh") for line in block.splitlines()]
    return [line.removeprefix("torchrun --nproc-per-node 2 -m ") for line in lines if "gatework " in line]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_understood(path):
    for command in commands(path):
        program, *words = shlex.split(command)
        assert program == "gatework"
        assert words[0] in VERBS, command
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_documents_have_commands():
    """Or the test above would pass by finding nothing."""
    assert len([command for path in DOCUMENTS for command in commands(path)]) > 15


def test_make_targets_in_documents_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name for path in DOCUMENTS for name in re.findall(r"\bmake ([a-z]+)\b[ `#]", path.read_text(encoding="utf-8"))
    }
    assert {"demo", "test", "docs"} <= named & targets


def test_contributing_is_short_and_opens_with_adding_a_cell():
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert next(line for line in lines if line.startswith("## ")) == "## Add a cell"
