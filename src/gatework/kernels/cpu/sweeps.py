"""Turn what goes over the positions of a memory into code, row by row.

A bank is stored as [B * L, size]: its row for a position is ``row * L + position``. Numbers at positions are stored
like any vector, as [rows, L]. Each row has its own number of positions, its extent, and no position beyond it is read.
"""

from abc import ABC, abstractmethod

from gatework.kernels.cpu.slots import Slots
from gatework.kernels.cpu.stages import StageValues
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.lanes import exponential_below, greater_of, greatest_of, sum_of, within
from gatework.kernels.planning.plan import Plan, Sweep
from gatework.language.nodes import Apply, Equation, Name, Node


def write_sweep(plan: Plan, sweep: Sweep, code: Code, slots: Slots) -> str:
    """Write the function of a sweep. Its arguments are those of a stage, without the blocks."""
    _WRITERS[sweep.kind](plan, sweep, code, slots).write()
    code.do("ret void")
    return code.text()


class _Values(StageValues):
    """Load values for one row and one vector of units at one position."""

    def __init__(self, plan: Plan, sweep: Sweep, code: Code, slots: Slots) -> None:
        super().__init__(plan, code, slots, sweep.size)
        self.memory = sweep.memory
        self._position = "0"
        self._row = "0"

    def at_row(self, flat: str, row: str) -> None:
        self._row = row
        super().at_row(flat, row)

    def at_position(self, position: str, unit: str) -> None:
        """Move to a position and a vector of units."""
        self._position = position
        self.at_unit(unit, {})

    def row_address(self, node: Node, flat: str, row: str) -> str:
        assert isinstance(node, Name)
        if node.name not in self.plan.step.banks:
            return super().row_address(node, flat, row)
        count = self.slots.integer(self.code, f"size:positions_{self.memory}")
        bare = self.plan.sizes_of[node.name] == f"positions_{self.memory}"
        first = row if bare else self.code.mul(row, count)
        stride = self.slots.integer(self.code, f"stride:{node.name}")
        return self.code.offset(self.slots.pointer(self.code, f"base:{node.name}"), self.code.mul(first, stride))

    def at_place(self, name: str) -> str:
        """Return the address of a bank, or of its gradient, at the position and the units."""
        code, slots = self.code, self.slots
        count = slots.integer(code, f"size:positions_{self.memory}")
        place = code.add(code.mul(self._row, count), self._position)
        address = code.offset(
            slots.pointer(code, f"base:{name}"), code.mul(place, slots.integer(code, f"stride:{name}"))
        )
        return code.offset(address, self._unit)

    def value(self, node: Node) -> str:
        if isinstance(node, Apply) and node.function == "place" and node not in self._known:
            whole = self.code.let(f"sitofp i64 {self.code.add(self._position, '1')} to {self.code.scalar}")
            self._known[node] = self.code.broadcast(whole)
        return super().value(node)

    def _load(self, node: Name) -> str:
        size = self.plan.sizes_of.get(node.name, "")
        if size == f"positions_{self.memory}" and not self._is_vector(node):
            address = self.code.offset(self._rows[node], self._position)
            return self.code.broadcast(self.code.load(address, self.code.scalar))
        if node.name in self.plan.step.banks:
            stride = self.slots.integer(self.code, f"stride:{node.name}")
            address = self.code.offset(self._rows[node], self.code.mul(self._position, stride))
            return self.code.load(self.code.offset(address, self._unit))
        return super()._load(node)


