"""The plans of a run. Whatever goes wrong while they are made becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gatework.errors import KernelError, PlanError
from gatework.kernels.planning.lowering import NotLowered, lower
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.planning.spec import Spec
from gatework.kernels.planning.verify import verified
from gatework.language.nodes import Step

PASSES_OF_A_CELL = ("inference", "training", "backward")
"""The ways a step is run: forward with nothing saved, forward with what the backward pass reads, and backward."""

_OURS = "The fault is the planner's: please report the equations. Until then backend='reference' runs them."
_REFUSED = ("refused",)  # the key in ``Spec.known`` for the reason why no kernel can be planned


def plan_of(step: Step, which: str) -> Plan:
    """Plan one of a cell's passes.

    Args:
        step: The checked equations.
        which: A row of :data:`PASSES_OF_A_CELL`. In the last two, masks are drawn.

    Returns:
        The plan. What a step's memories alone decide is computed before, and in no plan.

    Raises:
        KernelError: If no kernel runs a step with memories.
    """
    try:
        step = lower(step).step if step.memories else step
    except NotLowered as reason:
        raise KernelError(f"No kernel runs this cell, so there is no plan: {reason}.") from None
    recipe = Recipe(step, which != "inference" and bool(step.draws))
    plan: Plan = getattr(recipe, which)
    return plan


def plans(spec: Spec) -> list[Plan]:
    """Return the plans of a run and of its backward pass.

    Raises:
        KernelError: If no plan can be made for the equations.
    """
    recipe, keep = spec.recipe, spec.keep
    with explained_planning(spec):
        followed = [recipe.training if keep == "fast" else recipe.inference]
        if keep != "nothing":
            followed.append(recipe.backward)
        if spec.replays:
            followed.append(recipe.replay)
    return followed


def single_step(plan: Plan) -> Plan:
    """Return the plan of a single step: the lines that left the loop come back into it.

    Args:
        plan: The plan of a forward pass.

    Returns:
        A plan with all stages inside the loop.
    """
    stages = [replace(stage, phase="each") for stage in plan.stages if stage.phase != "after"]
    return verified(replace(plan, stages=tuple(stages)))


@contextmanager
def explained_planning(spec: Spec) -> Iterator[None]:
    """Turn any failure of the planner into an error that says what it means and what to do. A failure is not retried.

    The planner looks at no tensor, so a failure is never the fault of the call.

    Args:
        spec: The run.

    Raises:
        KernelError: If no plan can be made for the equations.
    """
    told = spec.known.get(_REFUSED)
    if isinstance(told, str):
        raise KernelError(told)
    try:
        yield
    except Exception as error:
        lines = [line.target for line in spec.recipe.step.equations]
        named = ", ".join(lines[:4]) + (", ..." if len(lines) > 4 else "")
        told = f"{error}" if isinstance(error, PlanError) else f"{type(error).__name__}: {error} {_OURS}"
        spec.known[_REFUSED] = message = f"No kernel could be planned for the equations for {named}. {told}"
        raise KernelError(message) from error
