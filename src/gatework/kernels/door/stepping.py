"""The entry for a stack of layers that runs step by step and keeps its own state."""

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
    """Prepare a stack to run step by step.

    Args:
        levels: The layers, lowest first.
        batch: B.
        like: A tensor with the type and on the device of all tensors.
        backend: The user's choice, a row of :data:`gatework.kernels.CHOICES`.
        output: The tensor that receives the output, [B, H], if its type and device fit; else a new one is made.

    Returns:
        The chain, its states zero; the backend that runs it, a row of :data:`gatework.kernels.BACKENDS`; and why.

    Raises:
        ConfigError: If the chosen backend cannot run the levels.
        KernelError: If the user chose a backend and its kernel cannot be made.
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
    """Choose the first backend that can run all levels. Return why it, or why not the first that was asked."""
    refused = ""
    for backend in BACKENDS.values():
        reason = backend.refuses_stream(levels, batch, like)
        if reason is None:
            return backend, backend.because(levels[0].call(batch, like)) or refused
        refused = refused or reason
    raise AssertionError("The reference refuses nothing.")
