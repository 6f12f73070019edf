"""Show the code that runs a cell, as text."""

from gatework.kernels.backend import Listing
from gatework.kernels.door.backends import BACKENDS
from gatework.language.nodes import Step


def code_of(step: Step, which: str, form: str = "llvm", dtype: str = "float32", backend: str = "cpu") -> Listing:
    """Write the code that a backend makes for one of a cell's passes on this machine.

    Args:
        step: The checked equations.
        which: A row of :data:`gatework.kernels.planning.planned.PASSES_OF_A_CELL`.
        form: ``llvm`` for LLVM's text before optimisation, or ``assembly`` for the machine's assembly.
        dtype: The type of the numbers.
        backend: A row of :data:`gatework.kernels.BACKENDS`.

    Returns:
        The text, and the machine that it is for.

    Raises:
        ConfigError: If there is no such code.
    """
    return BACKENDS[backend].listing(step, which, form, dtype)
