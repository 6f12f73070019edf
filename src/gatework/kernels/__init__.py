"""Kernels: what computes a Step over a whole sequence. No kernel knows the name of a cell.

``launch`` is the one door. Behind it stands a closed table of backends, which all do what ``reference`` does.
"""

from gatework.kernels.launch import BACKENDS, CHOICES, MEMORY, Result, run
from gatework.kernels.weights import Weights

__all__ = ["BACKENDS", "CHOICES", "MEMORY", "Result", "Weights", "run"]
