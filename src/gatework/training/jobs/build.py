"""The cell of a run and its projection, built from the settings."""

from typing import Any

import torch

from gatework import cells
from gatework.cells import Cell, find_cell, is_equations, is_file, is_latent, is_name
from gatework.errors import CellError
from gatework.nn.layers import outer_inputs
from gatework.training.jobs.settings import Settings

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


def build_cell(config: Settings) -> Cell:
    """Build the cell of a configuration, with the transformations that its settings request.

    Raises:
        CellError: If the cell lacks the part that a transformation changes, or has several inputs.
        EquationError: If the user's own equations are invalid.
    """
    cell = find_cell(config.cell, name="own-cell")
    first, *others = outer_inputs(cell)
    if others and not is_latent(cell):
        raise CellError(
            f"The cell has the inputs {', '.join((first, *others))}, and a run has one to give. Take "
            f"{', '.join(others)} out of the equations, or run the cell in a loop of your own."
        )
    if config.layer_norm:
        cell = cells.layer_norm(cell)
    if config.recurrent_dropout:
        cell = cells.recurrent_dropout(cell, config.recurrent_dropout)
    if config.zoneout:
        cell = cells.zoneout(cell, **config.zoneout)
    return cell


def build_reading_cell(config: Settings) -> Cell:
    """Build the cell of a configuration for a model that only reads, without latent variables.

    Raises:
        CellError: As :func:`build_cell`, and if the cell has latent variables.
        EquationError: If the user's own equations are invalid.
    """
    cell = build_cell(config)
    if is_latent(cell):
        raise CellError(
            f"The cell `{cell.name}` has latent variables, and explains steps of numbers or of yes-no questions; "
            f"expected a cell without them for task '{config.task}'. Try --task jsb_chorales, or --cell lstm."
        )
    return cell


def own_projection(cell: Cell, hidden_size: int) -> int:
    """Return the default size of a cell's projected output on a sequence task.

    Args:
        cell: The cell.
        hidden_size: The number of units of the cell.

    Returns:
        Half of the units if the equations project the output and leave its size open; otherwise 0, for no projection.

    Example:
        >>> from gatework.cells import CELLS
        >>> own_projection(CELLS["lstm_projected"], 32), own_projection(CELLS["lstm"], 32)
        (16, 0)
    """
    return hidden_size // 2 if "proj_size" in cell.step.size_keys and cell.proj_size is None else 0


def known_cell(given: Any, files: bool) -> Cell | None:
    """Find the cell that a setting names.

    Args:
        given: The setting, unchecked.
        files: Whether it may name a file of equations.

    Returns:
        The cell; None if there is none, which the check of the settings refuses later.
    """
    if not isinstance(given, str) or not (files if is_file(given) else is_equations(given) or is_name(given)):
        return None
    return find_cell(given, files=files)
