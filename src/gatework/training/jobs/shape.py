"""The sizes of a model of a sequence task, apart from its cell and its units, and its number of parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gatework.cells import Cell, is_latent
from gatework.heads import Head
from gatework.models.latent import LatentModel
from gatework.models.sequences import SequenceModel
from gatework.nn import Recurrent
from gatework.training.jobs.build import own_projection


def count_learned(model: nn.Module) -> int:
    """Count the parameters of a model, each once.

    Args:
        model: A model, which may be on the device ``meta``.

    Returns:
        The number of parameters. Weights that equations fix at zero, such as blocks of a clockwork network, are not
        learned and do not count.
    """
    inside, own = 0, set[int]()
    for part in model.modules():
        if isinstance(part, Recurrent):
            own |= {id(value) for value in part.parameters()}
            for number, direction, layer in part._runs():
                if part.wiring.owner(number) == number:  # layers that share their weights count once
                    inside += sum(parameter.count(layer.sizes) for parameter in layer.step.parameters)
                if part.wiring.maps_owner(number) == number and direction == 0:
                    inside += sum(rows * (columns + 1) for rows, columns in layer.maps.values())
    return inside + sum(value.numel() for value in model.parameters() if id(value) not in own)


@dataclass(frozen=True)
class SequenceShape:
    """The sizes of a model of sequences, apart from its cell and its units.

    Args:
        inputs: The number of input features; for symbols, the number of different symbols.
        outputs: The number of scores, or the head that they are for.
        num_layers: The number of layers.
        symbols: Whether the inputs are symbols.
        embedding_size: The size of learned embeddings of symbols; None for one-hot vectors.
        proj_size: The size of a projected output; 0 for none, or for half of the units in a cell that must have one.
        wiring: Further options of the layers, such as ``bidirectional``.
        latent_size: The number of latent numbers of a cell that has them; None for the number of units.
    """

    inputs: int
    outputs: int | Head
    num_layers: int = 1
    symbols: bool = False
    embedding_size: int | None = None
    proj_size: int = 0
    wiring: Mapping[str, Any] = field(default_factory=dict)
    latent_size: int | None = None

    @property
    def width(self) -> int:
        """The number of features that the layers read at each step."""
        return (self.embedding_size if self.symbols else None) or self.inputs

    def count(self, cell: Cell, hidden_size: int) -> int:
        """Count the parameters of a model, in layers and head together.

        Args:
            cell: The cell.
            hidden_size: The number of units of each layer.

        Returns:
            The number of parameters, with those of a map before a cell that reads its input elementwise. Weights that
            the equations fix at zero, such as blocks of a clockwork network, are not learned and do not count.

        Raises:
            SizeError: If the sizes do not fit the cell.

        Example:
            >>> from gatework.cells import CELLS
            >>> SequenceShape(inputs=2, outputs=1).count(CELLS["lstm"], 32)  # 4 · (2 · 32 + 32 · 32 + 32) + 32 + 1
            4513
        """
        # On the device `meta`, tensors have a shape but no data.
        with torch.device("meta"):
            model = self._build(cell, hidden_size)
        return count_learned(model)

    def _build(self, cell: Cell, hidden_size: int) -> SequenceModel | LatentModel:
        if is_latent(cell) and isinstance(self.outputs, Head):
            return LatentModel(self.inputs, self.outputs, cell, hidden_size, latent_size=self.latent_size)
        return SequenceModel(
            self.inputs,
            self.outputs,
            cell,
            hidden_size,
            self.num_layers,
            symbols=self.symbols,
            embedding_size=self.embedding_size,
            proj_size=self.proj_size or own_projection(cell, hidden_size),
            **self.wiring,
        )

    def fewest(self, cell: Cell) -> int:
        """Return the smallest number of units of a cell, as a multiple of the factor that it requires."""
        # A cell with a projected output needs more units than outputs, and at least one output.
        gives = self.proj_size or (1 if own_projection(cell, 2) else 0)
        return max(1, -(-(gives + 1) // cell.step.multiple_of))
