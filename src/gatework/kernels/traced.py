"""Detect that torch writes a graph, when the values of tensors are not known yet."""

import torch


def is_traced() -> bool:
    """Tell whether torch.compile, torch.export or torch.jit.trace is active. Then no decision may depend on a value.

    Example:
        >>> is_traced()
        False
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
