"""From the settings of a run to its cell and the type of its numbers."""

from typing import Any

import torch

from gatework import cells
from gatework.cells import CELLS, Cell, read_equations
from gatework.training.settings import Settings, is_equations, is_file

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


def build_cell(config: Settings) -> Cell:
    """Take the cell of a configuration and apply the transformations it asks for.

    Raises:
        CellError: When the cell does not have what a transformation changes.
        EquationError: When equations of the user's own do not fit together.
    """
    cell = cells.cell(config.cell, name="own-cell") if is_equations(config.cell) else CELLS[config.cell]
    if config.layer_norm:
        cell = cells.layer_norm(cell)
    if config.recurrent_dropout:
        cell = cells.recurrent_dropout(cell, config.recurrent_dropout)
    if config.zoneout:
        cell = cells.zoneout(cell, **config.zoneout)
    return cell


def own_projection(cell: Cell, hidden_size: int) -> int:
    """Give the size of a cell's output on a sequence task, where nobody says it.

    Args:
        cell: The cell.
        hidden_size: Its units.

    Returns:
        Half of the units where the equations project the output and leave its size open; else 0, for no projection.

    Example:
        >>> own_projection(CELLS["lstm_projected"], 32), own_projection(CELLS["lstm"], 32)
        (16, 0)
    """
    return hidden_size // 2 if "proj_size" in cell.step.size_keys and cell.proj_size is None else 0


def find_cell(given: Any, files: bool) -> Cell | None:
    """Find a cell that is given by its name, its equations or a file of them; None where there is none."""
    if not isinstance(given, str) or (is_file(given) and not files):
        return None
    text = read_equations(given) if is_file(given) else given
    return cells.cell(text) if is_equations(text) else CELLS.get(text)
