"""What a model of a sequence task is besides its cell and its units, and how many numbers it learns."""

from dataclasses import dataclass

import torch

from gatework.cells import Cell
from gatework.models.sequences import SequenceModel
from gatework.training.jobs.build import own_projection


@dataclass(frozen=True)
class SequenceShape:
    """A model of sequences without its cell and its units.

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

    def count(self, cell: Cell, hidden_size: int) -> int:
        """Count what a model learns, layers and head together.

        Args:
            cell: Its cell.
            hidden_size: Its units.

        Returns:
            The number, with that of the map before a cell that reads its input elementwise; what the equations hold at
            zero, as a clockwork's blocks, is not learned and not counted.

        Raises:
            SizeError: When the sizes do not fit the cell.

        Example:
            >>> from gatework.cells import CELLS
            >>> SequenceShape(inputs=2, outputs=1).count(CELLS["lstm"], 32)  # 4 · (2 · 32 + 32 · 32 + 32) + 32 + 1
            4513
        """
        # On the device `meta` tensors have a shape and no numbers.
        with torch.device("meta"):
            model = SequenceModel(
                self.inputs,
                self.outputs,
                cell,
                hidden_size,
                self.num_layers,
                symbols=self.symbols,
                embedding_size=self.embedding_size,
                proj_size=self.proj_size or own_projection(cell, hidden_size),
            )
        layers = model.recurrent.layers
        inside = sum(parameter.count(layer.sizes) for layer in layers for parameter in layer.step.parameters)
        maps = sum(
            layer.hidden_size * (layer.projected_from + 1) for layer in layers if layer.projected_from is not None
        )
        own = {name for name, _ in model.recurrent.named_parameters(prefix="recurrent")}
        return inside + maps + sum(value.numel() for name, value in model.named_parameters() if name not in own)

    def fewest(self, cell: Cell) -> int:
        """Give the fewest units that a cell can have, as a multiple of what it needs a multiple of."""
        # A projected cell needs more units than it gives, and gives at least one.
        gives = self.proj_size or (1 if own_projection(cell, 2) else 0)
        return max(1, -(-(gives + 1) // cell.step.multiple_of))
