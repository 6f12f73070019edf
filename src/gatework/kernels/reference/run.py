"""Run a program in eager torch. Every other backend must compute the same.

Nothing is written in place, and no decision depends on values. So it works under double backward, ``torch.func`` and
autocast, in every floating type and on every device of torch.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.call import Call, Result
from gatework.kernels.reference import memories
from gatework.kernels.reference.builder import program_for
from gatework.kernels.reference.program import CALL, Program, Registers
from gatework.kernels.reference.survey import Kind
from gatework.kernels.traced import is_traced
from gatework.language.nodes import Step


def prepare(step: Step) -> None:
    """Make the programs of a step now, because torch's compiler cannot trace how they are made."""
    for drawn in {False, bool(step.draws)}:
        program_for(step, drawn)


def run(call: Call) -> Result:
    """Run a step over a whole sequence."""
    program = program_for(call.step, call.draws is not None)
    if call.lengths is None:
        restarts = None if call.restart is None else call.restart[..., None].unbind(0)
        return _run(program, call, _Flow(call.inputs[0].shape[0], None, restarts, _initial(call)))
    if is_traced() and not call.packed:
        return _with_unknown_lengths(program, call, call.lengths)
    return _with_lengths(program, call, call.lengths)


def _with_lengths(program: Program, call: Call, lengths: Tensor) -> Result:
    """Run rows of different lengths. Each step runs only on the rows that have it, longest first, and never on padding.

    So no padding can give an infinite value that meets a gradient of zero.
    """
    rows, lead = len(lengths), call.inputs[0].shape[:2]
    ranked, order = torch.sort(lengths, descending=True, stable=True)
    times = torch.arange(int(ranked[0]) if rows else 0, device=lengths.device)[:, None]
    live = ranked > times  # [T, B]
    sizes = live.sum(1).tolist()
    index = (times * rows + order)[live].to(call.like.device)  # the index in [T * B] of the rows of all steps
    order = order.to(call.like.device)

    def taken(sequence: Tensor) -> Tensor:
        return sequence if call.packed else sequence.flatten(0, 1).index_select(0, index)

    def given_back(sequence: Tensor) -> Tensor:
        if call.packed:
            return sequence
        room = sequence.new_zeros(lead.numel(), *sequence.shape[1:])
        return room.index_copy(0, index, sequence).unflatten(0, lead)

    def sorted_rows(states: tuple[Tensor, ...], order: Tensor = order) -> tuple[Tensor, ...]:
        return states if call.packed else tuple(one.index_select(0, order) for one in states)

    restart, initial = call.restart, _initial(call)
    restarts = None if restart is None else restart.flatten().index_select(0, index)[:, None].split(sizes)
    banks, extents = call.banks, call.extents
    if banks and not call.packed:
        extents = tuple(None if one is None else one.index_select(0, order) for one in extents)
        banks = tuple(one.index_select(0, order.to(one.device)) for one in banks)
    flow = _Flow(len(sizes), sizes, restarts, None if initial is None else sorted_rows(initial))
    draws = None if call.draws is None else {name: taken(mask) for name, mask in call.draws.items()}
    inputs, state = tuple(map(taken, call.inputs)), sorted_rows(call.state)
    flat = replace(call, inputs=inputs, state=state, draws=draws, banks=banks, extents=extents)
    result = _run(program, flat, flow)
    recorded = {name: given_back(sequence) for name, sequence in result.recorded.items()}
    return Result(given_back(result.output), sorted_rows(result.state, order.argsort()), recorded)


def _with_unknown_lengths(program: Program, call: Call, lengths: Tensor) -> Result:
    """Run rows of different lengths while torch writes a graph, which does not know the lengths: all steps on all rows.

    Padding is replaced by zeros and computed. Rows that have ended give neither values nor gradients.
    """
    steps, restart = call.inputs[0].shape[0], call.restart
    ended = (torch.arange(steps, device=lengths.device)[:, None] >= lengths)[..., None].to(call.like.device)

    def filled(sequence: Tensor) -> Tensor:
        # Filling, unlike a product with zeros, stops NaN and infinities, in gradients too.
        return sequence.masked_fill(ended if sequence.dim() == 3 else ended[..., None], 0)

    restarts = None if restart is None else restart[..., None].unbind(0)
    draws = None if call.draws is None else {name: filled(mask) for name, mask in call.draws.items()}
    whole = replace(call, inputs=tuple(map(filled, call.inputs)), draws=draws)
    result = _run(program, whole, _Flow(steps, None, restarts, _initial(call), ended.unbind(0)))
    recorded = {name: filled(sequence) for name, sequence in result.recorded.items()}
    return Result(filled(result.output), result.state, recorded)


