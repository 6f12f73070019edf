"""What goes across the lanes of a vector: sums, the greatest number, and the lanes that lie within a size."""

from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.functions import emit


def sum_of(code: Code, vector: str) -> str:
    """Return the sum of a vector's lanes, a number. They are added in pairs: the order is fixed and quick."""
    symbol = f"llvm.vector.reduce.fadd.v{code.lanes}f{8 * code.bytes}"
    code.declarations[symbol] = f"declare {code.scalar} @{symbol}({code.scalar}, {code.vector})"
    zero = f"{code.scalar} {code.number(0.0)}"
    return code.let(f"call reassoc {code.scalar} @{symbol}({zero}, {code.vector} {vector})")


def greater_of(code: Code, left: str, right: str) -> str:
    """Return the greater number of two vectors in each lane; NaN if one is NaN."""
    return code.intrinsic("maximum", left, right)


def greatest_of(code: Code, vector: str) -> str:
    """Return the greatest number of a vector; NaN if one is NaN."""
    return code.call(code.scalar, f"llvm.vector.reduce.fmaximum.v{code.lanes}f{8 * code.bytes}", (code.vector, vector))


def exponential_below(code: Code, vector: str, greatest: str) -> str:
    """Return e to the power of a vector's distance from the greatest number, a vector: at most 1."""
    return emit(code, "exp", [code.let(f"fsub {code.vector} {vector}, {greatest}")])


def within(code: Code, left: str, vector: str, other: str) -> str:
    """Keep the first lanes of a vector, and take those of another beyond.

    Args:
        code: The function to write to.
        left: The number of lanes to keep, an i64; it may be larger than there are.
        vector: The vector.
        other: The vector beyond.
    """
    lanes = ", ".join(f"i64 {lane}" for lane in range(code.lanes))
    first = code.let(f"insertelement <{code.lanes} x i64> poison, i64 {left}, i64 0")
    zeros = f"<{code.lanes} x i32> zeroinitializer"
    spread = code.let(f"shufflevector <{code.lanes} x i64> {first}, <{code.lanes} x i64> poison, {zeros}")
    inside = code.let(f"icmp slt <{code.lanes} x i64> <{lanes}>, {spread}")
    return code.let(f"select {code.mask} {inside}, {code.vector} {vector}, {code.vector} {other}")
