"""The one table of tolerances: how far two ways to the same number may lie apart. Never looser anywhere else."""

from typing import Any

import torch

# What is compared, and in which type -> relative and absolute tolerance.
TOLERANCES = {
    ("values", torch.float64): (1e-10, 1e-12),
    ("values", torch.float32): (1e-5, 1e-6),
    ("values", torch.bfloat16): (2e-2, 1e-2),
    ("gradients", torch.float64): (1e-9, 1e-11),
    ("gradients", torch.float32): (1e-4, 1e-5),
}


def assert_close(actual: Any, expected: Any, what: str = "values") -> None:
    """Compare tensors, or tuples of them, by the table; the type and the shape must be the same."""
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, what)
        return
    relative, absolute = TOLERANCES[what, expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=relative, atol=absolute)


def assert_same(actual: Any, expected: Any) -> None:
    """See that tensors, or tuples of them, are the same bit by bit."""
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
        return
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
