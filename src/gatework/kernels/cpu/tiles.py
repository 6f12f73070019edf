"""The product of a few rows with a packed panel of columns: the inner loop of all products.

For each k, a panel holds ``tile_vectors`` vectors of numbers side by side. A tile of m rows runs over k and holds
``m x tile_vectors`` sums in registers. Rows are given as pointers. A sum with several operands has several segments of
pointers. The order of additions within a row does not depend on m, so a row's result does not
depend on the other rows.
"""

from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.target import Target

UNROLL = 4
AHEAD = 8  # how many k ahead a panel is fetched


def tile_functions(target: Target, dtype: str, declarations: dict[str, str]) -> str:
    """Write the functions ``@tile_1`` ... ``@tile_<tile_rows>``.

    Each takes ``(out, panel, rows, stride, segments, spans)``: the address of the sums, [m, tile_vectors * lanes]
    numbers; the packed panel; pointers to the rows, with a distance of ``stride`` between segments; the number of
    segments; and for each segment the start of k and the number of k.

    Args:
        target: The machine.
        dtype: The type of the numbers.
        declarations: The declarations of the module; this adds to them.

    Returns:
        The text of the functions.
    """
    return "\n".join(_tile(target, dtype, rows, declarations) for rows in range(1, target.tile_rows + 1))


def _tile(target: Target, dtype: str, rows: int, declarations: dict[str, str]) -> str:
    head = (
        f"define internal void @tile_{rows}(ptr noalias %out, ptr noalias %panel, ptr %rows, i64 %stride, "
        "i64 %segments, ptr %spans)"
    )
    code = Code(target, dtype, head, declarations)
    vectors, width = target.tile_vectors, target.tile_vectors * code.lanes
    sums = [[code.slot(code.vector) for _ in range(vectors)] for _ in range(rows)]
    for row in sums:
        for place in row:
            code.do(f"store {code.vector} zeroinitializer, ptr {place}")
    panel = code.slot("ptr")
    code.do(f"store ptr %panel, ptr {panel}")
    with code.loop("0", "%segments") as segment:
        span = code.offset("%spans", code.mul(segment, "2"), "i64")
        begin = code.let(f"load i64, ptr {span}")
        count = code.let(f"load i64, ptr {code.offset(span, '1', 'i64')}")
        first = code.offset("%rows", code.mul(segment, "%stride"), "ptr")
        pointers = []
        for row in range(rows):
            pointer = code.let(f"load ptr, ptr {code.offset(first, str(row), 'ptr')}")
            pointers.append(code.offset(pointer, begin))
        whole = code.let(f"and i64 {count}, {-UNROLL}")
        with code.loop("0", whole, str(UNROLL)) as k:
            here = code.let(f"load ptr, ptr {panel}")
            for part in range(UNROLL):
                _multiply(code, sums, pointers, here, k, part)
            code.do(f"store ptr {code.offset(here, str(UNROLL * width))}, ptr {panel}")
        with code.loop(whole, count) as k:
            here = code.let(f"load ptr, ptr {panel}")
            _multiply(code, sums, pointers, here, k, 0)
            code.do(f"store ptr {code.offset(here, str(width))}, ptr {panel}")
    for row in range(rows):
        for vector in range(vectors):
            value = code.load(sums[row][vector])
            code.store(value, code.offset("%out", str(row * width + vector * code.lanes)))
    code.do("ret void")
    return code.text()


def _multiply(code: Code, sums: list[list[str]], pointers: list[str], panel: str, k: str, part: int) -> None:
    """Add the products of one k to all sums."""
    width = len(sums[0]) * code.lanes
    weights = []
    for vector in range(len(sums[0])):
        place = code.offset(panel, str(part * width + vector * code.lanes))
        weights.append(code.load(place))
    for row, pointer in enumerate(pointers):
        at = code.offset(pointer, code.add(k, str(part)))
        number = code.broadcast(code.load(at, code.scalar))
        for vector, weight in enumerate(weights):
            place = sums[row][vector]
            old = code.let(f"load {code.vector}, ptr {place}")
            code.do(f"store {code.vector} {fused(code, number, weight, old)}, ptr {place}")


def fused(code: Code, left: str, right: str, addend: str) -> str:
    """Multiply and add: rounded once if the machine can, and twice if it would have to call a library."""
    if code.target.level == "sse":
        product = code.let(f"fmul {code.vector} {left}, {right}")
        return code.let(f"fadd {code.vector} {product}, {addend}")
    return code.intrinsic("fma", left, right, addend)
