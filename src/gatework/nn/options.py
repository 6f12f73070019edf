"""The options of a layer that its text shows, and what a run may be given beside its input and state."""

from collections.abc import Sequence
from typing import Any, TypedDict

from torch import Tensor

from gatework.nn.memories import Banks, Lengths

_DEFAULTS = {
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
    "init": "torch",
    "forget_bias": None,
    "learn_initial_state": False,
    "input_projection": False,
    "below_projection": False,
    "skip": None,
    "connection": None,
    "tie_layers": False,
    "sizes": {},
    "memory_size": None,
    "backend": "auto",
    "memory": "fast",
}


class MemoryOptions(TypedDict, total=False):
    """The memories that a layer reads; see :meth:`gatework.nn.Recurrent.forward`."""

    memories: Banks
    memory_lengths: Lengths


class Options(MemoryOptions, total=False):
    """What a run of a layer may be given beside its input and state; see :meth:`gatework.nn.Recurrent.forward`."""

    lengths: Tensor | Sequence[int] | None
    reset: Tensor | None
    mask: Tensor | None
    cu_seqlens: Tensor | None


def shown(layer: Any) -> str:
    """Print a layer's sizes, and the options that differ from their defaults, as torch's layers do."""
    words = [layer.cell.name, str(layer.input_size), str(layer.hidden_size)]
    if layer.num_layers > 1 and isinstance(layer.hidden_size, int):
        words.append(f"num_layers={layer.num_layers}")
    held = {key: getattr(layer.wiring if hasattr(layer.wiring, key) else layer, key) for key in _DEFAULTS}
    words += [f"{key}={held[key]!r}" for key, value in _DEFAULTS.items() if held[key] != value]
    return ", ".join(words)
