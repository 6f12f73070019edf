"""Run the stages: the loops over time, the division of work among threads, and the barrier between threads.

Every entry function takes only the table, and all threads of a team call it at once. A team shares either the rows of
the batch, so that no thread waits for another, or the units, so that all threads meet after every stage.
"""

from gatework.kernels.cpu.slots import Slots
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import Target

PATIENCE = 4096  # how often a thread looks at the barrier before it yields

_FLUSH = 0x8040  # the flush-to-zero and denormals-are-zero bits of x86's control register
_FLUSH_ARM = 1 << 24


def entry(code: Code, slots: Slots) -> tuple[str, str]:
    """Begin an entry function: flush denormals, and find this thread's number and the size of the team.

    Returns:
        The thread's number and the size of the team.
    """
    _set_flush(code)
    thread = code.let(f"atomicrmw add ptr {slots.address(code, 'ticket')}, i64 1 seq_cst")
    function = slots.pointer(code, "team_function")
    size = code.slot("i64")
    code.do(f"store i64 {slots.integer(code, 'team')}, ptr {size}")
    with code.when(code.let(f"icmp ne ptr {function}, null")):
        team = code.let(f"call i32 {function}()")
        code.do(f"store i64 {code.let(f'sext i32 {team} to i64')}, ptr {size}")
    return thread, code.let(f"load i64, ptr {size}")


def leave(code: Code) -> None:
    """End an entry function: restore the caller's treatment of denormals."""
    if code.target.level == "neon":
        code.call("void", "llvm.aarch64.set.fpcr", ("i64", "%control"))
    elif code.target.level in ("avx512", "avx2", "sse"):
        code.call("void", "llvm.x86.sse.ldmxcsr", ("ptr", "%control"))
    code.do("ret void")


def _set_flush(code: Code) -> None:
    if code.target.level == "neon":
        code.declarations["llvm.aarch64.get.fpcr"] = "declare i64 @llvm.aarch64.get.fpcr()"
        code.do("%control = call i64 @llvm.aarch64.get.fpcr()")
        code.call("void", "llvm.aarch64.set.fpcr", ("i64", code.let(f"or i64 %control, {_FLUSH_ARM}")))
        return
    code.do("%control = alloca i32")
    code.do("%flushing = alloca i32")
    code.call("void", "llvm.x86.sse.stmxcsr", ("ptr", "%control"))
    old = code.let("load i32, ptr %control")
    code.do(f"store i32 {code.let(f'or i32 {old}, {_FLUSH}')}, ptr %flushing")
    code.call("void", "llvm.x86.sse.ldmxcsr", ("ptr", "%flushing"))


def share(code: Code, total: str, thread: str, team: str) -> tuple[str, str]:
    """Return a thread's part of a range from 0: begin and end."""
    begin = code.let(f"sdiv i64 {code.mul(total, thread)}, {team}")
    end = code.let(f"sdiv i64 {code.mul(total, code.add(thread, '1'))}, {team}")
    return begin, end


def write_barrier(target: Target, slots: Slots, declarations: dict[str, str]) -> str:
    """Write ``@barrier(table, team)``: threads spin until all have arrived, and yield if that takes long."""
    code = Code(target, "float32", "define internal void @barrier(ptr %table, i64 %team)", declarations)
    turn, arrived = slots.address(code, "turn"), slots.address(code, "arrived")
    before = code.let(f"load atomic i64, ptr {turn} acquire, align 8")
    come = code.let(f"atomicrmw add ptr {arrived}, i64 1 acq_rel")
    last = code.let(f"icmp eq i64 {code.add(come, '1')}, %team")
    code.do(f"br i1 {last}, label %open, label %wait")
    code.place("open")
    code.do(f"store atomic i64 0, ptr {arrived} release, align 8")
    code.do(f"store atomic i64 {code.add(before, '1')}, ptr {turn} release, align 8")
    code.do("ret void")
    tries = code.slot("i64")
    code.place("wait")
    code.do(f"store i64 0, ptr {tries}")
    code.label("look")
    now = code.let(f"load atomic i64, ptr {turn} acquire, align 8")
    code.do(f"br i1 {code.let(f'icmp ne i64 {now}, {before}')}, label %through, label %again")
    code.place("again")
    if target.level != "neon":
        code.call("void", "llvm.x86.sse2.pause")
    tried = code.add(code.let(f"load i64, ptr {tries}"), "1")
    code.do(f"store i64 {tried}, ptr {tries}")
    patient = code.let(f"icmp slt i64 {tried}, {PATIENCE}")
    code.do(f"br i1 {patient}, label %look, label %yield")
    code.place("yield")
    code.call("i32", "sched_yield")
    code.do("br label %look")
    code.place("through")
    code.do("ret void")
    return code.text()


def call_stage(
    code: Code, number: int, moments: int, where: tuple[str, str, str, str], units: tuple[str, str], thread: str
) -> None:
    """Call a stage's function, and the reductions of its results if no other thread shares them.

    Args:
        code: The function to write to.
        number: The stage.
        moments: The number of reductions after it.
        where: Flat row, row, count and step.
        units: The first block of units and the one after the last.
        thread: The thread's number.
    """
    rows = ", ".join(f"i64 {value}" for value in where)
    code.do(f"call void @stage_{number}(ptr %table, {rows}, i64 {units[0]}, i64 {units[1]}, i64 {thread})")
    for which in range(moments):
        code.do(f"call void @moments_{number}_{which}(ptr %table, {rows})")


