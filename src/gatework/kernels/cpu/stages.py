"""Turn a stage of a plan into code: first products, by tiles, and then equations, unit by unit and row by row.

A stage function takes ``(table, flat, row, count, step, first, last)``. ``flat`` counts steps and rows together, and is
the index of values stored as [T, B, size]. ``row`` counts the rows of the batch, and is the index of values stored for
one step. The function computes ``count`` rows, ``step`` apart, for the blocks of units from first to last.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from gatework.kernels.cpu.slots import Slots
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.functions import emit
from gatework.kernels.llvm.lanes import sum_of, within
from gatework.kernels.planning.plan import Columns, Moments, Plan, Stage
from gatework.language.functions import NORM_EPSILON
from gatework.language.nodes import ONE_NUMBER, Apply, Equation, Name, Node, Number, walk

STAGE = "ptr %table, i64 %flat, i64 %row, i64 %count, i64 %step, i64 %first, i64 %last, i64 %thread"


def vectors_per_block(stage: Stage, tile_vectors: int) -> int:
    """Return the number of vectors in a block of units, chosen so that every group fills its panels.

    Args:
        stage: The stage.
        tile_vectors: The vectors side by side in a tile.

    Returns:
        A divisor of ``tile_vectors``.
    """
    common = tile_vectors
    for group in stage.groups:
        common = gcd(common, len(group.sums))
    return tile_vectors // common if stage.groups else 1


@dataclass(frozen=True)
class _Tile:
    """Some rows and a block of units of a stage with products. All fields are names of values in the code.

    Args:
        scratch: The address of the sums of its products.
        block: The number of the block.
        start: The first of its rows.
        height: The number of its rows.
    """

    scratch: str
    block: str
    start: str
    height: str


class StageWriter:
    """Write the functions of one stage.

    Args:
        plan: The plan of the stage.
        stage: The stage.
        number: Its position in the plan.
        code: An empty function.
        slots: The table's slots.
    """

    def __init__(self, plan: Plan, stage: Stage, number: int, code: Code, slots: Slots) -> None:
        self.plan = plan
        self.stage = stage
        self.number = number
        self.code = code
        self.slots = slots
        self.block = vectors_per_block(stage, code.target.tile_vectors)
        self.width = code.target.tile_vectors * code.lanes  # the numbers side by side in a tile
        self.values = StageValues(plan, code, slots, stage.size)

    def write(self) -> str:
        """Write the stage's function."""
        sums = [name for group in self.stage.groups for name in group.sums]
        self.values.prepare(self.stage.lines, sums, self.stage.stores)
        if not self.stage.groups:
            self._pointwise()
        else:
            self._products()
        self.code.do("ret void")
        return self.code.text()

    # --- stages without products: an outer loop over rows and an inner one over units, as in memory

    def _pointwise(self) -> None:
        code = self.code
        with code.loop("0", "%count") as index:
            self.values.at_row(*self._place(index))
            with code.loop("%first", "%last") as block:
                self._lines(code.mul(block, str(code.lanes)), {})

    def _place(self, index: str) -> tuple[str, str]:
        ahead = self.code.mul(index, "%step")
        return self.code.add("%flat", ahead), self.code.add("%row", ahead)

    # --- stages with products: an outer loop over panels and an inner one over tiles of rows

    def _products(self) -> None:
        code, most = self.code, self.code.target.tile_rows
        pointers = self._row_pointers()
        panels = [self._panels(len(group.sums)) for group in self.stage.groups]
        room = sum(panels) * most * self.width
        scratch = code.slot(code.scalar, room, align=64)
        blocks = code.let(f"sdiv i64 {code.add('%count', str(most - 1))}, {most}")
        with code.loop("%first", "%last") as block, code.loop("0", blocks) as tile:
            # All tiles have nearly the same height: 16 rows are 6, 5 and 5.
            start = code.let(f"sdiv i64 {code.mul(tile, '%count')}, {blocks}")
            stop = code.let(f"sdiv i64 {code.mul(code.add(tile, '1'), '%count')}, {blocks}")
            height = code.let(f"sub i64 {stop}, {start}")
            here = _Tile(scratch, block, start, height)
            offset = 0
            for number, pointer in enumerate(pointers):
                self._tiles(number, here, offset, pointer)
                offset += panels[number]
            self._epilogue(here)

    def _panels(self, sums: int) -> int:
        """Count the panels in a block of a group."""
        return sums * self.block // self.code.target.tile_vectors

    def _row_pointers(self) -> list[str]:
        """Store the address of each row of each operand. Return the addresses of the groups' pointers."""
        code = self.code
        room = self.slots.pointer(code, "pointers")
        mine = code.offset(room, code.mul("%thread", self.slots.integer(code, "pointers_size")), "ptr")
        places, segment = [], 0
        for group in self.stage.groups:
            places.append(code.offset(mine, code.mul("%count", str(segment)), "ptr"))
            segment += len(group.segments)
        with code.loop("0", "%count") as index:
            flat, row = self._place(index)
            for place, group in zip(places, self.stage.groups, strict=True):
                for number, part in enumerate(group.segments):
                    address = self.values.row_address(part.operand, flat, row)
                    at = code.add(index, code.mul("%count", str(number)))
                    code.do(f"store ptr {address}, ptr {code.offset(place, at, 'ptr')}")
        return places

    def _tiles(self, number: int, here: "_Tile", offset: int, pointer: str) -> None:
        """Run the tiles of one group for one block of units and one tile of rows.

        Args:
            number: The group's position in the stage.
            here: The tile.
            offset: The number of panels of the groups before it.
            pointer: The address of the pointers to its operands' rows.
        """
        code, group = self.code, self.stage.groups[number]
        segments, panels = len(group.segments), self._panels(len(group.sums))
        meta = self.slots.pointer(code, f"spans:{self.number}.{number}")
        entry = code.offset(meta, code.mul(here.block, str(2 + 2 * segments)), "i64")
        begin = code.let(f"load i64, ptr {entry}")
        depth = code.let(f"load i64, ptr {code.offset(entry, '1', 'i64')}")
        spans = code.offset(entry, "2", "i64")
        panel = code.offset(self.slots.pointer(code, f"panels:{self.number}.{number}"), begin)
        size = code.mul(depth, str(self.width))
        rows = code.offset(pointer, here.start, "ptr")
        which = code.let(f"sub i64 {here.height}, 1")
        tile = code.let(f"load ptr, ptr {code.offset(self.slots.pointer(code, 'tiles'), which, 'ptr')}")
        for part in range(panels):
            out = code.offset(here.scratch, str((offset + part) * code.target.tile_rows * self.width))
            whole = code.offset(panel, code.mul(size, str(part)))
            code.do(f"call void {tile}(ptr {out}, ptr {whole}, ptr {rows}, i64 %count, i64 {segments}, ptr {spans})")

    def _epilogue(self, here: "_Tile") -> None:
        code = self.code
        first = code.mul(code.mul(here.block, str(self.block)), str(code.lanes))
        vectors = self.slots.integer(code, f"vectors:{self.stage.size}")
        with code.loop("0", here.height) as index:
            self.values.at_row(*self._place(code.add(here.start, index)))
            line = code.mul(index, str(self.width))
            left = code.let(f"sub i64 {vectors}, {code.mul(here.block, str(self.block))}")
            inside = code.call("i64", "llvm.smin.i64", ("i64", left), ("i64", str(self.block)))
            with code.loop("0", inside) as vector:
                ahead = code.mul(vector, str(code.lanes))
                self._lines(code.add(first, ahead), self._sums(here.scratch, line, ahead))

    def _sums(self, scratch: str, line: str, ahead: str) -> dict[str, str]:
        """Load the sums of a row and a vector of units."""
        code, tile, loaded, offset = self.code, self.code.target.tile_vectors, {}, 0
        for group in self.stage.groups:
            for place, name in enumerate(group.sums):
                panel, vector = divmod(place * self.block, tile)
                fixed = (offset + panel) * code.target.tile_rows * self.width + vector * code.lanes
                at = code.add(code.add(line, ahead), str(fixed))
                loaded[name] = code.load(code.offset(scratch, at))
            offset += self._panels(len(group.sums))
        return loaded

    def _lines(self, unit: str, sums: dict[str, str]) -> None:
        """Compute the equations for a vector of units of a row, and store the values that must be stored."""
        self.values.at_unit(unit, sums)
        for line in self.stage.lines:
            self.values.define(line)
        for name in self.stage.stores:
            self.values.keep(name)


