"""One matrix over the previous output and the input, [h; x], the form of many textbooks: read from a layer, and loaded.

``W @ x + R @ h`` is ``[R, W] @ [h; x]``. So a layer, which stores the two matrices apart, is read and loaded exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.errors import SizeError
from gatework.language import Name, Node, Product, Step
from gatework.language.anatomy import addends
from gatework.language.nodes import children, walk
from gatework.language.show import show_within
from gatework.nn.wiring import suffix_of


@dataclass(frozen=True)
class JoinedWeights:
    """The weights of one layer in one direction, joined.

    Args:
        gates: The lines of the equations that read the matrix, in the order of its rows.
        weight: [G * H, H + I] for G gates: the rows of each gate, whose columns are those of h and then those of x.
        bias: [G * H]; None if the gates have none.
    """

    gates: tuple[str, ...]
    weight: Tensor
    bias: Tensor | None

    def gate(self, name: str) -> tuple[Tensor, Tensor | None]:
        """Return the matrix [H, H + I] and the bias [H] of one gate.

        Args:
            name: One of the gates.

        Raises:
            SizeError: If there is no such gate.
        """
        if name not in self.gates:
            raise SizeError(
                f"There is no gate `{name}` in the joined weights; expected one of {', '.join(self.gates)}."
            )
        place, count = self.gates.index(name), len(self.gates)
        return self.weight.chunk(count)[place], None if self.bias is None else self.bias.chunk(count)[place]


@dataclass(frozen=True)
class _Gate:
    """The names of the parameters that a gate adds up: on h, on x, and its bias, empty if it has none."""

    line: str
    recurrent: str
    input: str
    bias: str


class Joinable:
    """A layer whose two matrices can be read and loaded as one; the base of :class:`gatework.nn.Recurrent`."""

    def joined_weights(self: Any, layer: int = 0, direction: int = 0) -> JoinedWeights:
        """Return the weights of a layer as one matrix over [h; x], as many textbooks write them.

        Args:
            layer: The layer, counted from 0 at the input.
            direction: 0 for forward, 1 for backward in time.

        Returns:
            The weights, a copy through which gradients flow. Where the equations multiply another vector than h, such
            as ``r * h``, that takes its place. Peepholes and projections stay what they are, and are not part of it.

        Raises:
            SizeError: If there is no such layer, or a gate does not add one product of the input and one of a state.

        Example:
            >>> import gatework
            >>> joined = gatework.Recurrent("lstm", 3, 4).joined_weights()
            >>> joined.gates, joined.weight.shape, joined.bias.shape
            (('i', 'f', 'g', 'o'), torch.Size([16, 7]), torch.Size([16]))
        """
        _check_place(self, layer, direction)
        gates, held = _gates(self.cell, self.layers[layer].step), self.weights(layer, direction)
        weight = torch.cat([torch.cat([held[gate.recurrent], held[gate.input]], 1) for gate in gates])
        biases = [held[gate.bias] for gate in gates if gate.bias]
        return JoinedWeights(tuple(gate.line for gate in gates), weight, torch.cat(biases) if biases else None)

    @torch.no_grad()
    def load_joined_weights(
        self: Any,
        weight: Any,
        bias: Any = None,
        gates: Sequence[str] | None = None,
        layer: int = 0,
        direction: int = 0,
    ) -> None:
        """Load the weights of a layer from one matrix over [h; x]; the opposite of :meth:`joined_weights`.

        Where the layer has two biases for each gate, as torch's layers do, the second becomes zero.

        Args:
            weight: [G * H, H + I] for G gates, a tensor or an array.
            bias: [G * H]; None for a layer without biases.
            gates: The gates in the order of the matrix's rows, such as ``("f", "i", "o", "g")``; None for the order in
                which the equations have them.
            layer: The layer, counted from 0 at the input.
            direction: 0 for forward, 1 for backward in time.

        Raises:
            SizeError: If something does not fit; the layer is then unchanged.

        Example:
            >>> import gatework
            >>> layer = gatework.Recurrent("rnn", 3, 4)
            >>> layer.load_joined_weights(torch.zeros(4, 7), torch.zeros(4))
            >>> output, state = layer(torch.randn(5, 2, 3))
            >>> bool((output == 0).all())
            True
        """
        known = self.joined_weights(layer, direction)
        order = known.gates if gates is None else tuple(gates) if isinstance(gates, Sequence) else ()
        if len(order) != len(known.gates) or any(order.count(gate) != 1 for gate in known.gates):
            raise SizeError(
                f"gates is {gates!r}; the cell `{self.cell.name}` has the gates {', '.join(known.gates)}. Name each of "
                "them once, in the order of the matrix's rows."
            )
        rows = _checked("weight", weight, known.weight).chunk(len(order))
        shifts = _checked("bias", bias, known.bias).chunk(len(order)) if known.bias is not None else None
        if shifts is None and bias is not None:
            raise SizeError(f"bias is a {type(bias).__name__}, and the gates of the layer have none. Leave it out.")
        by_line = {gate.line: gate for gate in _gates(self.cell, self.layers[layer].step)}
        values: dict[str, Tensor] = {}
        for place, line in enumerate(order):
            gate = by_line[line]
            columns = self.weights(layer, direction).shape(gate.recurrent)[1]
            values |= {gate.recurrent: rows[place][:, :columns], gate.input: rows[place][:, columns:]}
            if shifts is not None:
                values[gate.bias] = shifts[place]
        _write(self, layer, direction, values)


def _write(layer: Any, number: int, direction: int, values: dict[str, Tensor]) -> None:
    """Write parameters by name; the second of two biases becomes zero."""
    suffix = suffix_of(layer.wiring.owner(number), direction)
    stored = [one for one in layer.layers[number].stored if not values.keys().isdisjoint(one.names)]
    if computed := [one.key + suffix for one in stored if one.key + suffix not in layer._parameters]:
        raise SizeError(
            f"The layer computes {', '.join(computed)} at each use, as torch's parametrizations do, so nothing can be "
            "loaded there. Remove the parametrization first."
        )
    for one in stored:
        tensor = layer._parameters[one.key + suffix]
        for name in one.names:
            if name in values:
                one.view(tensor, name).copy_(values[name])
                values = {**values, name: torch.zeros_like(values[name])}  # for a second bias


def _checked(name: str, given: Any, like: Tensor) -> Tensor:
    """Bring what was given into the form of the layer's own."""
    if given is None:
        raise SizeError(f"{name} is None, and the gates of the layer have one; expected {tuple(like.shape)}.")
    try:
        value = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise SizeError(f"{name} is a {type(given).__name__}; expected a tensor or an array of numbers.") from None
    if value.is_complex():
        raise SizeError(f"{name} has the type {value.dtype}; expected real numbers, as {like.dtype}.")
    if value.shape != like.shape:
        raise SizeError(
            f"{name} has the shape {tuple(value.shape)}; expected {tuple(like.shape)}: the rows of each gate, and for "
            "the matrix the columns of h and then those of x."
        )
    return value.to(like)


