"""A small writer of LLVM's text. It names values automatically, and loops and branches nest as in Python.

Variables are stack slots, which LLVM turns into registers. So no code here writes a phi.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from gatework.kernels.llvm.target import TYPES, Target


class Code:
    """Write one LLVM function.

    Args:
        target: The machine that the code is for.
        dtype: The type of the numbers it computes with, "float32" or "float64".
        head: Its first line up to the brace, such as ``define void @f(ptr %a)``.
        declarations: The declarations of a module, by symbol. All functions of a module share it and only add to it.
    """

    def __init__(self, target: Target, dtype: str, head: str, declarations: dict[str, str]) -> None:
        self.target = target
        self.dtype = dtype
        self.scalar, self.bytes = TYPES[dtype]
        self.lanes = target.lanes(dtype)
        self.vector = f"<{self.lanes} x {self.scalar}>"
        self.integer = f"i{8 * self.bytes}"  # an integer as wide as a number
        self.integers = f"<{self.lanes} x {self.integer}>"
        self.mask = f"<{self.lanes} x i1>"
        self.declarations = declarations
        self._head = head
        self._entry: list[str] = []
        self._early: dict[str, str] = {}
        self._lines: list[str] = []
        self._count = 0

    # --- lines

    def fresh(self) -> str:
        """Return a new name for a value."""
        self._count += 1
        return f"%v{self._count}"

    def let(self, text: str) -> str:
        """Write ``%v = text`` and return the name ``%v``."""
        name = self.fresh()
        self._lines.append(f"  {name} = {text}")
        return name

    def early(self, text: str) -> str:
        """Compute a value once, before everything else, however often it is requested; it may use the arguments."""
        if text not in self._early:
            self._early[text] = self.fresh()
            self._entry.append(f"  {self._early[text]} = {text}")
        return self._early[text]

    def do(self, text: str) -> None:
        """Write an instruction without a value."""
        self._lines.append(f"  {text}")

    def call(self, result: str, symbol: str, *arguments: tuple[str, str]) -> str:
        """Call a function or an LLVM intrinsic, and declare it.

        Args:
            result: The type of its value.
            symbol: Its name, such as ``llvm.fma.v16f32``.
            arguments: Pairs of a type and a value.
        """
        self.declarations[symbol] = f"declare {result} @{symbol}({', '.join(kind for kind, _ in arguments)})"
        text = f"call {result} @{symbol}({', '.join(f'{kind} {value}' for kind, value in arguments)})"
        if result == "void":
            self.do(text)
            return ""
        return self.let(text)

    def intrinsic(self, name: str, *values: str) -> str:
        """Call a vector intrinsic for this code's own type, such as ``intrinsic("fma", a, b, c)``, on numbers."""
        suffix = f"v{self.lanes}f{8 * self.bytes}"
        return self.call(self.vector, f"llvm.{name}.{suffix}", *((self.vector, value) for value in values))

    def text(self) -> str:
        """Return the whole function."""
        return "\n".join([self._head + " {", "entry:", *self._entry, *self._lines, "}"])

    # --- constants

    def number(self, value: float) -> str:
        """Write a constant of this code's scalar type exactly, after rounding it to the type."""
        if self.dtype == "float32":
            value = struct.unpack("f", struct.pack("f", value))[0]  # LLVM reads a float as the double of the same value
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"

    def splat(self, value: float) -> str:
        """Write a constant vector of numbers, the same in every lane."""
        return f"splat ({self.scalar} {self.number(value)})"

    def splat_integer(self, value: int) -> str:
        """Write a constant vector of integers as wide as the numbers, the same in every lane."""
        return f"splat ({self.integer} {value})"

    # --- variables, loops, branches

    def slot(self, kind: str, count: int = 1, align: int | None = None) -> str:
        """Reserve space on the stack for ``count`` values of a type; return its address."""
        name = self.fresh()
        aligned = f", align {align}" if align else ""
        self._entry.insert(0, f"  {name} = alloca {kind}{f', i64 {count}' if count > 1 else ''}{aligned}")
        return name

    def label(self, name: str) -> None:
        """Begin a block that the block before runs into."""
        self._lines.append(f"  br label %{name}")
        self.place(name)

    def place(self, name: str) -> None:
        """Begin a block that is reached by a jump."""
        self._lines.append(f"{name}:")

    @contextmanager
    def loop(self, start: str, stop: str, step: str = "1") -> Iterator[str]:
        """Repeat the instructions inside for an i64 from start up to stop (exclusive); yield its name."""
        self._count += 1
        number = self._count
        variable = self.slot("i64")
        self.do(f"store i64 {start}, ptr {variable}")
        self.label(f"test{number}")
        index = self.let(f"load i64, ptr {variable}")
        more = self.let(f"icmp slt i64 {index}, {stop}")
        self.do(f"br i1 {more}, label %body{number}, label %done{number}")
        self._lines.append(f"body{number}:")
        yield index
        following = self.let(f"add i64 {index}, {step}")
        self.do(f"store i64 {following}, ptr {variable}")
        self.do(f"br label %test{number}")
        self._lines.append(f"done{number}:")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Run the instructions inside if an i1 is true."""
        self._count += 1
        number = self._count
        self.do(f"br i1 {condition}, label %then{number}, label %after{number}")
        self._lines.append(f"then{number}:")
        yield
        self.label(f"after{number}")

    # --- arithmetic on addresses

    def add(self, left: str, right: str) -> str:
        """Add two i64."""
        return left if right == "0" else right if left == "0" else self.let(f"add i64 {left}, {right}")

    def mul(self, left: str, right: str) -> str:
        """Multiply two i64."""
        return left if right == "1" else right if left == "1" else self.let(f"mul i64 {left}, {right}")

    def offset(self, pointer: str, numbers: str, kind: str | None = None) -> str:
        """Move a pointer by a number of scalars of this code's type (or of ``kind``)."""
        return self.let(f"getelementptr inbounds {kind or self.scalar}, ptr {pointer}, i64 {numbers}")

    def load(self, pointer: str, kind: str | None = None) -> str:
        """Load a vector (or a ``kind``), with the alignment of a single number."""
        return self.let(f"load {kind or self.vector}, ptr {pointer}, align {self.bytes if kind is None else 4}")

    def store(self, value: str, pointer: str) -> None:
        """Store a vector."""
        self.do(f"store {self.vector} {value}, ptr {pointer}, align {self.bytes}")

    def broadcast(self, scalar: str) -> str:
        """Return a vector with a number in every lane."""
        first = self.let(f"insertelement {self.vector} poison, {self.scalar} {scalar}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.let(f"shufflevector {self.vector} {first}, {self.vector} poison, {zeros}")
