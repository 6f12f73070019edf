"""What a cell becomes before it runs: its plans, and the code of its kernels, as text to read."""

from gatework.kernels.cpu import build
from gatework.kernels.cpu.kernel import generate
from gatework.kernels.llvm.target import host
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.recipe import Recipe
from gatework.language.nodes import Step

PASSES_OF_A_CELL = ("inference", "training", "backward")
"""The ways a step is run: forward with nothing kept, forward with what the way back reads, and the way back."""


def plan_of(step: Step, which: str) -> Plan:
    """Plan one of a cell's passes.

    Args:
        step: The checked equations.
        which: A row of :data:`PASSES_OF_A_CELL`. In the last two, masks are drawn.

    Returns:
        The plan.
    """
    recipe = Recipe(step, which != "inference" and bool(step.draws))
    plan: Plan = getattr(recipe, which)
    return plan


def code_of(step: Step, which: str, dtype: str = "float32") -> str:
    """Write the LLVM code of one of a cell's passes for this machine.

    Args:
        step: The checked equations.
        which: A row of :data:`PASSES_OF_A_CELL`.
        dtype: The type of the numbers.

    Returns:
        LLVM's text, as it is before LLVM improves it.
    """
    return generate(plan_of(step, which), host(), dtype).text


def assembly_of(step: Step, which: str, dtype: str = "float32") -> str:
    """Compile one of a cell's passes for this machine, and write its machine code.

    Args:
        step: The checked equations.
        which: A row of :data:`PASSES_OF_A_CELL`.
        dtype: The type of the numbers.

    Returns:
        Assembly, as the machine's assembler takes it.
    """
    return build.assembly_of(code_of(step, which, dtype), host())
