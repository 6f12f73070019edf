"""Functions that are the same for all cells: tiles, packing, and products over time. They are compiled once.

Each entry works through a list of jobs, rows of numbers. The threads of a team take them in turn.
"""

from collections.abc import Callable

from gatework.kernels.cpu.drivers import entry, leave
from gatework.kernels.cpu.slots import Slots
from gatework.kernels.cpu.tiles import tile_functions
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import Target

SLOTS = ("ticket", "team", "team_function", "jobs", "count")
"""The table of these entries; that of a cell's entries begins the same way."""

PACK = ("source", "unit_stride", "k_stride", "units", "depth", "target", "target_stride")
"""A job of ``@pack``: a vector of units for every k. Units from ``units`` on become zero."""

GATHER = ("source", "stride", "index", "begin", "end", "columns", "target", "target_stride")
"""A job of ``@turn`` and ``@panel``: rows begin to end of a sequence, found by an index where there is one."""

OUTER = ("left", "left_stride", "units", "right", "columns", "target", "stride", "depth")
"""A job of ``@outer``: turned rows times a panel, added to a matrix [units, columns]."""


def library_text(target: Target, dtype: str) -> str:
    """Write the module of functions that all kernels share.

    Args:
        target: The machine.
        dtype: The type of the numbers.

    Returns:
        LLVM's text.
    """
    declarations: dict[str, str] = {}
    names = ", ".join(f"ptr @tile_{rows}" for rows in range(1, target.tile_rows + 1))
    parts = [
        tile_functions(target, dtype, declarations),
        f"@tiles = constant [{target.tile_rows} x ptr] [{names}]",
        _entry(target, dtype, "pack", PACK, _pack, declarations),
        _entry(target, dtype, "turn", GATHER, _turn, declarations),
        _entry(target, dtype, "panel", GATHER, _panel, declarations),
        _entry(target, dtype, "outer", OUTER, _outer, declarations),
    ]
    return "\n".join([*parts, *declarations.values()]) + "\n"


def _entry(
    target: Target,
    dtype: str,
    name: str,
    fields: tuple[str, ...],
    body: Callable[[Code, dict[str, str]], None],
    declarations: dict[str, str],
) -> str:
    slots = Slots(SLOTS)
    code = Code(target, dtype, f"define void @{name}(ptr %table)", declarations)
    thread, team = entry(code, slots)
    with code.loop(thread, slots.integer(code, "count"), team) as job:
        place = code.offset(slots.pointer(code, "jobs"), code.mul(job, str(len(fields))), "i64")
        loaded = {
            field: code.let(f"load i64, ptr {code.offset(place, str(number), 'i64')}")
            for number, field in enumerate(fields)
        }
        body(code, loaded)
    leave(code)
    return code.text()


def _pointer(code: Code, number: str) -> str:
    return code.let(f"inttoptr i64 {number} to ptr")


def _pack(code: Code, job: dict[str, str]) -> None:
    source, target = _pointer(code, job["source"]), _pointer(code, job["target"])
    full = code.let(f"icmp eq i64 {job['units']}, {code.lanes}")
    down = code.let(f"icmp eq i64 {job['k_stride']}, 1")  # the numbers of a unit are contiguous
    whole = code.let(f"and i64 {job['depth']}, {-code.lanes}")
    squares = code.let(f"select i1 {code.let(f'and i1 {full}, {down}')}, i64 {whole}, i64 0")
    with code.loop("0", squares, str(code.lanes)) as k:
        here = code.offset(source, k)
        there = code.offset(target, code.mul(k, job["target_stride"]))
        rows = [code.load(code.offset(here, code.mul(str(row), job["unit_stride"]))) for row in range(code.lanes)]
        for row, value in enumerate(_turned(code, rows)):
            code.store(value, code.offset(there, code.mul(str(row), job["target_stride"])))
    across = code.let(f"icmp eq i64 {job['unit_stride']}, 1")  # all units of one k are contiguous
    vectors = code.let(f"select i1 {code.let(f'and i1 {full}, {across}')}, i64 {job['depth']}, i64 {squares}")
    with code.loop(squares, vectors) as k:
        value = code.load(code.offset(source, code.mul(k, job["k_stride"])))
        code.store(value, code.offset(target, code.mul(k, job["target_stride"])))
    with code.loop(vectors, job["depth"]) as k:
        here = code.offset(source, code.mul(k, job["k_stride"]))
        there = code.offset(target, code.mul(k, job["target_stride"]))
        code.store("zeroinitializer", there)
        with code.loop("0", job["units"]) as lane:
            value = code.load(code.offset(here, code.mul(lane, job["unit_stride"])), code.scalar)
            code.do(f"store {code.scalar} {value}, ptr {code.offset(there, lane)}")


