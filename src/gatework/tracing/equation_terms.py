"""An equation with its numbers: the value of each term, for one unit at one step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gatework.errors import SizeError
from gatework.language import Apply, Name
from gatework.language.anatomy import addends
from gatework.language.handles import fixed, parted
from gatework.language.nodes import Node, walk
from gatework.language.show import show_within
from gatework.tracing.doors import traced_layer
from gatework.tracing.evaluation import Values
from gatework.tracing.traces import Trace, TracedLayer


@dataclass(frozen=True)
class Term:
    """A term of an equation, and its value.

    Args:
        text: The term as the equation writes it.
        value: The value of the term for the unit.
        parts: The terms inside it: the addends of a sum, or the arguments of a function. A matrix product has no parts,
            because it depends on all units of the vector.
    """

    text: str
    value: float
    parts: tuple["Term", ...] = ()

    def to_dict(self) -> dict:
        """Return the tree as plain data, which JSON can hold."""
        return {"text": self.text, "value": self.value, "parts": [part.to_dict() for part in self.parts]}

    def __str__(self) -> str:
        """Print the tree, one term per line."""
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> Iterator[str]:
        yield f"{self.value:+.4f}  {'  ' * depth}{self.text}"
        for part in self.parts:
            yield from part._lines(depth + 1)


def terms(layer_or_model: nn.Module, trace: Trace, name: str, step: int, row: int, unit: int) -> Term:
    """Show an equation with its numbers, for one unit at one step of a trace.

    Args:
        layer_or_model: The traced layer or model.
        trace: The trace, with everything that the equation reads.
        name: The quantity, as a key of the trace.
        step: The step, from 0.
        row: The row of the batch, from 0.
        unit: The unit, from 0.

    Returns:
        The right-hand side. Its value is the traced one. The values of its parts are computed in float64 from traced
        values, so they add up to the traced value up to the rounding of the run.

    Raises:
        SizeError: For a step, a row or a unit that does not exist, and if the trace lacks something that the equation
            reads.

    Example:
        >>> import gatework, torch
        >>> leaky = gatework.Recurrent(gatework.cell("h = 0.5 * h + x"), 1, 1)
        >>> kept = gatework.trace(leaky, torch.tensor([[[2.0]], [[3.0]]]))
        >>> print(terms(leaky, kept, "h", step=1, row=0, unit=0))
        +4.0000  0.5 * h + x
        +1.0000    0.5 * h
        +0.5000      0.5
        +2.0000      h
        +3.0000    x
    """
    key = trace.key(name)
    told, bare = trace.layer(key), trace.bare(key)
    traced = trace[key]
    for what, given, count in zip(("step", "row", "unit"), (step, row, unit), traced.shape, strict=True):
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < count:
            raise SizeError(f"{what} is {given!r}; `{key}` has {count}, so expected 0 to {count - 1}.")
    if told.lengths is not None and step >= int(told.lengths[row]):
        raise SizeError(f"step is {step}; row {row} has {int(told.lengths[row])} steps, and what follows is padding.")
    node, place = _line(told, bare)
    layer = traced_layer(layer_or_model, told.module)
    weights = layer.named_weights(told.number, told.direction)
    values = Values(weights, layer.layers[told.number].hidden_size)
    for read in dict.fromkeys(below for below in walk(node) if isinstance(below, Name)):
        if read.previous or read.name not in weights:
            values.names[read] = _value(trace, told, read, key, step, row).detach().double()
    order = {line.target: index for index, line in enumerate(told.step.equations)}

    def term(node: Node) -> Term:
        vector = values(node)
        value = float(vector if vector.dim() == 0 else vector[unit])
        return Term(show_within(node, order, place), value, tuple(term(below) for below in _below(node)))

    return Term(show_within(node, order, place), float(traced[step, row, unit]), tuple(map(term, _below(node))))


def _below(node: Node) -> tuple[Node, ...]:
    """Return the terms inside a term; nested sums count as one sum."""
    if not isinstance(node, Apply):
        return ()
    return tuple(addends(node)) if node.function == "add" else node.arguments


def _line(told: TracedLayer, name: str) -> tuple[Node, int]:
    """Return the right-hand side of a quantity, and the number of its line."""
    places = {line.target: index for index, line in enumerate(told.step.equations)}
    if name in places:
        return told.step.equations[places[name]].value, places[name]
    if name in told.parts:
        taken = parted(told.step)
        value = next(line.value for line in taken.step.equations if line.target == taken.parts[name])
        return value, places[told.parts[name]]
    raise SizeError(f"`{name}` is an input: it has no equation whose terms could be shown.")


def _value(trace: Trace, told: TracedLayer, name: Name, key: str, step: int, row: int) -> Tensor:
    """Return the value of a name at a step, for one row."""
    if name.name in told.inputs:
        return told.inputs[name.name][step, row]
    values = trace.tensors.get(f"{told.prefix}.{name.name}")
    if values is None:
        return _number(told, name, key)
    return told.last(name.name, values, step, step + 1)[0, row] if name.previous else values[step, row]


def _number(told: TracedLayer, name: Name, key: str) -> Tensor:
    """Return the value of a line that is a constant number, which traces omit unless it is named."""
    numbers = fixed(told.step, told.drawn)
    if name.name not in numbers:
        raise SizeError(
            f"The equation of `{key}` reads `{name.name}`, which the trace lacks. Trace it too, or leave names out."
        )
    return torch.tensor(numbers[name.name], dtype=torch.float64)
