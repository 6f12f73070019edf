"""The parameters of one layer, by their names in the equations. One tensor may hold several, stacked."""

from collections.abc import Iterable, Mapping, Set

import torch
from torch import Tensor


class Weights:
    """Return parameters singly or stacked, without a copy if they are stacked in memory.

    Args:
        stacks: Pairs of names and the tensor that holds their parameters, stacked. All have equally many
            rows.

    Example:
        >>> weights = Weights([(("R_i", "R_f"), torch.arange(8.0).view(4, 2))])
        >>> weights["R_f"]
        tensor([[4., 5.],
                [6., 7.]])
        >>> weights.stacked(("R_i", "R_f")).shape
        torch.Size([4, 2])
    """

    def __init__(self, stacks: Iterable[tuple[tuple[str, ...], Tensor]]) -> None:
        self._stacks = [(tuple(names), tensor) for names, tensor in stacks]
        self._places: dict[str, tuple[Tensor, int, int]] = {}  # name -> tensor, first row, number of rows
        for names, tensor in self._stacks:
            rows = tensor.shape[0] // len(names)
            for position, name in enumerate(names):
                self._places[name] = (tensor, position * rows, rows)

    @classmethod
    def of(cls, weights: "Weights | Mapping[str, Tensor]") -> "Weights":
        """Return weights as they are, and make them from a plain mapping from name to tensor."""
        if isinstance(weights, Weights):
            return weights
        return cls(((name,), tensor) for name, tensor in weights.items())

    def __getitem__(self, name: str) -> Tensor:
        tensor, start, rows = self._places[name]
        return tensor if rows == tensor.shape[0] else tensor.narrow(0, start, rows)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a parameter."""
        tensor, _, rows = self._places[name]
        return (rows, *tensor.shape[1:])

    def names(self) -> tuple[str, ...]:
        """Return all names, in the order of the stacks."""
        return tuple(self._places)

    def stacks(self, wanted: Set[str]) -> tuple[tuple[tuple[str, ...], ...], list[Tensor]]:
        """Return the whole tensors that hold these parameters, and the names stacked in each, in order."""
        # Stacks are not compared by their tensors: tied parameters may be the same tensor in two stacks.
        kept = [(names, tensor) for names, tensor in self._stacks if not wanted.isdisjoint(names)]
        return tuple(names for names, _ in kept), [tensor for _, tensor in kept]

    def stacked(self, names: tuple[str, ...]) -> Tensor:
        """Return these parameters stacked: a view if they are stacked in memory, else a copy."""
        tensor, start, rows = self._places[names[0]]
        end = start + rows
        for name in names[1:]:
            other, first, count = self._places[name]
            if other is not tensor or first != end:
                return torch.cat([self[name] for name in names])
            end += count
        return tensor if end - start == tensor.shape[0] else tensor.narrow(0, start, end - start)