class StageValues:
    """Load and store the values of names for one row and one vector of units.

    Args:
        plan: The plan.
        code: The function to write to.
        slots: The table's slots.
        size: The key of the size of the units.
    """

    def __init__(self, plan: Plan, code: Code, slots: Slots, size: str) -> None:
        self.plan = plan
        self.size = size
        self.code = code
        self.slots = slots
        self._wanted: dict[Name, None] = {}  # in order of first use
        self._rows: dict[Name, str] = {}  # addresses in the current row; for a scalar, its value
        self._known: dict[Node, str] = {}
        self._unit = "0"
        self._vectors = {parameter.name for parameter in plan.step.parameters}

    def prepare(self, lines: tuple[Equation, ...], given: Iterable[str], stores: Iterable[str]) -> None:
        """Collect the names with a value for each row, so that each address is computed once a row.

        Args:
            lines: The lines that :meth:`define` will compute.
            given: Names whose values come with the unit.
            stores: Names that will be stored.
        """
        known = {Name(name) for name in given}
        for line in lines:
            for node in walk(line.value):
                if isinstance(node, Name) and node not in known and not self._is_vector(node):
                    self._wanted.setdefault(node)
            known.add(Name(line.target))
        for name in stores:
            self._wanted.setdefault(Name(name))

    def at_row(self, flat: str, row: str) -> None:
        """Move to a row."""
        self._rows = {}
        for node in self._wanted:
            if self._is_scalar(node):
                base = self.slots.pointer(self.code, f"base:{node.name}")
                self._rows[node] = self.code.broadcast(self.code.load(self.code.offset(base, flat), self.code.scalar))
            else:
                self._rows[node] = self.row_address(node, flat, row)
                if self._is_single(node):
                    self._rows[node] = self.code.broadcast(self.code.load(self._rows[node], self.code.scalar))

    def _is_vector(self, node: Name) -> bool:
        return not node.previous and node.name in self._vectors

    def _is_scalar(self, node: Name) -> bool:
        return not node.previous and self.plan.homes.get(node.name) == "scalar"

    def _is_single(self, node: Name) -> bool:
        """Tell whether a name is one number for a row, and meets units of another size."""
        return self.plan.sizes_of.get(node.name) == ONE_NUMBER != self.size

    def at_unit(self, unit: str, sums: dict[str, str]) -> None:
        """Move to a vector of units."""
        self._unit = unit
        self._known = {Name(name): value for name, value in sums.items()}

    def define(self, line: Equation) -> None:
        """Compute a line."""
        self._known[Name(line.target)] = self.value(line.value)

    def value(self, node: Node) -> str:
        """Return the value of an expression, a vector of units."""
        if isinstance(node, Number):
            return self.code.splat(node.value)
        if node in self._known:
            return self._known[node]
        if isinstance(node, Name):
            value = self._load(node)
        elif isinstance(node, Apply) and node.function == "period":
            value = self._vector(period_name(node))
        elif isinstance(node, Apply) and node.function == "exists":
            value = self.code.splat(1.0)
        elif isinstance(node, Apply) and node.function == "place":
            value = self._places()
        else:
            assert isinstance(node, Apply)  # products and reductions have their own lines
            function = "mul" if node.function == "spread" else node.function
            value = emit(self.code, function, [self.value(part) for part in node.arguments])
        self._known[node] = value
        return value

    def keep(self, name: str) -> None:
        """Store a value in its home."""
        self.code.store(self._known[Name(name)], self.code.offset(self._rows[Name(name)], self._unit))

    def _load(self, node: Name) -> str:
        if self._is_vector(node):
            if self._is_single(node):
                base = self.slots.pointer(self.code, f"base:{node.name}")
                return self.code.broadcast(self.code.load(base, self.code.scalar))
            return self._vector(node.name)
        if self._is_scalar(node) or self._is_single(node):
            return self._rows[node]
        return self.code.load(self.code.offset(self._rows[node], self._unit))

    def _vector(self, name: str) -> str:
        return self.code.load(self.code.offset(self.slots.pointer(self.code, f"base:{name}"), self._unit))

    def _places(self) -> str:
        """Return the places of a vector of positions: 1, 2, ... from its first unit."""
        code = self.code
        first = code.broadcast(code.let(f"sitofp i64 {self._unit} to {code.scalar}"))
        lanes = ", ".join(f"{code.scalar} {code.number(lane + 1.0)}" for lane in range(code.lanes))
        return code.let(f"fadd {code.vector} {first}, <{lanes}>")

    def row_address(self, node: Name, flat: str, row: str) -> str:
        """Return the address of a row of a value."""
        code, slots, name = self.code, self.slots, node.name
        home = self.plan.homes.get(name, "given")
        # A bank with one number at each position is the same at all steps.
        index = row if home == "row" or name in self.plan.step.banks else flat
        if home == "state":
            table = slots.pointer(code, f"{'before' if node.previous else 'here'}:{name}")
            index = self._indexed(table, flat)
        elif home == "given" and name in self.plan.indexed:
            index = self._indexed(slots.pointer(code, f"index:{name}"), flat)
        base = slots.pointer(code, f"base:{name}")
        return code.offset(base, code.mul(index, slots.integer(code, f"stride:{name}")))

    def _indexed(self, table: str, flat: str) -> str:
        index = self.code.let(f"load i32, ptr {self.code.offset(table, flat, 'i32')}")
        return self.code.let(f"sext i32 {index} to i64")