def _run(program: Program, call: Call, flow: "_Flow") -> Result:
    """Run a program over sequences [T, B, size], or [N, size] if steps have different numbers of rows."""
    step, record = call.step, call.record
    registers = begun(program, call)
    names = dict.fromkeys((step.states[0], *record))
    collected: dict[str, list[Tensor]] = {name: [] for name in names if program.places[name].kind == Kind.STEP}
    order = range(flow.steps - 1, -1, -1) if call.reverse else range(flow.steps)
    state = tuple(with_numbers(step, name, one) for name, one in zip(step.states, call.state, strict=True))
    final = _walk(program, registers, order, state, flow, collected)
    final = tuple(without_numbers(step, name, one) for name, one in zip(step.states, final, strict=True))
    whole = {}
    for name in names:
        if flow.steps and name in collected:
            values = flow.joined(collected[name][::-1] if call.reverse else collected[name])
            whole[name] = without_numbers(step, name, values)
        else:  # the same for all steps, or known before the first step, or there was no step
            place = program.places[name]
            known: Any = 0.0 if place.kind == Kind.STEP else registers[place.register]
            sequence = place.kind == Kind.SEQUENCE
            whole[name] = known if sequence else call.sequence(known, *_shape_of(call, name))
    result = Result(whole[step.states[0]], final, {name: whole[name] for name in record})
    return result if flow.steps else _held_together(result, call)


def begun(program: Program, call: Call, held: Registers | None = None) -> Registers:
    """Return the registers of a run, with everything that is computed once.

    Args:
        program: The program.
        call: The call.
        held: What :func:`fixed` returned for the same parameters and memories; None computes it.
    """
    registers = fixed(program, call) if held is None else [*held]
    registers[CALL] = call
    for register, name, sequence in zip(program.inputs, call.step.inputs, call.inputs, strict=True):
        registers[register] = with_numbers(call.step, name, sequence)
    for action in program.once:
        action(registers)
    return registers


def fixed(program: Program, call: Call) -> Registers:
    """Return registers with all that parameters and memories alone decide."""
    registers, step = [*program.start], call.step
    registers[CALL] = call
    for register, name, extents in zip(program.extents, step.places, call.extents, strict=True):
        registers[register] = memories.mask_of(call.bank(name), extents)
    for register, name in zip(program.banks, step.banks, strict=True):
        mask = registers[program.extents[step.places.index(step.positions[name])]]
        registers[register] = memories.without_rest(with_numbers(step, name, call.bank(name)), mask)
    for action in program.fixed:
        action(registers)
    return registers


def _initial(call: Call) -> tuple[Tensor, ...] | None:
    if call.initial is None:
        return None
    pairs = zip(call.step.states, call.initial, strict=True)
    return tuple(with_numbers(call.step, name, one) for name, one in pairs)


def with_numbers(step: Step, name: str, values: Tensor) -> Tensor:
    """Give values with one number at each position an axis for that number."""
    return values.unsqueeze(-1) if step.is_bare(name) else values


def without_numbers(step: Step, name: str, values: Tensor) -> Tensor:
    """Undo :func:`with_numbers`."""
    return values.squeeze(-1) if step.is_bare(name) else values


def _shape_of(call: Call, name: str) -> tuple[int, ...]:
    """Return the shape of a recorded value, for one row of one step."""
    step, size = call.step, call.sizes[call.step.sizes_of[name]]
    if name not in step.positions:
        return (size,)
    count = call.bank(step.positions[name]).shape[1]
    return (count,) if step.is_bare(name) else (count, size)


