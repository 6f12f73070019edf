"""Cells as large as the language lets them be: what is accepted is printed, differentiated, changed and run."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch

import gatework
from gatework.errors import EquationError
from gatework.language import derive, parse, show
from gatework.language.parse import DERIVED, WRITTEN


def summed(target: str, names: list[str], lines: list[str]) -> None:
    """Append lines that add up many names, none of them too deep."""
    groups = [names[first : first + 30] for first in range(0, len(names), 30)]
    lines += [f"g{number}={'+'.join(group)}" for number, group in enumerate(groups)]
    lines.append(f"{target}=tanh({'+'.join(f'g{number}' for number in range(len(groups)))})")


def many_terms() -> tuple[str, Iterable[str]]:
    """Nearly as many letters as may be written; printed, with its spaces, it has more."""
    lines = [f"a{number}={'+'.join(['h*x'] * 19)}" for number in range(180)]
    summed("h", [f"a{number}" for number in range(180)], lines)
    return "\n".join(lines), "h"


def many_states() -> tuple[str, Iterable[str]]:
    """So many that a probe, which adds lines for each, goes beyond what may be written."""
    lines = [f"s{number}=0.5*s{number}+W{number}@x" for number in range(120)]
    summed("h", [f"s{number}" for number in range(120)], lines)
    return "\n".join(lines), ("h", *(f"s{number}" for number in range(120)))


def long_names() -> tuple[str, Iterable[str]]:
    """So long that every name made from one is longer than may be written."""
    word = "n" * (WRITTEN.name - 2)
    text = f"""
        {word}_i = sigmoid({word}_W @ x + {word}_R @ {word}_h + {word}_b)
        {word}_c = {word}_i * {word}_c + tanh({word}_V @ x)
        {word}_h = {word}_i * tanh({word}_c)
    """
    return text, (f"{word}_h", f"{word}_c")


def nested(before: str, inside: str, times: int) -> tuple[str, Iterable[str]]:
    return f"h = {before * times}{inside}{')' * times}", "h"


CELLS = {
    "many terms": many_terms(),
    "many states": many_states(),
    "long names": long_names(),
    "deep functions": nested("tanh(", "R @ h + W @ x", 57),
    "deep differences": nested("(0.1 - ", "sigmoid(R @ h + W @ x)", 57),
    "deep products": nested("V @ (", "h + W @ x", 57),
}


def trained(cell: gatework.Cell, memory: str) -> None:
    """Run it forward and backward on kernels."""
    layer = gatework.Recurrent(cell, 3, 3, backend="cpu", memory=memory)
    given = torch.randn(2, 1, 3).requires_grad_()
    layer(given)[0].sum().backward()
    assert given.grad is not None


@pytest.mark.parametrize("name", CELLS)
def test_what_is_accepted_works(name):
    text, states = CELLS[name]
    cell = gatework.cell(text, states=states)
    assert parse(str(cell), cell.states, limits=DERIVED).equations == cell.step.equations
    assert copy.deepcopy(cell) == cell
    assert show(derive(cell.step))
    assert cell.latex()
    trained(cell, "small")
    layer = gatework.Recurrent(cell, 3, 3)
    assert gatework.gradient_flow(layer, torch.randn(3, 1, 3)).memory_length is not None
    assert gatework.trace(layer, torch.randn(3, 1, 3), parts=True)[cell.states[0]].shape == (3, 1, 3)
    held: dict[str, Any] = {cell.states[0]: 1.0}
    with gatework.clamp(layer, **held):
        assert (layer(torch.randn(3, 1, 3))[0] == 1).all()


@pytest.mark.parametrize("name", CELLS)
def test_what_is_accepted_can_be_changed(name):
    text, states = CELLS[name]
    cell = gatework.cell(text, states=states)
    changed = gatework.zoneout(gatework.layer_norm(cell), **{cell.states[0]: 0.1})
    assert copy.deepcopy(changed) == changed
    trained(changed, "fast")


def test_what_grows_without_an_end_is_refused_when_it_is_made():
    def grown(cell: gatework.Cell) -> None:
        for _ in range(DERIVED.depth):
            cell = gatework.layer_norm(cell)

    with pytest.raises(EquationError, match=f"more than {DERIVED.depth} (levels )?deep; split"):
        grown(gatework.cell(CELLS["deep functions"][0], states="h"))