def write_each(
    target: Target, dtype: str, slots: Slots, stages: list[tuple[int, int]], declarations: dict[str, str]
) -> str:
    """Write the entry ``@each``, the loop over time, and the function that it calls if a team shares the units.

    Args:
        target: The machine.
        dtype: The type of the numbers.
        slots: The table's slots.
        stages: For each stage of the loop, its number and the number of reductions after it.
        declarations: The declarations of the module; this adds to them.
    """
    head = "define void @each(ptr %table)"
    code = Code(target, dtype, head, declarations)
    thread, team = entry(code, slots)
    units = code.let(f"icmp ne i64 {slots.integer(code, 'split')}, 0")
    with code.when(units):
        code.do(f"call void @each_by_units(ptr %table, i64 {thread}, i64 {team})")
    with code.when(code.let(f"xor i1 {units}, true")):
        code.do(f"call void @each_by_rows(ptr %table, i64 {thread}, i64 {team})")
    leave(code)
    return "\n".join(
        [
            _each_by_rows(target, dtype, slots, stages, declarations),
            _each_by_units(target, dtype, slots, stages, declarations),
            code.text(),
        ]
    )


def _times(code: Code, slots: Slots, step: str) -> tuple[str, str]:
    """Return the first flat row of a step, and its number of rows."""
    entry = code.offset(slots.pointer(code, "times"), code.mul(step, "2"), "i64")
    first = code.let(f"load i64, ptr {entry}")
    return first, code.let(f"load i64, ptr {code.offset(entry, '1', 'i64')}")


def _each_by_rows(
    target: Target, dtype: str, slots: Slots, stages: list[tuple[int, int]], declarations: dict[str, str]
) -> str:
    head = "define internal void @each_by_rows(ptr %table, i64 %thread, i64 %team)"
    code = Code(target, dtype, head, declarations)
    with code.loop("0", slots.integer(code, "steps")) as step:
        flat, rows = _times(code, slots, step)
        # Rows are dealt out in turn: if they are sorted by length, every thread gets equal work.
        left = code.let(f"sub i64 {code.add(rows, '%team')}, {code.add('%thread', '1')}")
        count = code.let(f"sdiv i64 {left}, %team")
        where = (code.add(flat, "%thread"), "%thread", count, "%team")
        for number, moments in stages:
            call_stage(code, number, moments, where, ("0", slots.integer(code, f"blocks:{number}")), "%thread")
    code.do("ret void")
    return code.text()


def _each_by_units(
    target: Target, dtype: str, slots: Slots, stages: list[tuple[int, int]], declarations: dict[str, str]
) -> str:
    head = "define internal void @each_by_units(ptr %table, i64 %thread, i64 %team)"
    code = Code(target, dtype, head, declarations)
    shares = {number: share(code, slots.integer(code, f"blocks:{number}"), "%thread", "%team") for number, _ in stages}
    with code.loop("0", slots.integer(code, "steps")) as step:
        flat, rows = _times(code, slots, step)
        for number, moments in stages:
            call_stage(code, number, 0, (flat, "0", rows, "1"), shares[number], "%thread")
            code.do("call void @barrier(ptr %table, i64 %team)")
            if moments:
                begin, end = share(code, rows, "%thread", "%team")
                count = code.let(f"sub i64 {end}, {begin}")
                for which in range(moments):
                    code.do(
                        f"call void @moments_{number}_{which}(ptr %table, i64 {code.add(flat, begin)}, i64 {begin}, "
                        f"i64 {count}, i64 1)"
                    )
                code.do("call void @barrier(ptr %table, i64 %team)")
    code.do("ret void")
    return code.text()


def write_flat(
    target: Target, dtype: str, slots: Slots, number: int, moments: int, declarations: dict[str, str]
) -> str:
    """Write the entry ``@flat_<number>``: one stage for a range of steps and rows, shared by rows."""
    code = Code(target, dtype, f"define void @flat_{number}(ptr %table)", declarations)
    thread, team = entry(code, slots)
    begin, end = slots.integer(code, "begin"), slots.integer(code, "end")
    # Rows are dealt out in turn, as in the loop. If all steps have equally many rows, a multiple of the size
    # of the team, every thread finds in its own cache what it reads in the loop.
    left = code.let(f"sub i64 {code.let(f'sub i64 {end}, {begin}')}, {thread}")
    rest = code.let(f"sub i64 {code.add(left, team)}, 1")
    count = code.let(f"sdiv i64 {rest}, {team}")
    first = code.add(begin, thread)
    call_stage(
        code, number, moments, (first, first, count, team), ("0", slots.integer(code, f"blocks:{number}")), thread
    )
    leave(code)
    return code.text()


def write_columns_entry(target: Target, dtype: str, slots: Slots, number: int, declarations: dict[str, str]) -> str:
    """Write the entry ``@columns_<number>``: sums over a range of steps and rows, shared by units."""
    code = Code(target, dtype, f"define void @columns_{number}(ptr %table)", declarations)
    thread, team = entry(code, slots)
    first, last = share(code, slots.integer(code, f"column_blocks:{number}"), thread, team)
    begin, end = slots.integer(code, "begin"), slots.integer(code, "end")
    code.do(f"call void @sum_{number}(ptr %table, i64 {begin}, i64 {end}, i64 {first}, i64 {last})")
    leave(code)
    return code.text()
