"""The laws of the page's sources: what is written from the server is what it writes, no knot, files of one sitting."""

import json
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from tests.test_house import LONGEST_FILE

from gatework.explorer import messages
from gatework.explorer.typescript import FILES, main, write_terms, write_types
from gatework.translations import LANGUAGES, TERMS

SOURCE = Path(__file__).parents[2] / "web/src"
PARTS = sorted(path for path in SOURCE.rglob("*") if path.suffix in (".ts", ".svelte"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in PARTS}
_IMPORT = re.compile(r"^\s*(?:import|export)\b(?:[^'\";]*?\bfrom)?\s*'(\.[^']*)'", re.MULTILINE)


def imports(path: Path) -> set[Path]:
    """What a file imports from the page's own sources."""
    return {find(path.parent / name) for name in _IMPORT.findall(TEXTS[path])} - {SOURCE / "style.css"}


def find(named: Path) -> Path:
    """The file that an import names, with its ending or without."""
    candidates = [named.parent / (named.name + ending) for ending in ("", ".ts")]
    return next(path.resolve() for path in candidates if path.is_file())


@pytest.mark.parametrize("name", FILES)
def test_what_is_committed_is_what_the_server_gives(name):
    """If a change is meant, `make page` writes it and builds the page anew."""
    assert (SOURCE / name).read_text(encoding="utf-8") == FILES[name]()


def test_the_command_writes_both_files(tmp_path, capsys):
    (tmp_path / "lib").mkdir()
    (tmp_path / "strings").mkdir()
    assert main([str(tmp_path)]) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.ts")} == set(FILES)
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "web/src" in capsys.readouterr().err


def test_types_say_what_may_be_absent():
    """Of an answer's field with a default; a request says all its fields, null where it has nothing to say."""
    types = write_types()
    assert "  head?: [number, number, number, number] | null;" in types
    assert "  loss: (number | null)[];" in types
    assert "  from: number;\n  top: Guess[][];" in types
    assert "  text: string | null;\n  sample: string | null;" in types
    assert "export interface Term {\n  text: string;\n  value: number | null;\n  parts: Term[];\n}" in types


def test_a_request_may_say_all_its_fields():
    """As its type asks of the page: null is how it says nothing."""
    follow = {"layer": 0, "direction": 0, "names": ["h"], "ranges": None, "pattern": None, "preset": "digits"}
    assert messages.read_message(messages.FindRequest, json.dumps(follow).encode()).preset == "digits"
    hold = {"layer": 0, "direction": 0, "name": "h", "value": 1, "units": None, "start": 0, "stop": None}
    reading = {"run": "r0", "checkpoint": "latest", "text": None, "sample": "s1", "interventions": [hold]}
    assert messages.read_message(messages.TraceRequest, json.dumps(reading).encode()).sample == "s1"


def test_every_term_is_translated_once():
    """In each language, in Chinese characters, and in the one table."""
    latin = [word for words in TERMS.values() for word in words if not any(ord(letter) > 0x2E80 for letter in word)]
    assert latin == []
    assert write_terms().count("'forget gate':") == len(LANGUAGES) - 1
    for language in LANGUAGES[1:]:
        text = TEXTS[SOURCE / f"strings/{language}.ts"]
        assert [term for term in TERMS if " " in term and f"'{term}'" in text] == []
        assert f"TERMS['{language}']" in text


def test_no_import_cycle():
    """Of types neither. A component may hold another of its kind."""
    graph = {path: imports(path) - {path} for path in PARTS}
    assert sum(map(len, graph.values())) > 100, "or the law passes by looking at nothing"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(path.relative_to(SOURCE).as_posix() for path in error.args[1]))


def test_no_import_is_hidden():
    assert [path.name for path, text in TEXTS.items() if re.search(r"\bimport\s*\(|\brequire\s*\(", text)] == []


def test_every_source_is_reached_from_the_first():
    reached, pending = set(), [SOURCE / "main.ts"]
    while pending:
        path = pending.pop()
        if path not in reached:
            reached.add(path)
            pending += imports(path)
    assert {path.relative_to(SOURCE).as_posix() for path in PARTS if path not in reached} == set()


def test_files_fit_one_sitting():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in [*PARTS, SOURCE / "style.css"]}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}
