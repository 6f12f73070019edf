"""Models without a memory, and cells that read one."""

from typing import Any

from gatework.errors import CellError
from gatework.nn.layers import read_cell


def refuse_memories(cell: Any, model: str) -> None:
    """Refuse a cell that reads a memory, for a model that has none to give.

    Args:
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        model: What the model is called, for the message.

    Raises:
        CellError: If the cell reads a memory.
    """
    found = read_cell(cell, 0)
    if found.memories:
        raise CellError(
            f"The cell `{found.name}` reads the memory {', '.join(found.step.banks)}, and a {model} has none to give "
            "it. Choose a cell without a memory. The task translation attends to what its encoder reads, and a model "
            "of your own may call the layer with memories=."
        )
