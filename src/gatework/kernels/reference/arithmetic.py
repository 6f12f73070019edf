"""The rows of the table of functions in torch, and products with structured matrices."""

import math
import operator
from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import torch
from torch import Tensor, nn

from gatework.language.functions import FUNCTIONS, NORM_EPSILON

# Python's operators accept plain numbers on either side. torch.sub and torch.div do not.
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
}


def _where(condition: Tensor, chosen: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(condition != 0, chosen, otherwise)


def _greater(left: Tensor, right: Tensor) -> Tensor:
    return torch.gt(left, right).to(torch.result_type(left, right))


def _divides(divisor: Tensor, dividend: Tensor) -> Tensor:
    return torch.eq(torch.fmod(dividend, divisor), 0).to(torch.result_type(divisor, dividend))


def _mean(vector: Tensor) -> Tensor:
    # The result is as long as the vector, so a name of some size has that size everywhere.
    return vector.mean(-1, keepdim=True).expand_as(vector)


def _rstd(vector: Tensor) -> Tensor:
    return torch.rsqrt(vector.var(-1, correction=0, keepdim=True) + NORM_EPSILON).expand_as(vector)


def _norm(vector: Tensor) -> Tensor:
    return nn.functional.layer_norm(vector, (vector.shape[-1],), eps=NORM_EPSILON)


# Rows for which torch has no function of the same name, and norm: torch has one operation for it, its definition six.
_KNOWN: dict[str, Callable[..., Any]] = {
    "where": _where,
    "greater": _greater,
    "divides": _divides,
    "mean": _mean,
    "rstd": _rstd,
    "norm": _norm,
}

# In float64 the reference judges all other code, so each row is right to two units in the last place. Here torch's own
# softplus ends at 20, and its hard sigmoid has the slope that float32 has for 1/6. Its gelu loses the left tail, where
# 1 + erf(x) is a small number made from two large ones.
_HALF_ROOT = (0.7071067690849304, 1.210161710447897e-08)  # the root of 1/2: its first 24 bits, and the rest


def _softplus(vector: Tensor) -> Tensor:
    return 0.0 - nn.functional.logsigmoid(-vector)


def _hard_sigmoid(vector: Tensor) -> Tensor:
    # At its ends the line has a slope of 0, as in torch, and NaN gives NaN.
    return torch.where(vector.abs() >= 3, _greater(vector, torch.zeros_like(vector)), (vector + 3) / 6)


def _gelu(vector: Tensor) -> Tensor:
    left = vector < -0.85
    # On the other branch, -1 replaces the argument, so that no infinite value meets a gradient of zero.
    usual = nn.functional.gelu(torch.where(left, -1.0, vector))
    size = torch.where(left, -vector, 1.0).clamp(max=40.0)
    scaled = size * sum(_HALF_ROOT)
    # So far out, erfc turns the rounding error of its argument into many units in the last place.
    upper = size.float().double()
    lost = (upper * _HALF_ROOT[0] - scaled) + upper * _HALF_ROOT[1] + (size - upper) * sum(_HALF_ROOT)
    slope = -2 / math.pi**0.5 * torch.exp(-scaled * scaled)
    return torch.where(left, (torch.erfc(scaled) + slope * lost) * (size * -0.5), usual)


_EXACT = {"softplus": _softplus, "hard_sigmoid": _hard_sigmoid, "gelu": _gelu}


@cache
def function(name: str) -> Callable[..., Any] | None:
    """Return the function for a row of the table; None if the row's definition is computed instead."""
    known = _OPERATORS.get(name) or _KNOWN.get(name)
    if known is not None:
        return known
    dotted = FUNCTIONS[name].torch
    if dotted is None:
        return None
    usual: Any = reduce(getattr, dotted.split("."), torch)
    exact = _EXACT.get(name)
    if exact is None:
        return usual
    return lambda vector: exact(vector) if vector.dtype == torch.float64 else usual(vector)


def takes_numbers(name: str) -> bool:
    """Tell whether a row accepts plain numbers; the others need tensors."""
    return name in _OPERATORS


def fold(name: str, numbers: list[float]) -> float:
    """Compute a row on plain numbers, in float64."""
    row = FUNCTIONS[name]
    if row.kind == "reduction" and row.value is not None:  # of a vector with this number in each unit
        return row.value(*numbers)
    known = function(name)
    assert known is not None
    return float(known(*(torch.tensor(number, dtype=torch.float64, device="cpu") for number in numbers)))


def period(blocks: int, size: int, like: Tensor) -> Tensor:
    """Return the periods of a vector's units: 2**k in block k. Shape [size]."""
    block = torch.arange(size, device=like.device) * blocks // size
    return torch.exp2(block.to(like.dtype))


def upper_blocks(matrix: Tensor, blocks: int) -> Tensor:
    """Set the part of a matrix below its block diagonal to zero, whatever it holds."""
    rows, columns = matrix.shape[-2:]
    row_block = torch.arange(rows, device=matrix.device) * blocks // rows
    column_block = torch.arange(columns, device=matrix.device) * blocks // columns
    # torch.where, not a product: an unused entry may be infinite.
    return torch.where(row_block[:, None] <= column_block, matrix, torch.zeros_like(matrix))


def block_stack(matrices: list[Tensor], blocks: int, transposed: bool) -> Tensor:
    """Stack block-diagonal matrices [rows, columns / n] for one batched product: [n, inside, k * outside]."""
    parts = [matrix.reshape(blocks, -1, matrix.shape[1]) for matrix in matrices]
    if not transposed:
        parts = [part.transpose(1, 2) for part in parts]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def block_products(stack: Tensor, vector: Tensor, count: int) -> tuple[Tensor, ...]:
    """Multiply ``count`` stacked block-diagonal matrices with a vector [..., columns]; each result is [..., rows]."""
    blocks, inside, outside = stack.shape
    lead = vector.shape[:-1]
    rows = vector.reshape(-1, blocks, inside).transpose(0, 1)
    product = torch.bmm(rows, stack).reshape(blocks, -1, count, outside // count)
    return product.permute(2, 1, 0, 3).reshape(count, *lead, blocks * outside // count).unbind(0)


def outer(left: Tensor, right: Tensor, structure: str, blocks: int) -> Tensor:
    """Sum the outer products of a batch's rows [..., B, rows] and [..., B, columns], as the matrix is stored."""
    if structure == "block_diagonal":
        left, right = (part.unflatten(-1, (blocks, -1)).movedim(-2, -3) for part in (left, right))
        return (left.mT @ right).flatten(-3, -2)
    matrix = left.mT @ right
    return upper_blocks(matrix, blocks) if structure == "block_upper" else matrix
