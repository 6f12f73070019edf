"""Kernels: what computes a Step over a whole sequence. No kernel knows the name of a cell.

``launch`` is the one door. Behind it stands a closed table of backends, which all do what ``reference`` does.
"""

from typing import TYPE_CHECKING

from gatework.kernels import schema as schema
from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.kernels.door.launch import BACKENDS as BACKENDS
    from gatework.kernels.door.launch import CHOICES as CHOICES
    from gatework.kernels.door.launch import MEMORY as MEMORY
    from gatework.kernels.door.launch import Result as Result
    from gatework.kernels.door.launch import run as run
    from gatework.kernels.weights import Weights as Weights

_PUBLIC = {
    "BACKENDS": "gatework.kernels.door.launch",
    "CHOICES": "gatework.kernels.door.launch",
    "MEMORY": "gatework.kernels.door.launch",
    "Result": "gatework.kernels.door.launch",
    "Weights": "gatework.kernels.weights",
    "run": "gatework.kernels.door.launch",
}

__all__ = ["BACKENDS", "CHOICES", "MEMORY", "Result", "Weights", "run"]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
