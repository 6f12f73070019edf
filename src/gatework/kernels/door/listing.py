"""The code that a cell becomes before it runs, as text to read."""

from gatework.kernels.backend import Listing
from gatework.kernels.door.backends import BACKENDS
from gatework.language.nodes import Step


def code_of(step: Step, which: str, form: str = "llvm", dtype: str = "float32", backend: str = "cpu") -> Listing:
    """Write the code that a backend makes of one of a cell's passes for this machine.

    Args:
        step: The checked equations.
        which: A row of :data:`gatework.kernels.planning.planned.PASSES_OF_A_CELL`.
        form: ``llvm``, LLVM's text as it is before LLVM improves it; or ``assembly``, as the machine's assembler takes
            it.
        dtype: The type of the numbers.
        backend: A row of :data:`gatework.kernels.BACKENDS`.

    Returns:
        The text, and the machine it is for.

    Raises:
        ConfigError: Where there is no such code.
    """
    return BACKENDS[backend].listing(step, which, form, dtype)