class _Writer(ABC):
    """Write a sweep: a loop over rows, and what each kind does with a row.

    Args:
        plan: The plan.
        sweep: The sweep.
        code: An empty function.
        slots: The table's slots.
    """

    def __init__(self, plan: Plan, sweep: Sweep, code: Code, slots: Slots) -> None:
        self.plan, self.sweep, self.code, self.slots = plan, sweep, code, slots
        self.values = self.made_values()
        self.count = "0"  # L
        self.batch_row = "0"
        self.outs: dict[str, str] = {}  # the addresses of the results in the current row
        self.zero = code.splat(0.0)

    def write(self) -> None:
        code = self.code
        stored = [Name(line.target) for line in self.sweep.lines if line.target not in self.plan.gathered]
        self.values.prepare(self.sweep.lines, (), ())
        self.count = self.slots.integer(code, f"size:positions_{self.sweep.memory}")
        extents = self.slots.pointer(code, f"extents:{self.sweep.memory}")
        with code.loop("0", "%count") as index:
            ahead = code.mul(index, "%step")
            flat, row = code.add("%flat", ahead), code.add("%row", ahead)
            self.values.at_row(flat, row)
            self.batch_row = row
            self.outs = {name.name: self.values.row_address(name, flat, row) for name in stored}
            self.row(code.let(f"load i64, ptr {code.offset(extents, row, 'i64')}"))

    def made_values(self) -> StageValues:
        """Make what loads values: for numbers side by side at neighbouring positions."""
        return StageValues(self.plan, self.code, self.slots, f"positions_{self.sweep.memory}")

    @abstractmethod
    def row(self, extent: str) -> None:
        """Write the work of a row with some number of positions."""

    def out(self, line: Equation) -> str:
        """Return the address of a result in this row."""
        return self.outs[line.target]

    def parts(self, line: Equation) -> tuple[Node, ...]:
        """Return the arguments of a line."""
        assert isinstance(line.value, Apply)
        return line.value.arguments

    def inside(self, first: str, size: str, value: str, other: str) -> str:
        """Replace the lanes of a vector that lie beyond a size; ``first`` is the number of its first lane."""
        return within(self.code, self.code.let(f"sub i64 {size}, {first}"), value, other)

    def accumulators(self, start: str) -> list[str]:
        """Reserve a vector for each line, and set it."""
        places = [self.code.slot(self.code.vector) for _ in self.sweep.lines]
        for place in places:
            self.code.do(f"store {self.code.vector} {start}, ptr {place}")
        return places

    def accumulate(self, place: str, value: str) -> None:
        code = self.code
        code.do(f"store {code.vector} {code.let(f'fadd {code.vector} {code.load(place)}, {value}')}, ptr {place}")


class _Within(_Writer):
    """What goes over units at each position."""

    def made_values(self) -> StageValues:
        self.at = _Values(self.plan, self.sweep, self.code, self.slots)
        return self.at


class _Match(_Within):
    """Numbers from a sum over units, at each position."""

    def row(self, extent: str) -> None:
        code = self.code
        size = self.slots.integer(code, f"size:{self.sweep.size}")
        with code.loop("0", extent) as position:
            places = self.accumulators(self.zero)
            with code.loop("0", size, str(code.lanes)) as unit:
                self.at.at_position(position, unit)
                for line, place in zip(self.sweep.lines, places, strict=True):
                    left, right = (self.values.value(part) for part in self.parts(line))
                    product = code.let(f"fmul {code.vector} {left}, {right}")
                    self.accumulate(place, self.inside(unit, size, product, self.zero))
            for line, place in zip(self.sweep.lines, places, strict=True):
                total = sum_of(code, code.load(place))
                code.do(f"store {code.scalar} {total}, ptr {code.offset(self.out(line), position)}")


