"""Let a cell attend to a memory: the equations of attention, added to the equations of any cell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gatework.cells.cell import Cell
from gatework.cells.changing import changed, lines_of
from gatework.errors import CellError, did_you_mean
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Product, children, rebuild
from gatework.language.simplify import added
from gatework.language.spelling import Names

MOST_WIDTH = 101  # positions that location attention looks at


@dataclass(frozen=True)
class _Scored:
    """The lines of a kind of attention, up to the weights."""

    lines: tuple[Equation, ...]
    states: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    init: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Names:
    """What the equations of attention are written with.

    Args:
        fresh: Makes up names.
        memory: The memory.
        query: The previous step's output.
        weights: The name of the weights.
        width: The number of positions that location attention looks at.
    """

    fresh: Callable[[str], str]
    memory: Name
    query: Name
    weights: str
    width: int


def attend(cell: Cell, kind: str = "additive", memory: str = "m", *, width: int = 11) -> Cell:
    """Let a cell attend to a memory: at every step it weighs the positions, and reads their sum beside its input.

    The query is the previous step's output. The sum of the positions, ``z``, enters every matrix product that reads the
    input through a matrix of its own, so ``W @ x`` becomes ``W @ x + C @ z``. The weights are called ``a``.

    Args:
        cell: The cell to change.
        kind: ``additive`` (Bahdanau et al. 2015), ``dot``, ``general`` or ``concat`` (Luong et al. 2015), ``gated``
            (additive, with a number between 0 and 1 that scales z, Xu et al. 2015), ``window`` (a mixture of Gaussians
            that moves on, Graves 2013; their number is the size ``kappa``) or ``location`` (additive, and sees the
            previous step's weights, Chorowski et al. 2015).
        memory: The name of the memory.
        width: For ``location``: over how many neighbouring positions it sees the previous weights, an odd number.

    Returns:
        The cell with a memory. Its inner size, of the sum inside tanh, has the name of its bias, ``b_a``.

    Raises:
        CellError: If there is no such kind, the name is taken, or no matrix reads the input.

    Source:
        Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, section 3.1 and appendix A.1.2.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(attend(CELLS["rnn"]))
        score = v_a @ tanh(U_a @ m + V_a @ h + b_a)  # score of each position
        a = softmax(score)                           # weight of each position
        z = a @ m                                    # sum of the positions
        h = tanh(W_h @ x + C_h @ z + R_h @ h + b_h)  # hidden state
    """
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise CellError(f"There is no kind of attention {kind!r}. Choose one of {known}.{did_you_mean(kind, KINDS)}")
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MOST_WIDTH or width % 2 == 0:
        raise CellError(f"width is {width!r}; expected an odd whole number of positions from 1 to {MOST_WIDTH}.")
    taken = {*cell.step.sizes_of, *(one.name for one in cell.step.parameters)}
    if not isinstance(memory, str) or memory in taken:
        raise CellError(
            f"The memory cannot be named {memory!r}: expected a name that the cell `{cell.name}` does not have. Choose "
            "another, such as memory='bank'."
        )
    names = Names(cell.step, taken=[memory])
    given = _Names(names.fresh, Name(memory), Name(cell.states[0], previous=True), names.fresh("a"), width)
    scored = KINDS[kind](given)
    context = names.fresh("z")
    summed, gate = Apply("weigh", (Name(given.weights), given.memory)), scored.lines[-1]
    if gate.target != given.weights:  # what scales the sum comes last
        summed = Apply("weigh", (Name(gate.target), given.memory))
    lines = (*scored.lines, Equation(context, summed, "sum of the positions"))
    fed = _fed(cell, context, names)
    return changed(
        cell,
        f"attend({kind})",
        (*lines, *fed),
        states=(*cell.states, *scored.states),
        memories=(*cell.memories, memory),
        sizes=(*cell.own_sizes, *scored.sizes),
        init=scored.init,
    )


def _fed(cell: Cell, context: str, names: Names) -> list[Equation]:
    """Let every matrix product of the first input stand beside one of the context."""
    first, matrices = cell.inputs[0], dict[str, str]()

    def beside(node: Node) -> Node:
        node = rebuild(node, tuple(beside(child) for child in children(node)))
        if not isinstance(node, Product) or node.operand != Name(first) or node.transposed:
            return node
        if node.matrix not in matrices:
            stem, _, index = node.matrix.partition("_")
            matrices[node.matrix] = names.fresh(f"C_{index}" if index else "C" if stem == "W" else f"C_{stem}")
        return Apply("add", (node, Product(matrices[node.matrix], Name(context))))

    lines = [replace(line, value=beside(line.value)) for line in lines_of(cell).values()]
    if not matrices:
        raise CellError(
            f"The cell `{cell.name}` cannot attend: no matrix reads its input `{first}`, so the sum of the positions "
            "has nowhere to enter. Give it one, as in `W @ x`."
        )
    return lines


def _additive(given: _Names, *, bias: bool = True, further: tuple[Node, ...] = ()) -> _Scored:
    """V . tanh(U m + V h + b), with further terms inside."""
    row, on_memory, on_query = (given.fresh(name) for name in ("v_a", "U_a", "V_a"))
    terms: list[Node] = [Product(on_memory, given.memory), Product(on_query, given.query), *further]
    sized: tuple[str, ...] = ()
    if bias:
        sized = (given.fresh("b_a"),)
        terms.append(Name(sized[0]))
    score = Product(row, Apply("tanh", (added(terms),)))
    return _Scored(_normalised(given, score), sizes=sized)


def _normalised(given: _Names, score: Node) -> tuple[Equation, ...]:
    name = given.fresh("score")
    return (
        Equation(name, score, "score of each position"),
        Equation(given.weights, Apply("softmax", (Name(name),)), "weight of each position"),
    )


def _dot(given: _Names) -> _Scored:
    """The product of every position with the query: both have one size."""
    return _Scored(_normalised(given, Apply("match", (given.memory, given.query))))


def _general(given: _Names) -> _Scored:
    """The product of every position with the query, mapped to the size of the memory."""
    return _Scored(_normalised(given, Apply("match", (given.memory, Product(given.fresh("U_a"), given.query)))))


def _concat(given: _Names) -> _Scored:
    """V . tanh(W [h; m]): a matrix on both is a matrix on each, and there is no bias."""
    return _additive(given, bias=False)


def _gated(given: _Names) -> _Scored:
    """Additive, and a number between 0 and 1 scales the sum of the positions."""
    scored, gate, weights = _additive(given), given.fresh("beta"), given.fresh("gated")
    value = Apply("sigmoid", (Apply("add", (Product(given.fresh("f_a"), given.query), Name(given.fresh("f_b")))),))
    lines = (
        Equation(gate, value, "how much of the memory is read"),
        Equation(weights, Apply("mul", (Name(gate), Name(given.weights))), "scaled weight of each position"),
    )
    return replace(scored, lines=(*scored.lines, *lines))


def _window(given: _Names) -> _Scored:
    """A mixture of Gaussians over positions, whose centres only move forward."""
    alpha, beta, kappa, near = (given.fresh(name) for name in ("alpha", "beta", "kappa", "near"))

    def positive(name: str) -> Node:
        return Apply(
            "exp", (Apply("add", (Product(given.fresh(f"V_{name}"), given.query), Name(given.fresh(f"b_{name}")))),)
        )

    away = Apply("sub", (Name(kappa), Apply("place", (given.memory,))))
    square = Apply("mul", (Apply("mul", (Apply("neg", (Name(beta),)), away)), away))
    lines = (
        Equation(alpha, positive("alpha"), "height of each Gaussian"),
        Equation(beta, positive("beta"), "narrowness of each Gaussian"),
        Equation(kappa, Apply("add", (Name(kappa, previous=True), positive("kappa"))), "centre of each Gaussian"),
        Equation(near, Apply("exp", (square,)), "each Gaussian at each position"),
        Equation(given.weights, Apply("match", (Name(near), Name(alpha))), "weight of each position, not normalised"),
    )
    return _Scored(lines, states=(kappa,), sizes=(kappa,))


def _location(given: _Names) -> _Scored:
    """Additive, with a convolution over the previous step's weights: a vector for each neighbouring position."""
    half = given.width // 2
    before: Node = Name(given.weights, previous=True)
    terms = tuple(
        Apply(
            "spread",
            (Apply("shift", (before, Number(float(by)))) if by else before, Name(given.fresh(f"F_{by + half}"))),
        )
        for by in range(-half, half + 1)
    )
    return replace(_additive(given, further=terms), states=(given.weights,))


KINDS: Mapping[str, Callable[[_Names], _Scored]] = {
    "additive": _additive,
    "dot": _dot,
    "general": _general,
    "concat": _concat,
    "gated": _gated,
    "window": _window,
    "location": _location,
}
"""The equations of each kind of attention, up to the weights of the positions."""
