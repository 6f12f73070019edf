"""Cells that nobody wrote: texts from the whole grammar, right in their sizes, and the layers and batches they meet."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz.case import CALLS, CONNECTIONS, SKIPS, SPECIAL, STRIDES, Case, comes_from_below, outer_inputs
from tests.fuzz.meaning import Meaning
from tests.fuzz.positional import Positional, draw_positions

_SMOOTH = ("sigmoid", "tanh", "sin", "cos", "erf", "softplus", "log_sigmoid", "gelu")
_BENT = ("relu", "abs", "hard_sigmoid", "sign")
_WHOLE = ("mean", "norm", "rstd")
_STEEP = ("exp", "log", "sqrt")
# Among ordinary names some that a program might make up for itself.
_NAMES = (
    *("i", "f", "g", "o", "z", "r", "n", "m", "s", "q", "a", "u", "k", "due"),
    *(
        "one",
        "again",
        "again_1",
        "d_h",
        "d_x",
        "d_x_1",
        "d_h_1",
        "d_W",
        "h_prev",
        "x_prev",
        "c_prev",
        "back_h",
        "grad_h",
    ),
    *("h_new", "keep_h", "drop_g", "h_full", "a_W", "P", "T", "_", "__", "x_", "h_", "base", "table", "size", "y", "d"),
    *("b", "zero", "row", "flat", "step", "tmp", "t0", "v1", "before", "here", "stride", "hidden_size", "input_size"),
    *("rows", "columns", "split", "jobs", "panels", "times", "begin", "end", "rule", "mean_", "outer_", "weight_ih"),
)
HIDDEN, INPUT, FREE, OUTPUT, SECOND = "hidden", "input", "free", "output", "second"
OWN = ("own", "own too")
_CLASSES = (HIDDEN, INPUT, OUTPUT, SECOND, *OWN)


@dataclass
class _Writer:
    """Writes the lines of one cell.

    Args:
        random: What is drawn from.
        sizes: The size class of every name that may be read now.
        previous: The size class of every state, as it was last step.
        late: States whose line is yet to come: read without ``prev``.
    """

    random: Random
    sizes: dict[str, str] = field(default_factory=dict)
    previous: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    matrices: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    vectors: dict[str, str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    wild: bool = False

    def name(self, first: str = "") -> str:
        """Take a name that nothing has."""
        for _ in range(50):
            name = first or self.random.choice(_NAMES)
            first = ""
            if name not in self.taken:
                self.taken.add(name)
                return name
        name = f"q{len(self.taken)}"
        self.taken.add(name)
        return name

    def leaf(self, size: str) -> str:
        """Write a name or a number of a size."""
        random = self.random
        choices = [name for name, one in self.sizes.items() if one == size]
        choices += [f"prev({name})" for name, one in self.previous.items() if one == size]
        choices += [name for name in self.late if self.previous[name] == size] * 2
        draw = random.random()
        if choices and draw < 0.6:
            name = random.choice(choices)
            self.read.add(name.removeprefix("prev(").removesuffix(")"))
            return name
        if draw < 0.72:
            return self.vector(size)
        if draw < 0.78 and self.wild:
            return random.choice(["0.5", "2", "1", "0", "-1", "0.1", "1e-3"])
        return self.product(size, 0)

    def vector(self, size: str) -> str:
        """Write the name of a learned vector, a new one or one that there is."""
        known = [name for name, one in self.vectors.items() if one == size]
        if known and self.random.random() < 0.3:
            return self.random.choice(known)
        name = self.name(f"b{len(self.vectors)}" if self.random.random() < 0.8 else "")
        self.vectors[name] = size
        return name

    def product(self, size: str, depth: int) -> str:
        """Write a matrix times something: a new matrix, or one that there is, as it is or transposed."""
        random = self.random
        fitting = [
            (name, transposed)
            for name, (rows, columns, _, _) in self.matrices.items()
            for transposed in (False, True)
            if (columns if transposed else rows) == size
        ]
        transposed = random.random() < 0.12
        if fitting and random.random() < 0.25:
            name, transposed = random.choice(fitting)
            rows, columns, structure, blocks = self.matrices[name]
            inner = rows if transposed else columns
        else:
            inner = random.choice([HIDDEN, HIDDEN, INPUT, INPUT, *self.sizes.values(), *self.previous.values()])
            if depth > 0 and random.random() < 0.15:
                inner = FREE
            name = self.name(f"W{len(self.matrices)}" if random.random() < 0.8 else "")
            structure, blocks = "dense", 1
            if random.random() < 0.12:
                structure, blocks = "block_diagonal", random.choice([1, 2, 2, 3, 4])
            elif size == inner and random.random() < 0.08:
                structure, blocks = "block_upper", random.choice([1, 2, 2, 3, 4])
            self.matrices[name] = (inner, size, structure, blocks) if transposed else (size, inner, structure, blocks)
        written = name if structure == "dense" else f"{structure}({name}, {blocks})"
        operand = self.expression(inner, depth - 1) if depth > 0 else self.plain(inner)
        operand = operand if operand.isidentifier() or operand.startswith("prev(") else f"({operand})"
        return f"{written}{'.T' if transposed else ''} @ {operand}"

    def plain(self, size: str) -> str:
        """Write a name of a size; a learned vector where there is no other."""
        choices = [name for name, one in self.sizes.items() if one == size]
        choices += [f"prev({name})" for name, one in self.previous.items() if one == size]
        if not choices or self.random.random() < 0.03:
            return self.vector(size)
        name = self.random.choice(choices)
        self.read.add(name.removeprefix("prev(").removesuffix(")"))
        return name

    def expression(self, size: str, depth: int) -> str:
        """Write an expression of a size."""
        random = self.random
        if depth <= 0:
            return self.leaf(size)
        draw = random.random()
        if draw < 0.12:
            return self.leaf(size)
        if draw < 0.34:
            return self.product(size, depth)
        if draw < 0.66:
            operator = random.choice(["+", "+", "-", "*", "*"])
            left, right = self.expression(size, depth - 1), self.expression(size, depth - 1)
            return f"({left}) {operator} ({right})" if random.random() < 0.5 else self.loose(left, operator, right)
        if draw < 0.70:
            below = self.expression(size, depth - 1)
            divisor = self.expression(size, depth - 1)
            return f"({below}) / ({divisor if self.wild else f'1.5 + sigmoid({divisor})'})"
        if draw < 0.73:
            return f"-({self.expression(size, depth - 1)})"
        return self.function(size, depth)

    def loose(self, left: str, operator: str, right: str) -> str:
        """Write a sum or a product with as few parentheses as Python needs."""
        if operator == "+":
            return f"{left} + {right}"
        return f"({left}) {operator} ({right})"

    def function(self, size: str, depth: int) -> str:
        """Write a function of expressions."""
        random, draw = self.random, self.random.random()

        def of() -> str:
            return self.expression(size, depth - 1)

        if draw < 0.42:
            return f"{random.choice(_SMOOTH)}({of()})"
        if draw < 0.54:
            return f"{random.choice(_BENT)}({of()})"
        if draw < 0.70:
            return f"{random.choice(_WHOLE)}({of()})"
        if draw < 0.78:
            name = random.choice(_STEEP)
            return f"{name}({of()})" if self.wild else f"{name}(0.5 + sigmoid({of()}))"
        if draw < 0.86:
            return f"{random.choice(['maximum', 'minimum'])}({of()}, {of()})"
        if draw < 0.92:
            test = f"greater({of()}, {of()})" if random.random() < 0.7 else of()
            return f"where({test}, {of()}, {of()})"
        if draw < 0.95:
            return f"greater({of()}, {of()})"
        if draw < 0.98:
            return f"mod({of()}, {random.choice(['2', '0.7', of()])})"
        if size == HIDDEN:
            return f"period({random.choice([1, 2, 2, 3, 4])}) * 0.1"
        return f"divides({random.choice(['1', '2'])}, {of()})"


def draw_cell(random: Random) -> Case:
    """Draw a cell, in a case without anything else."""
    writer = _Writer(random, wild=random.random() < 0.25)
    own = random.choice([OWN, OWN[:1]]) if random.random() < 0.3 else ()
    states = _draw_states(writer, own)
    inputs = _draw_inputs(writer, states, own)
    lines, order = [], _draw_order(writer, states)
    writer.late = set(states)
    memories = _draw_memories(writer) if random.random() < 0.25 else []
    for name in order:
        size = writer.previous.get(name) or random.choice([HIDDEN, HIDDEN, HIDDEN, INPUT, *own, *own])
        lines.append(f"{name} = {_right_side(writer, name, size, name in states)}")
        writer.late.discard(name)
        writer.sizes[name] = size
    outputs = []
    if random.random() < 0.3:
        outputs = random.sample(order, min(len(order), random.choice([1, 1, 2, 3])))
    sums = [name for memory in memories for name in memory.sums]
    lines = _all_read(writer, lines, order, [*inputs, *sums], states, outputs)
    lines = [line for memory in memories for line in memory.lines] + lines
    transforms = _transforms(random, states, lines)
    # Where the text is to show the states, it may show fewer; then no input may count on one of the others.
    given = states if random.random() < 0.85 or any(comes_from_below(name, states) for name in inputs) else None
    sizes = _input_sizes(writer, inputs, states, 4, random)
    entries = ["=".join(memory.entry) for memory in memories]
    case = Case("\n".join(lines), given, inputs, outputs, [], entries, transforms, sizes, [4])
    banks = [name for memory in memories for name in memory.entry]
    case = case.but(memory_size={name: random.choice([1, 2, 3, 5, 8, 9]) for name in banks})
    case = case.but(positions=[random.choice([1, 3, 6]) for _ in memories], extents=[None for _ in memories])
    named = _own_sizes(writer, case, own)
    return following(case.but(own_sizes=named, sizes={name: _own_size(random) for name in _first_names(named)}))


def _draw_memories(writer: _Writer) -> list[Positional]:
    """Draw one memory or two, and the lines that read them; these stand first, so they read the last states."""
    memories = [Positional(writer, number) for number in range(writer.random.choice([1, 1, 1, 2]))]
    for memory in memories:
        memory.write()
    return memories


def _draw_states(writer: _Writer, own: Sequence[str]) -> list[str]:
    random = writer.random
    writer.taken |= {"x", "h"}
    states = ["h"]
    for _ in range(random.choice([0, 0, 1, 1, 2, 3])):
        states.append(writer.name(random.choice(["c", "s", "", ""])))
    projected = random.random() < 0.12
    for name in states:
        writer.previous[name] = random.choice(own) if own and random.random() < 0.3 else HIDDEN
    if projected:
        writer.previous["h"] = OUTPUT
    return states


def _draw_inputs(writer: _Writer, states: list[str], own: Sequence[str]) -> list[str]:
    random = writer.random
    inputs = ["x"] if random.random() < 0.94 else []
    if inputs:
        writer.sizes["x"] = random.choice([HIDDEN, *own]) if random.random() < 0.3 else INPUT
    if random.random() < 0.25:
        inputs.append(writer.name(random.choice(["u", "w", ""])))
        writer.sizes[inputs[-1]] = random.choice([HIDDEN, SECOND, SECOND, *own, *own])
    for state in states if not inputs else random.sample(states, random.random() < 0.18):
        inputs.append(writer.name(f"{state}_below"))
        writer.sizes[inputs[-1]] = writer.previous[state]
    if random.random() < 0.1:
        random.shuffle(inputs)
    return inputs


def _draw_order(writer: _Writer, states: list[str]) -> list[str]:
    """Draw the names of the lines in their order."""
    random = writer.random
    order = [writer.name() for _ in range(random.choice([0, 1, 1, 2, 2, 3, 4]))]
    order += [name for name in states if name != "h"]
    random.shuffle(order)
    if random.random() < 0.8:
        order.append("h")
    else:
        order.insert(random.randrange(len(order) + 1), "h")
    return order


def _own_sizes(writer: _Writer, case: Case, own: Sequence[str]) -> list[str]:
    """Name most of the sizes that are neither the inputs' nor the states': one name for all that have one size."""
    random, meaning = writer.random, Meaning(case.equations, case.states, case.inputs, (), case.memories)
    alike: dict[str, list[str]] = {}
    for name, size in {**writer.sizes, **writer.previous, **writer.vectors}.items():
        known = name in meaning.place or name in meaning.inputs or name in meaning.vectors
        if known and (size in own or (size == FREE and random.random() < 0.5)):
            alike.setdefault(meaning.root(name), []).append(name)
    entries: list[str] = []
    for names in alike.values():
        if entries and random.random() < 0.3:  # the equations do not say that these have one size
            entries[-1] += f"={random.choice(names)}"
        elif random.random() < 0.9:
            entries.append("=".join(random.sample(names, min(len(names), random.choice([1, 1, 2])))))
    return entries


def _first_names(entries: Iterable[str]) -> list[str]:
    return [entry.split("=")[0] for entry in entries]


def _own_size(random: Random) -> int:
    return random.choice([1, 2, 3, 5, 6, 8, 9, 16, 17])


def following(case: Case) -> Case:
    """Give inputs that have one of the cell's own sizes that size."""
    if not case.own_sizes:
        return case
    meaning = Meaning(case.equations, case.states, case.inputs, case.own_sizes, case.memories)
    roots = {meaning.root(name): case.sizes.get(name, case.hidden_size[0]) for name in meaning.sized}
    outer = outer_inputs(meaning.inputs, meaning.states)
    given = zip(outer, case.input_size, strict=False)
    return case.but(input_size=[roots.get(meaning.root(name), size) for name, size in given])