class _Gather(_Within):
    """Vectors summed over positions, and gradients of banks, for a vector of units at a time."""

    def row(self, extent: str) -> None:
        code = self.code
        size = self.slots.integer(code, f"size:{self.sweep.size}")
        with code.loop("0", size, str(code.lanes)) as unit:
            places = self.accumulators(self.zero)
            with code.loop("0", extent) as position:
                self.at.at_position(position, unit)
                for line, place in zip(self.sweep.lines, places, strict=True):
                    if line.target in self.plan.gathered:
                        address = self.at.at_place(line.target)
                        value = self.values.value(line.value)
                        code.store(code.let(f"fadd {code.vector} {code.load(address)}, {value}"), address)
                    else:
                        self.accumulate(place, self.weighed(line))
            for line, place in zip(self.sweep.lines, places, strict=True):
                if line.target not in self.plan.gathered:
                    code.store(code.load(place), code.offset(self.out(line), unit))

    def weighed(self, line: Equation) -> str:
        numbers, bank = self.parts(line)
        if isinstance(numbers, Apply) and numbers.function == "exists":
            return self.values.value(bank)
        left, right = self.values.value(numbers), self.values.value(bank)
        return self.code.let(f"fmul {self.code.vector} {left}, {right}")


class _Total(_Writer):
    """One number from a sum over positions, stored in every lane; and gradients of banks with a number at each."""

    def row(self, extent: str) -> None:
        code = self.code
        places = self.accumulators(self.zero)
        with code.loop("0", extent, str(code.lanes)) as position:
            self.values.at_unit(position, {})
            for line, place in zip(self.sweep.lines, places, strict=True):
                if line.target in self.plan.gathered:
                    self._gather(line, position, extent)
                    continue
                numbers, bank = self.parts(line)
                value = self.values.value(bank)
                if not (isinstance(numbers, Apply) and numbers.function == "exists"):
                    value = code.let(f"fmul {code.vector} {self.values.value(numbers)}, {value}")
                self.accumulate(place, self.inside(position, extent, value, self.zero))
        for line, place in zip(self.sweep.lines, places, strict=True):
            if line.target not in self.plan.gathered:
                code.store(code.broadcast(sum_of(code, code.load(place))), self.out(line))

    def _gather(self, line: Equation, position: str, extent: str) -> None:
        code, slots = self.code, self.slots
        first = code.mul(self.batch_row, slots.integer(code, f"stride:{line.target}"))
        address = code.offset(slots.pointer(code, f"base:{line.target}"), code.add(first, position))
        value = self.inside(position, extent, self.values.value(line.value), self.zero)
        code.store(code.let(f"fadd {code.vector} {code.load(address)}, {value}"), address)


class _Softmax(_Writer):
    """Numbers normalised over positions; 0 beyond a row's extent. The greatest number is taken off first."""

    def row(self, extent: str) -> None:
        for line in self.sweep.lines:
            self._normalise(line, extent)

    def _normalise(self, line: Equation, extent: str) -> None:
        code, (numbers,) = self.code, self.parts(line)
        assert isinstance(numbers, Name)  # the normal form names it
        least = code.splat(float("-inf"))
        (most,), (total,) = self._one(least), self._one(self.zero)
        with code.loop("0", extent, str(code.lanes)) as position:
            self.values.at_unit(position, {})
            value = self.inside(position, extent, self.values.value(numbers), least)
            code.do(f"store {code.vector} {greater_of(code, code.load(most), value)}, ptr {most}")
        greatest = code.broadcast(greatest_of(code, code.load(most)))
        with code.loop("0", extent, str(code.lanes)) as position:
            self.values.at_unit(position, {})
            value = exponential_below(code, self.values.value(numbers), greatest)
            value = self.inside(position, extent, value, self.zero)
            code.store(value, code.offset(self.out(line), position))
            self.accumulate(total, value)
        scale = code.broadcast(code.let(f"fdiv {code.scalar} {code.number(1.0)}, {sum_of(code, code.load(total))}"))
        with code.loop("0", self.count, str(code.lanes)) as position:
            address = code.offset(self.out(line), position)
            value = code.let(f"fmul {code.vector} {code.load(address)}, {scale}")
            code.store(self.inside(position, extent, value, self.zero), address)

    def _one(self, start: str) -> list[str]:
        place = self.code.slot(self.code.vector)
        self.code.do(f"store {self.code.vector} {start}, ptr {place}")
        return [place]


_WRITERS = {"match": _Match, "gather": _Gather, "total": _Total, "softmax": _Softmax}
