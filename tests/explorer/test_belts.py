"""What a state keeps and what is written to it, read off equations; its words are true for any cell."""

import numpy as np
import pytest
import torch
from tests.explorer.test_every_cell import OPTIONS, TEXT, Untrained

from gatework.cells import CELLS
from gatework.explorer.answers import Answers
from gatework.explorer.belts import list_belts
from gatework.explorer.messages import BeltAnswer, Intervention, TraceRequest, Window
from gatework.explorer.models import OpenRun
from gatework.explorer.settings import Settings
from gatework.language import parse

GATE = "z = sigmoid(W @ x + b)"


def belts(cell: str) -> list[BeltAnswer]:
    return list_belts(CELLS[cell].step if cell in CELLS else parse(cell, states="h"))


def gates(belt: BeltAnswer) -> tuple:
    """The gates, each with its factor, and where that is 1 and 0."""
    return tuple(one and (one.gate, one.factor, one.full, one.none) for one in (belt.keep, belt.write))


@pytest.mark.parametrize(
    ("cell", "kept", "written", "keep", "write"),
    [
        ("lstm", ["f * c"], ["i * g"], ("f", "f", 1, 0), ("i", "i", 1, 0)),
        ("gru", ["z * h"], ["(1 - z) * n"], ("z", "z", 1, 0), ("z", "1 - z", 0, 1)),
        ("gru_v3", ["(1 - z) * h"], ["z * n"], ("z", "1 - z", 0, 1), ("z", "z", 1, 0)),
        ("mgu", ["(1 - f) * h"], ["f * n"], ("f", "1 - f", 0, 1), ("f", "f", 1, 0)),
        ("mut1", ["h * (1 - z)"], ["n * z"], ("z", "1 - z", 0, 1), ("z", "z", 1, 0)),
        ("janet", ["f * c"], ["(1 - sigmoid(s - 1)) * g"], ("f", "f", 1, 0), None),
        ("fgr", ["f * c"], ["i * g"], ("f", "f", 1, 0), ("i", "i", 1, 0)),
        ("lstm_1997", ["prev(c)"], ["i * g"], None, ("i", "i", 1, 0)),
        ("depth_gated", ["f * c"], ["d * c_below", "i * g"], ("f", "f", 1, 0), None),
        (f"{GATE}\nh = h + z * (V @ x - h)", ["prev(h)"], ["z * (V @ x - h)"], ("z", "1 - z", 0, 1), ("z", "z", 1, 0)),
        (f"{GATE}\nk = z * h\nh = k + x", ["k"], ["x"], ("z", "z", 1, 0), None),
        # What z shuts out comes in again by n, so that no value of z forgets everything.
        (f"{GATE}\nn = h + x\nh = z * h + (1 - z) * n", ["z * h"], ["(1 - z) * n"], None, ("z", "1 - z", 0, 1)),
        (f"{GATE}\nh = 2 * z * h + x", ["2 * z * h"], ["x"], None, None),
        (f"{GATE}\nh = z * z * h + x", ["z * z * h"], ["x"], None, None),
        (f"{GATE}\nh = tanh(h) + z * x", [], ["tanh(h)", "z * x"], None, None),
    ],
)
def test_belt_of_a_cell(cell, kept, written, keep, write):
    belt = belts(cell)[0]
    assert (belt.kept, belt.written) == (kept, written)
    assert gates(belt) == (keep, write)


def test_every_addend_counts():
    """A name by itself is one: of the normaliser of an sLSTM, i."""
    memory, normaliser = belts("slstm")
    assert (memory.state, memory.written, normaliser.kept, normaliser.written) == ("c", ["i * g"], ["f * n"], ["i"])
    assert normaliser.write is None  # it is no gate from 0 to 1


def test_only_a_state_that_is_a_sum_has_a_belt():
    assert belts("rnn") == belts("clockwork") == []
    assert [belt.state for belt in belts("fgr")] == ["c"]
    first, second = list_belts(parse(f"{GATE}\nh = z * tanh(c) + x\nc = z * c + x", states="h c"))
    assert (first.state, second.state, second.kept, first.output) == ("c", "h", [], None)


@pytest.mark.parametrize("name", OPTIONS)
def test_belts_say_what_is_computed(name):
    """The addends add up; held where it keeps all, a gate keeps all, and where it keeps nothing, nothing."""
    answers = Answers({"r0": OpenRun("r0", Untrained(**({"cell": name} | OPTIONS[name])))}, Settings())
    run = answers.about().runs[0]

    def values(layer: int, names: list[str], *held: Intervention) -> list[np.ndarray]:
        told = answers.trace(TraceRequest(run="r0", text=TEXT, interventions=[*held]))
        return [np.asarray(answers.values(told.trace, Window(layer=layer, name=one)).values) for one in names]

    for layer, listed in enumerate(run.belts):
        for belt in listed:
            state, *addends = values(layer, [belt.state, *belt.kept, *belt.written])
            assert sum(addends) == pytest.approx(state, abs=1e-5)
            if belt.write:
                shut = Intervention(layer=layer, name=belt.write.gate, value=belt.write.none)
                assert not any(map(np.any, values(layer, belt.written, shut)))
            if belt.keep and not any("prev" in one or one not in run_parts(run, layer) for one in belt.kept):
                lose = Intervention(layer=layer, name=belt.keep.gate, value=belt.keep.none)
                keep = Intervention(layer=layer, name=belt.keep.gate, value=belt.keep.full)
                assert not any(map(np.any, values(layer, belt.kept, lose)))
                state, *kept = values(layer, [belt.state, *belt.kept], keep)
                assert np.array_equal(np.sum(kept, axis=0)[1:], state[:-1])


def run_parts(run, layer: int) -> set[str]:
    return {one.name for one in run.quantities[layer] if one.role == "part"}


def test_belts_are_told_of_each_layer():
    torch.manual_seed(0)
    answers = Answers({"r0": OpenRun("r0", Untrained(cell="depth_gated"))}, Settings())
    written = [[belt.written for belt in layer] for layer in answers.about().runs[0].belts]
    assert written == [[["i * g"]], [["d * c_below", "i * g"]]]
