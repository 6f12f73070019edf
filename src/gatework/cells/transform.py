"""Options and regularisers as transformations of equations.

Each function takes any cell, from the registry or typed by a user, and returns a cell. The rest of the library does not
know how the cell was made. The functions compose in any order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gatework.cells.cell import Cell
from gatework.cells.changing import changed, lines_of
from gatework.errors import CellError
from gatework.language.anatomy import before_mask, find_activations
from gatework.language.nodes import (
    ONE_NUMBER,
    Apply,
    Equation,
    Name,
    Node,
    Number,
    Product,
    Step,
    children,
    rebuild,
    walk,
)
from gatework.language.simplify import substitute
from gatework.language.spelling import Names


def peephole(cell: Cell, gates: Iterable[str] = "ifo", state: str | None = None) -> Cell:
    """Let gates see the cell state: add ``p_gate * c`` inside the activation of each gate.

    A gate that the state's own line depends on sees the value of the previous step. Any other gate (the output gate)
    sees the value of this step.

    Args:
        cell: The cell to change.
        gates: Names of the gates, as the letters of a string or as a sequence.
        state: The state that the gates see; None takes the second state.

    Returns:
        The cell with peepholes.

    Raises:
        CellError: If the cell has no such gate or no second state.

    Source:
        Gers & Schmidhuber 2000, "Recurrent nets that time and count".

    Example:
        >>> from gatework.cells import CELLS
        >>> print(str(peephole(CELLS["lstm"], "o")).splitlines()[4])
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)  # output gate
    """
    if not isinstance(gates, Iterable):
        raise CellError(f"The gates with peepholes are {gates!r}; expected their names, such as 'ifo' for all three.")
    state = state or _cell_state(cell)
    current = before_mask(cell.step.equations, state)
    lines = lines_of(cell)
    gates, names = tuple(dict.fromkeys(gates)), Names(cell.step)
    for gate in gates:
        equation = _gate(cell, gate)
        assert isinstance(equation.value, Apply)
        above = gate in _needs(cell.step, current)
        seen = Name(state, previous=True) if above else Name(current)
        weight = names.fresh(f"p_{gate}")
        inside = Apply("add", (equation.value.arguments[0], Apply("mul", (Name(weight), seen))))
        lines[gate] = replace(equation, value=Apply(equation.value.function, (inside,)))
    return changed(cell, f"peephole({','.join(gates)})", lines.values())


def coupled(cell: Cell, forget: str = "f", write: str = "i") -> Cell:
    """Couple two gates, so that the cell forgets exactly as much as it writes: ``f = 1 - i``.

    Args:
        cell: The cell to change.
        forget: The gate that loses its own equation.
        write: The gate that determines it.

    Returns:
        The cell with one learned gate less.

    Raises:
        CellError: If the cell lacks one of the gates.

    Source:
        Greff et al. 2015, variant CIFG.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(str(coupled(CELLS["lstm"])).splitlines()[1])
        f = 1 - i                             # forget gate
    """
    _gate(cell, write)
    lines = lines_of(cell)
    lines[forget] = replace(_gate(cell, forget), value=Apply("sub", (Number(1.0), Name(write))))
    return changed(cell, "coupled", lines.values())


def layer_norm(cell: Cell) -> Cell:
    """Normalise every matrix product, each with its own gain, and the cell state where the output reads it.

    The mean and the variance are taken over the units of one gate. If the output divides by a state, as in an sLSTM,
    the states are not normalised, because a normalised divisor may be zero.

    Args:
        cell: The cell to change.

    Returns:
        The cell with layer norm; gains ``a_<matrix>`` start at 1, shifts ``s_<state>`` at 0.

    Source:
        Ba, Kiros & Hinton 2016, equations 20 to 22.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(layer_norm(CELLS["rnn"]))
        h = tanh(a_W_h * norm(W_h @ x) + a_R_h * norm(R_h @ h) + b_h)  # hidden state
    """
    init: dict[str, float | str] = {}
    names = Names(cell.step)
    gains: dict[tuple[str, bool], str] = {}  # R @ h and R.T @ h may differ in size
    projections = {one.name for one in cell.step.parameters if one.role == "projection" or one.rows == ONE_NUMBER}

    def gained(node: Node) -> Node:
        node = rebuild(node, tuple(gained(child) for child in children(node)))
        if not isinstance(node, Product) or node.matrix in projections:  # nor single numbers, which have no variance
            return node
        key = (node.matrix, node.transposed)
        gain = gains[key] = gains.get(key) or names.fresh(f"a_{node.matrix}")
        init[gain] = 1.0
        return Apply("mul", (Name(gain), Apply("norm", (node,))))

    lines = {name: replace(equation, value=gained(equation.value)) for name, equation in lines_of(cell).items()}
    output = lines[before_mask(cell.step.equations, cell.states[0])]
    currents = {state: before_mask(cell.step.equations, state) for state in cell.states[1:]}
    divides = {node for divisor in _divisors(output.value) for node in walk(divisor)}
    for state, current in currents.items():
        if divides.isdisjoint(map(Name, currents.values())) and any(
            node == Name(current) for node in walk(output.value)
        ):
            gain, shift = names.fresh(f"a_{state}"), names.fresh(f"s_{state}")
            init |= {gain: 1.0, shift: 0.0}
            scaled = Apply("mul", (Name(gain), Apply("norm", (Name(current),))))
            normed = Apply("add", (scaled, Name(shift)))
            output = replace(output, value=substitute(output.value, {Name(current): normed}))
    lines[output.target] = output
    return changed(cell, "layer_norm", lines.values(), init=init)


def zoneout(cell: Cell, **rates: float) -> Cell:
    """Let randomly chosen units of a state keep their previous value; in evaluation, take the expectation.

    The rest of the step reads the state before the masking, as in the paper.

    Args:
        cell: The cell to change.
        **rates: For each state, by name, the probability of keeping the old value.

    Returns:
        The cell with masked states.

    Raises:
        CellError: If a name is no state, or a rate lies outside 0 to 1.

    Source:
        Krueger et al. 2016, "Zoneout", arXiv:1606.01305.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(zoneout(CELLS["rnn"], h=0.05))
        h_new = tanh(W_h @ x + R_h @ h + b_h)  # hidden state
        keep_h = bernoulli(0.05)               # zoneout mask: 1 keeps the old value
        h = keep_h * h + (1 - keep_h) * h_new  # after zoneout
    """
    lines, masked, names = lines_of(cell), [], Names(cell.step)
    for state, rate in rates.items():
        if state not in cell.states:
            raise CellError(f"zoneout of `{state}`: the cell `{cell.name}` has the states {', '.join(cell.states)}.")
        _check_rate("zoneout", rate)
        new, keep = names.fresh(f"{state}_new"), names.fresh(f"keep_{state}")
        lines = {
            name: replace(line, value=substitute(line.value, {Name(state): Name(new)})) for name, line in lines.items()
        }
        lines[state] = replace(lines[state], target=new)
        kept = Apply("mul", (Name(keep), Name(state, previous=True)))
        taken = Apply("mul", (Apply("sub", (Number(1.0), Name(keep))), Name(new)))
        mask = Apply("bernoulli", (Number(float(rate)),))
        masked.append(Equation(keep, mask, "zoneout mask: 1 keeps the old value"))
        masked.append(Equation(state, Apply("add", (kept, taken)), "after zoneout"))
    what = ",".join(f"{state}={rate}" for state, rate in rates.items())
    return changed(cell, f"zoneout({what})", (*lines.values(), *masked))


def recurrent_dropout(cell: Cell, rate: float, on: str | None = None) -> Cell:
    """Apply dropout to what is written to the state, and never to what the state keeps.

    Args:
        cell: The cell to change.
        rate: The probability of dropping a unit. The remaining units are divided by 1 - rate, so evaluation needs no
            change.
        on: The quantity to drop; None takes the candidate, ``g`` or ``n``.

    Returns:
        The cell with a mask on its candidate.

    Raises:
        CellError: If the cell has no such quantity, or the rate lies outside 0 to 1.

    Source:
        Semeniuta, Severyn & Barth 2016, "Recurrent dropout without memory loss", arXiv:1603.05118.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(str(recurrent_dropout(CELLS["lstm"], 0.25)).splitlines()[3])
        g = tanh(W_g @ x + R_g @ h + b_g) * (drop_g / 0.75)  # candidate
    """
    _check_rate("recurrent_dropout", rate)
    lines = lines_of(cell)
    target = on or next((name for name in ("g", "n") if name in lines and name not in cell.states), None)
    if target is None or target not in lines or target in cell.step.draws:
        raise CellError(
            f"The cell `{cell.name}` has no candidate `{on or 'g or n'}` to drop. Choose with on= one of "
            f"{', '.join(lines)}."
        )
    mask = Names(cell.step).fresh(f"drop_{target}")
    scaled = Apply("div", (Name(mask), Number(1.0 - rate)))
    dropped = replace(lines[target], value=Apply("mul", (lines[target].value, scaled)))
    result: list[Equation] = []
    for name, line in lines.items():
        if name == target:
            result.append(Equation(mask, Apply("bernoulli", (Number(1.0 - rate),)), "dropout mask"))
        result.append(dropped if name == target else line)
    return changed(cell, f"recurrent_dropout({rate})", result)


def project(cell: Cell, proj_size: int | None = None) -> Cell:
    """Project the output to another size; dense matrices on the output then read the projection.

    If the equations also use the output elementwise or in blocks, as in a GRU and a Clockwork RNN, the unprojected
    value becomes a further state.

    Args:
        cell: The cell to change.
        proj_size: Size of the new output; None leaves it to the layer.

    Returns:
        The cell with a matrix ``P`` on its output.

    Raises:
        CellError: If the output is already projected.

    Source:
        Sak, Senior & Beaufays 2014, arXiv:1402.1128.

    Example:
        >>> from gatework.cells import CELLS
        >>> print(str(project(CELLS["lstm"], 64)).splitlines()[-1])
        h = P @ (o * tanh(c))                 # hidden state
    """
    if "proj_size" in cell.step.size_keys:
        raise CellError(f"The cell `{cell.name}` projects its output already; its size is proj_size.")
    names, output = Names(cell.step), cell.states[0]
    matrix = names.fresh("P")
    lines = lines_of(cell)
    if any(_reads_elementwise(line.value, output) for line in lines.values()):
        full = names.fresh(f"{output}_full")
        lines = {name: replace(line, value=_unprojected(line.value, output, full)) for name, line in lines.items()}
        lines[output] = replace(lines[output], target=full)
        result = (*lines.values(), Equation(output, Product(matrix, Name(full)), "projected output"))
        states = (*cell.states, full)
    else:
        lines[output] = replace(lines[output], value=Product(matrix, lines[output].value))
        result, states = tuple(lines.values()), cell.states
    return changed(cell, f"project({proj_size or ''})", result, states=states, proj_size=proj_size)


def blocks(cell: Cell, count: int) -> Cell:
    """Set the number of blocks: the heads of an sLSTM, the modules of a Clockwork RNN.

    Args:
        cell: A cell with structured matrices.
        count: The number of blocks. Every size that is split into blocks must be a multiple of it.

    Returns:
        The cell with that number of blocks.

    Raises:
        CellError: If the cell has no structured matrices.

    Example:
        >>> from gatework.cells import CELLS
        >>> blocks(CELLS["clockwork"], 4).step.multiple_of
        4
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise CellError(f"blocks has the count {count!r}; expected a whole number of at least 1.")
    if not cell.step.multiples:
        raise CellError(f"The cell `{cell.name}` has no blocks to set.")

    def counted(node: Node) -> Node:
        node = rebuild(node, tuple(counted(child) for child in children(node)))
        if isinstance(node, Apply) and node.function == "period":
            return Apply("period", (Number(float(count)),))
        if isinstance(node, Product) and node.structure != "dense":
            return replace(node, blocks=count)
        return node

    lines = [replace(line, value=counted(line.value)) for line in cell.step.equations]
    return changed(cell, f"blocks({count})", lines)


