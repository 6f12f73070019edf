"""Whether a graph is being written, in which the values of tensors are not known yet."""

import torch


def is_traced() -> bool:
    """Say whether torch.compile, torch.export or torch.jit.trace is at work, so that no value may decide anything.

    Example:
        >>> is_traced()
        False
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