def _right_side(writer: _Writer, name: str, size: str, state: bool) -> str:
    random = writer.random
    draw = random.random()
    if draw < 0.04 and size == HIDDEN and not state:
        return f"bernoulli({random.choice(['0.5', '0.2', '0', '1', '0.75'])})"
    if draw < 0.06:
        return random.choice(["0.5", "sin(1)", "2 * 3", "0", writer.vector(size), "-1"])
    if size == OUTPUT:
        return writer.product(OUTPUT, 2)
    body = writer.expression(size, random.choice([1, 2, 2, 3, 3]))
    if writer.wild and random.random() < 0.5:
        return body
    if state or random.random() < 0.5:
        return f"{random.choice(['tanh', 'tanh', 'sigmoid', 'sin'])}({body})"
    return body


def _all_read(
    writer: _Writer, lines: list[str], order: list[str], inputs: list[str], states: list[str], outputs: list[str]
) -> list[str]:
    """Let the last line that may read what nothing reads; lines and inputs must be read."""
    text = "\n".join(lines)
    fit = [
        place for place, name in enumerate(order) if writer.sizes[name] != OUTPUT and "bernoulli" not in lines[place]
    ]
    if not fit:
        return lines
    last = fit[-1]
    names = [name for name in (*inputs, *order[:last]) if name not in (*states, *outputs)]
    for name in names:
        if not _reads(text, name):
            size, here = writer.sizes[name], writer.sizes[order[last]]
            term = name
            if size != here:
                matrix = writer.name(f"V{len(writer.matrices)}")
                writer.matrices[matrix] = (here, size, "dense", 1)
                term = f"{matrix} @ {name}"
            lines[last] = f"{lines[last]} + 0.5 * ({term})"
    for name in order[last + 1 :]:
        if name not in (*states, *outputs) and not _reads("\n".join(lines), name):
            lines = [line for line in lines if not line.startswith(f"{name} = ")]
    return lines


