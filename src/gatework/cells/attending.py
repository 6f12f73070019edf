"""Let a cell attend to a memory: the equations of attention, added to the equations of any cell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gatework.cells.cell import Cell
from gatework.cells.changing import changed, lines_of
from gatework.errors import CellError, did_you_mean
from gatework.language.nodes import Apply, Equation, Name, Node, Product, children, rebuild, walk
from gatework.language.parse import read
from gatework.language.positions import find_positions
from gatework.language.spelling import Names

MOST_WIDTH = 51  # positions that location attention looks at; more terms are more levels than a text may have


@dataclass(frozen=True)
class _Kind:
    """A kind of attention. In its equations m is the memory, and q the query; the last line is the sum.

    Args:
        equations: The equations.
        states: Names that are carried from step to step.
        sizes: Names with sizes of their own.
    """

    equations: str
    states: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()


_WEIGHTS = """
    a = softmax(score)  # weight of each position
    z = a @ m           # sum of the positions
"""
_ADDITIVE = "score = v_a @ tanh(U_a @ m + V_a @ q + b_a)  # score of each position"

KINDS: Mapping[str, _Kind] = {
    "additive": _Kind(_ADDITIVE + _WEIGHTS, sizes=("b_a",)),
    "dot": _Kind("score = m @ q  # score of each position" + _WEIGHTS),
    "general": _Kind("score = m @ (U_a @ q)  # score of each position" + _WEIGHTS),
    # A matrix on [q; m] is a matrix on each.
    "concat": _Kind("score = v_a @ tanh(U_a @ m + V_a @ q)  # score of each position" + _WEIGHTS),
    "gated": _Kind(
        _ADDITIVE
        + """
        a = softmax(score)              # weight of each position
        beta = sigmoid(f_a @ q + f_b)   # how much of the memory is read
        gated = beta * a                # scaled weight of each position
        z = gated @ m                   # sum of the positions
        """,
        sizes=("b_a",),
    ),
    "window": _Kind(
        """
        alpha = exp(V_alpha @ q + b_alpha)                           # height of each Gaussian
        beta = exp(V_beta @ q + b_beta)                              # narrowness of each Gaussian
        kappa = prev(kappa) + exp(V_kappa @ q + b_kappa)             # centre of each Gaussian
        near = exp(-beta * (kappa - place(m)) * (kappa - place(m)))  # each Gaussian at each position
        a = near @ alpha                                             # weight of each position, not normalised
        z = a @ m                                                    # sum of the positions
        """,
        states=("kappa",),
        sizes=("kappa",),
    ),
    "location": _Kind(
        "score = v_a @ tanh(U_a @ m + V_a @ q + SEEN + b_a)  # score of each position" + _WEIGHTS,
        states=("a",),
        sizes=("b_a",),
    ),
}
"""The kinds of attention, each as equations."""


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
        The cell with a memory. The size of the sum inside tanh is named by its bias, ``b_a``.

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
    if not isinstance(kind, str) or kind not in KINDS:
        known, hint = ", ".join(KINDS), did_you_mean(str(kind), KINDS)
        raise CellError(f"There is no kind of attention {kind!r}. Choose one of {known}.{hint}")
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MOST_WIDTH or width % 2 == 0:
        raise CellError(f"width is {width!r}; expected an odd whole number of positions from 1 to {MOST_WIDTH}.")
    taken = {*cell.step.sizes_of, *(one.name for one in cell.step.parameters)}
    if not isinstance(memory, str) or not memory.isidentifier() or memory in taken:
        raise CellError(
            f"The memory cannot be named {memory!r}: expected a name that the cell `{cell.name}` does not have. Choose "
            "another, such as memory='bank'."
        )
    row, names = KINDS[kind], Names(cell.step, taken=[memory])
    lines = read(row.equations.replace("SEEN", _seen(width)))
    known = {"m": Name(memory), "q": Name(cell.states[0], previous=True)}
    known |= {name: Name(names.fresh(name)) for name in _names_of(lines) if name not in known}
    lines = tuple(replace(line, target=known[line.target].name, value=_renamed(line.value, known)) for line in lines)
    lines, _ = find_positions(lines, {memory: memory}, _unexpected)
    return changed(
        cell,
        f"attend({kind})",
        (*lines, *_fed(cell, lines[-1].target, names)),
        states=(*cell.states, *(known[name].name for name in row.states)),
        memories=(*cell.memories, memory),
        sizes=(*cell.own_sizes, *(known[name].name for name in row.sizes)),
    )


def _unexpected(message: str, node: Node | None) -> CellError:
    """Make the error for equations of attention that do not fit together. The names may be the user's."""
    return CellError(message)


def _seen(width: int) -> str:
    """Write the convolution over the previous step's weights: a vector for each neighbouring position."""
    half = width // 2
    moved = [f"shift(prev(a), {by})" if by else "prev(a)" for by in range(-half, half + 1)]
    return " + ".join(f"spread({weights}, F_{number})" for number, weights in enumerate(moved))


def _names_of(lines: tuple[Equation, ...]) -> dict[str, None]:
    """Name everything in equations, in order."""
    named: dict[str, None] = {}
    for line in lines:
        for node in walk(line.value):
            if isinstance(node, Name | Product):
                named.setdefault(node.name if isinstance(node, Name) else node.matrix)
        named.setdefault(line.target)
    return named


def _renamed(node: Node, names: Mapping[str, Name]) -> Node:
    if isinstance(node, Name):
        return Name(names[node.name].name, node.previous or names[node.name].previous)
    node = rebuild(node, tuple(_renamed(below, names) for below in children(node)))
    return replace(node, matrix=names[node.matrix].name) if isinstance(node, Product) else node


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
