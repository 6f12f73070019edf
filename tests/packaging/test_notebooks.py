"""The notebooks of the examples run, and hold what such a run gives."""

import json
import re
from pathlib import Path

import pytest
from tests.packaging.notebooks import run, write

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def form(output):
    """What an output is, without the numbers, which other machines round otherwise."""
    if output["output_type"] == "stream":
        return "stream", [re.sub(r"\d[\d,.]*", "0", line) for line in output["text"]]
    return output["output_type"], sorted(output["data"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_holds_what_it_gave(path, tmp_path, monkeypatch):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    given = run(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    explained = [cell for cell in code if "gatework.explain" in "".join(cell["source"])]
    for cell, outputs in zip(code, given, strict=True):
        if cell in explained:  # it names this machine's processor
            assert len(outputs) == len(cell["outputs"]) == 1
        else:
            assert [form(output) for output in cell["outputs"]] == [form(output) for output in outputs]
    write(tmp_path / "again.ipynb", notebook, given)
    assert json.loads((tmp_path / "again.ipynb").read_text(encoding="utf-8")).keys() == notebook.keys()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_the_form_that_jupyter_reads(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert {"kernelspec", "language_info"} <= notebook["metadata"].keys()
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    for cell in notebook["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        wanted |= {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == wanted
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_there_are_notebooks():
    assert NOTEBOOKS
