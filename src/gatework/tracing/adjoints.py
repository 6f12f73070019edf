"""The equations that carry a state's gradient back by one step: from all lines, or from the state's own line alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.errors import CellError, SizeError
from gatework.kernels.reference.memories import Mask, mask_of, without_rest
from gatework.kernels.reference.run import with_numbers
from gatework.language import Equation, Name, Product, Step
from gatework.language.anatomy import mixes_units, own_line
from gatework.language.check import check
from gatework.language.derive import differentiate
from gatework.language.handles import tied
from gatework.language.nodes import Node, walk
from gatework.language.simplify import needed, substitute
from gatework.language.spelling import Names
from gatework.tracing.evaluation import Values
from gatework.tracing.traces import Trace, TracedLayer


@dataclass(frozen=True)
class StepAdjoint:
    """The lines that carry a state's gradient back by one step.

    Args:
        lines: The necessary lines of the adjoint, in order.
        back: Maps each state to the line that carries its gradient to the previous step.
        gradient: The line of the requested gradient.
        reads: Maps each forward value that the lines read to its name in the equations.
        positions: For every name in the lines that has a value at each position of a memory, the memory.
    """

    lines: tuple[Equation, ...]
    back: Mapping[str, str]
    gradient: str
    reads: Mapping[str, Name]
    positions: Mapping[str, str]

    def step(self, values: Values) -> None:
        """Compute all lines of one step."""
        for line in self.lines:
            values.names[Name(line.target)] = values(line.value)

    def factor(self, values: Values) -> Tensor:
        """Return the factor by which one step multiplies the previous value; it must be a number for each unit."""
        (back,) = self.back.values()
        values.names[Name(back, True)] = torch.ones((), dtype=torch.float64)
        self.step(values)
        return values.names[Name(back)]


def adjoint_of(step: Step, state: str, known: Mapping[str, Name] | None = None) -> StepAdjoint:
    """Return the adjoint of all lines.

    Args:
        step: The equations.
        state: The state whose gradient is requested.
        known: The meaning of inputs of the equations that are not inputs of the layer.

    Returns:
        The lines of the adjoint.
    """
    adjoint = differentiate(step, ())
    gradient = adjoint.gradients[state]
    lines = needed(adjoint.step.equations, (*adjoint.back.values(), gradient))
    sources = {**(known or {}), **{last: Name(name, True) for name, last in adjoint.last.items()}}
    made = {line.target for line in lines} | {one.name for one in step.parameters}
    reads = dict.fromkeys(node.name for line in lines for node in walk(line.value) if isinstance(node, Name))
    given = {name: sources.get(name, Name(name)) for name in reads if name not in made}
    return StepAdjoint(lines, adjoint.back, gradient, given, adjoint.step.positions)


def own_adjoint(step: Step, state: str) -> StepAdjoint:
    """Return the adjoint of a state's own line, with all other names held fixed."""
    value = own_line(step, state)
    kept, names = {*(parameter.name for parameter in step.parameters), *step.banks}, Names(step)
    known: dict[str, Name] = {}
    renamed: dict[Name, Node] = {}
    for name in dict.fromkeys(node for node in walk(value) if isinstance(node, Name)):
        if name.name not in kept and name != Name(state, True):
            given = names.numbered("given_")
            known[given], renamed[name] = name, Name(given)
    line, memories = (
        Equation(state, substitute(value, renamed)),
        tied(step, {one: of.name for one, of in known.items()}),
    )
    return adjoint_of(check((line,), (state,), tuple(known), memories=memories), state, known)


def elementwise(step: Step, state: str) -> StepAdjoint:
    """Return the adjoint of a state's own line, for a state that is carried unit by unit.

    Raises:
        CellError: If the previous value enters a matrix product, or a mean over units.
    """
    adjoint = own_adjoint(step, state)
    carried = set(adjoint.back.values())  # names that depend on the gradient; all others depend on forward values only
    for line in adjoint.lines:
        if any(isinstance(node, Name) and node.name in carried for node in walk(line.value)):
            carried.add(line.target)
    if any(_mixes(node, carried) for line in adjoint.lines for node in walk(line.value)):
        raise CellError(
            f"The state `{state}` is not carried unit by unit: its own equation mixes the "
            "units. Ask for a state that is, or for state_jacobian()."
        )
    return adjoint


def _mixes(node: Node, carried: set[str]) -> bool:
    """Tell whether the gradient of one unit reaches other units through a node."""
    if isinstance(node, Product) and not any(isinstance(below, Name) and below.name in carried for below in walk(node)):
        return False
    return mixes_units(node)


def sequence(trace: Trace, told: TracedLayer, name: Name) -> Tensor:
    """Return the value of a name at every step.

    Returns:
        [T, B, size], and [T, B, L, size] at positions of a memory; [1, B, L, size] for a memory, and [1, 1, 1] for a
        mask that was not drawn or traced.
    """
    if name.name in told.banks:
        return given_banks(told)[name.name].unsqueeze(0)
    return with_numbers(told.step, name.name, _stepwise(trace, told, name))


def _stepwise(trace: Trace, told: TracedLayer, name: Name) -> Tensor:
    key = f"{told.prefix}.{name.name}"
    if name.previous:
        return told.last(name.name, trace[key])
    if name.name in told.step.draws and not told.drawn and key not in trace:
        return torch.full((1, 1, 1), told.step.draws[name.name], dtype=torch.float64)
    return told.inputs[name.name] if name.name in told.inputs else trace[key]


def given_masks(told: TracedLayer) -> dict[str, Mask]:
    """Return which positions of each memory the rows of a traced layer have, bool [B, L, 1] each; None for all."""
    return {place: mask_of(told.banks[place], told.extents.get(place)) for place in told.step.places}


def given_banks(told: TracedLayer) -> dict[str, Tensor]:
    """Return the memories of a traced layer, [B, L, size] each, with nothing of what lies beyond a row's positions."""
    masks, step = given_masks(told), told.step
    banks = {name: with_numbers(step, name, bank) for name, bank in told.banks.items()}
    return {name: without_rest(bank, masks[step.positions[name]]) for name, bank in banks.items()}


def state_of(step: Step, of: str | None) -> str:
    """Return the named state; without a name the cell state, which is the second state if there is one.

    Raises:
        SizeError: For a name that is not a state.
    """
    states = step.states
    if of is None:
        return states[min(1, len(states) - 1)]
    if of not in states:
        raise SizeError(f"`{of}` is no state; the equations have the states {', '.join(states)}.")
    return of
