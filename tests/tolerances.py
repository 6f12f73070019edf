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
    # What a kernel computes beside the reference in float64; relative to the largest number of the whole tensor.
    ("kernel", torch.float64): (1e-13, 1e-14),
    ("kernel", torch.float32): (1e-5, 2e-6),
    # What one of torch's own operators computes beside it, measured likewise.
    ("operator", torch.float64): (1e-12, 1e-13),
    ("operator", torch.float32): (1e-6, 1e-6),
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


def assert_all_near(actual: dict[str, Any], expected: dict[str, Any], dtype: torch.dtype, what: str = "kernel") -> None:
    """Compare tensors by name with their true values in float64: their type is ``dtype``, and no number is far off.

    Errors are measured by the largest number of a tensor, for what nearly cancels has no digits of its own.
    """
    assert list(actual) == list(expected)
    relative, absolute = TOLERANCES[what, dtype]
    for name, true in expected.items():
        found = actual[name]
        assert (found.dtype, found.shape, true.dtype) == (dtype, true.shape, torch.float64), name
        if true.numel():
            error, most = (found.double() - true).abs().max().item(), true.abs().max().item()
            assert error <= relative * most + absolute, f"{name}: off by {error:.2g}, and the largest is {most:.2g}"


def assert_same(actual: Any, expected: Any) -> None:
    """See that tensors, or tuples of them, are the same bit by bit."""
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
        return
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
