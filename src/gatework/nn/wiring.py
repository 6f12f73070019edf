"""How the layers of a stack are connected, and what happens to the values between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import SizeError, did_you_mean
from gatework.nn.dropout import drop

SKIPS = ("in", "out", "both")
CONNECTIONS = ("residual", "highway")


@dataclass(frozen=True)
class Wiring:
    """How the layers of a stack are connected.

    Args:
        bidirectional: Whether each layer has a second direction.
        input_projection: Whether a learned map comes before the first layer.
        below_projection: Whether the first layer reads learned maps of the input in place of states of a layer below.
        skip: ``in``: every layer also reads the input of the stack. ``out``: the output holds the outputs of all
            layers. ``both``, or None for neither.
        connection: ``residual`` adds the input of a layer above the first to its output. ``highway`` lets a learned
            gate mix the two. None for neither.
        tie_layers: Whether layers share their weights.

    Raises:
        SizeError: For an unknown choice.
    """

    bidirectional: bool = False
    input_projection: bool = False
    below_projection: bool = False
    skip: str | None = None
    connection: str | None = None
    tie_layers: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("skip", SKIPS), ("connection", CONNECTIONS)):
            given = getattr(self, name)
            if given is not None and given not in choices:
                hint = did_you_mean(str(given), choices, "'")
                raise SizeError(f"{name} is {given!r}; expected one of {', '.join(choices)}, or None.{hint}")

    @property
    def skips_in(self) -> bool:
        """Whether every layer reads the input of the stack."""
        return self.skip in ("in", "both")

    @property
    def skips_out(self) -> bool:
        """Whether the output holds the outputs of all layers."""
        return self.skip in ("out", "both")

    @property
    def directions(self) -> int:
        """The number of directions."""
        return 2 if self.bidirectional else 1

    def owner(self, number: int) -> int:
        """Return the layer whose weights a layer uses.

        With ``tie_layers`` the second layer and those above it share theirs. The first layer, which reads the input,
        has its own, unless learned maps of the input let it read what the others read.
        """
        return number if not self.tie_layers else 0 if self.below_projection else min(number, 1)

    def maps_owner(self, number: int) -> int:
        """Return the layer whose learned maps a layer uses. Those of the first layer are maps of the input."""
        return min(number, 1) if self.tie_layers else number

    @property
    def is_plain(self) -> bool:
        """Whether a layer reads only the output of the layer below, and its states if the equations name them."""
        return not (self.skip or self.connection or self.below_projection)


def suffix_of(number: int, direction: int) -> str:
    """Return the end of the names of a layer's parameters."""
    return f"_l{number}_reverse" if direction else f"_l{number}"


def enter(
    stack: Any, number: int, given: dict[str, Tensor], outside: Tensor, whole: Callable[[Tensor], Tensor]
) -> None:
    """Bring the inputs of a layer into the form that its equations read.

    Args:
        stack: The :class:`gatework.Recurrent`.
        number: The layer, counted from 0 at the input.
        given: The inputs by name. This function changes them.
        outside: The first input of the stack, ``[..., I]``.
        whole: Makes padding zero.
    """
    one, first = stack.layers[number], stack.first_input
    if number and stack.wiring.skips_in:
        given[first] = torch.cat([given[first], outside], -1)
    if one.projected_from is not None:
        given[first] = mapped(stack, "in", number, whole(given[first]))
    for name in one.mapped_below:
        given[name] = mapped(stack, name, number, whole(outside))


def leave(stack: Any, number: int, before: Tensor, output: Tensor) -> Tensor:
    """Return what a layer passes up: its output, connected with its input and with dropout.

    Args:
        stack: The :class:`gatework.Recurrent`.
        number: The layer.
        before: What the layer below passed up, ``[..., H]``; for the first layer the input.
        output: The output of the layer, ``[..., H]``.
    """
    if number and stack.wiring.connection == "residual":
        return output + before
    if number and stack.wiring.connection == "highway":
        gate = torch.sigmoid(mapped(stack, "gate", number, before))
        return before + gate * (output - before)
    return output


def dropped(stack: Any, number: int, output: Tensor, packed: PackedSequence | None = None) -> Tensor:
    """Apply dropout to what a layer passes to the next one."""
    if not stack.dropout or number + 1 == len(stack.layers):
        return output
    return drop(output, stack.dropout, stack.training, stack.locked_dropout, packed)


def mapped(stack: Any, key: str, number: int, value: Tensor) -> Tensor:
    """Apply one of the learned maps of a layer."""
    owner = stack.wiring.maps_owner(number)
    bias = getattr(stack, f"bias_{key}_l{owner}") if stack.bias else None
    return functional.linear(value, getattr(stack, f"weight_{key}_l{owner}"), bias)
