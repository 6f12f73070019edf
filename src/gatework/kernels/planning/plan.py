"""The plan: which products leave the loop over time, which stages a step has, and which values are stored where.

A plan is plain data and can be printed. It is made from a step in normal form, either forward or adjoint. It has three
phases: ``before`` the loop over time (lines that depend on no state, for many steps at once), ``each`` step, and
``after`` the loop (lines that no state depends on). A phase is a list of stages. A stage computes products, whose
operands are all complete, and then the pointwise lines that follow from the sums, unit by unit. A reduction needs all
units, so it ends a stage.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from gatework.kernels.planning.normal import REDUCTIONS, SWEEPS
from gatework.language.anatomy import addends, is_sum_of_products
from gatework.language.nodes import (
    ONE_NUMBER,
    Apply,
    Equation,
    Name,
    Node,
    Number,
    Outer,
    Product,
    Step,
    along,
    children,
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


def make_plan(
    step: Step,
    sizes_of: Mapping[str, str],
    *,
    wanted: Iterable[str] = (),
    summed: Iterable[str] = (),
    indexed: Iterable[str] = (),
    scalars: Iterable[str] = (),
) -> Plan:
    """Plan a step.

    Args:
        step: A step in normal form.
        sizes_of: The key of the size of every vector.
        wanted: Lines whose values at every step are stored.
        summed: Outputs that are summed over time and batch.
        indexed: Inputs whose rows are found by an index.
        scalars: Inputs with one number for each step and row.

    Returns:
        The plan.
    """
    plan = _Planner(step, sizes_of, frozenset(wanted), frozenset(summed)).plan()
    homes = {**plan.homes, **dict.fromkeys(scalars, "scalar")}
    return replace(plan, homes=homes, indexed=frozenset(indexed))


class _Planner:
    def __init__(self, step: Step, sizes_of: Mapping[str, str], wanted: frozenset[str], summed: frozenset[str]) -> None:
        self.step = step
        self.sizes_of = sizes_of
        self.wanted = wanted
        self.summed = summed
        self.lines = {line.target: line for line in step.equations}
        self.kinds = {name: self._kind(line) for name, line in self.lines.items()}
        self.phases = self._phases()
        self.materialised = self._materialised()
        self.levels = self._levels()

    def _kind(self, line: Equation) -> str:
        gathered = line.target in self.step.outputs and line.target not in self.wanted
        if line.target in self.step.positions and (gathered or not self.step.is_bare(line.target)):
            return "bank"
        return _kind(line.value)

    def _steps_over(self, name: str) -> bool:
        """Tell whether a line goes over the positions of a memory, or has numbers at them."""
        return self.kinds[name] in GOING_OVER or name in self.step.positions

    # --- dependencies

    def reads(self, name: str) -> list[str]:
        """List the lines of this step that a line reads."""
        return [part.name for part in _names(self.lines[name].value) if not part.previous and part.name in self.lines]

    def _closure(self, names: Iterable[str], inside: set[str]) -> set[str]:
        closed: set[str] = set()
        pending = [name for name in names if name in inside]
        while pending:
            name = pending.pop()
            if name not in closed:
                closed.add(name)
                pending.extend(read for read in self.reads(name) if read in inside)
        return closed

    def _phases(self) -> dict[str, str]:
        late: set[str] = set()
        for name, line in self.lines.items():
            reads_late = any(part.previous or part.name in late for part in _names(line.value))
            if name in self.step.states or reads_late or self._steps_over(name):
                late.add(name)
        # A state is stored for one step longer. A line that reads it directly is computed in that time.
        direct = [
            name
            for name, line in self.lines.items()
            if self._steps_over(name)
            or (
                self.kinds[name] != "outer"
                and any(part.previous or part.name in self.step.states for part in _names(line.value))
            )
        ]
        each = self._closure((*self.step.states, *self.wanted, *direct), late) | set(self.step.states)
        changed = True
        while changed:  # operands of lines after the loop are computed inside the loop, if possible
            changed = False
            for name in late - each:
                if self.kinds[name] == "point":
                    continue
                for read in self.reads(name):
                    pulled = self._closure([read], late - each)
                    if pulled and all(self.kinds[one] == "point" for one in pulled):
                        each |= pulled
                        changed = True
        return {name: "each" if name in each else "after" if name in late else "before" for name in self.lines}

    def _materialised(self) -> set[str]:
        """Find the pointwise lines outside the loop that must be stored. Readers compute the others."""
        lasting = set(self.wanted) | ({*self.step.outputs} - self.summed)
        for name, kind in self.kinds.items():
            if kind in ("sum", "reduction", "outer", *GOING_OVER):
                lasting |= {part.name for part in _names(self.lines[name].value)}
        return {name for name in lasting if self.kinds.get(name) == "point"}

    def _inlined(self, name: str) -> bool:
        return self.kinds[name] == "point" and self.phases[name] != "each" and name not in self.materialised

    # --- stages

    def _levels(self) -> dict[str, int]:
        """Assign each line to a stage, counted within its phase."""
        levels: dict[str, int] = {}
        for name in self.lines:
            level = 0
            for read in self.reads(name):
                if self.phases[read] == self.phases[name]:
                    complete = self.kinds[name] in ("sum", "outer", *GOING_OVER)
                    complete |= self.kinds[read] in ("reduction", "sweep")
                    level = max(level, levels[read] + (1 if complete and not self._inlined(read) else 0))
                    if self.sizes_of[read] != self.sizes_of.get(name, self.sizes_of[read]):
                        level = max(level, levels[read] + 1)
            levels[name] = level
        return levels

    def plan(self) -> Plan:
        homes = self._homes()
        stages = []
        for phase in PHASES:
            members = [
                name
                for name in self.lines
                if self.phases[name] == phase
                and self.kinds[name] != "outer"
                and name not in self.summed
                and not self._inlined(name)
            ]
            keys = sorted({(self.levels[name], *self._place(name)) for name in members})
            for level, sweeps, size in keys:
                chosen = [name for name in members if (self.levels[name], *self._place(name)) == (level, sweeps, size)]
                stages.append(self._swept(size, chosen) if sweeps else self._stage(phase, size, chosen, homes))
        sizes = dict(self.sizes_of)
        return Plan(self.step, sizes, tuple(stages), self._columns(), self._outers(), homes)

    def _place(self, name: str) -> tuple[bool, str]:
        """Return whether a line belongs to a stage of sweeps, and the size of the stage."""
        return self.kinds[name] in GOING_OVER, self._size(name)

    def _swept(self, size: str, names: list[str]) -> Stage:
        """Make a stage of sweeps. What goes over the same positions and units in one way goes over them together."""
        groups: dict[tuple[str, str], list[Equation]] = {}
        for name in names:
            groups.setdefault((self._sweep_kind(name), self._memory(name)), []).append(self.lines[name])
        sweeps = tuple(Sweep(kind, memory, size, tuple(lines)) for (kind, memory), lines in groups.items())
        return Stage("each", size, (), (), (), (), sweeps)

    def _sweep_kind(self, name: str) -> str:
        value = self.lines[name].value
        if isinstance(value, Apply) and value.function in ("match", "softmax") and self.kinds[name] == "sweep":
            return value.function
        return "total" if self.sizes_of[name] == ONE_NUMBER or self.step.is_bare(name) else "gather"

    def _memory(self, name: str) -> str:
        """Return the memory whose positions a line goes over."""
        value = self.lines[name].value
        held = (along(part, self.step.positions) for part in (value, *children(value)))
        return next(memory for memory in held if memory)

    def _size(self, name: str) -> str:
        """Return the size of the stage of a line. A reduction belongs to the stage of its operand."""
        line = self.lines[name].value
        if self.kinds[name] == "sweep" and isinstance(line, Apply) and line.function == "match":
            vector = line.arguments[1]
            assert isinstance(vector, Name)
            return self.sizes_of[vector.name]
        if self.kinds[name] == "reduction":
            assert isinstance(line, Apply)
            source = line.arguments[0]
            assert isinstance(source, Name)
            return self.sizes_of[source.name]
        return self.sizes_of[name]

    def _stage(self, phase: str, size: str, names: list[str], homes: Mapping[str, str]) -> Stage:
        sums = [name for name in names if self.kinds[name] == "sum"]
        points = [name for name in names if self.kinds[name] == "point"]
        lines = self._with_inlined(points)
        kept = tuple(name for name in (*sums, *points) if name in homes)
        return Stage(phase, size, self._groups(sums), lines, kept, self._moments(names))

    def _with_inlined(self, names: Iterable[str]) -> tuple[Equation, ...]:
        """Prepend the lines that are computed where these pointwise lines read them."""
        wanted = set(names)
        pending = list(wanted)
        while pending:
            for read in self.reads(pending.pop()):
                if self._inlined(read) and read not in wanted:
                    wanted.add(read)
                    pending.append(read)
        return tuple(line for name, line in self.lines.items() if name in wanted)

    def _groups(self, sums: list[str]) -> tuple[ProductGroup, ...]:
        by_operands: dict[tuple[Segment, ...], list[tuple[str, tuple[str, ...]]]] = {}
        for name in sums:
            terms = [term for term in addends(self.lines[name].value) if isinstance(term, Product)]
            terms.sort(key=lambda term: show_node(term.operand))
            segments = tuple(Segment(_operand(term), term.structure, term.blocks, term.transposed) for term in terms)
            by_operands.setdefault(segments, []).append((name, tuple(term.matrix for term in terms)))
        return tuple(
            ProductGroup(segments, tuple(name for name, _ in held), tuple(matrices for _, matrices in held))
            for segments, held in by_operands.items()
        )

    def _moments(self, names: list[str]) -> tuple[Moments, ...]:
        by_source: dict[tuple[Name, int], dict[str, str]] = {}
        for name in names:
            value = self.lines[name].value
            if self.kinds[name] == "reduction" and isinstance(value, Apply) and isinstance(value.arguments[0], Name):
                again = 0  # a second name for the same reduction has its own moments
                while value.function in by_source.setdefault((value.arguments[0], again), {}):
                    again += 1
                by_source[value.arguments[0], again][value.function] = name
        return tuple(Moments(source, held.get("mean"), held.get("rstd")) for (source, _), held in by_source.items())

    # --- what is stored, and where

    def _homes(self) -> dict[str, str]:
        homes: dict[str, str] = {}
        for name in self.lines:
            if self.kinds[name] in ("outer", "bank") or name in self.summed or self._inlined(name):
                continue
            if name in self.step.states:
                homes[name] = "state"
            elif self.kinds[name] == "reduction":
                homes[name] = "scalar"
            elif name in self.materialised or self.phases[name] == "before" or name in self.wanted:
                homes[name] = "sequence"
            else:
                readers = [other for other in self.lines if name in self._all_reads(other)]
                if any(self.phases[other] != self.phases[name] for other in readers) or (
                    self.phases[name] == "after"
                    and (name in self.step.outputs or any(self._apart(name, other) for other in readers))
                ):
                    homes[name] = "sequence"
                elif any(self._apart(name, other) for other in readers):
                    homes[name] = "row"
        for name, home in homes.items():  # a value that only the loop reads is not stored beyond a step
            if home == "sequence" and self.phases[name] == "each" and name not in self.wanted:
                readers = [other for other in self.lines if name in self._all_reads(other)]
                outside = any(self.phases[other] != "each" for other in readers)
                homes[name] = "sequence" if outside or name in self.step.outputs else "row"
        return homes

    def _all_reads(self, name: str) -> set[str]:
        """Return the lines that a line reads, directly or through lines that are computed where they are read."""
        read_here: set[str] = set()
        pending = self.reads(name)
        while pending:
            read = pending.pop()
            if read not in read_here:
                read_here.add(read)
                if self._inlined(read):
                    pending.extend(self.reads(read))
        return read_here

    def _apart(self, name: str, reader: str) -> bool:
        """Tell whether a line is read in another stage than its own."""
        if self.kinds[reader] in ("outer", "reduction", *GOING_OVER) or reader in self.summed:
            return True
        return (self.levels[name], self._size(name)) != (self.levels[reader], self._size(reader))

    # --- gradients of parameters

    def _columns(self) -> tuple[Columns, ...]:
        by_size: dict[str, list[str]] = {}
        for name in self.lines:
            if name in self.summed and self.kinds[name] != "outer":
                by_size.setdefault(self.sizes_of[name], []).append(name)
        return tuple(
            Columns(size, self._with_inlined(names), tuple((name, name) for name in names))
            for size, names in by_size.items()
        )

    def _outers(self) -> tuple[tuple[str, tuple[Outer, ...]], ...]:
        return tuple(
            (name, tuple(term for term in addends(self.lines[name].value) if isinstance(term, Outer)))
            for name, kind in self.kinds.items()
            if kind == "outer"
        )


def _names(node: Node) -> list[Name]:
    return [part for part in walk(node) if isinstance(part, Name)]


def _operand(product: Product) -> Name:
    assert isinstance(product.operand, Name)  # the normal form has no other operands
    return product.operand


def _kind(node: Node) -> str:
    if isinstance(node, Apply) and node.function in SWEEPS:
        return "sweep"
    if any(isinstance(part, Outer) for part in walk(node)):
        return "outer"
    if is_sum_of_products(node):
        return "sum"
    if isinstance(node, Apply) and node.function in REDUCTIONS:
        return "reduction"
    return "point"


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
