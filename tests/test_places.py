"""What CONTRIBUTING promises of additions: a cell or a verb touches two places, a function one row."""

import ast
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import gatework
from gatework.cells import CELLS
from gatework.cli.app import VERBS
from gatework.language import FUNCTIONS

SOURCE = Path(gatework.__file__).parent

# Cells that something else knows by name, and the packages that do: a default, an option of torch's own layers, a
# colour of their own in the figure of a comparison, a model whose weights are set by hand.
KNOWN_CELLS = {
    "lstm": {"nn", "search", "training"},
    "gru": {"nn", "search"},
    "rnn": {"models", "nn", "search"},
    "rnn_relu": {"nn"},
    "peephole": {"__init__", "cells/__init__", "nn", "search"},  # a transformation bears this name too
    "cifg": {"search"},
    "irnn": {"search"},
    "lstm_1997": {"search"},
}
# What the language or a backend has to know by name: numbers alone do not decide it, or torch has no such function.
SPECIAL = {"where", "greater", "divides", "mod", "mean", "rstd", "norm", "bernoulli", "period"}
# Other functions that something else knows by name, and the packages that do.
KNOWN_FUNCTIONS = {
    "sigmoid": {"language/anatomy"},  # what makes a gate
    "maximum": {"language/anatomy"},  # the bounds of these two are those of their arguments
    "minimum": {"language/anatomy"},
    "softplus": {"kernels/reference"},  # torch's own three are not exact enough in float64
    "hard_sigmoid": {"kernels/reference"},
    "gelu": {"kernels/reference"},
    "tanh": {"nn"},  # options of torch's own layers
    "relu": {"nn"},
}
# Words that are spelled like a function and mean something else: the scale of an axis, what a task computes, how many
# states are saved.
WORDS = {"log": {"search", "training"}, "tanh": {"tasks"}, "exp": {"diagram"}, "sqrt": {"kernels/planning"}}


def strings() -> dict[str, set[str]]:
    """Find each string in the source, other than docstrings, and each name imported from a cell's module: its files."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        tree, place = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(SOURCE).with_suffix("").as_posix()
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                places[node.value].add(place)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatework.cells"):
                for alias in node.names:
                    places[alias.name].add(place)
    return places


STRINGS = strings()
# What each idea is called, and the one module it lives in.
HOMES = {
    "addends": "language/anatomy/expressions",
    "signed_addends": "language/anatomy/expressions",
    "factors": "language/anatomy/expressions",
    "written_out": "language/anatomy/expressions",
    "find_bounds": "language/anatomy/lines",
    "own_line": "language/anatomy/masks",
    "find_cell": "cells/finding",
    "is_equations": "cells/finding",
    "is_file": "cells/finding",
    "did_you_mean": "errors",
}


def package(place: str) -> str:
    """Name the package that a place is in; within the language, the kernels and the cells, the one below."""
    parts = place.split("/")
    return "/".join(parts[:2] if parts[0] in ("language", "kernels", "cells") else parts[:1])


def test_each_idea_has_one_home():
    """No function of these names stands elsewhere, under an underscore or not; and names are likened in one place."""
    defined: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE).with_suffix("").as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module):
                for function in node.body:
                    if isinstance(function, ast.FunctionDef):
                        defined[function.name.lstrip("_")].add(place)
            elif isinstance(node, ast.ImportFrom) and node.module == "difflib":
                defined["difflib"].add(place)
    assert {name: defined[name] for name in HOMES} == {name: {place} for name, place in HOMES.items()}
    assert defined["difflib"] == {"errors"}


def test_a_cell_touches_its_own_file_and_the_registry():
    for name in CELLS:
        own = {f"cells/{name}", "cells/registry"}
        assert own <= STRINGS[name], name
        assert {package(place) for place in STRINGS[name] - own} == KNOWN_CELLS.get(name, set()), name


@pytest.mark.parametrize("name", sorted({row.name for row in FUNCTIONS.values() if row.kind == "pointwise"} - SPECIAL))
def test_a_function_is_known_by_its_row_and_what_emits_it(name):
    """Operators are grammar; what writes machine code is a table of its own, and need not have every row."""
    others = {package(place) for place in STRINGS[name] - {"language/functions"}} - {"kernels/llvm"}
    assert others - WORDS.get(name, set()) == KNOWN_FUNCTIONS.get(name, set())


ROWS = r"""
    Function("atan", 1, math.atan, ("d / (1 + a * a)",), (-1.6, 1.6), "atan", r"\arctan({0})"),
    Function("cube", 1, lambda a: a * a * a, ("3 * d * a * a",), _REAL, None, r"({0})^3", definition="a * a * a"),
"""
PROOF = r"""
import torch
import gatework
from gatework.language import Name, derive, latex, parse, show
from gatework.language.anatomy import find_bounds
from gatework.language.spelling import SPELLINGS
from gatework.tracing.evaluation import Values

text = "a = atan(W @ x)\nh = atan(a + cube(0.5 * h))"
step = parse(text, "h")
assert parse(show(step), "h") == step
assert r"\arctan(W x_t)" in latex(step), latex(step)
assert SPELLINGS["atan"].sign == "arctan"
assert find_bounds(step)["h"] == (-1.6, 1.6)
assert "arctan" in gatework.draw(text).svg()
torch.manual_seed(0)
layer = gatework.Recurrent(gatework.cell(text), 2, 3, backend="reference").double()
given = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradcheck(lambda sequence: layer(sequence)[0], [given])
# The gradient that is derived is torch's.
back = derive(parse("h = atan(x) * cube(x) + 0 * h", "h"))
x = torch.tensor([0.3, -2.0], dtype=torch.float64, requires_grad=True)
(torch.atan(x) * x**3).sum().backward()
values = Values({}, 2, {Name("x"): x.detach(), Name("grad_h"): torch.ones(2, dtype=torch.float64)})
values.names[Name("back_h", True)] = torch.zeros(2, dtype=torch.float64)
for line in back.equations:
    values.names[Name(line.target)] = values(line.value)
torch.testing.assert_close(values.names[Name("d_x")], x.grad)
"""


def test_a_function_is_one_row(tmp_path):
    """In a copy of the source two rows are added, and nothing else: text, LaTeX, pictures, torch and bounds follow."""
    shutil.copytree(SOURCE, tmp_path / "gatework", ignore=shutil.ignore_patterns("__pycache__", "page"))
    table = tmp_path / "gatework" / "language" / "functions.py"
    text, marker = table.read_text(encoding="utf-8"), ")  # fmt: skip\n"
    assert text.count(marker) == 1
    table.write_text(text.replace(marker, ROWS.strip("\n") + "\n" + marker), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", PROOF],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_verb_is_a_file_and_a_row():
    """No file but the table of verbs names the function of a verb, or imports it."""
    homes = {verb.function: verb.function.split(":") for verb in VERBS.values()}
    naming: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported = {f"{node.module}:{alias.name}".removeprefix("gatework.cli.") for alias in node.names}
                for function in imported & homes.keys():
                    naming[function].add(path.name)
            elif isinstance(node, ast.Constant) and node.value in homes:
                naming[node.value].add(path.name)
    assert naming == {function: {"app.py"} for function in homes}
    assert all((SOURCE / "cli" / f"{home}.py").is_file() for home, _ in homes.values())
