"""Lines that read memories: scores and other values at positions, and the sums over them that a cell goes on with."""

from random import Random
from typing import Any

ONE = "one"  # the size class of a single number at each position
_SMOOTH = ("sigmoid", "tanh", "tanh", "sin", "gelu", "hard_sigmoid", "relu", "abs")
_BANKS = ("m", "k", "s", "bank", "seen", "again_", "d_m", "m_bank1", "positions_m", "here_", "extents", "T_")


class Positional:
    """Writes the lines of one memory.

    Args:
        writer: Writes the expressions without positions; what this writes of them is registered there.
        number: The number of the memory.
    """

    def __init__(self, writer: Any, number: int) -> None:
        self.writer, self.random = writer, writer.random
        random: Random = self.random
        self.names: dict[str, str] = {}  # what has values at positions -> its size class
        count = random.choice([1, 1, 2, 3])
        self.entry = [self.new(random.choice(_BANKS)) for _ in range(count)]
        for place, name in enumerate(self.entry):
            self.names[name] = ONE if place and random.random() < 0.4 else f"bank {number} {place}"
        self.read: set[str] = set()
        self.lines: list[str] = []
        self.sums: list[str] = []

    def new(self, first: str = "") -> str:
        name: str = self.writer.name(first)
        return name

    def write(self) -> None:
        """Write some lines; the last of them are sums, which read all that no other reads."""
        random = self.random
        for _ in range(random.choice([0, 1, 1, 2, 3])):
            size = random.choice([ONE, ONE, ONE, *self.names.values(), "hidden", "free"])
            if size == ONE and random.random() < 0.6:
                value = f"softmax({self.bank(ONE, 2)})"
            else:
                value = self.bank(size, random.choice([1, 2, 3]))
            self.define(value, size)
        for _ in range(random.choice([1, 1, 2])):
            self.sum(*self.summed())
        while unread := [name for name in self.names if name not in self.read]:
            name = random.choice(unread)
            numbers = [one for one, size in self.names.items() if size == ONE and one != name]
            self.read |= {name, *numbers[:1]}
            size = self.names[name]
            self.sum(f"{numbers[0]} @ {name}" if numbers and random.random() < 0.6 else f"total({name})", size)

    def define(self, value: str, size: str) -> None:
        name = self.new()
        self.lines.append(f"{name} = {value}")
        self.names[name] = size

    def sum(self, value: str, size: str) -> None:
        name = self.new()
        self.lines.append(f"{name} = {value}")
        self.sums.append(name)
        self.writer.sizes[name] = size

    def summed(self) -> tuple[str, str]:
        """Write a sum over positions, and give its size class."""
        random = self.random
        size = random.choice([*self.names.values(), "hidden"])
        if random.random() < 0.3:
            return f"total({self.bank(size, 2)})", size
        bank, numbers = self.bank(size, 1), [name for name, one in self.names.items() if one == ONE]
        if numbers and random.random() < 0.7:
            name = random.choice(numbers)
            self.read.add(name)
            return f"{name} @ {_bracketed(bank)}", size
        return f"weigh({self.bank(ONE, 2)}, {bank})", size

    def leaf(self, size: str) -> str:
        """Write what has values of a size class at positions, as short as it can be."""
        fitting = [name for name, one in self.names.items() if one == size]
        if fitting and self.random.random() < 0.85:
            name = self.random.choice(fitting)
            self.read.add(name)
            return name
        if size == ONE:
            return self.score(0)
        return self.product(size, 0)

    def known(self, size: str) -> str:
        """Write a name of a size class that there is."""
        name = self.random.choice([name for name, one in self.names.items() if one == size])
        self.read.add(name)
        return name

    def product(self, size: str, depth: int) -> str:
        """Write a matrix times what has values at positions."""
        random, writer = self.random, self.writer
        inner, structure, blocks = random.choice(list(self.names.values())), "dense", 1
        if random.random() < 0.08 and ONE not in (size, inner):
            structure, blocks = "block_upper" if inner == size else "block_diagonal", random.choice([1, 1, 2])
        name = self.new(f"U{len(writer.matrices)}")
        writer.matrices[name] = (size, inner, structure, blocks)
        operand = _bracketed(self.bank(inner, depth - 1) if depth > 0 else self.known(inner))
        return f"{name if structure == 'dense' else f'{structure}({name}, {blocks})'} @ {operand}"

    def score(self, depth: int) -> str:
        """Write one number for each position."""
        random, draw = self.random, self.random.random()
        vectors = [one for one in self.names.values() if one != ONE]
        if draw < 0.4:
            size = random.choice(vectors)
            bank = self.bank(size, depth - 1) if depth > 0 else self.leaf(size)
            plain = self.writer.plain(size)
            return f"{bank} @ {plain}" if bank in self.names and random.random() < 0.7 else f"match({bank}, {plain})"
        if draw < 0.7:
            return self.product(ONE, depth)
        name = random.choice(list(self.names))
        self.read.add(name)
        return random.choice([f"0.3 * place({name})", f"exists({name})", f"1 / place({name})"])

    def bank(self, size: str, depth: int) -> str:
        """Write an expression with a value of a size class at each position."""
        random, draw = self.random, self.random.random()
        if depth <= 0 or draw < 0.12:
            return self.leaf(size)
        if draw < 0.24 and size == ONE:
            return self.score(depth)
        if draw < 0.34:
            return self.product(size, depth)
        if draw < 0.62:
            sign, left = random.choice(["+", "+", "-", "*"]), self.bank(size, depth - 1)
            vector = random.random() < 0.6
            right = self.writer.expression(size, depth - 1) if vector else self.bank(size, depth - 1)
            return f"({left}) {sign} ({right})" if random.random() < 0.8 else f"({right}) {sign} ({left})"
        if draw < 0.84:
            return f"{random.choice(_SMOOTH)}({self.bank(size, depth - 1)})"
        if draw < 0.90:
            return self.seldom(size, depth)
        if size == ONE:
            return f"softmax({self.bank(ONE, depth - 1)})"
        return f"spread({self.bank(ONE, depth - 1)}, {self.writer.plain(size)})"

    def seldom(self, size: str, depth: int) -> str:
        random, below = self.random, self.bank(size, depth - 1)
        choice = random.choice(["shift", "norm", "mean", "where", "maximum", "neg", "div"])
        if choice == "shift":
            return f"shift({below}, {random.choice([-7, -2, -1, 0, 1, 2, 9])})"
        if choice == "where":
            return f"where(greater({below}, 0), {below}, {self.bank(size, depth - 1)})"
        if choice == "maximum":
            return f"maximum({below}, {self.bank(size, depth - 1)})"
        if choice == "div":
            return f"({below}) / (1.5 + sigmoid({self.bank(size, depth - 1)}))"
        return f"-({below})" if choice == "neg" else f"{choice}({below})"


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def draw_positions(random: Random, rows: int) -> tuple[int, list[int] | None]:
    """Draw L of a memory, and how many positions each row has."""
    positions = random.choice([0, 1, 1, 2, 3, 5, 8, 9, 17])
    return positions, None if random.random() < 0.4 else [random.randint(0, positions) for _ in range(rows)]
