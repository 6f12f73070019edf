"""The plan: which products leave the loop over time, which stages a step has, and which values are stored where.

A plan is plain data and can be printed. It is made from a step in normal form, either forward or adjoint. It has three
phases: ``before`` the loop over time (lines that depend on no state, for many steps at once), ``each`` step, and
``after`` the loop (lines that no state depends on). A phase is a list of stages. A stage computes products, whose
operands are all complete, and then the pointwise lines that follow from the sums, unit by unit. A reduction needs all
units, so it ends a stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gatework.language.nodes import (
    Apply,
    Equation,
    Name,
    Number,
    Outer,
    Product,
    Step,
    walk,
)
from gatework.language.show import show_node

PHASES = ("before", "each", "after")
SWEEP_KINDS = ("match", "softmax", "total", "gather")
"""The kinds of sweeps: numbers from a sum over units at each position; numbers normalised over positions; one number
from a sum over positions; and vectors summed over positions. The last two also add up gradients of banks."""

GOING_OVER = ("sweep", "bank")  # the kinds of lines that go over the positions of a memory


@dataclass(frozen=True)
class Segment:
    """The operand of some matrices of a group, and the structure that these matrices share."""

    operand: Name
    structure: str
    blocks: int
    transposed: bool


@dataclass(frozen=True)
class ProductGroup:
    """Sums of products with the same operands, so that one pass over the operands computes all of them.

    Args:
        segments: The operands, in order.
        sums: The name of each sum.
        matrices: For each sum, the matrix on each segment.
    """

    segments: tuple[Segment, ...]
    sums: tuple[str, ...]
    matrices: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Moments:
    """The mean of a vector over its units, and one over its standard deviation; a name is None if it is not needed."""

    source: Name
    mean: str | None
    rstd: str | None


@dataclass(frozen=True)
class Sweep:
    """What goes over the positions of a memory, row by row. All lines of a sweep go over them together.

    Args:
        kind: A row of :data:`SWEEP_KINDS`.
        memory: The memory.
        size: The key of the number of units that it goes over at each position.
        lines: The lines: ``match``, ``weigh`` or ``softmax`` of something, or the gradient of a bank.
    """

    kind: str
    memory: str
    size: str
    lines: tuple[Equation, ...]


@dataclass(frozen=True)
class Stage:
    """A part of a phase that is computed unit by unit, once the products are complete.

    Args:
        phase: One of ``PHASES``.
        size: The key of the number of units.
        groups: The products.
        lines: The pointwise lines, in order; a line that another stage has too is computed twice.
        stores: The sums and lines that are stored.
        moments: The reductions, computed when all units are complete.
        sweeps: What goes over the positions of memories. A stage with sweeps has nothing else.
    """

    phase: str
    size: str
    groups: tuple[ProductGroup, ...]
    lines: tuple[Equation, ...]
    stores: tuple[str, ...]
    moments: tuple[Moments, ...]
    sweeps: tuple[Sweep, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Vectors that are summed over time and batch, such as gradients of biases.

    Args:
        size: The key of their size.
        lines: The pointwise lines that compute the terms.
        sums: Pairs of an output and the line that is summed.
    """

    size: str
    lines: tuple[Equation, ...]
    sums: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plan:
    """All decisions that are made before any code.

    Args:
        step: The normal step.
        sizes_of: The key of the size of every name.
        stages: All stages, in order.
        columns: Vectors summed over time and batch.
        outers: For each gradient of a matrix, the outer products in its sum.
        homes: Where each stored value is: ``row`` (until the end of the step, [B, size]), ``sequence`` ([T, B, size]),
            ``scalar`` (one number for each step and row) or ``state``.
        indexed: Inputs whose rows are found by an index: in an adjoint, the previous step's states.

    The gradient of a bank is added up in memory of its own, and has no home.
    """

    step: Step
    sizes_of: Mapping[str, str]
    stages: tuple[Stage, ...]
    columns: tuple[Columns, ...]
    outers: tuple[tuple[str, tuple[Outer, ...]], ...]
    homes: Mapping[str, str]
    indexed: frozenset[str] = frozenset()

    @cached_property
    def gathered(self) -> frozenset[str]:
        """The gradients of banks."""
        lines = [line for stage in self.stages for sweep in stage.sweeps for line in sweep.lines]
        return frozenset(line.target for line in lines if line.target not in self.homes)

    def phase(self, name: str) -> tuple[Stage, ...]:
        """Return the stages of a phase."""
        return tuple(stage for stage in self.stages if stage.phase == name)

    @cached_property
    def periods(self) -> frozenset[int]:
        """The numbers of blocks of all vectors of periods that are read."""
        lines = [line for part in (*self.stages, *self.columns) for line in part.lines]
        counts = set()
        for node in (node for line in lines for node in walk(line.value)):
            if isinstance(node, Apply) and node.function == "period" and isinstance(node.arguments[0], Number):
                counts.add(int(node.arguments[0].value))
        return frozenset(counts)

    @cached_property
    def register_reads(self) -> frozenset[str]:
        """The names that lines or reductions read in whole registers. Products alone read no whole registers."""
        lines = [line for part in (*self.stages, *self.columns) for line in part.lines]
        lines += [line for stage in self.stages for sweep in stage.sweeps for line in sweep.lines]
        read = {node.name for line in lines for node in walk(line.value) if isinstance(node, Name)}
        return frozenset(read | {moments.source.name for stage in self.stages for moments in stage.moments})


def show_plan(plan: Plan) -> str:
    """Print a plan.

    Args:
        plan: The plan.

    Returns:
        The stages in order, each with its products, its lines and what it stores.
    """
    parts = []
    titles = {"before": "before the loop", "each": "each step", "after": "after the loop"}
    for phase in PHASES:
        for number, stage in enumerate(plan.phase(phase)):
            parts.append(f"{titles[phase]}, stage {number} (units: {stage.size})")
            for group in stage.groups:
                for name, matrices in zip(group.sums, group.matrices, strict=True):
                    parts.append(f"  product    {name} = {_show_sum(group, matrices)}")
            parts += [f"  pointwise  {line.target} = {show_node(line.value)}" for line in stage.lines]
            for moments in stage.moments:
                names = ", ".join(name for name in (moments.mean, moments.rstd) if name)
                parts.append(f"  reduce     {names} of {show_node(moments.source)}")
            for sweep in stage.sweeps:
                parts += [f"  {sweep.kind:9}  {line.target} = {show_node(line.value)}" for line in sweep.lines]
            if stage.stores:
                parts.append("  keep       " + ", ".join(f"{name} ({plan.homes[name]})" for name in stage.stores))
    for columns in plan.columns:
        parts.append(f"sums over time and batch (units: {columns.size})")
        parts += [f"  pointwise  {line.target} = {show_node(line.value)}" for line in columns.lines]
    if plan.outers:
        parts.append("products over time and batch")
        parts += [f"  {name} = {' + '.join(show_node(term) for term in terms)}" for name, terms in plan.outers]
    return "\n".join(parts)


def _show_sum(group: ProductGroup, matrices: tuple[str, ...]) -> str:
    terms = []
    for matrix, segment in zip(matrices, group.segments, strict=True):
        product = Product(matrix, segment.operand, segment.structure, segment.blocks, segment.transposed)
        terms.append(show_node(product))
    return " + ".join(terms)
