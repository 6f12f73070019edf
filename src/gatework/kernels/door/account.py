"""An account of how a step would be run, without running it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.errors import KernelError
from gatework.kernels.cpu import cache
from gatework.kernels.cpu.build import object_key
from gatework.kernels.cpu.kernel import generate, is_compiled, kernel_for
from gatework.kernels.cpu.rows import even_rows
from gatework.kernels.cpu.workspace import Workspace, sized
from gatework.kernels.door import launch
from gatework.kernels.door.fused import plans
from gatework.kernels.llvm.target import host
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.spec import Spec, read_spec, write_spec
from gatework.language.nodes import Step


@dataclass(frozen=True)
class Account:
    """How a step would be run.

    Args:
        backend: A row of :data:`gatework.kernels.BACKENDS`; ``none`` where what was chosen by hand cannot run.
        reason: Why, and what to change where it is not the kernels.
        dtype: The type of the numbers.
        threads: How many threads share the work; 0 where torch decides.
        shared: What they share, ``rows`` of the batch or ``units`` of the layer; empty for one thread.
        level: The vector unit; empty without kernels.
        bits: The width of its registers.
        lanes: How many numbers a register holds.
        kernel: Where the kernel comes from: compiled already, on disk, or to be compiled.
        kept: Bytes that a forward pass keeps for the way back; 0 where none is asked for, None where autograd decides.
    """

    backend: str
    reason: str
    dtype: str
    threads: int = 0
    shared: str = ""
    level: str = ""
    bits: int = 0
    lanes: int = 0
    kernel: str = ""
    kept: int | None = None


def account(
    step: Step,
    sizes: Mapping[str, int],
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    drawn: bool,
    record: tuple[str, ...],
    backend: str,
    memory: str,
    differentiated: bool,
) -> Account:
    """Say how a step would be run. The kernel is made ready, as the first call would do.

    Args:
        step: The checked equations.
        sizes: The size behind each key of the step's sizes.
        inputs: What would be given, [T, B, size] each; values do not matter.
        state: The states before, [B, size] each; values do not matter.
        drawn: Whether masks are drawn.
        record: Further names whose values are wanted.
        backend: A row of :data:`gatework.kernels.CHOICES`.
        memory: A row of :data:`gatework.kernels.MEMORY`.
        differentiated: Whether a gradient will be asked for.

    Returns:
        The account.
    """
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    unknown = None if differentiated else 0
    if backend == "reference":
        return Account("reference", "it was chosen by hand", dtype, kept=unknown)
    lines = tuple(name for name in record if name not in step.inputs and name not in step.draws)
    keep = memory if differentiated else "nothing"
    spec = read_spec(write_spec(step, drawn and bool(step.draws), False, keep, lines, ()))
    steps, rows = inputs[0].shape[:2]
    try:
        chosen, reason = launch.choose(step, inputs, state, drawn, record)
        if chosen != "cpu":
            if backend == "auto":
                return Account(chosen, reason, dtype, kept=unknown)
            return Account("none", f"backend={backend!r} was chosen, which cannot run this: {reason}", dtype, kept=0)
        plan, *_ = plans(spec)
        return _of_kernel(spec, plan, sizes, inputs[0].dtype, steps, rows, reason)
    except KernelError as error:
        if backend == "auto":
            return Account("reference", str(error), dtype, kept=unknown)
        return Account("none", str(error), dtype, kept=0)


def _of_kernel(
    spec: Spec, plan: Plan, sizes: Mapping[str, int], dtype: torch.dtype, steps: int, rows: int, reason: str
) -> Account:
    name = str(dtype).removeprefix("torch.")
    target = host()
    origin = _origin(plan, name)
    known = sized(kernel_for(plan, name), dict(sizes))
    work = Workspace(known, even_rows(1, rows, False), dtype, rows, False, ())
    by_units = bool(work.table.numbers[known.kernel.slots["split"]])
    kept = 0
    if spec.keep != "nothing":
        stored = (2 + steps) * rows * sum(known.width(state) for state in spec.states)
        kept = (stored + steps * rows * sum(known.width(saved) for saved in spec.saved)) * dtype.itemsize
    return Account(
        "cpu",
        reason,
        name,
        work.threads,
        "" if work.threads == 1 else "units" if by_units else "rows",
        target.level,
        target.bits,
        target.lanes(name),
        origin,
        kept,
    )


def _origin(plan: Plan, dtype: str) -> str:
    """Say whether a kernel is compiled already."""
    if is_compiled(plan, dtype):
        return "compiled in this process"
    if cache.read(object_key(generate(plan, host(), dtype).text, host())) is not None:
        return "on disk, compiled by an earlier process"
    return "not compiled until now"
