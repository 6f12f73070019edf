"""The parameters of a cell as rows of a table: the name, the equation and the shape of each."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from gatework.cells import Cell
from gatework.language import Name, Product, Step
from gatework.language.nodes import walk


class Sizes(TypedDict):
    """The sizes of one layer, as ``Cell.count`` and ``Cell.parameters`` take them."""

    input_size: int | tuple[int, ...]
    hidden_size: int
    proj_size: int | None
    memory_size: Mapping[str, int] | None


def fitting_sizes(
    cell: Cell, input_size: int, hidden_size: int, proj_size: int | None = None, memory_size: int = 64
) -> Sizes:
    """Adapt sizes to a cell: some cells need an input as wide as the state, and some need a projected size.

    Args:
        cell: The cell.
        input_size: Number of input features; changed if the equations need another size.
        hidden_size: Number of hidden units; never changed.
        proj_size: Size of a projected output; half the hidden size if the cell needs one and None is given.
        memory_size: Size of the vectors of every memory whose size does not follow from others.

    Returns:
        The keyword arguments for ``cell.count`` and ``cell.parameters``; of a cell with several inputs, a tuple with
        the sizes that do not follow from others.

    Example:
        >>> from gatework.cells import CELLS
        >>> fitting_sizes(CELLS["mut2"], 64, 128)
        {'input_size': 128, 'hidden_size': 128, 'proj_size': None, 'memory_size': None}
    """
    if "proj_size" in cell.step.size_keys and proj_size is None:
        proj_size = cell.proj_size or max(1, hidden_size // 2)
    first, *others = (cell.step.sizes_of[name] for name in cell.inputs)
    known = {"input_size": input_size, "proj_size": proj_size}
    given = known.get(first) or hidden_size, *(input_size for key in others if key.startswith("input_size"))
    free = [name for name in cell.step.banks if cell.step.sizes_of[name].startswith("memory_size")]
    return {
        "input_size": given if len(given) > 1 else given[0],
        "hidden_size": hidden_size,
        "proj_size": proj_size,
        "memory_size": dict.fromkeys(free, memory_size) or None,
    }


def parameter_table(
    cell: Cell,
    input_size: int | Sequence[int],
    hidden_size: int,
    proj_size: int | None = None,
    memory_size: int | Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """List the parameters of one layer, each with the equation it belongs to.

    Args:
        cell: The cell.
        input_size: Number of input features; a sequence for several inputs.
        hidden_size: Number of hidden units, and the size of every name that has one of its own.
        proj_size: Size of the output, if the cell projects it.
        memory_size: Size of the vectors of the memory, or of each by name.

    Returns:
        One row per parameter: ``name``, ``equation``, ``role``, ``structure``, ``shape`` and ``count``.

    Raises:
        SizeError: If the cell cannot have these sizes.

    Example:
        >>> from gatework.cells import CELLS
        >>> [(row["name"], row["shape"], row["count"]) for row in parameter_table(CELLS["rnn"], 3, 5)]
        [('W_h', [5, 3], 15), ('R_h', [5, 5], 25), ('b_h', [5], 5)]
    """
    sizes = cell.sizes(input_size, hidden_size, proj_size, memory_size=memory_size)
    owner = owners(cell.step)
    return [
        {
            "name": parameter.name,
            "equation": owner[parameter.name],
            "role": parameter.role,
            "structure": parameter.structure,
            "shape": list(parameter.shape(sizes)),
            "count": parameter.count(sizes),
        }
        for parameter in cell.step.parameters
    ]


def owners(step: Step) -> dict[str, str]:
    """Find the equation of each parameter, which is the first equation that reads it.

    Args:
        step: The cell's equations.

    Returns:
        Parameter -> the target of its equation, in the order of the parameters.
    """
    first: dict[str, str] = {}
    for equation in step.equations:
        for node in walk(equation.value):
            if isinstance(node, Product):
                first.setdefault(node.matrix, equation.target)
            elif isinstance(node, Name):
                first.setdefault(node.name, equation.target)
    return {parameter.name: first[parameter.name] for parameter in step.parameters}
