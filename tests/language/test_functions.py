"""Every row of the function table: its value, its gradient and its range agree with one another and with torch."""

import math

import pytest
import torch

from gatework.language import FUNCTIONS, Apply, Name, Number
from gatework.language.nodes import Node
from gatework.language.parse import read

SCALAR = [row for row in FUNCTIONS.values() if row.value is not None]
POINTS = [(0.7, -1.3, 0.4), (-2.1, 0.9, 1.1), (1.6, 2.5, -0.3), (3.5, 0.2, 0.8)]
POSITIVE = {"log", "sqrt"}


def points(row):
    for point in POINTS:
        arguments = point[: row.arity]
        yield tuple(abs(a) for a in arguments) if row.name in POSITIVE else arguments


def value_of(node: Node, values: dict[str, float]) -> float:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return values[node.name]
    assert isinstance(node, Apply)
    compute = FUNCTIONS[node.function].value
    assert compute is not None
    return compute(*(value_of(argument, values) for argument in node.arguments))


@pytest.mark.parametrize("row", SCALAR, ids=lambda row: row.name)
def test_gradient_text_is_the_derivative(row):
    step = 1e-6
    for arguments in points(row):
        values = {"a": 0.0, "b": 0.0, "c": 0.0, "y": row.value(*arguments), "d": 1.7}
        values.update(zip("abc", arguments, strict=False))
        for place, text in enumerate(row.adjoints):

            def shifted(by, place=place, arguments=arguments):
                return row.value(*(a + by * (i == place) for i, a in enumerate(arguments)))

            slope = (shifted(step) - shifted(-step)) / (2 * step)
            stated = 0.0 if text is None else value_of(read(f"g = {text}")[0].value, values)
            expected = 0.0 if row.name in ("divides",) else 1.7 * slope
            assert stated == pytest.approx(expected, rel=1e-5, abs=1e-7), (row.name, place, arguments)


@pytest.mark.parametrize("row", [row for row in SCALAR if row.torch], ids=lambda row: row.name)
def test_value_is_torch_s(row):
    function = torch
    for part in row.torch.split("."):
        function = getattr(function, part)
    for arguments in points(row):
        theirs = function(*(torch.tensor(a, dtype=torch.float64) for a in arguments)).item()  # pyrefly: ignore
        assert row.value(*arguments) == pytest.approx(theirs, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("row", SCALAR, ids=lambda row: row.name)
def test_value_lies_in_the_range(row):
    low, high = row.range
    for arguments in [*points(row), *(((-30.0, 2.0, 3.0)[: row.arity],) if row.name not in POSITIVE else ())]:
        assert low <= row.value(*arguments) <= high


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=lambda row: row.name)
def test_row_is_whole(row):
    assert len(row.adjoints) == row.arity
    assert row.latex.format(*"abc"[: row.arity])
    assert row.value is not None or row.kind in ("reduction", "source") or row.takes


def test_where_torch_has_a_corner_the_table_has_the_same():
    """At ties and kinks the gradients are torch's: maximum splits, relu has slope 0 at 0."""
    a, b = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    torch.maximum(a, b).backward()
    rule = FUNCTIONS["maximum"].adjoints[0]
    assert a.grad is not None
    assert value_of(read(f"g = {rule}")[0].value, {"a": 1.0, "b": 1.0, "d": 1.0, "y": 1.0}) == a.grad.item()
    assert value_of(read(f"g = {FUNCTIONS['relu'].adjoints[0]}")[0].value, {"a": 0.0, "d": 1.0, "y": 0.0}) == 0
    assert math.isclose(FUNCTIONS["sigmoid"].value(-800.0) if FUNCTIONS["sigmoid"].value else 1.0, 0.0)
