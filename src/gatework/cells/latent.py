"""Cells with latent variables: the names by which others know their parts.

Such a cell is a model of sequences in one step of equations. It reads what is to be explained and its noise, draws
latent numbers z, and says how what it reads is distributed, given z:

- inputs: ``x``, the step that is explained; ``eps``, standard normal noise; and, if it wants it, ``before``, the step
  before x;
- outputs: ``mu`` and ``sd``, the posterior's means and standard deviations of z; ``mu0`` and ``sd0``, the prior's; and
  ``d``, which the head reads to say how x is distributed. Without ``d`` the head reads the cell's own output.
"""

from gatework.cells.cell import Cell
from gatework.cells.changing import lines_of
from gatework.cells.replacing import replace
from gatework.errors import CellError
from gatework.language.nodes import Name, walk

EXPLAINED, BEFORE, NOISE = "x", "before", "eps"
"""The inputs of a cell with latent variables."""
POSTERIOR = ("mu", "sd")
PRIOR = ("mu0", "sd0")
DECODED = "d"


def is_latent(cell: Cell) -> bool:
    """Tell whether a cell has latent variables: it reads noise, and delivers a posterior and a prior.

    Args:
        cell: The cell.

    Example:
        >>> from gatework.cells import CELLS, LATENT
        >>> is_latent(LATENT["vrnn"]), is_latent(CELLS["lstm"])
        (True, False)
    """
    return NOISE in cell.inputs and {*POSTERIOR, *PRIOR} <= {*cell.outputs}


def decoded(cell: Cell) -> str:
    """Name what the head of a cell with latent variables reads.

    Args:
        cell: The cell.

    Example:
        >>> from gatework.cells import LATENT
        >>> decoded(LATENT["vrnn"]), decoded(LATENT["storn"])
        ('d', 'h')
    """
    return DECODED if DECODED in cell.outputs else cell.states[0]


def generating(cell: Cell) -> Cell:
    """Let a cell with latent variables draw them from its prior, so that it generates.

    Args:
        cell: The cell.

    Returns:
        The cell with its prior in place of its posterior.

    Raises:
        CellError: If it is no cell with latent variables, or reads other inputs than theirs; or if the prior, or what
            the head reads, depends on the step that is explained, so that nothing could be generated and every bound
            would be void.

    Example:
        >>> from gatework.cells import LATENT
        >>> print(str(generating(LATENT["vrnn"])).splitlines()[4])
        z = mu0 + sd0 * eps                             # latent numbers
    """
    if not is_latent(cell):
        raise CellError(
            f"The cell `{cell.name}` reads {', '.join(cell.inputs)} and delivers "
            f"{', '.join(cell.outputs) or 'nothing'}; a cell with latent variables reads {NOISE} and delivers "
            f"{', '.join((*POSTERIOR, *PRIOR))}."
        )
    others = [name for name in cell.inputs if name not in (EXPLAINED, BEFORE, NOISE)]
    if others or EXPLAINED not in cell.inputs:
        raise CellError(
            f"The cell `{cell.name}` reads {', '.join(cell.inputs)}; a cell with latent variables reads {EXPLAINED}, "
            f"the step that is explained, {NOISE}, and {BEFORE} if it wants the step before."
        )
    made = replace(cell, **dict(zip(POSTERIOR, PRIOR, strict=True)))
    for name in (*PRIOR, decoded(cell)):
        if EXPLAINED in _reads_now(made, name):
            raise CellError(
                f"`{name}` of the cell `{cell.name}` depends on {EXPLAINED} of the same step, also where the prior "
                f"takes the posterior's place: it would know what it has to tell. Let it read {BEFORE}, states of the "
                "step before (above their lines), and the latent numbers."
            )
    return made


def _reads_now(cell: Cell, name: str) -> set[str]:
    """Collect what a line depends on within its step."""
    lines, pending, found = lines_of(cell), [name], set()
    while pending:
        line = lines.get(pending.pop())
        for node in () if line is None else walk(line.value):
            if isinstance(node, Name) and not node.previous and node.name not in found:
                found.add(node.name)
                pending.append(node.name)
    return found
