"""The reference: a program run in eager torch. What it computes is what every other backend has to compute.

Nothing is written in place and no decision looks at values, so it works under autograd twice, under ``torch.func``,
under autocast, in every floating type and on every device that torch has.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.builder import program_for
from gatework.kernels.program import CALL, Call, Program, Registers
from gatework.kernels.survey import Kind
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


@dataclass(frozen=True)
class Result:
    """What a step gives over a whole sequence.

    Args:
        output: The first state at every step, [T, B, size].
        state: Every state after the last step, [B, size] each, in the step's order.
        recorded: What was asked for by name, [T, B, size] each.
    """

    output: Tensor
    state: tuple[Tensor, ...]
    recorded: dict[str, Tensor] = field(default_factory=dict)


def run(
    step: Step,
    weights: Weights,
    inputs: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    lengths: Tensor | None,
    restart: Tensor | None,
    initial: tuple[Tensor, ...] | None,
    reverse: bool,
    draws: dict[str, Tensor] | None,
    record: tuple[str, ...],
) -> Result:
    """Run a step over a whole sequence; arguments and result as for :func:`gatework.kernels.launch.run`."""

    def whole(inputs: tuple[Tensor, ...], draws: dict[str, Tensor] | None) -> Result:
        call = Call(step, weights, inputs, state, draws or {})
        breaks = _Breaks(lengths, restart, initial, inputs[0].shape[0], state[0].device)
        return _run(program_for(step, draws is not None), call, breaks, reverse, record)

    return whole(inputs, draws) if lengths is None else _with_lengths(whole, inputs, draws, lengths)


def _with_lengths(
    whole: Callable[[tuple[Tensor, ...], dict[str, Tensor] | None], Result],
    inputs: tuple[Tensor, ...],
    draws: dict[str, Tensor] | None,
    lengths: Tensor,
) -> Result:
    """Run where rows have lengths of their own: over sequences whose padding is zero, whatever it held."""
    packed = inputs[0].dim() == 2
    steps = int(lengths.max()) if packed else inputs[0].shape[0]
    padding = torch.arange(steps)[:, None] >= lengths  # [T, B]
    index = (~padding).flatten().nonzero().squeeze(1)  # where the rows of a packed batch lie in [T * B]
    padding, index = padding.to(inputs[0].device), index.to(inputs[0].device)

    def padded(sequence: Tensor) -> Tensor:
        if not packed:
            # Filling, unlike a product with zeros, keeps NaN and infinities out, and gradients too.
            return sequence.masked_fill(padding[..., None], 0)
        room = sequence.new_zeros(padding.numel(), sequence.shape[1])
        return room.index_copy(0, index, sequence).unflatten(0, padding.shape)

    def given_back(sequence: Tensor) -> Tensor:
        return sequence.flatten(0, 1).index_select(0, index) if packed else sequence

    masks = None if draws is None else {name: padded(mask) for name, mask in draws.items()}
    result = whole(tuple(padded(one) for one in inputs), masks)
    recorded = {name: given_back(sequence) for name, sequence in result.recorded.items()}
    return Result(given_back(result.output), result.state, recorded)


def _run(program: Program, call: Call, breaks: "_Breaks", reverse: bool, record: tuple[str, ...]) -> Result:
    """Run a program over sequences [T, B, size]."""
    step, steps = call.step, call.inputs[0].shape[0]
    registers = [*program.start]
    registers[CALL] = call
    for register, sequence in zip(program.inputs, call.inputs, strict=True):
        registers[register] = sequence
    for action in program.once:
        action(registers)
    names = dict.fromkeys((step.states[0], *record))
    collected: dict[str, list[Tensor]] = {name: [] for name in names if program.places[name].kind == Kind.STEP}
    order = range(steps - 1, -1, -1) if reverse else range(steps)
    final = _walk(program, registers, order, call.state, breaks, collected)
    whole = {}
    for name in names:
        if steps and name in collected:
            sequence = torch.stack(collected[name][::-1] if reverse else collected[name])
        else:  # the same for all steps, or known for all steps from the start, or there was no step
            place = program.places[name]
            known: Any = 0.0 if place.kind == Kind.STEP else registers[place.register]
            sequence = known if place.kind == Kind.SEQUENCE else call.sequence(known, call.sizes[step.sizes_of[name]])
        whole[name] = sequence if breaks.ended is None else sequence.masked_fill(breaks.ended, 0)
    return Result(whole[step.states[0]], final, {name: whole[name] for name in record})


class _Breaks:
    """Where the flow of states is broken: rows that have ended stay as they are, rows may start anew."""

    def __init__(
        self,
        lengths: Tensor | None,
        restart: Tensor | None,
        initial: tuple[Tensor, ...] | None,
        steps: int,
        device: torch.device,
    ) -> None:
        self.ended: Tensor | None = None  # [T, B, 1]
        self._shortest = steps
        if lengths is not None:
            self._shortest = int(lengths.min()) if len(lengths) else steps
            times = torch.arange(steps, device=device)
            self.ended = (times[:, None] >= lengths.to(device))[..., None]
            self._ended_at = self.ended.unbind(0)
        self._restart_at = None if restart is None else restart[..., None].unbind(0)
        self._initial = initial

    def begin(self, time: int, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Give the states a step starts from."""
        if self._restart_at is None:
            return states
        restart = self._restart_at[time]
        if self._initial is None:
            return tuple(state.masked_fill(restart, 0) for state in states)
        return tuple(torch.where(restart, first, state) for first, state in zip(self._initial, states, strict=True))

    def end(self, time: int, before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Give the states a step leaves behind."""
        if time < self._shortest:
            return after
        ended = self._ended_at[time]
        return tuple(torch.where(ended, old, new) for old, new in zip(before, after, strict=True))


def _walk(
    program: Program,
    registers: Registers,
    order: range,
    states: tuple[Tensor, ...],
    breaks: _Breaks,
    collected: dict[str, list[Tensor]],
) -> tuple[Tensor, ...]:
    """Take every step; append to what is collected and return the last states."""
    fed = [(registers[whole].unbind(0), part) for whole, part in program.sequences]
    kept = [(values, program.places[name].register) for name, values in collected.items()]
    actions = program.each
    for time in order:
        for values, register in fed:
            registers[register] = values[time]
        before = breaks.begin(time, states)
        for register, state in zip(program.before, before, strict=True):
            registers[register] = state
        for action in actions:
            action(registers)
        # What a row that has ended keeps is its last state, even where a new sequence would begin.
        states = breaks.end(time, states, tuple([registers[register] for register in program.after]))
        for values, register in kept:
            values.append(registers[register])
    return states
