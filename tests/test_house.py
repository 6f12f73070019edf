"""How large things may be, and that no two rooms import each other: laws over all Python of the project."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "gatework"
HOUSE = runpy.run_path(str(ROOT / "docs" / "house.py"), run_name="house")

LONGEST_FILE = 450
LONGEST_FUNCTION = 60  # lines of code, without the docstring
MOST_PARAMETERS = 8

# What may take more parameters, and why. Whatever else does is too much to read at a call.
MANY_PARAMETERS = {
    "cells/cell.py:Cell.__init__": "a cell's card: every field is optional and named where it is written",
    "cells/cell.py:cell": "a cell's card, for a cell that is typed",
    "cli/draw.py:draw_cell": "the command's flags",
    "cli/evaluate.py:evaluate": "the command's flags",
    "cli/translate.py:translate": "the command's flags",
    "cli/generate.py:generate": "the command's flags",
    "cli/show.py:show_cell": "the command's flags",
    "kernels/door/launch.py:run": "what a layer gives, by name; everything behind it takes one Call",
    "models/translator.py:Translator.__init__": "the sizes and options of an encoder, a decoder and their attention",
    "models/language.py:LanguageModel.__init__": "torch.nn.LSTM's own arguments, and the vocabulary's",
    "models/sequences.py:SequenceModel.__init__": "torch.nn.LSTM's own arguments, and the task's",
    "nn/attention.py:Attention.__init__": "the sizes of all kinds, each named where it is given",
    "nn/drop_in.py:LSTM.__init__": "torch.nn.LSTM's own arguments, and ours after them",
    "nn/drop_in.py:GRU.__init__": "torch.nn.GRU's own arguments, and ours after them",
    "nn/drop_in.py:RNN.__init__": "torch.nn.RNN's own arguments, and ours after them",
    "nn/drop_in_cells.py:LSTMCell.__init__": "torch.nn.LSTMCell's own arguments, and ours after them",
    "nn/drop_in_cells.py:GRUCell.__init__": "torch.nn.GRUCell's own arguments, and ours after them",
    "nn/recurrent.py:Recurrent.__init__": "torch.nn.LSTM's own arguments, and ours after them",
    "tracing/chunks.py:save_trace": "what is traced, as for trace_chunks, and the file",
    "tracing/clamping.py:clamp": "a layer's own arguments, and what is clamped",
    "tracing/flow.py:gradient_flow": "a layer's own arguments, and what flows",
    "tracing/jacobian.py:state_jacobian": "a layer's own arguments, and what is differentiated",
    "training/evaluation.py:evaluate": "the command's flags, and the task of a run on one's own",
    "training/generation.py:generate": "the command's flags",
    "training/generation.py:stream": "the command's flags",
}
PYTHON = [
    path
    for folder in ("src", "evidence", "benchmarks", "docs", "examples", "requirements")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "_build" not in path.parts
]


def named(path: Path) -> str:
    return path.relative_to(SOURCE if path.is_relative_to(SOURCE) else ROOT).as_posix()


def functions(tree: ast.AST, within: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield all functions with their names, those inside classes and other functions too."""
    for node in ast.iter_child_nodes(tree):
        name = f"{within}.{getattr(node, 'name', '')}".lstrip(".") if hasattr(node, "name") else within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, node
        yield from functions(node, name)


def all_functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in PYTHON:
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            yield f"{named(path)}:{name}", node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    first = node.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = first.end_lineno - first.lineno + 1 if told and first.end_lineno else 0
    return node.end_lineno - node.lineno + 1 - docstring


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count parameters without ``self``, ``cls`` and torch's ``ctx``."""
    given = node.args
    named = [one.arg for one in (*given.posonlyargs, *given.args)]
    first = named[:1] in (["self"], ["cls"], ["ctx"])
    return len(named) - first + len(given.kwonlyargs) + (given.vararg is not None) + (given.kwarg is not None)


def test_a_file_can_be_known_in_one_sitting():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_a_function_fits_one_screen():
    lengths = {name: lines_of(node) for name, node in all_functions()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_a_call_can_be_read():
    """No function takes more parameters than a reader can hold, but for those with a reason."""
    counts = {name: parameters_of(node) for name, node in all_functions()}
    many = {name: count for name, count in counts.items() if count > MOST_PARAMETERS}
    assert {name: count for name, count in many.items() if name not in MANY_PARAMETERS} == {}
    assert set(MANY_PARAMETERS) <= set(many), "what takes few parameters needs no reason"


def test_no_room_imports_one_that_imports_it():
    _, knots = HOUSE["floors"](*HOUSE["read_rooms"](SOURCE))
    assert knots == set()
