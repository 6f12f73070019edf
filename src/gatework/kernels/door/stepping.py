"""Chains: a stack of layers that goes step by step and keeps its own state, by kernels or by the reference."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from gatework.errors import ConfigError, KernelError
from gatework.kernels.cpu import streaming
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.door import launch
from gatework.kernels.door.fused import explained_planning
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.spec import read_spec, write_spec
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


@dataclass(frozen=True)
class Level:
    """A layer of a stack.

    Args:
        step: Its equations.
        weights: Its parameters.
        sizes: The size behind each key of the step's sizes.
        inputs: For each of the step's inputs where it comes from: the number of an outer input, or a lower level and
            the name of one of its states, which is then this step's.
    """

    step: Step
    weights: Weights
    sizes: Mapping[str, int]
    inputs: Mapping[str, int | tuple[int, str]]

    def size(self, name: str) -> int:
        """Give the size of a named vector."""
        return self.sizes[self.step.sizes_of[name]]


class ReferenceChain:
    """A stack that goes step by step through the reference; as :class:`gatework.kernels.cpu.streaming.Chain` does.

    Args:
        levels: The layers, lowest first.
        batch: B.
        like: A tensor of the type and on the device of all.
        output: Where the output goes, [B, H].
    """

    def __init__(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> None:
        self.output = output
        self._levels = levels
        self._states = [{name: like.new_zeros(batch, one.size(name)) for name in one.step.states} for one in levels]

    def state(self, number: int) -> dict[str, Tensor]:
        """Give the states of a level, [B, size]; they may be written to."""
        return self._states[number]

    @torch.no_grad()
    def step(self, inputs: Sequence[Tensor]) -> None:
        """Go a step.

        Args:
            inputs: The outer inputs, [B, size] each.
        """
        for level, states in zip(self._levels, self._states, strict=True):
            given = (
                inputs[source] if isinstance(source, int) else self._states[source[0]][source[1]]
                for source in (level.inputs[name] for name in level.step.inputs)
            )
            result = launch.run(
                level.step,
                level.weights,
                tuple(one.unsqueeze(0) for one in given),
                tuple(states[name] for name in level.step.states),
                backend="reference",
            )
            for name, last in zip(level.step.states, result.state, strict=True):
                states[name].copy_(last)
        self.output.copy_(self._states[-1][self._levels[-1].step.states[0]])


Chain = streaming.Chain | ReferenceChain


def prepare(
    levels: Sequence[Level], batch: int, like: Tensor, backend: str, output: Tensor | None = None
) -> tuple[Chain, str, str]:
    """Prepare a stack to go step by step.

    Args:
        levels: The layers, lowest first.
        batch: B.
        like: A tensor of the type and on the device of all.
        backend: What was asked for, a row of :data:`gatework.kernels.CHOICES`.
        output: Where the output goes, [B, H], if it is of this type and on this device; else it is made.

    Returns:
        The chain, its states zero; what runs it, a row of :data:`gatework.kernels.BACKENDS`; and why.

    Raises:
        ConfigError: For a backend that cannot run them.
        KernelError: Where a kernel was asked for by hand and cannot be made.
    """
    chosen, reason = "reference", "it was chosen by hand"
    if backend != "reference":
        chosen, reason = _choose(levels, batch, like)
        if backend not in ("auto", chosen):
            raise ConfigError(f"backend={backend!r} cannot run this: {reason}. {launch.REMEDY}")
    if output is None or output.dtype != like.dtype or output.device != like.device:
        output = like.new_zeros(batch, levels[-1].size(levels[-1].step.states[0]))
    if chosen == "cpu":
        try:
            return streaming.Chain(_links(levels, like), batch, like, output), chosen, reason
        except KernelError as error:
            if backend == "cpu":
                raise
            warnings.warn(f"The reference runs this stream, slowly. {error}", RuntimeWarning, stacklevel=2)
            reason = str(error)
    return ReferenceChain(levels, batch, like, output), "reference", reason


def _choose(levels: Sequence[Level], batch: int, like: Tensor) -> tuple[str, str]:
    """Choose what can run all levels."""
    chosen, reason = "reference", "there are no layers"
    for level in levels:
        inputs = tuple(like.new_empty(1, batch, level.size(name)) for name in level.step.inputs)
        state = tuple(like.new_empty(batch, level.size(name)) for name in level.step.states)
        chosen, reason = launch.choose(level.step, inputs, state, False, ())
        if chosen != "cpu":
            break
    return chosen, reason


def _links(levels: Sequence[Level], like: Tensor) -> list[streaming.Link]:
    dtype = str(like.dtype).removeprefix("torch.")
    return [
        streaming.Link(
            kernel_for(_plan(write_spec(level.step, False, False, "nothing", (), ())), dtype),
            {parameter.name: level.weights[parameter.name] for parameter in level.step.parameters},
            level.sizes,
            level.inputs,
        )
        for level in levels
    ]


@lru_cache(maxsize=512)
def _plan(text: str) -> Plan:
    """Give the plan of a single step, the same object for the same step: kernels are known by their plans."""
    spec = read_spec(text)
    with explained_planning(spec):
        return streaming.step_plan(spec.recipe.inference)
