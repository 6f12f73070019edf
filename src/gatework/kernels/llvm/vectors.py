"""Vectors with Python's operators, which write the instructions."""

from __future__ import annotations

from collections.abc import Sequence

from gatework.kernels.llvm.code import Code


class Vector:
    """A vector. Each of Python's operators writes an instruction.

    Args:
        code: The function to write to.
        name: The value's name, or the text of a constant.
    """

    __slots__ = ("code", "name")

    def __init__(self, code: Code, name: str) -> None:
        self.code = code
        self.name = name

    def __add__(self, other: Vector | float) -> Vector:
        return self._binary("fadd", other)

    def __sub__(self, other: Vector | float) -> Vector:
        return self._binary("fsub", other)

    def __mul__(self, other: Vector | float) -> Vector:
        return self._binary("fmul", other)

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._binary("fdiv", other)

    def __neg__(self) -> Vector:
        return Vector(self.code, self.code.let(f"fneg {self.code.vector} {self.name}"))

    def _binary(self, instruction: str, other: Vector | float) -> Vector:
        code = self.code
        return Vector(code, code.let(f"{instruction} {code.vector} {self.name}, {self.like(other).name}"))

    def like(self, other: Vector | float) -> Vector:
        """Return a plain number as a vector of this type."""
        return other if isinstance(other, Vector) else Vector(self.code, self.code.splat(other))

    def intrinsic(self, name: str, *others: Vector | float) -> Vector:
        """Call an intrinsic on this vector and others."""
        return Vector(self.code, self.code.intrinsic(name, self.name, *(self.like(other).name for other in others)))

    def compare(self, predicate: str, other: Vector | float) -> str:
        """Compare by LLVM's fcmp; return the mask."""
        return self.code.let(f"fcmp {predicate} {self.code.vector} {self.name}, {self.like(other).name}")

    def where(self, mask: str, otherwise: Vector | float) -> Vector:
        """Select this vector where the mask holds, and the other elsewhere."""
        code, other = self.code, self.like(otherwise)
        return Vector(
            code, code.let(f"select {code.mask} {mask}, {code.vector} {self.name}, {code.vector} {other.name}")
        )

    def at_least(self, bound: float) -> Vector:
        """Return the greater of this and a constant; NaN stays."""
        return self.like(bound).where(self.compare("olt", bound), self)

    def at_most(self, bound: float) -> Vector:
        """Return the lesser of this and a constant; NaN stays."""
        return self.like(bound).where(self.compare("ogt", bound), self)

    def bits(self) -> str:
        """Return the bits, as integers."""
        return self.code.let(f"bitcast {self.code.vector} {self.name} to {self.code.integers}")


def integers(code: Code, instruction: str, left: str, right: str | int) -> str:
    """Write an instruction on vectors of integers as wide as the numbers."""
    other = code.splat_integer(right) if isinstance(right, int) else right
    return code.let(f"{instruction} {code.integers} {left}, {other}")


def from_bits(code: Code, bits: str) -> Vector:
    """Read integers as the bits of numbers."""
    return Vector(code, code.let(f"bitcast {code.integers} {bits} to {code.vector}"))


def fused(a: Vector, b: Vector | float, c: Vector | float) -> Vector:
    """Compute a * b + c, rounded once if the machine can."""
    return a * b + c if a.code.target.level == "sse" else a.intrinsic("fma", b, c)


def polynomial(x: Vector, coefficients: Sequence[Vector | float]) -> Vector:
    """Compute a polynomial; the coefficients begin with the constant one."""
    value = fused(x, coefficients[-1], coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        value = fused(value, x, coefficient)
    return value
