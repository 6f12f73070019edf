"""The campaign itself: it draws the same from a seed, finds what is planted, and finds nothing in a short run."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tests.fuzz.case import Case
from tests.fuzz.grammar import draw_session, fitted
from tests.fuzz.hostile import TARGETS, Target, attempts
from tests.fuzz.judge import Judge, judge
from tests.fuzz.meaning import _FUNCTIONS, Doubts, Meaning, Noise, Run, Undefined, written_out
from tests.fuzz.shrink import _with_own_sizes, _with_text, texts

from gatework.cells import changing
from gatework.kernels.reference import memories
from gatework.nn import recurrent, wiring

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="sessions run in forked processes")


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "GATEWORK_FENCE": ""}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, env=environment, cwd=folder
    )


def test_a_short_campaign_finds_nothing(tmp_path):
    limits = ("--only", "cells", "--minutes", "9", "--sessions", "24", "--seed", "1", "--small", "10")
    done = python("-m", "tests.fuzz", *limits, "--json", "counts.json", folder=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    counts = json.loads((tmp_path / "counts.json").read_text())["counts"]
    assert counts["right"] >= 60
    assert counts["fenced"] >= 20


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_strangers_send_is_refused_in_a_sentence(target, tmp_path):
    found = list(attempts(target, tmp_path, Random(0), 12))
    assert len(found) == 12
    assert not [one for one in found if one[0]]


def test_an_exception_of_another_make_is_a_finding(tmp_path):
    def attempt(held, folder, random, said):
        said.append("a key")
        raise KeyError("h")

    assert list(attempts(Target("keys", lambda folder: None, attempt), tmp_path, Random(0), 1)) == [
        ("KeyError: 'h'", "a key")
    ]


PLANT = """
from pathlib import Path
from tests.fuzz.campaign import campaign

def plant():
    {plant}

