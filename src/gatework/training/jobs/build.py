"""From the settings of a run to its cell and the type of its numbers."""

from typing import Any

import torch

from gatework import cells
from gatework.cells import CELLS, Cell, find_cell, is_equations, is_file
from gatework.training.jobs.settings import Settings

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


def build_cell(config: Settings) -> Cell:
    """Take the cell of a configuration and apply the transformations it asks for.

    Raises:
        CellError: When the cell does not have what a transformation changes.
        EquationError: When equations of the user's own do not fit together.
    """
    cell = find_cell(config.cell, name="own-cell")
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


def known_cell(given: Any, files: bool) -> Cell | None:
    """Find the cell that a setting names; None where there is none, which the settings refuse in their own order.

    Args:
        given: The setting, unchecked.
        files: Whether it may name a file of equations.

    Returns:
        The cell.
    """
    if not isinstance(given, str) or not (files if is_file(given) else is_equations(given) or given in CELLS):
        return None
    return find_cell(given, files=files)
