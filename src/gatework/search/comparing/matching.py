"""Sizes that make cells comparable: as many learned numbers for each, or as many units."""

from dataclasses import dataclass

from gatework.cells import Cell
from gatework.errors import CellError, ConfigError, SizeError
from gatework.search.comparing.config import CompareConfig
from gatework.training.jobs.protocol import Shape

# No layer has more units; the search for a size ends here.
_LARGEST = 2**24


@dataclass(frozen=True)
class Size:
    """How large a cell's model is.

    Args:
        hidden_size: Units of each layer.
        parameters: Numbers that the whole model learns.
    """

    hidden_size: int
    parameters: int


def match_sizes(
    config: CompareConfig, cells: dict[str, Cell], shape: Shape | None, hidden_size: int
) -> dict[str, Size]:
    """Choose the units of every cell.

    Args:
        config: The comparison; it says what is matched, and to which cell.
        cells: The cells by label, with the transformations that the task asks for.
        shape: The rest of the model; None where the job cannot count it.
        hidden_size: Units of the reference cell.

    Returns:
        For each label of the comparison the size of its model.

    Raises:
        ConfigError: Naming every cell that cannot take part, and why.
    """
    if shape is None:
        raise ConfigError(
            f"Cells cannot be compared on task '{config.task}': the numbers that its models learn cannot be counted "
            "beforehand. Expected another task; `gatework tasks` lists them."
        )
    taking_part = {label: cells[label] for label in config.cells}
    _refuse(taking_part, shape, hidden_size, config.match)
    if config.match == "size":
        return {label: Size(hidden_size, shape.count(cell, hidden_size)) for label, cell in taking_part.items()}
    reference = config.reference_cell
    _refuse({reference: cells[reference]}, shape, hidden_size, "size")
    wanted = shape.count(cells[reference], hidden_size)
    return {label: nearest_size(cell, shape, wanted) for label, cell in taking_part.items()}


def nearest_size(cell: Cell, shape: Shape, wanted: int) -> Size:
    """Find the units with which a model learns as many numbers as wanted, as nearly as can be.

    Args:
        cell: Its cell.
        shape: The rest of it.
        wanted: The number.

    Returns:
        The nearest size; of two equally near ones the smaller.

    Raises:
        SizeError: When the sizes do not fit the cell.

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
        # More units learn more, but for one size: a cell that reads its input elementwise and is as wide has no map.
        return any(sized(one).parameters >= wanted for one in (multiple, multiple - 1) if one >= least)

    high = least
    while sized(high).parameters < wanted and high * unit < _LARGEST:
        high *= 2
    low = least
    while low < high:  # the smallest with at least as many
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    around = {low - 2, low - 1, low} | ({shape.width // unit} if shape.width % unit == 0 else set())
    sizes = [sized(multiple) for multiple in sorted(around) if multiple >= least]
    return min(sizes, key=lambda size: abs(size.parameters - wanted))


def _refuse(cells: dict[str, Cell], shape: Shape, hidden_size: int, match: str) -> None:
    """Refuse cells that cannot have the sizes, all of them in one sentence."""
    faults = []
    for label, cell in cells.items():
        unit = cell.step.multiple_of
        size = hidden_size if match == "size" else unit * max(shape.fewest(cell), round(hidden_size / unit))
        try:
            shape.count(cell, size)
        except (SizeError, CellError) as error:
            faults.append(f"{label} ({str(error).rstrip('.')})")
    if faults:
        raise ConfigError(f"these cells cannot take part at this task and size: {'; '.join(faults)}. Leave them out")
