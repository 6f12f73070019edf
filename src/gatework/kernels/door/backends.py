"""The table of backends, the one place that names all of them. A new backend needs a folder and a row here."""

from collections.abc import Mapping

from gatework.kernels.backend import Backend
from gatework.kernels.cpu.backend import Cpu
from gatework.kernels.library.backend import Library
from gatework.kernels.reference.backend import Reference

_ALL: tuple[Backend, ...] = (Cpu(), Library(), Reference())

BACKENDS: Mapping[str, Backend] = {backend.name: backend for backend in _ALL}
"""What can run a step, by name, in the order in which ``auto`` asks them. The last one, the reference, runs all."""

CHOICES = ("auto", *BACKENDS)
"""What may be asked for: ``auto`` takes the first backend that neither refuses nor declines a call."""