def _check_place(layer: Any, number: int, direction: int) -> None:
    for name, given, count in (("layer", number, len(layer.layers)), ("direction", direction, layer.wiring.directions)):
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < count:
            raise SizeError(f"{name} is {given!r}; expected a whole number from 0 to {count - 1}.")


def _gates(cell: Cell, step: Step) -> list[_Gate]:
    """Find the sums of one product of the input and one recurrent product, in the order of the equations.

    Raises:
        SizeError: If a matrix is in no such sum, or if the gates cannot be stacked.
    """
    by_name = {parameter.name: parameter for parameter in step.parameters}
    gates: list[_Gate] = []
    for equation in step.equations:
        for terms in _sums(equation.value):
            found: dict[str, list[str]] = {"recurrent": [], "input": [], "bias": []}
            for term in terms:
                name = _parameter(term)
                if name in by_name and by_name[name].role in found and by_name[name].structure == "dense":
                    found[by_name[name].role].append(name)
            if [len(found["recurrent"]), len(found["input"])] == [1, 1] and len(found["bias"]) <= 1:
                gates.append(_Gate(equation.target, *("".join(names) for names in found.values())))
    used = [name for gate in gates for name in (gate.recurrent, gate.input)]
    matrices = [one.name for one in step.parameters if one.role in ("input", "recurrent") and one.columns is not None]
    lines = {equation.target: index for index, equation in enumerate(step.equations)}
    for index, equation in enumerate(step.equations):
        products = [node for node in walk(equation.value) if isinstance(node, Product) and node.matrix in matrices]
        if any(used.count(product.matrix) != 1 for product in products):
            told = " and ".join(f"`{show_within(product, lines, index)}`" for product in products)
            raise SizeError(
                f"The line of `{equation.target}` in the cell `{cell.name}` reads {told}, and does not add one dense "
                "product of the input and one of a state, so that no matrix over [h; x] takes their place. "
                "named_weights() returns the matrices apart."
            )
    shapes = {(by_name[gate.recurrent], by_name[gate.input]) for gate in gates}
    _check_stack(cell, gates, len({(one.rows, one.columns, other.columns) for one, other in shapes}))
    return gates


def _check_stack(cell: Cell, gates: Sequence[_Gate], sizes: int) -> None:
    """Refuse gates that do not fit into one matrix."""
    why = None
    if not gates:
        why = "has no matrix"
    elif sizes > 1:
        why = "has gates of different sizes"
    elif len({gate.line for gate in gates}) < len(gates):
        why = "has two gates in one line; give each a line of its own"
    elif len({bool(gate.bias) for gate in gates}) > 1:
        why = "has gates with a bias and gates without one"
    if why is not None:
        raise SizeError(f"The cell `{cell.name}` {why}, so that its weights cannot be joined. Use named_weights().")


def _parameter(term: Node) -> str:
    """Name the matrix of a product, or the vector that is added; empty for anything else."""
    if isinstance(term, Product):
        return "" if term.transposed else term.matrix
    return term.name if isinstance(term, Name) else ""


def _sums(node: Node) -> Iterator[list[Node]]:
    """Yield the addends of every sum in an expression that is not part of another sum."""
    terms = addends(node)
    if len(terms) > 1:
        yield terms
    for term in terms:
        for below in children(term):
            yield from _sums(below)