def _held_together(result: Result, call: Call) -> Result:
    """Connect a result without any step to everything that a step would read, so that gradients are zeros.

    One batch of many may have no steps, and its loss is differentiated like the others.
    """
    read = (*(call.weights[name] for name in call.weights.names()), *call.inputs, *call.state, *call.banks)
    nothing = torch.stack([one.flatten()[:0].sum() for one in read]).sum()  # 0, whatever the tensors hold
    recorded = {name: one + nothing for name, one in result.recorded.items()}
    return Result(result.output + nothing, tuple(one + nothing for one in result.state), recorded)


@dataclass(frozen=True)
class _Flow:
    """How states pass from step to step.

    Args:
        steps: T.
        sizes: For each step, the number of rows that have it, which come first; None if every row has every step.
        restarts: For each step, which of its rows restart, [rows, 1]; None if none does.
        initial: The states that rows restart from, [B, size] each; None for zeros.
        ended: For each step, which rows do not have it, bool [B, 1], if every step runs on all rows; else None.
    """

    steps: int
    sizes: list[int] | None
    restarts: tuple[Tensor, ...] | None
    initial: tuple[Tensor, ...] | None
    ended: tuple[Tensor, ...] | None = None

    def parted(self, sequence: Tensor) -> tuple[Tensor, ...]:
        """Split a whole sequence into its steps."""
        return sequence.unbind(0) if self.sizes is None else sequence.split(self.sizes)

    def joined(self, parts: list[Tensor]) -> Tensor:
        """Join the steps to a whole sequence."""
        return torch.stack(parts) if self.sizes is None else torch.cat(parts)

    def begin(self, time: int, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the states at the start of a step."""
        states = self._first(time, states)
        if self.restarts is None:
            return states
        restart = self.restarts[time]
        if self.initial is None:
            return tuple(state.masked_fill(_beside(restart, state), 0) for state in states)
        pairs = zip(self._first(time, self.initial), states, strict=True)
        return tuple(torch.where(_beside(restart, state), first, state) for first, state in pairs)

    def end(self, time: int, before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the states at the end of a step. A row without the step keeps its old states."""
        if self.ended is not None:
            pairs = zip(before, after, strict=True)
            return tuple(torch.where(_beside(self.ended[time], old), old, new) for old, new in pairs)
        if self.sizes is None or self.sizes[time] == len(before[0]):
            return after
        return tuple(torch.cat([new, old[len(new) :]]) for old, new in zip(before, after, strict=True))

    def rows(self, time: int, value: Tensor | None) -> Tensor | None:
        """Return the part of a value for each row, [B, ...], that belongs to the rows of a step."""
        return value if self.sizes is None or value is None else value[: self.sizes[time]]

    def _first(self, time: int, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.sizes is None or self.sizes[time] == len(states[0]):
            return states
        return tuple(state[: self.sizes[time]] for state in states)


def _walk(
    program: Program,
    registers: Registers,
    order: range,
    states: tuple[Tensor, ...],
    flow: _Flow,
    collected: dict[str, list[Tensor]],
) -> tuple[Tensor, ...]:
    """Run every step. Append the values to ``collected``, and return the last states."""
    fed = [(flow.parted(registers[whole]), part) for whole, part in program.sequences]
    kept = [(values, program.places[name].register, program.masks.get(name)) for name, values in collected.items()]
    actions = program.each
    for time in order:
        for values, register in fed:
            registers[register] = values[time]
        for whole, part in program.rows:
            registers[part] = flow.rows(time, registers[whole])
        for register, state in zip(program.before, flow.begin(time, states), strict=True):
            registers[register] = state
        for action in actions:
            action(registers)
        states = flow.end(time, states, tuple([registers[register] for register in program.after]))
        for values, register, mask in kept:
            value = registers[register]
            if mask is not None and registers[mask] is not None:  # positions that a row does not have
                value = value.masked_fill(~registers[mask], 0)
            values.append(value)
    return states


def _beside(flags: Tensor, values: Tensor) -> Tensor:
    """Give flags for each row, [B, 1], the axes that values [B, 1] or [B, L, 1] have."""
    return flags if values.dim() == flags.dim() else flags[..., None]
