"""Turn a plan into a kernel: one compiled module with all its functions, and the slots of its table."""

from dataclasses import dataclass
from functools import cache

from gatework.errors import ConfigError, KernelError
from gatework.kernels.cpu import drivers
from gatework.kernels.cpu.build import LOCK, Library, build
from gatework.kernels.cpu.library import library_text
from gatework.kernels.cpu.slots import Slots
from gatework.kernels.cpu.stages import STAGE, StageWriter, vectors_per_block, write_columns, write_moments
from gatework.kernels.cpu.sweeps import write_sweep
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import Target, host
from gatework.kernels.planning.plan import Plan
from gatework.kernels.recent import Recent

MOST_SIZES = 64  # the most sizes that one kernel remembers
_ROWS = "ptr %table, i64 %flat, i64 %row, i64 %count, i64 %step"


@dataclass(frozen=True)
class Generated:
    """The text of a kernel, before it is compiled.

    Args:
        text: LLVM's text.
        slots: The slot of each name in the table.
        blocks: For each stage, the number of units in a block.
    """

    text: str
    slots: dict[str, int]
    blocks: tuple[int, ...]


class Kernel:
    """A compiled plan.

    Args:
        plan: The plan.
        target: The machine.
        dtype: The type of the numbers.
    """

    def __init__(self, plan: Plan, target: Target, dtype: str) -> None:
        self.plan = plan
        self.target = target
        self.dtype = dtype
        generated = generate(plan, target, dtype)
        self.slots = generated.slots
        self.blocks = generated.blocks
        self._library = build(generated.text, target)
        self.sized: Recent[object, object] = Recent(MOST_SIZES)  # what depends on sizes; see workspace.sized
        self.shared = shared_library(target, dtype)
        self.entries = {name: self._library.address(name) for name in _entries(plan)}


def kernel_for(plan: Plan, dtype: str) -> Kernel:
    """Return the kernel of a plan for this machine, which is compiled once.

    Args:
        plan: The plan. It is held, because its identity is the key.
        dtype: The type of the numbers.

    Returns:
        The kernel.

    Raises:
        KernelError: If the kernel cannot be compiled. Every call raises it, but a failure is not retried.
    """
    key = (id(plan), dtype)
    with LOCK:
        kernel = _KERNELS.get(key)
        if kernel is None:
            try:
                kernel = Kernel(plan, host(), dtype)
            except (KernelError, ConfigError) as error:  # ConfigError: no vector unit of this processor is supported
                kernel = _failure(plan, dtype, error)
            _KERNELS[key] = kernel  # if the mapping drops a kernel, its users still hold it
    if isinstance(kernel, Failure):
        raise KernelError(kernel.message)
    return kernel


def is_compiled(plan: Plan, dtype: str) -> bool:
    """Tell whether this process has compiled a plan's kernel."""
    return isinstance(_KERNELS.get((id(plan), dtype)), Kernel)


@dataclass(frozen=True)
class Failure:
    """A plan whose kernel could not be compiled.

    Args:
        plan: The plan. It is held, so that its identity stays unique.
        message: What went wrong, and what to do.
    """

    plan: Plan
    message: str


def _failure(plan: Plan, dtype: str, error: Exception) -> Failure:
    lines = [line.target for line in plan.step.equations]
    named = ", ".join(lines[:4]) + (", ..." if len(lines) > 4 else "")
    return Failure(
        plan,
        f"The kernel ({dtype}) of the equations for {named} could not be compiled. {error} "
        "Choose backend='reference', which needs no kernels; 'gatework doctor' shows what kernels find here.",
    )


def generate(plan: Plan, target: Target, dtype: str) -> Generated:
    """Write the module of a plan.

    Args:
        plan: The plan.
        target: The machine.
        dtype: The type of the numbers.

    Returns:
        The text, and what the caller needs to call it.
    """
    slots, declarations = Slots(), {}
    parts = [drivers.write_barrier(target, slots, declarations)]
    looped = []
    for number, stage in enumerate(plan.stages):
        code = Code(target, dtype, f"define internal void @stage_{number}({STAGE})", declarations)
        parts.append(StageWriter(plan, stage, number, code, slots).write())
        for which, moments in enumerate(stage.moments):
            code = Code(target, dtype, f"define internal void @moments_{number}_{which}({_ROWS})", declarations)
            parts.append(write_moments(plan, moments, code, slots))
        for which, sweep in enumerate(stage.sweeps, len(stage.moments)):
            code = Code(target, dtype, f"define internal void @moments_{number}_{which}({_ROWS})", declarations)
            parts.append(write_sweep(plan, sweep, code, slots))
        if stage.phase == "each":
            looped.append((number, len(stage.moments) + len(stage.sweeps)))
        else:
            parts.append(drivers.write_flat(target, dtype, slots, number, len(stage.moments), declarations))
    for number, columns in enumerate(plan.columns):
        head = f"define internal void @sum_{number}(ptr %table, i64 %begin, i64 %end, i64 %first, i64 %last)"
        parts.append(write_columns(plan, columns, Code(target, dtype, head, declarations), slots))
        parts.append(drivers.write_columns_entry(target, dtype, slots, number, declarations))
    parts.append(drivers.write_each(target, dtype, slots, looped, declarations))
    lanes = target.lanes(dtype)
    blocks = tuple(vectors_per_block(stage, target.tile_vectors) * lanes for stage in plan.stages)
    return Generated("\n".join([*parts, *declarations.values()]) + "\n", slots.places, blocks)


def _entries(plan: Plan) -> list[str]:
    flat = [f"flat_{number}" for number, stage in enumerate(plan.stages) if stage.phase != "each"]
    return ["each", *flat, *(f"columns_{number}" for number in range(len(plan.columns)))]


@cache
def shared_library(target: Target, dtype: str) -> dict[str, int]:
    """Return the addresses of the functions that are the same for all cells."""
    library = build(library_text(target, dtype), target)
    _KEPT.append(library)
    return {name: library.address(name) for name in ("tiles", "pack", "turn", "panel", "outer")}


_KERNELS: Recent[tuple[int, str], Kernel | Failure] = Recent(1024)
_KEPT: list[Library] = []  # machine code lives as long as its library