def period_name(node: Apply) -> str:
    """Name the vector of a clock's periods."""
    count = node.arguments[0]
    assert isinstance(count, Number)
    return f"period {int(count.value)}"


def write_moments(plan: Plan, moments: Moments, code: Code, slots: Slots) -> str:
    """Write the function that reduces a vector over its units. Its arguments are those of a stage, without the blocks.

    It reads the row twice, to avoid cancellation: first for the mean, then for the squared distances from it.
    """
    values = StageValues(plan, code, slots, plan.sizes_of[moments.source.name])
    key = plan.sizes_of[moments.source.name]
    with code.loop("0", "%count") as index:
        ahead = code.mul(index, "%step")
        flat, row = code.add("%flat", ahead), code.add("%row", ahead)
        address = values.row_address(moments.source, flat, row)
        size = slots.integer(code, f"size:{key}")
        number = code.let(f"sitofp i64 {size} to {code.scalar}")
        total = _reduced(code, address, size, None)
        mean = code.let(f"fdiv {code.scalar} {total}, {number}")
        if moments.mean:
            code.do(f"store {code.scalar} {mean}, ptr {code.offset(slots.pointer(code, f'base:{moments.mean}'), flat)}")
        if moments.rstd:
            squares = _reduced(code, address, size, code.broadcast(mean))
            variance = code.let(f"fdiv {code.scalar} {squares}, {number}")
            shifted = code.let(f"fadd {code.scalar} {variance}, {code.number(NORM_EPSILON)}")
            suffix = f"f{8 * code.bytes}"
            root = code.call(code.scalar, f"llvm.sqrt.{suffix}", (code.scalar, shifted))
            result = code.let(f"fdiv {code.scalar} {code.number(1.0)}, {root}")
            place = code.offset(slots.pointer(code, f"base:{moments.rstd}"), flat)
            code.do(f"store {code.scalar} {result}, ptr {place}")
    code.do("ret void")
    return code.text()


