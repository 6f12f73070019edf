"""The door for a stack of layers that goes step by step and keeps its own state."""

import warnings
from collections.abc import Sequence

from torch import Tensor

from gatework.errors import KernelError
from gatework.kernels.backend import Backend, Chain, Level
from gatework.kernels.door import launch
from gatework.kernels.door.backends import BACKENDS


def prepare(
    levels: Sequence[Level], batch: int, like: Tensor, backend: str, output: Tensor | None = None
) -> tuple[Chain, str, str]:
    """Prepare a stack to go step by step.

    Args:
        levels: The layers, lowest first.
        batch: B.
        like: A tensor of the type and on the device of all.
        backend: What was asked for, a row of :data:`gatework.kernels.CHOICES`.
        output: Where the output goes, [B, H], if it is of this type and on this device; else it is made.

    Returns:
        The chain, its states zero; what runs it, a row of :data:`gatework.kernels.BACKENDS`; and why.

    Raises:
        ConfigError: For a backend that cannot run them.
        KernelError: Where a kernel was asked for by hand and cannot be made.
    """
    if output is None or output.dtype != like.dtype or output.device != like.device:
        output = like.new_zeros(batch, levels[-1].size(levels[-1].step.states[0]))
    if backend != "auto":
        chosen = BACKENDS[backend]
        reason = chosen.refuses_stream(levels, batch, like)
        if reason is not None:
            raise launch.refusal(backend, reason, _chosen(levels, batch, like)[0].name)
        told = chosen.because(levels[0].call(batch, like)) or "it was chosen by hand"
        return chosen.stream(levels, batch, like, output), chosen.name, told
    chosen, reason = _chosen(levels, batch, like)
    try:
        return chosen.stream(levels, batch, like, output), chosen.name, reason
    except KernelError as error:
        warnings.warn(f"The reference runs this stream, slowly. {error}", RuntimeWarning, stacklevel=2)
        return BACKENDS["reference"].stream(levels, batch, like, output), "reference", str(error)


def _chosen(levels: Sequence[Level], batch: int, like: Tensor) -> tuple[Backend, str]:
    """Choose the first backend that can run all levels; give why it, or why not the one that was asked first."""
    refused = ""
    for backend in BACKENDS.values():
        reason = backend.refuses_stream(levels, batch, like)
        if reason is None:
            return backend, backend.because(levels[0].call(batch, like)) or refused
        refused = refused or reason
    raise AssertionError("the reference refuses nothing")
