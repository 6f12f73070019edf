"""The vector functions of generated code: against torch, against wider numbers, and on the numbers at the edges."""

import ctypes
import dataclasses
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from gatework.errors import ConfigError
from gatework.kernels.cpu.build import Library, compile_text
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.functions import EMITTERS, emit
from gatework.kernels.llvm.target import LEVELS, Target, host
from gatework.kernels.reference import arithmetic
from gatework.language.functions import FUNCTIONS

ROWS = [row for row in FUNCTIONS.values() if row.kind in ("operator", "pointwise")]
DTYPES = {"float32": np.float32, "float64": np.float64}
NEEDS_LONG = np.finfo(np.longdouble).nmant < 63


def _targets() -> dict[str, Target]:
    found = {}
    for level in LEVELS:
        try:
            found[level] = host(level)
        except ConfigError:
            continue
    if "avx2" in found:
        # What ARM is given is plain LLVM, and runs anywhere that has fused products.
        found["neon"] = dataclasses.replace(found["avx2"], level="neon", bits=128)
    return found


TARGETS = _targets()
EVERYWHERE = pytest.mark.parametrize(("level", "dtype"), [(level, dtype) for level in TARGETS for dtype in DTYPES])


@cache
def _library(level: str, dtype: str) -> Library:
    """Compile a loop over three arrays for every row."""
    target, texts, declarations = TARGETS[level], [], dict[str, str]()
    for row in ROWS:
        code = Code(
            target, dtype, f"define void @{row.name}_loop(ptr %y, ptr %a, ptr %b, ptr %c, i64 %n)", declarations
        )
        with code.loop("0", "%n", str(code.lanes)) as place:
            arguments = [code.load(code.offset(name, place)) for name in ("%a", "%b", "%c")[: row.arity]]
            code.store(emit(code, row.name, arguments), code.offset("%y", place))
        code.do("ret void")
        texts.append(code.text())
    return Library(compile_text("\n".join([*texts, *declarations.values()]), target), target)


def compute(name: str, level: str, dtype: str, *arguments: np.ndarray) -> np.ndarray:
    """Compute a row on arrays of any length."""
    kind = DTYPES[dtype]
    size = arguments[0].size
    room = -(-size // 16) * 16
    padded = [np.ones(room, kind) for _ in range(3)]
    for array, argument in zip(padded, arguments, strict=False):
        array[:size] = argument
    result = np.full(room, np.nan, kind)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)(
        _library(level, dtype).address(f"{name}_loop")
    )
    function(result.ctypes.data, *(array.ctypes.data for array in padded), room)
    return result[:size]


def by_torch(name: str, *arguments: np.ndarray) -> np.ndarray:
    known: Any = arithmetic.function(name)
    return known(*(torch.from_numpy(argument) for argument in arguments)).numpy()


@contextmanager
def flushing() -> Generator[None, None, None]:
    """Have the processor flush denormal numbers, as it does while kernels run."""
    before = torch.tensor(1e-310, dtype=torch.float64).mul(1.0).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


# --- wider numbers to compare with


def _sigmoid(x: np.ndarray) -> np.ndarray:
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power)


def _log1p_exp(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-np.abs(x)))


def _erfc_of_positive(x: np.ndarray) -> np.ndarray:
    """A series whose terms are all positive up to 2, and the continued fraction above."""
    near, far = np.minimum(x, 2), np.maximum(x, 2)
    total = term = near
    for number in range(1, 60):
        term = term * (2 * near * near) / (2 * number + 1)
        total = total + term
    root_pi = np.sqrt(4 * np.arctan(np.ones((), x.dtype)))
    fraction = far
    for number in range(150, 0, -1):
        fraction = far + (number / 2) / fraction
    return np.where(x < 2, 1 - 2 / root_pi * np.exp(-near * near) * total, np.exp(-far * far) / root_pi / fraction)