def _reduced(code: Code, address: str, size: str, centre: str | None) -> str:
    """Sum a row, or the squares of its distances from a centre. Lanes beyond the size count as zero."""
    total = code.slot(code.vector)
    code.do(f"store {code.vector} zeroinitializer, ptr {total}")
    with code.loop("0", size, str(code.lanes)) as unit:
        value = code.load(code.offset(address, unit))
        if centre is not None:
            away = code.let(f"fsub {code.vector} {value}, {centre}")
            value = code.let(f"fmul {code.vector} {away}, {away}")
        kept = within(code, code.let(f"sub i64 {size}, {unit}"), value, "zeroinitializer")
        old = code.load(total)
        code.do(f"store {code.vector} {code.let(f'fadd {code.vector} {old}, {kept}')}, ptr {total}")
    return sum_of(code, code.load(total))


def write_columns(plan: Plan, columns: Columns, code: Code, slots: Slots) -> str:
    """Write the function that sums vectors over steps and rows, for some vectors of units.

    It takes ``(table, begin, end, first, last)``, and adds to the stored sums.
    """
    values = StageValues(plan, code, slots, columns.size)
    values.prepare(columns.lines, (), ())
    with code.loop("%first", "%last") as block:
        unit = code.mul(block, str(code.lanes))
        totals = [code.slot(code.vector) for _ in columns.sums]
        places = [code.offset(slots.pointer(code, f"base:{name}"), unit) for name, _ in columns.sums]
        for total in totals:
            code.do(f"store {code.vector} zeroinitializer, ptr {total}")
        with code.loop("%begin", "%end") as flat:
            values.at_row(flat, flat)
            values.at_unit(unit, {})
            for line in columns.lines:
                values.define(line)
            for total, (_, name) in zip(totals, columns.sums, strict=True):
                old = code.load(total)
                new = code.let(f"fadd {code.vector} {old}, {values.value(Name(name))}")
                code.do(f"store {code.vector} {new}, ptr {total}")
        for total, place in zip(totals, places, strict=True):
            old = code.load(place)
            code.store(code.let(f"fadd {code.vector} {old}, {code.load(total)}"), place)
    code.do("ret void")
    return code.text()