def _cell_state(cell: Cell) -> str:
    if len(cell.states) < 2:
        raise CellError(
            f"The cell `{cell.name}` has one state, {cell.states[0]}. Say with state= which one gates look at."
        )
    return cell.states[1]


def _gate(cell: Cell, name: str) -> Equation:
    """Find a gate: a line that applies an activation to a sum with a matrix product."""
    gates = find_activations(cell.step)
    if name not in gates:
        raise CellError(f"The cell `{cell.name}` has no gate `{name}` of its own; it has {', '.join(gates) or 'none'}.")
    return gates[name]


def _needs(step: Step, name: str) -> set[str]:
    """Name everything that the value of a name in this step depends on."""
    lines = {equation.target: equation for equation in step.equations}
    needed_names: set[str] = set()
    pending = [name]
    while pending:
        for node in walk(lines[pending.pop()].value):
            if isinstance(node, Name) and not node.previous and node.name in lines and node.name not in needed_names:
                needed_names.add(node.name)
                pending.append(node.name)
    return needed_names


def _divisors(node: Node) -> Iterator[Node]:
    for below in walk(node):
        if isinstance(below, Apply) and below.function == "div":
            yield below.arguments[1]


def _is_plain(node: Node) -> bool:
    """Tell whether a node is a dense product with a previous value. Only such a node can read a projected output."""
    if not isinstance(node, Product) or node.structure != "dense":
        return False
    return isinstance(node.operand, Name) and node.operand.previous


def _reads_elementwise(node: Node, output: str) -> bool:
    if _is_plain(node):
        return False
    if isinstance(node, Name):
        return node.name == output
    return any(_reads_elementwise(child, output) for child in children(node))


def _unprojected(node: Node, output: str, full: str) -> Node:
    """Let elementwise uses of the output read the unprojected value."""
    if _is_plain(node):
        return node
    if isinstance(node, Name) and node.name == output:
        return Name(full, node.previous)
    return rebuild(node, tuple(_unprojected(child, output, full) for child in children(node)))


def _check_rate(what: str, rate: float) -> None:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise CellError(f"{what} has the rate {rate!r}; expected a probability from 0 to below 1.")