def _reads(text: str, name: str) -> bool:
    right = "\n".join(line.split(" = ", 1)[1] for line in text.split("\n"))
    letters = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in right)
    return name in letters.split()


def _transforms(random: Random, states: list[str], lines: list[str]) -> list[list[Any]]:
    found: list[list[Any]] = []
    if random.random() < 0.25:
        for _ in range(random.choice([1, 1, 2])):
            kind = random.choice(
                ["layer_norm", "zoneout", "zoneout", "recurrent_dropout", "peephole", "project", "coupled", "replace"]
            )
            options: dict = {}
            if kind == "zoneout":
                options = {random.choice(states): random.choice([0.1, 0.5, 0.0])}
            elif kind == "recurrent_dropout":
                options = {"rate": 0.25, "on": random.choice(lines).split(" = ")[0]}
            elif kind == "peephole":
                options = {"gates": [random.choice(lines).split(" = ")[0]], "state": random.choice(states)}
            elif kind == "replace":
                options = {random.choice(lines).split(" = ")[0]: random.choice(lines).split(" = ")[0]}
            elif kind == "coupled":
                options = {
                    "forget": random.choice(lines).split(" = ")[0],
                    "write": random.choice(lines).split(" = ")[0],
                }
            found.append([kind, options])
    return found


