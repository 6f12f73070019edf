"""Replace names in the equations of a cell by other names."""

import dataclasses

from gatework.cells.cell import Cell
from gatework.cells.changing import changed, lines_of
from gatework.errors import CellError, did_you_mean
from gatework.language.nodes import Name, Node, walk
from gatework.language.simplify import needed, substitute


def replace(cell: Cell, **names: str) -> Cell:
    r"""Let every line that reads a name read another one in its place.

    Lines, inputs and outputs that are then without use are left out. A variational network, for example, reads its
    posterior in training; with its prior in place of the posterior it generates.

    Args:
        cell: The cell to change.
        **names: The replacement of each name, as in ``mu="mu0"``. Both must be lines of the cell, and not states.

    Returns:
        The cell that reads the replacements.

    Raises:
        CellError: If a name has no line, is a state, or reads what would replace it.

    Example:
        >>> from gatework.cells import cell
        >>> mine = cell("a = W @ x\nb = V @ h\nh = tanh(a + R @ h + 0 * b)", states="h", name="mine")
        >>> print(replace(mine, b="a"))
        a = W @ x
        h = tanh(a + R @ h + 0 * a)
    """
    lines = lines_of(cell)
    for name in (*names, *names.values()):
        if name not in lines or name in cell.states:
            known = tuple(line for line in lines if line not in cell.states)
            raise CellError(
                f"`{name}` cannot be replaced, or stand for another name, in the cell `{cell.name}`: it is no line of "
                f"its own, or a state. The other lines are {', '.join(known)}.{did_you_mean(name, known)}"
            )
    values: dict[Name, Node] = {Name(old): Name(new) for old, new in names.items()}
    kept = [
        dataclasses.replace(line, value=substitute(line.value, values))
        for line in lines.values()
        if line.target not in names
    ]
    outputs = tuple(name for name in cell.outputs if name not in names)
    kept = [*needed([*kept, *(lines[name] for name in names)], (*cell.states, *outputs))]
    reads = {node.name for line in kept for node in walk(line.value) if isinstance(node, Name)}
    told = ",".join(f"{old}={new}" for old, new in names.items())
    inputs = tuple(name for name in cell.inputs if name in reads)
    # The size of the first input is given. If another input comes first now, names of its size have none of their own.
    first = cell.step.sizes_of[inputs[0]] if inputs else ""
    sizes = tuple(entry for entry in cell.own_sizes if f"size_{entry.partition('=')[0]}" != first)
    return changed(cell, f"replace({told})", kept, inputs=inputs, outputs=outputs, sizes=sizes)
