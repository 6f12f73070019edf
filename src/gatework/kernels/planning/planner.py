"""Plan a step: which products leave the loop over time, which stages it has, and where each value is stored."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gatework.kernels.planning.normal import REDUCTIONS, SWEEPS
from gatework.kernels.planning.plan import (
    GOING_OVER,
    PHASES,
    Columns,
    Moments,
    Plan,
    ProductGroup,
    Segment,
    Stage,
    Sweep,
)
from gatework.language.anatomy import addends, is_sum_of_products
from gatework.language.nodes import (
    ONE_NUMBER,
    Apply,
    Equation,
    Name,
    Node,
    Outer,
    Product,
    Step,
    along,
    children,
    walk,
)
from gatework.language.show import show_node


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
            # One number for a row is not computed once more at every position.
            lasting |= {read for read in self.reads(name) if self.sizes_of[read] != self.sizes_of.get(name)}
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