def _input_sizes(writer: _Writer, inputs: list[str], states: list[str], hidden: int, random: Random) -> list[int]:
    """Give a size for each input that a user gives."""
    drawn = {size: hidden if size == HIDDEN else random.choice([1, 2, 3, 5, 8, 9, 17]) for size in _CLASSES}
    return [drawn[writer.sizes[name]] for name in outer_inputs(inputs, states)]


# --- what a cell meets

_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 36, 48, 64, 65)


def draw_session(random: Random, length: int = 7) -> list[Case]:
    """Draw a cell and what is done with it in one process: each case differs from the one before in one option."""
    cell = draw_cell(random) if random.random() < 0.85 else known_cell(random)
    counts = re.findall(r"(?:, |period\()(\d+)\)", cell.equations)  # a number that is no count of blocks does no harm
    blocks = math.lcm(*(int(count) for count in counts if int(count)))
    hidden = random.choice(_SIZES)
    if random.random() < 0.9:
        hidden = -(-hidden // blocks) * blocks
    case = _resized(cell.but(hidden_size=[hidden]), hidden, cell.hidden_size[0])
    case.seed = random.randrange(1 << 20)
    case.dtype = random.choice(["float64", "float64", "float32"])
    case.backend = random.choice(["auto", "auto", "auto", "cpu", "reference"])
    case.scale = random.choice([0.3, 1.0, 1.0, 1.0, 2.0])
    if any(name == "project" for name, _ in case.transforms) or _projects(case):
        case.proj_size = random.choice([1, 2, 3, 5, 8, 9, 16, 17])
    case.call = random.choice(["train", "train", "train", *CALLS])
    if case.outputs and random.random() < 0.4:
        case.call = "deliver"
    if random.random() < 0.3 or any(comes_from_below(name, case.states or ()) for name in case.inputs):
        case = _stacked(random, case)
    case = fitted(case)
    for _ in range(random.choice([0, 1, 2, 4])):
        case = changed(random, case)
    session = [case]
    while len(session) < length:
        session.append(changed(random, case))
        if random.random() < 0.5:
            case = session[-1]
    return session


def _stacked(random: Random, case: Case) -> Case:
    """Give a case layers, and what connects them."""
    below = [name for name in case.inputs if comes_from_below(name, case.states or ())]
    skip = random.choice(SKIPS)
    widened = skip in ("in", "both") and case.input_size[0] == case.hidden_size[0]  # elementwise, as a rule
    return case.but(
        hidden_size=case.hidden_size * random.choice([2, 2, 3]),
        skip=skip,
        input_projection=case.input_projection or (widened and random.random() < 0.8),
        connection=random.choice(CONNECTIONS),
        tie_layers=random.random() < 0.4,
        below_projection=bool(below) and (len(below) == len(case.inputs) or random.random() < 0.4),
    )


def known_cell(random: Random) -> Case:
    """Take one of the papers' cells, written here once more, with a transformation or two."""
    equations, states, inputs, *more = random.choice(KNOWN)
    outputs, own = [words.split() for words in more] or ([], [])
    transforms = _transforms(random, states.split(), equations.split("\n"))
    sizes = [4] * len(outer_inputs(inputs, states.split()))
    case = Case(equations, states.split(), inputs, outputs, own, [], transforms, sizes, [4])
    return following(case.but(sizes={name: _own_size(random) for name in _first_names(own)}))


def _projects(case: Case) -> bool:
    output = [line for line in case.equations.split("\n") if line.startswith("h = ")]
    return bool(output) and " @ " in output[0] and not output[0].startswith(("h = tanh", "h = sig", "h = sin"))


def _resized(case: Case, hidden: int, before: int) -> Case:
    """Let inputs that have the size of the states follow it."""
    return case.but(input_size=[hidden if size == before else size for size in case.input_size])


def changed(random: Random, case: Case) -> Case:
    """Give a case that differs in one option, and in what must go with it."""
    what = random.choice(_CHANGES)
    rows = max(case.rows, 1)
    if what == "hidden_size":
        hidden = random.choice([*_SIZES, 2 * case.hidden_size[0], 3 * case.hidden_size[0]]) % 129 or 1
        new = case.but(hidden_size=[hidden] * len(case.hidden_size))
        new = _resized(new, hidden, case.hidden_size[0])
    elif what == "one hidden_size":
        new = case.but(hidden_size=[*case.hidden_size[:-1], random.choice(_SIZES)])
    elif what == "num_layers":
        new = case.but(hidden_size=case.hidden_size[:1] * random.choice([1, 2, 2, 3]))
    elif what == "input_size":
        new = case.but(input_size=[random.choice([1, 2, 3, 5, 8, 16, 17]), *case.input_size[1:]])
    elif what == "sizes" and case.own_sizes:
        name = random.choice(_first_names(case.own_sizes))
        new = case.but(sizes={**case.sizes, name: _own_size(random)})
    elif what == "fewer sizes" and case.sizes:  # what is left out is hidden_size
        gone = random.choice(list(case.sizes))
        new = case.but(sizes={name: size for name, size in case.sizes.items() if name != gone})
    elif what == "outputs":
        name = random.choice(case.equations.split("\n")).split(" = ")[0]
        new = case.but(outputs=[one for one in case.outputs if one != name] + [name] * (name not in case.outputs))
    elif what == "skip":
        new = case.but(skip=random.choice(SKIPS))
    elif what == "connection":
        new = case.but(connection=random.choice(CONNECTIONS), hidden_size=case.hidden_size[:1] * len(case.hidden_size))
    elif what == "memory_size" and case.memory_size:
        new = case.but(
            memory_size={**case.memory_size, random.choice(list(case.memory_size)): random.choice([1, 2, 4, 7])}
        )
    elif what in ("positions", "extents") and case.memories:
        place, drawn = random.randrange(len(case.memories)), draw_positions(random, rows)
        new = case.but(positions=list(case.positions), extents=list(case.extents))
        new.positions[place], new.extents[place] = drawn
    elif what == "proj_size":
        new = case.but(proj_size=random.choice([0, 1, 2, 3, 4, 8, 9, 17]))
    elif what == "steps":
        new = case.but(steps=random.choice([1, 2, 3, 4, 7]), lengths=None, packed=False)
    elif what == "rows":
        new = case.but(rows=random.choice([0, 1, 2, 3, 4, 5, 9]), lengths=None, packed=False)
    elif what == "lengths":
        new = case.but(rows=rows, packed=False, lengths=[random.randrange(case.steps + 1) for _ in range(rows)])
    elif what == "packed":
        new = case.but(rows=rows, packed=True, lengths=[random.randrange(1, case.steps + 1) for _ in range(rows)])
    elif what == "dtype":
        new = case.but(dtype="float32" if case.dtype == "float64" else "float64")
    elif what == "call":
        new = case.but(call=random.choice(CALLS))
    elif what == "weights":
        new = case.but(weights=random.choice(STRIDES))
    elif what == "given":
        new = case.but(given=random.choice(STRIDES))
    elif what == "special":
        new = case.but(special=random.choice(SPECIAL))
    elif what == "looks_at":
        new = case.but(looks_at=random.choice(["both", "output", "state"]))
    elif what == "threads":
        new = case.but(threads=3 - case.threads)
    elif what == "backend":
        new = case.but(backend=random.choice(["auto", "cpu", "reference"]))
    elif what == "memory":
        new = case.but(memory=random.choice([one for one in ("fast", "small", "sqrt") if one != case.memory]))
    elif what == "seed":
        new = case.but(seed=case.seed + 1)
    elif what in ("sizes", "fewer sizes", "memory_size", "positions", "extents"):
        new = case
    else:
        new = case.but(**{what: not getattr(case, what)})
    return fitted(new)


_CHANGES = (
    *("hidden_size", "hidden_size", "one hidden_size", "num_layers", "input_size", "proj_size", "steps", "rows"),
    *("lengths", "packed", "dtype", "call", "call", "call", "weights", "weights", "given", "special", "looks_at"),
    *("threads", "backend", "memory", "seed", "bias", "bidirectional", "batch_first", "learn_initial_state"),
    *("input_projection", "training", "reset", "given_state", "sizes", "sizes", "fewer sizes", "outputs"),
    *("skip", "connection", "tie_layers", "below_projection", "memory_size", "positions", "extents", "extents"),
)


def fitted(case: Case) -> Case:
    """Take back options that a call does not have, and what cannot go with the cell."""
    case = following(case)
    if case.memories and case.call == "stream":  # a stream takes no memory
        case = case.but(call="step")
    rows = max(case.rows, 1)  # a row that is new has the positions of the last
    case = case.but(extents=[None if one is None else (one + one[-1:] * rows)[:rows] for one in case.extents])
    below = [name for name in case.inputs if comes_from_below(name, case.states or ())]
    case = case.but(bidirectional=False) if below else case.but(below_projection=False)
    if below and len(below) == len(case.inputs):  # nothing else is there to read the input
        case = case.but(below_projection=True, skip="out" if case.skip else None)
    if case.call in ("stream", "step"):
        case = case.but(bidirectional=False, lengths=None, packed=False, reset=False, batch_first=False)
        if (
            case.call == "stream"
            or any(name in ("zoneout", "recurrent_dropout") for name, _ in case.transforms)
            or ("bernoulli(" in case.equations)
        ):
            case = case.but(training=False)
        if case.call == "stream":
            case = case.but(rows=max(case.rows, 1))
    if case.packed and case.lengths is None:
        case = case.but(packed=False)
    if case.packed and case.lengths is not None:  # a packed batch is as long as its longest row
        case = case.but(batch_first=False, lengths=[case.steps, *[max(one, 1) for one in case.lengths[1:]]])
    if case.rows == 0 and case.lengths is not None:
        case = case.but(lengths=case.lengths[:1])
    if len(case.input_size) > 1 and case.given == "expanded" and case.lengths is not None:
        case = case.but(given="plain")
    return case


def _gate(letter: str, more: str = "") -> str:
    return f"{letter} = sigmoid(W_{letter} @ x + R_{letter} @ h + b_{letter}{more})\n"


_MEMORY = "g = tanh(W_g @ x + R_g @ h + b_g)\nc = f * c + i * g\n"
KNOWN: tuple[tuple[Any, ...], ...] = (  # equations, states, inputs; outputs and own sizes where there are any
    (_gate("i") + _gate("f") + _gate("o") + _MEMORY + "h = o * tanh(c)", "h c", ["x"]),
    (_gate("i", " + p_i * c") + _gate("f", " + p_f * c") + _MEMORY + _gate("o", " + p_o * c") + "h = o * tanh(c)",
     "h c", ["x"]),
    (_gate("i") + _gate("f") + _gate("o") + _MEMORY + "h = P @ (o * tanh(c))", "h c", ["x"]),
    (_gate("r") + _gate("z") + "n = tanh(W_n @ x + b_n + r * (R_n @ h + c_n))\nh = (1 - z) * n + z * h", "h", ["x"]),
    (_gate("f") + "n = tanh(W_n @ x + R_n @ (f * h) + b_n)\nh = (1 - f) * h + f * n", "h", ["x"]),
    ("h = relu(W @ x + u * h + b)", "h", ["x"]),
    ("h = tanh(W @ x + R @ h - R.T @ h + b)", "h", ["x"]),
    ("due = divides(period(4), t)\nn = tanh(W @ x + block_upper(R, 4) @ h + b)\nh = where(due, n, h)\n"
     "t = mod(t + 1, 8)", "h t", ["x"]),
    ("m = (W_m @ x) * (R_m @ h)\nh = tanh(W @ x + R @ m + b)", "h", ["x"]),
    (_gate("i") + _gate("f") + "d = sigmoid(W_d @ x + w_d * c + l_d * c_below + b_d)\ng = tanh(W_g @ x)\n"
     "c = d * c_below + f * c + i * g\nh = tanh(c)", "h c", ["x", "c_below"]),
    ("k = W_i @ x + block_diagonal(R_i, 4) @ h + b_i\ne = log_sigmoid(W_f @ x + block_diagonal(R_f, 4) @ h + b_f)\n"
     "m = maximum(e + m, k)\ni = exp(k - m)\nf = exp(e + prev(m) - m)\nc = f * c + i * tanh(W_g @ x)\n"
     "n = f * n + i\nh = sigmoid(W_o @ x) * (c / n)", "h c n m", ["x"]),
)  # fmt: skip
