"""Evaluate single expressions of the equations from the values of their names."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gatework.kernels.reference import arithmetic
from gatework.language import Apply, Name, Number, Product
from gatework.language.anatomy import written_out
from gatework.language.nodes import Node


class Values:
    """Compute expressions in float64 from the values of names.

    Args:
        weights: The parameters, by name.
        units: The number of units of the layer.
        names: The values of other names, [..., size] each; more can be added at any time.
    """

    def __init__(self, weights: Mapping[str, Tensor], units: int, names: Mapping[Name, Tensor] | None = None) -> None:
        self.weights = weights
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
        function = arithmetic.function(node.function)
        if function is None:
            return self(written_out(node, lambda row: arithmetic.function(row) is not None))
        return function(*(self(argument) for argument in node.arguments))

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