def _erf(x: np.ndarray) -> np.ndarray:
    near = np.minimum(np.abs(x), 2)
    total = term = near
    for number in range(1, 60):
        term = term * (2 * near * near) / (2 * number + 1)
        total = total + term
    series = total * np.exp(-near * near) / np.sqrt(np.arctan(np.ones((), x.dtype)))
    return np.copysign(np.where(np.abs(x) < 2, series, 1 - _erfc_of_positive(np.abs(x))), x)


def _gelu(x: np.ndarray) -> np.ndarray:
    below = np.abs(x) * _erfc_of_positive(np.abs(x) / np.sqrt(np.full((), 2, x.dtype))) / 2
    return np.maximum(x, 0) - np.where(np.isfinite(x), below, 0)


EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + _log1p_exp(x),
    "log_sigmoid": lambda x: np.minimum(x, 0) - _log1p_exp(x),
    "erf": _erf,
    "gelu": _gelu,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
}


def units(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The error in units in the last place of the exact value; 0 where that is no normal number, NaN where got is."""
    info = np.finfo(got.dtype)
    normal = (np.abs(exact) >= info.tiny) & (np.abs(exact) <= info.max)
    exponent = np.frexp(np.where(normal, exact, 1))[1]
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(exact.dtype) - exact) * np.ldexp(np.ones_like(exact), info.nmant + 1 - exponent)
    return np.where(normal, error, 0)


@cache
def samples(dtype: str) -> np.ndarray:
    """Numbers of every exponent, many of those where functions bend, and those next to where methods change."""
    generator = np.random.default_rng(0)
    kind = DTYPES[dtype]
    parts: list[Any] = [
        generator.uniform(-width, width, 8000 if dtype == "float64" else 40000) for width in (0.1, 1, 3, 10, 100)
    ]
    if dtype == "float32":
        parts.append(np.arange(0, 2**32, 2**14 + 1, dtype=np.uint32).view(np.float32))  # 2**18 of all there are
    else:
        parts.append(generator.uniform(-745, 745, 8000))
        parts.append(np.ldexp(generator.uniform(-2, 2, 8000), generator.integers(-1021, 1022, 8000)))
    turns = np.arange(-1000, 1000) * (math.pi / 2)
    numbers = np.concatenate([*(np.asarray(part, kind) for part in parts), turns.astype(kind)])
    return numbers[np.isfinite(numbers) & ((np.abs(numbers) >= np.finfo(kind).tiny) | (numbers == 0))]


@cache
def exact_values(name: str, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return EXACT[name](samples(dtype).astype(np.float64 if dtype == "float32" else np.longdouble))


# --- the tests


def test_every_row_is_written():
    assert set(EMITTERS) == {row.name for row in ROWS}


@EVERYWHERE
@pytest.mark.parametrize("name", EXACT)
def test_error_in_units_in_the_last_place(name, level, dtype):
    if dtype == "float64" and NEEDS_LONG:
        pytest.skip("this machine has no numbers wider than float64")
    numbers, exact = samples(dtype), exact_values(name, dtype)
    got = compute(name, level, dtype, numbers)
    # Without fused products a few roundings are added.
    assert units(got, exact).max() <= (2.5 if level == "sse" else 2)
    defined = ~np.isnan(exact)
    np.testing.assert_array_equal(np.isnan(got), ~defined)
    beyond = defined & (np.abs(exact) > np.finfo(got.dtype).max)
    np.testing.assert_array_equal(got[beyond], np.copysign(np.inf, exact[beyond]))
    tiny = defined & (np.abs(exact) < np.finfo(got.dtype).tiny)
    assert (np.abs(got[tiny]) <= np.finfo(got.dtype).tiny).all()
    low, high = FUNCTIONS[name].range
    assert ((got[defined] >= low) & (got[defined] <= high)).all()
    with flushing():
        flushed = compute(name, level, dtype, numbers)
    finite = defined & ~beyond
    assert (np.abs(flushed[finite] - got[finite]) <= np.finfo(got.dtype).tiny).all()


INFINITY = math.inf
NAN = math.nan
EDGES = {
    # name: (argument, value) pairs; zeros are told apart by their sign
    "sigmoid": [(-INFINITY, 0.0), (INFINITY, 1.0), (-1e30, 0.0), (1e30, 1.0), (0.0, 0.5), (-0.0, 0.5), (NAN, NAN)],
    "tanh": [(-INFINITY, -1.0), (INFINITY, 1.0), (1e30, 1.0), (-40.0, -1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "relu": [(-INFINITY, 0.0), (INFINITY, INFINITY), (-1.0, 0.0), (NAN, NAN)],
    "exp": [(-INFINITY, 0.0), (INFINITY, INFINITY), (1e4, INFINITY), (-1e4, 0.0), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN)],
    "log": [(0.0, -INFINITY), (-0.0, -INFINITY), (INFINITY, INFINITY), (1.0, 0.0), (-1.0, NAN), (-INFINITY, NAN),
            (NAN, NAN)],
    "sqrt": [(0.0, 0.0), (INFINITY, INFINITY), (-1.0, NAN), (NAN, NAN)],
    "abs": [(-0.0, 0.0), (-INFINITY, INFINITY), (NAN, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INFINITY, NAN), (-INFINITY, NAN), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INFINITY, NAN), (-INFINITY, NAN), (NAN, NAN)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INFINITY, 1.0), (-INFINITY, -1.0), (30.0, 1.0), (NAN, NAN)],
    "softplus": [(-INFINITY, 0.0), (INFINITY, INFINITY), (1e30, 1e30), (-1e30, 0.0), (NAN, NAN)],
    "log_sigmoid": [(-INFINITY, -INFINITY), (-1e30, -1e30), (NAN, NAN)],
    "hard_sigmoid": [(-INFINITY, 0.0), (INFINITY, 1.0), (3.0, 1.0), (-3.0, 0.0), (0.0, 0.5), (NAN, NAN)],
    "gelu": [(INFINITY, INFINITY), (1e30, 1e30), (0.0, 0.0), (NAN, NAN)],
    "sign": [(2.0, 1.0), (-INFINITY, -1.0), (0.0, 0.0), (NAN, 0.0)],
    "neg": [(0.0, -0.0), (INFINITY, -INFINITY), (NAN, NAN)],
}  # fmt: skip


@EVERYWHERE
@pytest.mark.parametrize("name", EDGES)
def test_edges(name, level, dtype):
    arguments, values = (np.array(side, DTYPES[dtype]) for side in zip(*EDGES[name], strict=True))
    got = compute(name, level, dtype, arguments)
    np.testing.assert_array_equal(got, values)
    zero = values == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(values[zero]))


SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, -7.0, 0.1, 1e15, -1e15, 1e-15, INFINITY, -INFINITY, NAN)
EXACT_ROWS = ("add", "sub", "mul", "div", "neg", "relu", "abs", "maximum", "minimum", "where", "greater",
              "sign", "mod", "divides")  # fmt: skip


@EVERYWHERE
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_agrees_with_torch(row, level, dtype):
    kind = DTYPES[dtype]
    generator = np.random.default_rng(1)
    grid = np.array(np.meshgrid(*[np.array(SPECIAL, kind)] * row.arity)).reshape(row.arity, -1)
    drawn = generator.normal(size=(row.arity, 500)).astype(kind) * generator.choice(np.array([1, 10], kind), 500)
    whole = generator.integers(-9, 10, (row.arity, 500)).astype(kind)
    arguments = np.concatenate([grid, drawn, whole], axis=1)
    if row.name == "gelu":
        arguments = arguments[:, ~np.isinf(arguments[0])]  # torch takes the limits for NaN
    expected = by_torch(row.name, *arguments)
    got = compute(row.name, level, dtype, *arguments)
    if row.name in EXACT_ROWS:
        np.testing.assert_array_equal(got, expected)
    else:
        epsilon = float(np.finfo(kind).eps)
        loose = {"sin": 4 * epsilon, "cos": 4 * epsilon}
        if dtype == "float32":  # torch's own error, that of gelu's 1 + erf(x), and softplus, which from 20 on gives x
            loose |= {"softplus": 2.1e-9, "gelu": 64 * epsilon}
        np.testing.assert_allclose(got, expected, rtol=8 * epsilon, atol=loose.get(row.name, 0.0))


@EVERYWHERE
def test_remainders_are_exact(level, dtype):
    kind = DTYPES[dtype]
    generator = np.random.default_rng(2)
    # Quotients of every size up to far beyond what a fraction holds, and those that are nearly whole.
    dividend = np.ldexp(generator.uniform(-2, 2, 4000), generator.integers(-20, 60, 4000)).astype(kind)
    divisor = np.ldexp(generator.uniform(-2, 2, 4000), generator.integers(-20, 20, 4000)).astype(kind)
    nearly = (divisor * generator.integers(1, 1000, 4000).astype(kind)).astype(kind)
    dividend = np.concatenate([dividend, nearly, np.nextafter(nearly, kind(0))])
    divisor = np.concatenate([divisor, divisor, divisor])
    np.testing.assert_array_equal(compute("mod", level, dtype, dividend, divisor), by_torch("mod", dividend, divisor))
    got = compute("divides", level, dtype, divisor, dividend)
    np.testing.assert_array_equal(got, by_torch("divides", divisor, dividend))
    assert 0 < got.sum() < got.size


@EVERYWHERE
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_neighbours_change_nothing(row, level, dtype):
    """Each number alone, between ones, gives the bits it gives in company, where other lanes need the C library."""
    kind = DTYPES[dtype]
    generator = np.random.default_rng(3)
    numbers = np.array([*SPECIAL, 1e4, -1e15, 1e-3, 50.0, -80.0, 700.0, 0.7, -1.3, 20.0], kind)
    arguments = generator.choice(numbers, (row.arity, 96))
    together = compute(row.name, level, dtype, *arguments)
    for lane in (0, 3, 15):
        apart = np.ones((row.arity, 96 * 16), kind)
        apart[:, lane::16] = arguments
        np.testing.assert_array_equal(compute(row.name, level, dtype, *apart)[lane::16], together)


@EVERYWHERE
@pytest.mark.parametrize("name", ["tanh", "sin", "erf"])
def test_small_numbers_keep_their_digits(name, level, dtype):
    kind = DTYPES[dtype]
    small = (np.logspace(-30, -6, 400) * np.resize([1, -1], 400)).astype(kind)
    slope = 2 / math.sqrt(math.pi) if name == "erf" else 1.0
    np.testing.assert_allclose(
        compute(name, level, dtype, small) / small, slope, rtol=2 * float(np.finfo(kind).eps) + 1e-12
    )


@pytest.mark.parametrize("level", TARGETS)
def test_tanh_and_sigmoid_of_float32_hardly_ever_fall(level):
    """Between neighbours a result may fall by its rounding error, never by more."""
    for name, top in (("tanh", 10.0), ("sigmoid", 18.0)):
        rising = np.linspace(-top, top, 2**16, dtype=np.float32)
        got = compute(name, level, "float32", rising)
        assert (np.diff(got) >= -2 * np.spacing(np.abs(got[1:]))).all()


@pytest.mark.parametrize("level", TARGETS)
def test_arguments_may_be_constants(level):
    target, texts, declarations = TARGETS[level], [], dict[str, str]()
    for row in ROWS:
        code = Code(target, "float32", f"define void @{row.name}_once(ptr %y)", declarations)
        code.store(emit(code, row.name, [code.splat(number) for number in (2.5, 0.75, -1.5)[: row.arity]]), "%y")
        code.do("ret void")
        texts.append(code.text())
    library = Library(compile_text("\n".join([*texts, *declarations.values()]), target), target)
    for row in ROWS:
        got = np.full(16, np.nan, np.float32)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address(f"{row.name}_once"))(got.ctypes.data)
        arguments = [np.full(16, number, np.float32) for number in (2.5, 0.75, -1.5)[: row.arity]]
        lanes = target.lanes("float32")
        expected = compute(row.name, level, "float32", *arguments)[:lanes]
        np.testing.assert_allclose(got[:lanes], expected, rtol=5e-7)  # LLVM may compute on constants by itself
