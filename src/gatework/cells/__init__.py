"""The cells, one file each, and the functions that transform cells. Standard library only."""

from gatework.cells.attending import attend
from gatework.cells.cell import Cell, cell
from gatework.cells.files import read_equations
from gatework.cells.finding import find_cell, is_equations, is_file, is_name
from gatework.cells.latent import generating, is_latent
from gatework.cells.registry import CELLS, LATENT
from gatework.cells.replacing import replace
from gatework.cells.transform import blocks, coupled, layer_norm, peephole, project, recurrent_dropout, zoneout

__all__ = [
    "CELLS",
    "LATENT",
    "Cell",
    "attend",
    "blocks",
    "cell",
    "coupled",
    "find_cell",
    "generating",
    "is_equations",
    "is_file",
    "is_latent",
    "is_name",
    "layer_norm",
    "peephole",
    "project",
    "read_equations",
    "recurrent_dropout",
    "replace",
    "zoneout",
]
