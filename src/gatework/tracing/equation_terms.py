"""An equation with its numbers: the value of each term, for one unit at one step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from gatework.errors import SizeError
from gatework.kernels.reference.run import with_numbers
from gatework.language import FUNCTIONS, Apply, Name
from gatework.language.anatomy import addends
from gatework.language.handles import fixed, parted
from gatework.language.nodes import Node, along, walk
from gatework.language.show import show_within
from gatework.tracing.adjoints import given_banks, given_masks
from gatework.tracing.doors import traced_layer
from gatework.tracing.evaluation import Values
from gatework.tracing.traces import Trace, TracedLayer

_WHOLE = ("match", "exists", "place", "shift")
"""Functions of a memory's positions whose value is no matter of one unit at one position of their arguments."""


@dataclass(frozen=True)
class Term:
    """A term of an equation, and its value.

    Args:
        text: The term as the equation writes it.
        value: The value of the term for the unit.
        parts: The terms inside it: the addends of a sum, the arguments of a function, or the positions of a memory that
            are summed. A matrix product has no parts, because it depends on all units of the vector.
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


def terms(
    layer_or_model: nn.Module, trace: Trace, name: str, step: int, row: int, unit: int, position: int | None = None
) -> Term:
    """Show an equation with its numbers, for one unit at one step of a trace.

    Args:
        layer_or_model: The traced layer or model.
        trace: The trace, with everything that the equation reads.
        name: The quantity, as a key of the trace.
        step: The step, from 0.
        row: The row of the batch, from 0.
        unit: The unit, from 0; 0 for a quantity with one number at each position of a memory.
        position: For a quantity with a value at each position of a memory, the position, from 0.

    Returns:
        The right-hand side. Its value is the traced one. The values of its parts are computed in float64 from traced
        values, so they add up to the traced value up to the rounding of the run.

    Raises:
        SizeError: For a step, a row, a position or a unit that does not exist, and if the trace lacks something that
            the equation reads.

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
    traced = with_numbers(told.step, told.parts.get(bare, bare), trace[key])
    chosen = _chosen(told, key, bare, traced.shape, {"step": step, "row": row, "position": position, "unit": unit})
    node, place = _line(told, bare)
    layer = traced_layer(layer_or_model, told.module)
    weights = layer.named_weights(told.number, told.direction)
    masks = {name: None if mask is None else mask[row] for name, mask in given_masks(told).items()}
    values = Values(weights, layer.layers[told.number].hidden_size, positions=told.step.positions, masks=masks)
    for read in dict.fromkeys(below for below in walk(node) if isinstance(below, Name)):
        if read.previous or read.name not in weights:
            values.names[read] = _value(trace, told, read, key, step, row).detach().double()
    order = {line.target: index for index, line in enumerate(told.step.equations)}

    def spelt(node: Node) -> str:
        return show_within(node, order, place)

    def below(node: Node) -> tuple[Term, ...]:
        if isinstance(node, Apply) and FUNCTIONS[node.function].kind == "gathering":
            return _summed(node, told, row, spelt, number)
        return tuple(Term(spelt(one), number(one), below(one)) for one in _below(node))

    def number(node: Node, position: int | None = position) -> float:
        found = values(node)
        found = found[position] if along(node, told.step.positions) else found
        # What is one number, or the same for all units, has no other.
        return float(found if found.dim() == 0 else found[unit if len(found) > 1 else 0])

    return Term(spelt(node), float(traced[chosen]), below(node))


def _chosen(
    told: TracedLayer, key: str, bare: str, shape: Sequence[int], given: Mapping[str, int | None]
) -> tuple[int, ...]:
    """Check the step, the row, the position and the unit, and return those that the quantity has."""
    memory = told.step.positions.get(told.parts.get(bare, bare))
    if memory is None and given["position"] is not None:
        raise SizeError(f"position is {given['position']}; `{key}` has no value at each position of a memory.")
    if memory is not None and given["position"] is None:
        raise SizeError(f"`{key}` has a value at each position of the memory `{memory}`. Name one, as in position=0.")
    held = [(what, one) for what, one in given.items() if memory is not None or what != "position"]
    for (what, one), count in zip(held, shape, strict=True):
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < count:
            raise SizeError(f"{what} is {one!r}; `{key}` has {count}, so expected 0 to {count - 1}.")
    chosen = {what: one for what, one in held if one is not None}
    row = chosen["row"]
    for what, counts in (("step", told.lengths), ("position", told.extents.get(memory or ""))):
        if counts is not None and chosen.get(what, 0) >= int(counts[row]) and what in chosen:
            raise SizeError(
                f"{what} is {chosen[what]}; row {row} has {int(counts[row])} {what}s, and what follows is padding."
            )
    return tuple(chosen.values())


def _summed(
    node: Apply, told: TracedLayer, row: int, spelt: Callable[[Node], str], number: Callable[[Node, int], float]
) -> tuple[Term, ...]:
    """Return the terms of a sum over the positions of a memory, one for each position of the row."""
    at = [below for below in node.arguments if along(below, told.step.positions)]
    memory = along(at[0], told.step.positions)
    assert memory is not None  # a sum over positions has an argument at positions
    extents = told.extents.get(memory)
    count = told.banks[memory].shape[1] if extents is None else int(extents[row])
    texts = [spelt(below) if isinstance(below, Name) else f"({spelt(below)})" for below in at]
    return tuple(
        Term(" * ".join(f"{text}[{place}]" for text in texts), prod(number(below, place) for below in at))
        for place in range(count)
    )


def _below(node: Node) -> tuple[Node, ...]:
    """Return the terms inside a term; nested sums count as one sum."""
    if not isinstance(node, Apply) or node.function in _WHOLE:
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
    """Return the value of a name at a step, for one row: [size], or [L, size] at positions of a memory."""
    if name.name in told.banks:
        return given_banks(told)[name.name][row]
    return with_numbers(told.step, name.name, _stepwise(trace, told, name, key, step, row))


def _stepwise(trace: Trace, told: TracedLayer, name: Name, key: str, step: int, row: int) -> Tensor:
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
        raise SizeError(f"The equation of `{key}` reads `{name.name}`, which the trace lacks. Trace it too: name it.")
    return torch.tensor(numbers[name.name], dtype=torch.float64)
