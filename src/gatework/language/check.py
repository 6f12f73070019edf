"""From nodes to a Step: find what each name is, which step's value it means, and how the sizes fit together.

Nothing is declared twice. A name that is no input and that no line assigns is a parameter: a matrix left of ``@``, a
vector elsewhere. Sizes follow from use: quantities that are added or multiplied elementwise have the same size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gatework.errors import EquationError, did_you_mean
from gatework.language.anatomy import origin
from gatework.language.nodes import (
    Apply,
    Equation,
    Name,
    Node,
    Outer,
    Parameter,
    Product,
    Step,
    children,
    rebuild,
    walk,
)
from gatework.language.parse import NOT_NAMES, WRITTEN, Limits, normalised, read
from gatework.language.positions import check_sizes, find_positions, remaining
from gatework.language.sizes import Sizes, name_sizes, still_sized
from gatework.language.spelling import BELOW


def parse(
    text: str,
    states: Iterable[str] | str | None = None,
    inputs: Iterable[str] | str = ("x",),
    outputs: Iterable[str] = (),
    limits: Limits = WRITTEN,
    *,
    delivered: Iterable[str] | str = (),
    sized: Iterable[str] | str = (),
    memories: Iterable[str] | str = (),
) -> Step:
    """Read and check the equations of a cell.

    Args:
        text: The equations, one per line.
        states: The names carried from step to step, the output first, as a sequence or as words in a string. None takes
            the names that are read before their own line, ``h`` first.
        inputs: The names given at every step.
        outputs: The names returned at every step without being read (an adjoint's gradients).
        limits: The limits on the text.
        delivered: The names that a cell delivers at every step. Nothing needs to read them.
        sized: Names of vectors whose sizes the user chooses, apart from those of the inputs and of the states.
        memories: Names of memories, as in :class:`gatework.language.nodes.Step`.

    Returns:
        The checked Step.

    Raises:
        EquationError: If the text cannot be read or does not fit together. The message shows the line and a caret.

    Example:
        >>> step = parse("h = tanh(W @ x + R @ h + b)", states="h")
        >>> [parameter.name for parameter in step.parameters]
        ['W', 'R', 'b']
    """
    equations = read(text, limits)
    named = {"delivered": delivered, "sized": sized, "memories": memories}
    return check(equations, states, inputs, outputs, text=normalised(text), **named)


def check(
    equations: tuple[Equation, ...],
    states: Iterable[str] | str | None,
    inputs: Iterable[str] | str = ("x",),
    outputs: Iterable[str] = (),
    *,
    delivered: Iterable[str] | str = (),
    sized: Iterable[str] | str = (),
    memories: Iterable[str] | str = (),
    text: str = "",
) -> Step:
    """Resolve the names and sizes of equations, and refuse equations that do not fit together.

    Args:
        equations: The lines. Their names need not be resolved.
        states: As in :func:`parse`.
        inputs: As in :func:`parse`.
        outputs: As in :func:`parse`.
        delivered: As in :func:`parse`.
        sized: As in :func:`parse`.
        memories: As in :func:`parse`.
        text: The text that the equations were read from, to quote in errors.

    Returns:
        The checked Step.

    Raises:
        EquationError: If something does not fit.
    """
    given = _words(inputs, "inputs")
    checker = _Checker(text, equations, given)
    carried = checker.carried(states)
    entries, held = checker.memories(memories)
    banks = tuple(name for name in held if name not in given)
    resolved, positions = find_positions(checker.resolve(carried), held, checker.fault)
    if text and not outputs and carried[0] in positions:
        raise checker.many(carried[0], positions[carried[0]])
    sizes = Sizes(checker.fault)
    for name in held:  # an input at positions has one number at each
        sizes.same(sizes.of(name), sizes.one() if name in given and text and not outputs else None, None)
    parameters = _parameters(resolved, (*given, *banks), sizes, checker)
    delivers = checker.delivered(delivered)
    checker.used(resolved, (*carried, *outputs, *delivers), banks if text and not outputs else ())
    for name in given:
        if name.endswith(BELOW) and name.removesuffix(BELOW) in carried:
            sizes.same(sizes.of(name), sizes.of(name.removesuffix(BELOW)), None)
    names = dict.fromkeys((*given, *carried, *banks, *(equation.target for equation in equations)))
    for name in carried:
        if sizes.is_matrix(name):
            line = next(equation for equation in resolved if equation.target == name)
            raise checker.at_line(f"The state `{name}` is a matrix; a state is a vector.", line)
    source = origin(resolved, carried[0], given)
    made = next(equation.value for equation in resolved if equation.target == source)
    own = checker.sized(sized, [*names, *(one.name for one in parameters if one.columns is None)], sizes)
    keys = name_sizes(sizes, made, given, carried, own, banks)
    checker.own_sizes(own, parameters, (*given, *carried, *banks), sizes, keys)
    if text and not outputs:
        check_sizes({name: keys[sizes.root(name)] for name in (*given, *banks, *carried)}, positions, carried)
    if text and not outputs:  # an adjoint has the periods of a step that was checked, and other size keys
        _check_periods(resolved, sizes, keys, checker)
    located = tuple(_located(parameter, sizes, keys, made) for parameter in parameters)
    vectors = {name: keys[sizes.root(name)] for name in names if not sizes.is_matrix(name)}
    return Step(given, carried, resolved, located, vectors, tuple(outputs), delivers, own, entries, positions)


def rechecked(
    step: Step,
    equations: Iterable[Equation],
    inputs: Iterable[str] | None = None,
    memories: Sequence[str] | None = None,
) -> Step:
    """Check other equations in place of a step's own. All that the user chose for the step stays.

    Args:
        step: The step whose states, outputs, sizes and memories stay.
        equations: The other equations.
        inputs: The inputs that they read; None for the step's own.
        memories: The entries of the memories, with further inputs tied to them; None for the step's own.

    Returns:
        The checked Step.

    Raises:
        EquationError: If something does not fit.
    """
    lines, given = tuple(equations), step.inputs if inputs is None else tuple(inputs)
    sized = still_sized(step.sized, lines, given)
    memories = remaining(step.memories if memories is None else memories, lines, given, places=True)
    return check(lines, step.states, given, step.outputs, delivered=step.delivered, sized=sized, memories=memories)


class _Checker:
    """The checks that need the text, to say where an error is."""

    def __init__(self, text: str, equations: tuple[Equation, ...], inputs: tuple[str, ...]) -> None:
        self.text = text
        self.equations = equations
        self.inputs = inputs
        self.lines: dict[str, int] = {}  # target -> index of its equation
        for index, equation in enumerate(equations):
            if equation.target in self.lines:
                raise self.at_line(
                    f"`{equation.target}` is given two equations; name one of them differently.", equation
                )
            if equation.target in inputs:
                raise self.at_line(f"`{equation.target}` is an input and cannot have an equation.", equation)
            self.lines[equation.target] = index

    def fault(self, message: str, node: Node | None) -> EquationError:
        line, column = node.at if node is not None else (0, 0)
        return EquationError(message, text=self.text, line=line, column=column)

    def at_line(self, message: str, equation: Equation) -> EquationError:
        return EquationError(message, text=self.text, line=equation.line, column=0)

    def carried(self, states: Iterable[str] | str | None) -> tuple[str, ...]:
        """Check the states, or find them by the reading rule: a name that is read before its own line is a state."""
        if states is None:
            early = [
                node.name
                for index, equation in enumerate(self.equations)
                for node in walk(equation.value)
                if isinstance(node, Name)
                and node.name in self.lines
                and (node.previous or self.lines[node.name] >= index)
            ]
            names = sorted(set(early), key=lambda name: (name != "h", self.lines[name]))
            if "h" in self.lines and "h" not in names:
                names.insert(0, "h")
            if not names:
                raise EquationError("No name is read before its own line, so nothing is carried from step to step.")
            return tuple(names)
        carried = _words(states, "states")
        if not carried:
            raise EquationError("A cell needs at least one state, such as states='h c'; the first is its output.")
        for name in carried:
            if name in self.inputs:
                raise EquationError(f"`{name}` is both an input and a state.")
            if name not in self.lines:
                hint = did_you_mean(name, tuple(self.lines))
                raise EquationError(f"The state `{name}` has no equation. Add a line `{name} = ...`.{hint}")
        return carried

    def resolve(self, states: tuple[str, ...]) -> tuple[Equation, ...]:
        """Apply the reading rule: above its own line a name is the previous step's value, below it this step's."""
        return tuple(
            replace(equation, value=self._resolve(equation.value, index, states))
            for index, equation in enumerate(self.equations)
        )

    def _resolve(self, node: Node, index: int, states: tuple[str, ...]) -> Node:
        if not isinstance(node, Name):
            return rebuild(node, tuple(self._resolve(below, index, states) for below in children(node)))
        own = self.lines.get(node.name)
        if node.previous and node.name not in states:
            expected = f"the states are {', '.join(states)}"
            raise self.fault(f"`prev({node.name})` needs a state; {expected}.{did_you_mean(node.name, states)}", node)
        if own is None or node.previous or own < index:
            return node
        if node.name not in states:
            where = "its own line" if own == index else f"line {self.equations[own].line}, further down"
            raise self.fault(
                f"`{node.name}` is read here but only defined on {where}: a circular definition. Move its line up, or "
                f"make `{node.name}` a state if last step's value is meant.",
                node,
            )
        return Name(node.name, True, node.at)

    def delivered(self, names: Iterable[str] | str) -> tuple[str, ...]:
        """Check the names that the cell delivers."""
        words = _words(names, "outputs")
        for name in words:
            if name not in self.lines:
                hint = did_you_mean(name, tuple(self.lines))
                raise EquationError(f"The output `{name}` has no equation. Add a line `{name} = ...`.{hint}")
        return words

    def sized(self, names: Iterable[str] | str, vectors: Iterable[str], sizes: Sizes) -> tuple[str, ...]:
        """Check that the names with sizes of their own are vectors, and relate those that have one size."""
        entries = _split(names, "sizes")
        known = tuple(name for name in vectors if not sizes.is_matrix(name))
        for name in _words("=".join(map(str, entries)).split("=") if entries else (), "sizes"):
            if name not in known:
                hint = did_you_mean(name, known)
                raise EquationError(f"`{name}` is named in sizes, and no vector of the equations is called so.{hint}")
        for first, *others in (entry.split("=") for entry in entries):
            for other in others:
                sizes.same(sizes.of(first), sizes.of(other), None)
        return entries

    def own_sizes(
        self,
        names: tuple[str, ...],
        parameters: Iterable[Parameter],
        given: Iterable[str],
        sizes: Sizes,
        keys: Mapping[str, str],
    ) -> None:
        """Refuse a size of its own for what has its size from elsewhere, or has none that a tensor could tell."""
        held = {sizes.root(name) for name in given}
        for one in parameters:
            held |= {sizes.root(one.name)} if one.columns is None else {sizes.rows(one.name), sizes.columns(one.name)}
        for name in (entry.partition("=")[0] for entry in names):
            root = sizes.root(name)
            if keys[root] != f"size_{name}":
                raise EquationError(
                    f"`{name}` is named in sizes, but its size is already known as {keys[root]}. Leave `{name}` out."
                )
            if root not in held:
                raise EquationError(
                    f"`{name}` is named in sizes, but no parameter, input or state has its size. Leave `{name}` out."
                )

    def many(self, output: str, memory: str) -> EquationError:
        """Make the error for an output with a value at each position of a memory."""
        return self.at_line(
            f"The output `{output}` has a value at each position of `{memory}`; the first state of a cell is one "
            f"vector. Sum over the positions, as in `a @ {memory}`.",
            self.equations[self.lines[output]],
        )

    def memories(self, names: Iterable[str] | str) -> tuple[tuple[str, ...], dict[str, str]]:
        """Check the memories. Return their entries, and the memory of each of them and of the inputs tied to it."""
        if not (entries := _split(names, "memories")):
            return (), {}
        _words("=".join(map(str, entries)).split("="), "memories")
        held = {name: entry.partition("=")[0] for entry in entries for name in entry.split("=")}
        for name, bank in held.items():
            if name in self.lines or (name == bank and name in self.inputs):
                what = "an input" if name in self.inputs else "given an equation"
                raise EquationError(f"`{name}` is both a memory and {what}; name one of them differently.")
        return entries, held

    def used(self, equations: tuple[Equation, ...], kept: tuple[str, ...], banks: tuple[str, ...] = ()) -> None:
        """Refuse lines and inputs that nothing reads, unless they are kept. They are nearly always mistakes."""
        read_names = {node.name for equation in equations for node in walk(equation.value) if isinstance(node, Name)}
        for equation in equations:
            if equation.target not in read_names and equation.target not in kept:
                given = (*self.inputs, *banks)
                unknown = tuple(name for name in read_names if name not in self.lines and name not in given)
                hint = did_you_mean(equation.target, unknown)
                raise self.at_line(
                    f"`{equation.target}` is never read and is no state: an unused equation. Remove or use it, or name "
                    f"it among the outputs.{hint}",
                    equation,
                )
        for name in self.inputs:
            if name not in read_names:
                raise EquationError(f"The input `{name}` is never read. Use it, or leave it out of the inputs.")
        for name in banks:
            if name not in read_names:
                raise EquationError(f"The memory `{name}` is never read. Use it, or leave it out of the memories.")


def _split(names: Iterable[str] | str, what: str) -> tuple[str, ...]:
    if not isinstance(names, Iterable):
        raise EquationError(f"{what} is {names!r}; expected names, as words in a string or a sequence of them.")
    return tuple(names.split()) if isinstance(names, str) else tuple(names)


def _words(names: Iterable[str] | str, what: str) -> tuple[str, ...]:
    for word in (words := _split(names, what)):
        if not isinstance(word, str) or not word.isidentifier() or not word.isascii() or word in NOT_NAMES:
            raise EquationError(
                f"`{word}` cannot be one of the {what}: a name is letters, digits and _, and no function."
            )
    if len(set(words)) != len(words):
        raise EquationError(f"The {what} {' '.join(words)} name one thing twice.")
    return words


def _parameters(
    equations: tuple[Equation, ...], inputs: tuple[str, ...], sizes: Sizes, checker: _Checker
) -> list[Parameter]:
    """List the parameters in order of first use, and relate all sizes on the way."""
    known = {*inputs, *checker.lines}
    learned: dict[str, Parameter] = {}
    added_only: dict[str, bool] = {}
    for equation in equations:
        _check_source(equation, checker)
        sizes.relate(equation)
        for node, parent in _with_parents(equation.value):
            if isinstance(node, Product):
                if node.matrix in known:
                    raise checker.fault(f"`{node.matrix}` is a vector and cannot stand left of `@`.", node)
                _add_matrix(learned, node, inputs, checker)
            elif isinstance(node, Name) and node.name not in known:
                additive = isinstance(parent, Apply) and parent.function in ("add", "sub", "neg")
                added_only[node.name] = added_only.get(node.name, True) and additive
                _add_vector(learned, node, checker)
    return [
        replace(parameter, role="bias") if added_only.get(parameter.name) else parameter
        for parameter in learned.values()
    ]


def _add_matrix(learned: dict[str, Parameter], node: Product, inputs: tuple[str, ...], checker: _Checker) -> None:
    role = "input" if isinstance(node.operand, Name) and node.operand.name in inputs else "recurrent"
    new = Parameter(node.matrix, role, "", "", node.operand, node.structure, node.blocks)
    old = learned.setdefault(node.matrix, new)
    if old.columns is None:
        raise checker.fault(f"`{node.matrix}` is a matrix here, a vector before; name one differently.", node)
    if (old.structure, old.blocks) != (node.structure, node.blocks):
        raise checker.fault(f"`{node.matrix}` is used with two different structures; name one differently.", node)


def _add_vector(learned: dict[str, Parameter], node: Name, checker: _Checker) -> None:
    old = learned.setdefault(node.name, Parameter(node.name, "vector", ""))
    if old.columns is not None:
        raise checker.fault(
            f"`{node.name}` is used as a vector here and as a matrix before; write `{node.name} @ ...` or name one "
            "differently.",
            node,
        )


def _check_source(equation: Equation, checker: _Checker) -> None:
    """Check that each mask has its own line, so that it has a name and is drawn once."""
    for node in walk(equation.value):
        if isinstance(node, Apply) and node.function == "bernoulli" and node is not equation.value:
            raise checker.fault(
                "`bernoulli` stands alone on its line, as in `keep_c = bernoulli(0.5)`: a mask has a name.",
                node,
            )
        if isinstance(node, Outer) and node is not equation.value and not isinstance(equation.value, Apply):
            raise checker.fault("`outer` gives a matrix; only sums of them can be named.", node)


def _check_periods(equations: tuple[Equation, ...], sizes: Sizes, keys: Mapping[str, str], checker: _Checker) -> None:
    """Check that a row of periods goes with hidden_size: only that size must be a multiple of the number of blocks."""
    for node in (node for equation in equations for node in walk(equation.value)):
        if isinstance(node, Apply) and node.function == "period":
            key = keys[sizes.root(sizes.period(node))]
            if key != "hidden_size":
                raise checker.fault(
                    f"`period` gives a number for each unit of hidden_size, and meets a vector of {key} here; multiply "
                    "that by a matrix first, as in `period(4) * (W @ x)`.",
                    node,
                )


def _with_parents(root: Node) -> Iterator[tuple[Node, Node | None]]:
    pending: list[tuple[Node, Node | None]] = [(root, None)]
    while pending:
        node, parent = pending.pop()
        yield node, parent
        pending.extend((below, node) for below in reversed(children(node)))


def _located(parameter: Parameter, sizes: Sizes, keys: dict[str, str], made: Node) -> Parameter:
    """Set a parameter's size keys, and the role that depends on them. ``made`` is the expression of the output."""
    if parameter.columns is None:
        return replace(parameter, rows=keys[sizes.root(parameter.name)])
    rows, columns = keys[sizes.rows(parameter.name)], keys[sizes.columns(parameter.name)]
    makes_output = isinstance(made, Product) and made.matrix == parameter.name
    made_rows = columns if isinstance(made, Product) and made.transposed else rows
    role = "projection" if makes_output and made_rows == "proj_size" else parameter.role
    return replace(parameter, role=role, rows=rows, columns=columns)
