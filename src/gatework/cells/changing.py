"""Make a cell from another one with other equations. The transformations of cells share these functions."""

from collections.abc import Iterable, Mapping

from gatework.cells.cell import Cell
from gatework.errors import CellError
from gatework.language.check import check
from gatework.language.nodes import Equation, Name, Node, walk
from gatework.language.parse import DERIVED
from gatework.language.positions import remaining
from gatework.language.show import show_equations
from gatework.language.simplify import needed
from gatework.language.sizes import still_sized


def lines_of(cell: Cell) -> dict[str, Equation]:
    """Return the equations of a cell by their names."""
    return {equation.target: equation for equation in cell.step.equations}


def arranged(equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """Put every line below the lines whose values of this step it reads, and otherwise keep the order."""
    waiting, placed = list(equations), []
    names = {equation.target for equation in waiting}
    while waiting:
        missing = names - {done.target for done in placed}
        ready = next((line for line in waiting if not _reads_now(line.value) & missing), None)
        if ready is None:
            circle = ", ".join(line.target for line in waiting)
            raise CellError(f"This change would make {circle} depend on one another within one step. Choose others.")
        waiting.remove(ready)
        placed.append(ready)
    return tuple(placed)


def _reads_now(node: Node) -> set[str]:
    return {below.name for below in walk(node) if isinstance(below, Name) and not below.previous}


def changed(
    cell: Cell,
    what: str,
    equations: Iterable[Equation],
    *,
    init: Mapping[str, float | str] | None = None,
    proj_size: int | None = None,
    **names: tuple[str, ...],
) -> Cell:
    """Make the new cell, with those facts of the old cell that still hold.

    Args:
        cell: The old cell.
        what: What changed, for its name.
        equations: Its new equations, in any order.
        init: Further initial values.
        proj_size: The size of its output, if it projects it now.
        **names: Its new ``states``, ``inputs``, ``outputs``, ``memories`` or ``sizes``, where these changed.
    """
    states, inputs = names.get("states", cell.states), names.get("inputs", cell.inputs)
    outputs = names.get("outputs", cell.outputs)
    lines = arranged(needed(tuple(equations), (*states, *outputs)))
    memories = remaining(names.get("memories", cell.memories), lines, inputs)
    sized = still_sized(names.get("sizes", cell.own_sizes), lines, inputs)
    step = check(lines, states, inputs, delivered=outputs, sized=sized, memories=memories)
    known = {one.name for one in step.parameters}
    facts = cell.facts | {
        "name": f"{cell.name}+{what}",
        "title": f"{cell.title} with {what}",
        "equations": show_equations(lines),
        "states": states,
        "inputs": inputs,
        "outputs": outputs,
        "sizes": sized,
        "memories": memories,
        "init": {name: value for name, value in {**cell.init, **(init or {})}.items() if name in known},
        "remember": {name: sign for name, sign in cell.remember.items() if name in known},
        "proj_size": proj_size or cell.proj_size,
    }
    return Cell(**facts, limits=DERIVED)
