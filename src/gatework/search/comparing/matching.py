"""Sizes that make cells comparable: the same number of parameters for each, or the same number of units."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gatework.cells import Cell
from gatework.errors import CellError, ConfigError, SizeError
from gatework.search.comparing.config import CompareConfig
from gatework.training.jobs.protocol import Shape

# No layer has more units; the search for a size ends here.
_LARGEST = 2**24


@dataclass(frozen=True)
class Size:
    """The size of a cell's model.

    Args:
        hidden_size: The number of units of each layer.
        parameters: The number of parameters of the whole model.
    """

    hidden_size: int
    parameters: int


def match_sizes(
    config: CompareConfig,
    cells: dict[str, Cell],
    shape: Shape | None,
    hidden_size: int,
    own: Mapping[str, Shape | None] = MappingProxyType({}),
) -> dict[str, Size]:
    """Choose the units of every cell.

    Args:
        config: The configuration of the comparison; it determines what is matched, and to which cell.
        cells: The cells by label, with the transformations that the task requires.
        shape: The rest of the model; None if the job cannot count its parameters.
        hidden_size: The number of units of the reference cell.
        own: The rest of the model for entries with a setting of their own.

    Returns:
        The size of each model, by label.

    Raises:
        ConfigError: If cells cannot take part; the message names each of them and the reason.
    """
    if shape is None:
        raise ConfigError(
            f"Cells cannot be compared on task '{config.task}': the numbers that its models learn cannot be counted "
            "beforehand. Expected another task; `gatework tasks` lists them."
        )
    taking_part = {label: cells[label] for label in config.entries}
    shapes = {label: own.get(label) or shape for label in taking_part}
    _refuse(taking_part, shapes, hidden_size, config.match)
    if config.match == "size":
        return {label: Size(hidden_size, shapes[label].count(cell, hidden_size)) for label, cell in taking_part.items()}
    reference = config.reference_cell
    _refuse({reference: cells[reference]}, {reference: shape}, hidden_size, "size")
    wanted = shape.count(cells[reference], hidden_size)
    return {label: nearest_size(cell, shapes[label], wanted) for label, cell in taking_part.items()}


def nearest_size(cell: Cell, shape: Shape, wanted: int) -> Size:
    """Find the number of units with which a model has most nearly a wanted number of parameters.

    Args:
        cell: The cell of the model.
        shape: The rest of the model.
        wanted: The wanted number of parameters.

    Returns:
        The nearest size, or the smaller of two equally near ones.

    Raises:
        SizeError: If the sizes do not fit the cell.

    Example:
        >>> from gatework.cells import CELLS
        >>> from gatework.training.jobs.shape import SequenceShape
        >>> nearest_size(CELLS["rnn"], SequenceShape(inputs=2, outputs=1), 4513)
        Size(hidden_size=65, parameters=4486)
    """
    unit, least = cell.step.multiple_of, shape.fewest(cell)

    def sized(multiple: int) -> Size:
        return Size(multiple * unit, shape.count(cell, multiple * unit))

    def enough(multiple: int) -> bool:
        # More units mean more parameters, with one exception: a cell that uses its input elementwise needs no map if it
        # has as many units as the input has features.
        return any(sized(one).parameters >= wanted for one in (multiple, multiple - 1) if one >= least)

    high = least
    while sized(high).parameters < wanted and high * unit < _LARGEST:
        high *= 2
    low = least
    while low < high:  # the smallest with at least the wanted number
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    around = {low - 2, low - 1, low} | ({shape.width // unit} if shape.width % unit == 0 else set())
    sizes = [sized(multiple) for multiple in sorted(around) if multiple >= least]
    return min(sizes, key=lambda size: abs(size.parameters - wanted))


def _refuse(cells: dict[str, Cell], shapes: Mapping[str, Shape], hidden_size: int, match: str) -> None:
    """Refuse cells that cannot have these sizes, all in one message."""
    faults = []
    for label, cell in cells.items():
        unit, shape = cell.step.multiple_of, shapes[label]
        size = hidden_size if match == "size" else unit * max(shape.fewest(cell), round(hidden_size / unit))
        try:
            shape.count(cell, size)
        except (SizeError, CellError) as error:
            faults.append(f"{label} ({str(error).rstrip('.')})")
    if faults:
        raise ConfigError(f"These cells cannot take part at this task and size: {'; '.join(faults)}. Leave them out.")