report = campaign(300, "3", Path("found"), print, sessions=5, patch=plant, small=6)
assert not report.trouble, report.trouble
assert any(name.startswith("{name}") for name in report.findings), report.findings
script = Path(report.scripts[0]).read_text()
print(script)
assert len(script.splitlines()) <= 14
"""


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (
            "from gatework.language.derive import _RULES; from gatework.language.parse import read; "
            '_RULES["tanh", 0] = read("r = d * (1 - 0.9 * y * y)")[0].value',
            "wrong gradient of",
        ),
        (
            "from gatework.kernels.cpu.workspace import Workspace; empty = Workspace.empty; "
            "Workspace.empty = lambda work, rows, name: empty(work, rows - 1, name)",
            "crash",
        ),
    ],
    ids=["a derivative", "a row too few"],
)
def test_a_planted_fault_is_found_and_made_small(plant, name, tmp_path):
    done = python("-c", PLANT.format(plant=plant, name=name), folder=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_seed_decides_everything():
    for seed in range(40):
        first, second = draw_session(Random(seed)), draw_session(Random(seed))
        assert [case.text() for case in first] == [case.text() for case in second]
        assert [Case.read(case.text()) for case in first] == first


def test_the_whole_grammar_is_drawn():
    text = "\n".join(case.equations for seed in range(600) for case in draw_session(Random(seed))[:1])
    written = ("sigmoid(", "norm(", "where(", "mod(", "period(", "bernoulli(", "prev(", "block_upper(", ".T @", " / ")
    assert not [one for one in written if one not in text]


def test_the_options_of_cells_and_layers_are_drawn():
    cases = [case for seed in range(300) for case in draw_session(Random(seed), 3)]
    counts = Counter(feature for case in cases for feature in case.features)
    words = (
        "memories",
        "outputs",
        "own sizes",
        "ties",
        "maps below",
        "skip in",
        "skip out",
        "skip both",
        "residual",
        "highway",
    )
    assert not [word for word in words if counts[word] < 20]
    assert any(len(case.hidden_size) > 2 and case.connection for case in cases)
    assert any("=" in entry for case in cases for entry in case.own_sizes)
    assert any(set(case.own_sizes) & set(case.states or ()) for case in cases)
    assert any(case.call == "deliver" for case in cases)
    reading = [case for case in cases if case.memories]
    assert any(len(case.memories) == 2 for case in reading)
    assert any("=" in entry for case in reading for entry in case.memories)
    assert any(0 in case.positions for case in reading)
    assert any(extents and 0 in extents for case in reading for extents in case.extents)
    text = "\n".join(case.equations for case in reading)
    functions = ("softmax", "match", "weigh", "total", "spread", "place", "exists", "shift")
    assert not [one for one in functions if f"{one}(" not in text]


def test_the_meaning_by_hand():
    """Small numbers that can be checked on paper."""
    run = Run(Meaning("h = x", ["h"], ["x"]).sizes({}, 2), Noise(), Doubts(1e-9, 1e200, 1e-200))

    def value(text: str, **weights: torch.Tensor) -> list[float]:
        meaning = Meaning(text, ["h"], ["x"])
        given = {"x": torch.tensor([[1.0, 2.0]]).double()}
        state = {"h": torch.tensor([[3.0, 5.0]]).double()}
        kept = {
            f"{name}.kept": torch.ones_like(one, dtype=torch.bool) for name, one in weights.items() if one.dim() == 2
        }
        return meaning.step(given, state, {**weights, **kept}, run)["h"].flatten().tolist()

    matrix = torch.tensor([[1.0, 2.0], [0.0, 4.0]]).double()
    assert value("h = W @ x", W=matrix) == [5.0, 8.0]
    assert value("h = W.T @ x", W=matrix) == [1.0, 10.0]
    assert value("h = prev(h) + mean(x)") == [4.5, 6.5]
    assert value("c = 2 * h\nh = c - h") == [3.0, 5.0]
    assert value("h = period(2) + where(greater(x, 1), x, 0)") == [1.0, 4.0]
    assert value("h = mod(h, 2) + divides(2, x)") == [1.0, 2.0]
    whole, kept = written_out(torch.tensor([[1.0], [2.0]]), "block_diagonal", 2)
    assert torch.where(kept, whole, 0).tolist() == [[1.0, 0.0], [0.0, 2.0]]
    with pytest.raises(Undefined, match="3 blocks do not divide a matrix of 2 by 6"):
        written_out(torch.zeros(2, 2), "block_diagonal", 3)


def test_the_meaning_of_memories_by_hand():
    """Two rows, of which the second has one position of two."""
    present = {"m": torch.tensor([[True, True], [True, False]])}
    m = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [9.0, 9.0]]]).double()

    def value(text: str, **weights: torch.Tensor) -> list[list[float]]:
        meaning = Meaning(text, ["h"], ["x"], (), ["m"])
        run = Run(meaning.sizes({"m": 2}, 2), Noise(), Doubts(1e-9, 1e200, 1e-200), present)
        given = {"x": torch.tensor([[1.0, 2.0], [0.0, 1.0]]).double(), "m": m}
        state = {"h": torch.zeros(2, 2).double()}
        kept = {f"{name}.kept": torch.ones_like(one, dtype=torch.bool) for name, one in weights.items()}
        return meaning.step(given, state, {**weights, **kept}, run)["h"].tolist()

    assert value("h = total(m)") == [[4.0, 6.0], [5.0, 6.0]]
    assert value("a = m @ x\nh = a @ m") == [[5 * 1 + 11 * 3, 5 * 2 + 11 * 4], [6 * 5, 6 * 6]]
    assert value("h = weigh(softmax(0 * place(m)), m)") == [[2.0, 3.0], [5.0, 6.0]]
    assert value("h = weigh(place(m) * exists(m), m + x)") == [[2 + 2 * 4, 4 + 2 * 6], [5.0, 7.0]]
    assert value("h = total(shift(m, 1)) + total(shift(m, -1)) + 0 * x") == [[1 + 3, 2 + 4], [0.0, 0.0]]
    assert value("h = total(spread(exists(m), x))") == [[2.0, 4.0], [0.0, 1.0]]
    assert value("h = total(W @ m)", W=torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()) == [[6.0, 4.0], [6.0, 5.0]]


def test_noise_reaches_a_saturated_slope_beside_an_undefined_number():
    """The slope of tanh near 1 is known to a few digits only, and NaN in one row does not change that."""

    def slopes(seed: int | None) -> torch.Tensor:
        noise = Noise() if seed is None else Noise(1e-7, seed)
        meaning = Meaning("h = tanh(x)", ["h"], ["x"])
        x = torch.tensor([[math.nan], [7.0]], dtype=torch.float64, requires_grad=True)
        run = Run(meaning.sizes({}, 1), noise, Doubts(1e-9, 1e200, 1e-200))
        (grad,) = torch.autograd.grad(_FUNCTIONS["tanh"](run, x).nansum(), x)
        return grad[1]

    moves = max(float((slopes(seed) / slopes(None) - 1).abs()) for seed in range(8))
    assert 1e-3 < moves < 1  # 1 - y * y is 3.3e-6 there, so that noise of 1e-7 is a good part of it


def test_a_right_case_is_right_and_a_wrong_one_is_not():
    case = Case("h = tanh(W @ x + R @ h + b)", ["h"])
    assert judge(case).what == "right"
    judging = Judge()
    judging.judge(case)
    layer = next(iter(judging._layers.values()))
    layer.cell = judging._layer(Case("h = sin(W @ x + R @ h + b)", ["h"])).cell  # it says another thing than it does
    verdict = judging.judge(case)
    assert verdict.finding is not None
    assert verdict.finding.where == "output by train"


GATED = "f = sigmoid(W @ x + R @ h)\nq = V @ f + U @ p\nh = tanh(f * h + S @ q)"
WIRED = "c = c + tanh(W @ x + c_below)\nh = tanh(R @ h + V @ c)"
_STACK: dict[str, Any] = {"equations": GATED, "states": ["h"], "hidden_size": [4, 4, 4]}
STACKS: dict[str, dict[str, Any]] = {
    "outputs": {"outputs": ["q", "f"], "own_sizes": ["q", "p"], "sizes": {"q": 2, "p": 3}, "call": "deliver"},
    "all lines": {"call": "deliver", "bidirectional": True, "lengths": [3, 1]},
    "skips": {"skip": "both", "call": "step"},
    "residual": {"connection": "residual", "lengths": [3, 0]},
    "highway": {"connection": "highway", "bidirectional": True, "reset": True},
    "ties": {"connection": "highway", "tie_layers": True, "learn_initial_state": True, "skip": "in"},
    "maps below": {"equations": WIRED, "states": ["h", "c"], "inputs": ["x", "c_below"], "below_projection": True},
}


@pytest.mark.parametrize("options", STACKS.values(), ids=STACKS)
def test_stacks_are_judged(options):
    assert judge(Case(**_STACK | options)).what == "right"


READING = (
    "score = v @ tanh(U @ m + V @ h)\na = softmax(score + s)\nz = a @ k + total(m) + s @ m\nh = tanh(W @ x + C @ z)"
)
_MEMORIES: dict[str, Any] = {"equations": READING, "states": ["h"], "memories": ["m=k=s"], "positions": [4]}
_MEMORIES |= {"memory_size": {"m": 3, "k": 3, "s": 1}, "extents": [[4, 0, 2]], "rows": 3}


@pytest.mark.parametrize("call", ["train", "step", "deliver", "trace"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_memories_are_judged(call, backend):
    assert judge(Case(**_MEMORIES, call=call, backend=backend)).what == "right"
    assert judge(Case(**_MEMORIES, call=call, backend=backend, dtype="float32", given="cut")).what == "right"


@pytest.mark.parametrize("name", ["softmax", "weigh", "total"])
def test_a_fault_at_positions_is_found(name, monkeypatch):
    """One that a mask of the positions would have hidden from who tests without lengths."""
    right = memories.POSITIONAL[name]
    monkeypatch.setitem(memories.POSITIONAL, name, lambda *given: right(*given[:-1], None))
    finding = judge(Case(**_MEMORIES, backend="reference")).finding
    assert (finding and finding.where) == "output by train"


_WRONG: dict[str, Callable[..., Any]] = {
    "leave": lambda stack, number, before, output: output,  # nothing is connected
    "enter": lambda stack, number, given, outside, whole: wiring.enter(stack, number, given, outside * 0, whole),
}


@pytest.mark.parametrize(("options", "what"), [("residual", "leave"), ("highway", "leave"), ("ties", "enter")])
def test_a_fault_in_what_connects_layers_is_found(options, what, monkeypatch):
    monkeypatch.setattr(recurrent, what, _WRONG[what])
    finding = judge(Case(**_STACK | STACKS[options])).finding
    assert finding is not None
    assert finding.where == "output by train"


def test_a_name_that_is_not_delivered_and_a_size_that_is_not_kept_are_found(monkeypatch):
    case = Case(**_STACK | STACKS["outputs"])
    right = recurrent.Recurrent.record

    def without_f(layer: Any, *given: Any, names: None, **options: Any) -> Any:
        return right(layer, *given, names=["q"], **options)

    with monkeypatch.context() as patch:
        patch.setattr(recurrent.Recurrent, "record", without_f)
        finding = judge(case).finding
    assert (finding and finding.detail) == "f is missing in 0"
    monkeypatch.setattr(changing, "still_sized", lambda entries, lines, inputs: [])
    finding = judge(case.but(transforms=[["layer_norm", {}]])).finding
    assert (finding and finding.where) == "names of a cell"


def test_texts_become_shorter():
    found = list(texts("c = sigmoid(W @ x)\nh = tanh(R @ h + c)"))
    assert "h = tanh(R @ h + sigmoid(W @ x))" in found
    assert "c = W @ x\nh = tanh(R @ h + c)" in found
    assert "c = sigmoid(W @ x)\nh = R @ h + c" in found


def test_an_input_from_below_has_a_state():
    """Otherwise it is an input like others, and the case would give one tensor too few."""
    cells = [draw_session(Random(f"below {seed}"), 1)[0] for seed in range(3000)]
    below = [one for one in cells if any(name.endswith("_below") for name in one.inputs)]
    assert len(below) > 50
    assert all(one.states is not None for one in below)


def test_a_smaller_case_has_a_size_for_each_input():
    """`due` is no state of the shorter text, so that `due_below` is given like x."""
    case = Case("due = prev(h)\nh = x + due_below + due", ["h", "due"], ["x", "due_below"], input_size=[1])
    smaller = _with_text(case, "h = x + due_below")
    assert (smaller.states, smaller.inputs, len(smaller.input_size)) == (["h"], ["x", "due_below"], 2)


def test_a_smaller_case_keeps_the_outputs_and_sizes_that_its_text_has():
    case = Case(GATED, ["h"], outputs=["q", "f"], own_sizes=["q=u", "p"], sizes={"q": 2, "p": 3})
    smaller = _with_text(case, "f = sigmoid(W @ x + U @ p)\nh = f * h")
    assert (smaller.outputs, smaller.own_sizes, smaller.sizes) == (["f"], ["p"], {"p": 3})
    smaller = _with_own_sizes(case, {"u"})  # the entry's first name is gone, and its size stays
    assert (smaller.own_sizes, smaller.sizes) == (["u"], {"u": 2})
    eps = Case(
        "z = eps * x\nh = R @ h + U @ z", ["h"], ["eps", "x"], own_sizes=["z"], sizes={"z": 2}, input_size=[7, 7]
    )
    assert fitted(eps).input_size == [2, 2]