def _turned(code: Code, rows: list[str]) -> list[str]:
    """Transpose a square of numbers, with a vector for each row, by swaps of ever smaller squares off its diagonal."""
    distance = code.lanes // 2
    while distance:
        swapped = list(rows)
        upper = [lane if not lane & distance else lane - distance + code.lanes for lane in range(code.lanes)]
        lower = [lane + distance if not lane & distance else lane + code.lanes for lane in range(code.lanes)]
        for row in range(code.lanes):
            if not row & distance:
                pair = rows[row], rows[row + distance]
                swapped[row] = _shuffled(code, *pair, upper)
                swapped[row + distance] = _shuffled(code, *pair, lower)
        rows = swapped
        distance //= 2
    return rows


def _shuffled(code: Code, left: str, right: str, places: list[int]) -> str:
    mask = ", ".join(f"i32 {place}" for place in places)
    kind = f"<{code.lanes} x i32>"
    return code.let(f"shufflevector {code.vector} {left}, {code.vector} {right}, {kind} <{mask}>")


def _gathered(code: Code, job: dict[str, str], flat: str) -> str:
    """Return the address of a row of a sequence."""
    row = code.slot("i64")
    code.do(f"store i64 {flat}, ptr {row}")
    with code.when(code.let(f"icmp ne i64 {job['index']}, 0")):
        index = code.let(f"load i32, ptr {code.offset(_pointer(code, job['index']), flat, 'i32')}")
        code.do(f"store i64 {code.let(f'sext i32 {index} to i64')}, ptr {row}")
    at = code.mul(code.let(f"load i64, ptr {row}"), job["stride"])
    return code.offset(_pointer(code, job["source"]), at)


def _turn(code: Code, job: dict[str, str]) -> None:
    """Write columns of a sequence, as many as a panel has, as rows.

    The loop takes a square of rows, with all columns, before the next rows. So several cache lines that another thread
    has written are fetched at a time.
    """
    target = _pointer(code, job["target"])
    count = code.let(f"sub i64 {job['end']}, {job['begin']}")
    whole = code.let(f"and i64 {job['columns']}, {-code.lanes}")
    squares = code.add(job["begin"], code.let(f"and i64 {count}, {-code.lanes}"))
    with code.loop(job["begin"], squares, str(code.lanes)) as flat:
        places = [_gathered(code, job, code.add(flat, str(row))) for row in range(code.lanes)]
        ahead = code.offset(target, code.let(f"sub i64 {flat}, {job['begin']}"))
        with code.loop("0", whole, str(code.lanes)) as column:
            rows = [code.load(code.offset(place, column)) for place in places]
            there = code.offset(ahead, code.mul(column, job["target_stride"]))
            for row, value in enumerate(_turned(code, rows)):
                code.store(value, code.offset(there, code.mul(str(row), job["target_stride"])))
    _turn_singly(code, job, (job["begin"], squares), whole)
    _turn_singly(code, job, (squares, job["end"]), "0")


