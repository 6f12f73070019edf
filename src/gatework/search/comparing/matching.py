"""Sizes that make cells comparable: as many learned numbers for each, or as many units."""

from dataclasses import dataclass

import torch

from gatework.cells import Cell
from gatework.errors import CellError, ConfigError, SizeError
from gatework.models.sequences import SequenceModel
from gatework.search.comparing.config import CompareConfig
from gatework.training.config import own_projection

# No layer has more units; the search for a size ends here.
_LARGEST = 2**24


@dataclass(frozen=True)
class Shape:
    """What a model is besides its cell and its units.

    Args:
        inputs: Numbers read at each step, or symbols there are.
        outputs: Scores given.
        num_layers: Layers, one above the other.
        symbols: True where symbols are read.
        embedding_size: Size of a symbol's learned vector; None for one-hot vectors.
        proj_size: Size of a projected output; 0 for none, or half of its units in a cell that has to have one.
    """

    inputs: int
    outputs: int
    num_layers: int = 1
    symbols: bool = False
    embedding_size: int | None = None
    proj_size: int = 0

    @property
    def width(self) -> int:
        """Numbers that the layers are given at each step."""
        return (self.embedding_size if self.symbols else None) or self.inputs


@dataclass(frozen=True)
class Size:
    """How large a cell's model is.

    Args:
        hidden_size: Units of each layer.
        parameters: Numbers that the whole model learns.
    """

    hidden_size: int
    parameters: int


def match_sizes(config: CompareConfig, cells: dict[str, Cell], shape: Shape, hidden_size: int) -> dict[str, Size]:
    """Choose the units of every cell.

    Args:
        config: The comparison; it says what is matched, and to which cell.
        cells: The cells by label, with the transformations that the task asks for.
        shape: The rest of the model.
        hidden_size: Units of the reference cell.

    Returns:
        For each label of the comparison the size of its model.

    Raises:
        ConfigError: Naming every cell that cannot take part, and why.
    """
    taking_part = {label: cells[label] for label in config.cells}
    _refuse(taking_part, shape, hidden_size, config.match)
    if config.match == "size":
        return {label: Size(hidden_size, count(cell, shape, hidden_size)) for label, cell in taking_part.items()}
    reference = config.reference_cell
    _refuse({reference: cells[reference]}, shape, hidden_size, "size")
    wanted = count(cells[reference], shape, hidden_size)
    return {label: nearest_size(cell, shape, wanted) for label, cell in taking_part.items()}


def count(cell: Cell, shape: Shape, hidden_size: int) -> int:
    """Count what a model learns, layers and head together.

    Args:
        cell: Its cell.
        shape: The rest of it.
        hidden_size: Its units.

    Returns:
        The number, with that of the map before a cell that reads its input elementwise; what the equations hold at
        zero, as a clockwork's blocks, is not learned and not counted.

    Raises:
        SizeError: When the sizes do not fit the cell.

    Example:
        >>> from gatework.cells import CELLS
        >>> count(CELLS["lstm"], Shape(inputs=2, outputs=1), 32)  # 4 · (2 · 32 + 32 · 32 + 32) + 32 + 1
        4513
    """
    # On the device `meta` tensors have a shape and no numbers.
    with torch.device("meta"):
        model = SequenceModel(
            shape.inputs,
            shape.outputs,
            cell,
            hidden_size,
            shape.num_layers,
            symbols=shape.symbols,
            embedding_size=shape.embedding_size,
            proj_size=shape.proj_size or own_projection(cell, hidden_size),
        )
    layers = model.recurrent.layers
    inside = sum(parameter.count(layer.sizes) for layer in layers for parameter in layer.step.parameters)
    maps = sum(layer.hidden_size * (layer.projected_from + 1) for layer in layers if layer.projected_from is not None)
    own = {name for name, _ in model.recurrent.named_parameters(prefix="recurrent")}
    return inside + maps + sum(value.numel() for name, value in model.named_parameters() if name not in own)


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
        >>> nearest_size(CELLS["rnn"], Shape(inputs=2, outputs=1), 4513)
        Size(hidden_size=65, parameters=4486)
    """
    unit, least = cell.step.multiple_of, _fewest(cell, shape)

    def sized(multiple: int) -> Size:
        return Size(multiple * unit, count(cell, shape, multiple * unit))

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


def _fewest(cell: Cell, shape: Shape) -> int:
    """Give the fewest units that a cell can have, as a multiple of what it needs a multiple of."""
    # A projected cell needs more units than it gives, and gives at least one.
    gives = shape.proj_size or (1 if own_projection(cell, 2) else 0)
    return max(1, -(-(gives + 1) // cell.step.multiple_of))


def _refuse(cells: dict[str, Cell], shape: Shape, hidden_size: int, match: str) -> None:
    """Refuse cells that cannot have the sizes, all of them in one sentence."""
    faults = []
    for label, cell in cells.items():
        unit = cell.step.multiple_of
        size = hidden_size if match == "size" else unit * max(_fewest(cell, shape), round(hidden_size / unit))
        try:
            count(cell, shape, size)
        except (SizeError, CellError) as error:
            faults.append(f"{label} ({str(error).rstrip('.')})")
    if faults:
        raise ConfigError(f"these cells cannot take part at this task and size: {'; '.join(faults)}. Leave them out")
