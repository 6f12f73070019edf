"""Run a single step of a layer, for the user's own loops, by torch's operations: they cost less than a kernel call."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels.reference.single import run_single
from gatework.language.spelling import BELOW
from gatework.nn.layers import follows_output, outer_inputs
from gatework.nn.memories import Banks, Lengths
from gatework.nn.sequences import SequenceBatch, arrange, as_tuple
from gatework.nn.states import State, fresh_states, given_back, taken
from gatework.nn.wiring import dropped, enter, leave

_KEYS = {
    True: ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
    False: ("weight_ih_l0", "weight_hh_l0"),
}


def step(
    layer: Any, input: Any, state: State, memories: Banks = None, memory_lengths: Lengths = None
) -> tuple[Tensor, State]:
    """Run a single step of a :class:`gatework.Recurrent`; see its method ``step``."""
    if layer.bidirectional:
        raise SizeError("step() was called on a bidirectional layer, whose output needs steps to come. Use forward().")
    if layer.training and layer.dropout and layer.locked_dropout and layer.num_layers > 1:
        raise SizeError(
            "step() was called in training on a layer with locked_dropout, whose mask lasts for a whole sequence. Use "
            "forward(), or layer.eval()."
        )
    # With an explicit backend, inside gatework.tracing or in a jit trace, the step runs as a sequence of length one.
    by_torch = layer.backend == "auto" and layer._inside is None and not torch.jit.is_tracing()
    if by_torch and layer._operation and (done := _at_once(layer, input, state)) is not None:
        return done
    inputs = as_tuple(input)
    if not all(isinstance(one, Tensor) for one in inputs):
        types = ", ".join(type(one).__name__ for one in inputs)
        raise SizeError(f"step() was given {types}; expected a tensor [B, I] or [I], or a tuple of them.")
    if by_torch:
        return _by_torch(layer, inputs, state, memories, memory_lengths)
    sequences = tuple(one.unsqueeze(0) for one in inputs)
    layer._check(sequences, state, False, memories)
    batch = arrange(sequences, batch_first=False, lengths=None, reset=None)
    output, final, _ = layer._run(layer._remembering(batch, memories, memory_lengths), state, ())
    return output.squeeze(0), final


def _by_torch(
    layer: Any, inputs: tuple[Tensor, ...], state: State, memories: Banks, memory_lengths: Lengths
) -> tuple[Tensor, State]:
    """Run a step of any cell, in any number of layers."""
    batched = inputs[0].dim() == 2
    if not (batched and _fits(layer, inputs, state)):
        layer._check(tuple(one.unsqueeze(0) for one in inputs), state, False, memories)
    if not batched:
        inputs = tuple(one.unsqueeze(0) for one in inputs)
    batch = SequenceBatch(tuple(one.unsqueeze(0) for one in inputs), None, None, 1, batched)
    batch = layer._remembering(batch, memories, memory_lengths)
    count, together = len(layer.cell.states), layer.same_sizes
    before = fresh_states(layer, batch) if state is None else taken(batch, state, count, together)
    output, finals = _stack(layer, inputs, before, batch)
    return output if batched else output.squeeze(0), given_back(batch, finals, together)


def _at_once(layer: Any, input: Any, state: State) -> tuple[Tensor, State] | None:
    """Run a step that is a single torch operation, with minimal overhead.

    Returns None if the step needs more than that, or if something does not fit; the general path then reports it.
    """
    if state is None or type(input) is not Tensor or input.dim() != 2 or layer.num_layers != 1:
        return None
    parts = state if isinstance(state, tuple) else (state,)
    for part in parts:
        if type(part) is not Tensor or part.dim() != 3 or part.size(0) != 1:
            return None
    kept = layer._parameters
    try:
        weights = [kept[key] for key in _KEYS[layer.bias]]
        if len(parts) == 1:
            output = getattr(torch, layer._operation)(input, parts[0].squeeze(0), *weights)
            return output, output.unsqueeze(0)
        output, cell = torch.lstm_cell(input, [parts[0].squeeze(0), parts[1].squeeze(0)], *weights)
        return output, (output.unsqueeze(0), cell.unsqueeze(0))
    except (KeyError, RuntimeError):  # weights that are computed at each use, or sizes that do not fit
        return None


def _fits(layer: Any, inputs: tuple[Tensor, ...], state: State) -> bool:
    """Check the common case quickly; False means that a full check is needed."""
    first = layer.layers[0]
    if len(inputs) > 1 or layer.cell.memories or first.projected_from is not None or not first.stored:
        return False
    dtype = getattr(layer, first.stored[0].key + "_l0").dtype
    rows, width = inputs[0].shape
    if inputs[0].dtype is not dtype or width != first.input_sizes[0]:
        return False
    if state is None:
        return True
    parts, sizes, runs = (state,) if isinstance(state, Tensor) else state, first.state_sizes, layer.num_layers
    if not isinstance(parts, tuple) or len(parts) != len(sizes) or (runs > 1 and not layer.same_sizes):
        return False
    for part, size in zip(parts, sizes, strict=True):
        if not isinstance(part, Tensor) or part.dtype is not dtype or part.shape != (runs, rows, size):
            return False
    return True


def _stack(
    layer: Any, inputs: tuple[Tensor, ...], before: list[tuple[Tensor, ...]], batch: SequenceBatch
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """Run the layers one after the other; return the output and the states of each."""
    given = dict(zip(outer_inputs(layer.cell), inputs, strict=True))
    first, finals, passed = layer.first_input, [], []
    outside = given[first]
    for number, states in enumerate(before):
        below = given[first]
        enter(layer, number, given, outside, lambda sequence: sequence)
        finals.append(_layer(layer, number, given, states, batch))
        given |= {f"{name}{BELOW}": part for name, part in zip(layer.cell.states, finals[-1], strict=True)}
        passed.append(leave(layer, number, below, finals[-1][0]))
        if follows_output(layer.cell):
            given[first] = dropped(layer, number, passed[-1])
    return torch.cat(passed, -1) if layer.wiring.skips_out else passed[-1], finals


def _layer(
    layer: Any, number: int, given: dict[str, Tensor], states: tuple[Tensor, ...], batch: SequenceBatch
) -> tuple[Tensor, ...]:
    """Run one layer; return its states."""
    one, first = layer.layers[number], layer.first_input
    if layer._operation:
        owner = layer.wiring.owner(number)
        weights = [getattr(layer, f"{part.key}_l{owner}") for part in one.stored]
        return torch_step(layer._operation, given[first], states, weights)
    inputs = tuple([given[name] for name in one.step.inputs])
    draws = layer._drawn(one, given[first]) if layer.training and one.step.draws else None
    kept = None if batch.kept is None else batch.kept[number]
    return run_single(one.step, layer.weights(number), inputs, states, draws, batch.banks, batch.extents, kept)


def torch_step(
    operation: str, input: Tensor, states: tuple[Tensor, ...], weights: Sequence[Tensor | None]
) -> tuple[Tensor, ...]:
    """Run a step by one of torch's own operations.

    Args:
        operation: The name of the operation, such as ``lstm_cell``.
        input: [B, I].
        states: [B, H] each.
        weights: The weights of torch's cells: two matrices and, with biases, two vectors.

    Returns:
        The states after the step, [B, H] each.
    """
    run = getattr(torch, operation)
    return run(input, states, *weights) if len(states) > 1 else (run(input, states[0], *weights),)
