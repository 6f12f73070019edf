"""Run a step over a whole sequence. No kernel knows the name of a cell.

All calls enter through ``run``. It chooses from a closed table of backends, which all compute what ``reference`` does.
"""

from typing import TYPE_CHECKING

from gatework.kernels import schema as schema
from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.kernels.backend import Backend as Backend
    from gatework.kernels.call import Call as Call
    from gatework.kernels.call import Result as Result
    from gatework.kernels.door.backends import BACKENDS as BACKENDS
    from gatework.kernels.door.backends import CHOICES as CHOICES
    from gatework.kernels.door.launch import run as run
    from gatework.kernels.planning.spec import MEMORY as MEMORY
    from gatework.kernels.weights import Weights as Weights

_PUBLIC = {
    "BACKENDS": "gatework.kernels.door.backends",
    "Backend": "gatework.kernels.backend",
    "CHOICES": "gatework.kernels.door.backends",
    "Call": "gatework.kernels.call",
    "MEMORY": "gatework.kernels.planning.spec",
    "Result": "gatework.kernels.call",
    "Weights": "gatework.kernels.weights",
    "run": "gatework.kernels.door.launch",
}

__all__ = ["BACKENDS", "CHOICES", "MEMORY", "Backend", "Call", "Result", "Weights", "run"]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
