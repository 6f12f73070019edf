"""Evaluate single expressions of the equations from the values of their names."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gatework.kernels.reference import arithmetic
from gatework.kernels.reference.memories import POSITIONAL, Mask, spread_out
from gatework.language import Apply, Name, Number, Product
from gatework.language.anatomy import written_out
from gatework.language.nodes import Node, along


class Values:
    """Compute expressions in float64 from the values of names.

    Args:
        weights: The parameters, by name.
        units: The number of units of the layer.
        names: The values of other names, [..., size] each, [..., L, size] at positions of a memory; more can be added
            at any time.
        positions: For every name that has a value at each position of a memory, the memory.
        masks: For every memory, which positions there are, [..., L, 1]; None for all.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        units: int,
        names: Mapping[Name, Tensor] | None = None,
        positions: Mapping[str, str] | None = None,
        masks: Mapping[str, Mask] | None = None,
    ) -> None:
        self.weights, self.positions, self.masks = weights, positions or {}, masks or {}
        self._wide: dict[str, Tensor] = {}  # weights that were already converted to float64
        self.units = units
        self.names = {name: value.double() for name, value in (names or {}).items()}

    def __call__(self, node: Node) -> Tensor:
        """Compute an expression; a plain number has no axes."""
        if isinstance(node, Number):
            return torch.tensor(node.value, dtype=torch.float64)
        if isinstance(node, Name):
            value = self.names.get(node)
            return self._weight(node.name) if value is None else value
        if isinstance(node, Product):
            return self._product(node)
        assert isinstance(node, Apply)  # outer products occur in gradients of parameters only
        if node.function == "bernoulli":  # a mask that is not drawn is its probability
            return self(node.arguments[0])
        if node.function == "period":
            blocks = node.arguments[0]
            assert isinstance(blocks, Number)
            return arithmetic.period(int(blocks.value), self.units, torch.zeros((), dtype=torch.float64))
        if node.function in POSITIONAL:
            return self._positional(node)
        function = arithmetic.function(node.function)
        if function is None:
            return self(written_out(node, lambda row: row in POSITIONAL or arithmetic.function(row) is not None))
        values = [self(argument) for argument in node.arguments]
        if along(node, self.positions) is not None:  # a vector enters at every position
            pairs = zip(node.arguments, values, strict=True)
            values = [one if along(below, self.positions) else spread_out(one) for below, one in pairs]
        return function(*values)

    def _positional(self, node: Apply) -> Tensor:
        """Compute a function of a memory's positions."""
        memory = next(one for below in node.arguments if (one := along(below, self.positions)) is not None)
        values = [below.value if isinstance(below, Number) else self(below) for below in node.arguments]
        return POSITIONAL[node.function](*values, self.masks.get(memory))

    def _weight(self, name: str) -> Tensor:
        if name not in self._wide:
            self._wide[name] = self.weights[name].detach().double()
        return self._wide[name]

    def _product(self, node: Product) -> Tensor:
        vector, matrix = self(node.operand), self._weight(node.matrix)
        if node.structure == "block_diagonal":
            stack = arithmetic.block_stack([matrix], node.blocks, node.transposed)
            return arithmetic.block_products(stack, vector, 1)[0]
        if node.structure == "block_upper":
            matrix = arithmetic.upper_blocks(matrix, node.blocks)
        return vector @ (matrix if node.transposed else matrix.mT)