def _turn_singly(code: Code, job: dict[str, str], rows: tuple[str, str], first: str) -> None:
    """Transpose what fills no square, number by number: some rows, from the first given column on."""
    target = _pointer(code, job["target"])
    with code.loop(*rows) as flat:
        here = _gathered(code, job, flat)
        there = code.offset(target, code.let(f"sub i64 {flat}, {job['begin']}"))
        with code.loop(first, job["columns"]) as column:
            value = code.load(code.offset(here, column), code.scalar)
            at = code.offset(there, code.mul(column, job["target_stride"]))
            code.do(f"store {code.scalar} {value}, ptr {at}")


def _panel(code: Code, job: dict[str, str]) -> None:
    """Write the columns of a panel, side by side for each row, padded with zeros."""
    width = code.target.tile_vectors * code.lanes
    target = _pointer(code, job["target"])
    full = code.let(f"icmp eq i64 {job['columns']}, {width}")
    with code.loop(job["begin"], job["end"]) as flat:
        here = _gathered(code, job, flat)
        ahead = code.let(f"sub i64 {flat}, {job['begin']}")
        there = code.offset(target, code.mul(ahead, job["target_stride"]))
        with code.when(full):
            for vector in range(code.target.tile_vectors):
                at = str(vector * code.lanes)
                code.store(code.load(code.offset(here, at)), code.offset(there, at))
        with code.when(code.let(f"xor i1 {full}, true")):
            for vector in range(code.target.tile_vectors):
                code.store("zeroinitializer", code.offset(there, str(vector * code.lanes)))
            with code.loop("0", job["columns"]) as column:
                value = code.load(code.offset(here, column), code.scalar)
                code.do(f"store {code.scalar} {value}, ptr {code.offset(there, column)}")


def _outer(code: Code, job: dict[str, str]) -> None:
    most, vectors = code.target.tile_rows, code.target.tile_vectors
    width = vectors * code.lanes
    left, right, target = (_pointer(code, job[name]) for name in ("left", "right", "target"))
    scratch = code.slot(code.scalar, most * width, align=64)
    rows, span = code.slot("ptr", most, align=8), code.slot("i64", 2, align=8)
    code.do(f"store i64 0, ptr {span}")
    code.do(f"store i64 {job['depth']}, ptr {code.offset(span, '1', 'i64')}")
    blocks = code.let(f"sdiv i64 {code.add(job['units'], str(most - 1))}, {most}")
    full = code.let(f"icmp eq i64 {job['columns']}, {width}")
    with code.loop("0", blocks) as block:
        start = code.let(f"sdiv i64 {code.mul(block, job['units'])}, {blocks}")
        stop = code.let(f"sdiv i64 {code.mul(code.add(block, '1'), job['units'])}, {blocks}")
        height = code.let(f"sub i64 {stop}, {start}")
        with code.loop("0", height) as row:
            at = code.offset(left, code.mul(code.add(start, row), job["left_stride"]))
            code.do(f"store ptr {at}, ptr {code.offset(rows, row, 'ptr')}")
        table = code.let(
            f"getelementptr inbounds [{most} x ptr], ptr @tiles, i64 0, i64 {code.let(f'sub i64 {height}, 1')}"
        )
        tile = code.let(f"load ptr, ptr {table}")
        code.do(f"call void {tile}(ptr {scratch}, ptr {right}, ptr {rows}, i64 0, i64 1, ptr {span})")
        with code.loop("0", height) as row:
            here = code.offset(scratch, code.mul(row, str(width)))
            there = code.offset(target, code.mul(code.add(start, row), job["stride"]))
            with code.when(full):
                for vector in range(vectors):
                    at = str(vector * code.lanes)
                    place = code.offset(there, at)
                    total = f"fadd {code.vector} {code.load(place)}, {code.load(code.offset(here, at))}"
                    code.store(code.let(total), place)
            with code.when(code.let(f"xor i1 {full}, true")), code.loop("0", job["columns"]) as column:
                place = code.offset(there, column)
                old, new = code.load(place, code.scalar), code.load(code.offset(here, column), code.scalar)
                code.do(f"store {code.scalar} {code.let(f'fadd {code.scalar} {old}, {new}')}, ptr {place}")
