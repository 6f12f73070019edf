"""The rows of the function table, and their gradients, against numbers of many digits.

In float64 the reference is the judge of all kernels, so it is judged here itself.
"""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

import gatework
from gatework.language.functions import FUNCTIONS

DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
FAR = 100  # from here on the tails of erf and gelu are below all numbers there are


def _softplus(a: mpf) -> mpf:
    return max(a, mpf(0)) + mpmath.log1p(mpmath.exp(-abs(a)))


def _gelu(a: mpf) -> mpf:
    return a * mpmath.erfc(-a / mpmath.sqrt(2)) / 2 if abs(a) < FAR else max(a, mpf(0))


def _gelu_slope(a: mpf) -> mpf:
    if abs(a) > FAR:
        return mpf(a > 0)
    return mpmath.erfc(-a / mpmath.sqrt(2)) / 2 + a * mpmath.exp(-a * a / 2) / mpmath.sqrt(2 * mpmath.pi)


Exact = Callable[[mpf], mpf]
# For each row of one argument: its value, and its gradient.
EXACT: dict[str, tuple[Exact, Exact]] = {
    "neg": (lambda a: -a, lambda a: mpf(-1)),
    "sigmoid": (lambda a: 1 / (1 + mpmath.exp(-a)), lambda a: mpmath.sech(a / 2) ** 2 / 4),
    "tanh": (mpmath.tanh, lambda a: mpmath.sech(a) ** 2),
    "relu": (lambda a: max(a, mpf(0)), lambda a: mpf(a > 0)),
    "exp": (mpmath.exp, mpmath.exp),
    "log": (mpmath.log, lambda a: 1 / a),
    "sqrt": (mpmath.sqrt, lambda a: 1 / (2 * mpmath.sqrt(a))),
    "abs": (abs, mpmath.sign),
    "sin": (mpmath.sin, mpmath.cos),
    "cos": (mpmath.cos, lambda a: -mpmath.sin(a)),
    "erf": (mpmath.erf, lambda a: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-a * a)),
    "softplus": (_softplus, lambda a: 1 / (1 + mpmath.exp(-a))),
    "log_sigmoid": (lambda a: -_softplus(-a), lambda a: 1 / (1 + mpmath.exp(a))),
    "hard_sigmoid": (
        lambda a: min(max(a / 6 + mpf(0.5), mpf(0)), mpf(1)),
        lambda a: mpf(1) / 6 if abs(a) < 3 else mpf(0),
    ),
    "gelu": (_gelu, _gelu_slope),
    "sign": (mpmath.sign, lambda a: mpf(0)),
}
POSITIVE = ("log", "sqrt")
# Rows of two or three arguments are one instruction each, or choose between their arguments.
OTHERS = {"add", "sub", "mul", "div", "maximum", "minimum", "where", "greater", "mod", "divides"}


def arguments(name: str, dtype: torch.dtype) -> np.ndarray:
    """Numbers of every size, many where functions bend, and those at the edges of methods."""
    kind, generator = DTYPES[dtype], np.random.default_rng(0)
    info, most = np.finfo(kind), 37 if dtype == torch.float32 else 307
    drawn = [generator.normal(size=60) * scale for scale in (1, 8, 40, 400)]
    signs = generator.choice([-1, 1], 60)
    drawn += [10.0 ** generator.uniform(-most, most, 60) * signs]
    edges = [0.85, 2.9999, 3.2, 19.9, 20.5, 21, 30, 36, 37.7, 40, 88, 103, 700, 709, 745, 1e-8, float(info.tiny)]
    found = np.concatenate([*drawn, edges, np.negative(edges)]).astype(kind)
    return np.abs(found) if name in POSITIVE else found


def computed(name: str, dtype: torch.dtype, backend: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of a row, and the gradients, as a layer gives them."""
    text = "h = -x" if name == "neg" else f"h = {name}(x)"
    layer = gatework.Recurrent(gatework.cell(text, states="h"), 1, 1, dtype=dtype, backend=backend)
    given = torch.from_numpy(numbers).view(1, -1, 1).requires_grad_()
    value = layer(given)[0]
    gradient = torch.autograd.grad(value.sum(), given, allow_unused=True)[0]
    return value.detach().numpy().ravel(), (torch.zeros_like(given) if gradient is None else gradient).numpy().ravel()


def units(got: float, exact: mpf, kind: type, least: float = 0.0) -> float:
    """The error in units in the last place of the exact number, or of the least, whichever is greater."""
    info = np.finfo(kind)
    if abs(exact) > mpf(float(info.max)):
        return 0.0 if math.isinf(got) and (got > 0) == (exact > 0) else math.inf
    if not math.isfinite(got):
        return math.inf
    exponent = mpmath.frexp(max(abs(exact), mpf(least)))[1]
    return float(abs(mpf(got) - exact) * mpf(2) ** (info.nmant + 1 - exponent))


def test_every_row_is_judged():
    rows = {row.name for row in FUNCTIONS.values() if row.kind in ("operator", "pointwise")}
    assert rows == EXACT.keys() | OTHERS


@pytest.mark.parametrize(
    ("dtype", "backend"), [(torch.float64, "reference"), (torch.float64, "cpu"), (torch.float32, "cpu")]
)
@pytest.mark.parametrize("name", EXACT)
def test_values_and_gradients_are_right_to_two_units(name, dtype, backend):
    """A gradient made from a result, as that of tanh, is no closer than the last place of 1."""
    numbers, kind = arguments(name, dtype), DTYPES[dtype]
    values, gradients = computed(name, dtype, backend, numbers)
    value, slope = EXACT[name]
    least = mpf(float(np.finfo(kind).tiny))
    with mpmath.workprec(200):
        for number, got, gradient in zip(numbers.tolist(), values.tolist(), gradients.tolist(), strict=True):
            exact = value(mpf(number))
            if abs(exact) < least:  # no normal number; kernels give 0
                assert abs(mpf(got) - exact) < least, number
            else:
                assert units(got, exact, kind) <= 2, number
            assert units(gradient, slope(mpf(number)), kind, 1.0) <= 2, number
