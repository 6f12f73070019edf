"""Run a stack of layers step by step with the reference."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gatework.kernels.backend import Level
from gatework.kernels.call import Call
from gatework.kernels.reference import run as reference


class ReferenceChain:
    """A stack that the reference runs step by step; see :class:`gatework.kernels.backend.Chain`.

    Args:
        levels: The layers, lowest first.
        batch: B.
        like: A tensor with the type and on the device of all tensors.
        output: The tensor that receives the output, [B, H].
    """

    entry = None

    def __init__(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> None:
        self.output = output
        self.threads: list[int] = []
        self._levels = levels
        self._states = [{name: like.new_zeros(batch, one.size(name)) for name in one.step.states} for one in levels]

    def state(self, number: int) -> dict[str, Tensor]:
        """Return the states of a level, [B, size]. The caller may write to them."""
        return self._states[number]

    @torch.no_grad()
    def step(self, inputs: Sequence[Tensor]) -> None:
        """Run a step.

        Args:
            inputs: The outer inputs, [B, size] each.
        """
        for level, states in zip(self._levels, self._states, strict=True):
            given = (
                inputs[source] if isinstance(source, int) else self._states[source[0]][source[1]]
                for source in (level.inputs[name] for name in level.step.inputs)
            )
            before = tuple(states[name] for name in level.step.states)
            result = reference.run(Call(level.step, level.weights, tuple(one.unsqueeze(0) for one in given), before))
            for name, last in zip(level.step.states, result.state, strict=True):
                states[name].copy_(last)
        self.output.copy_(self._states[-1][self._levels[-1].step.states[0]])
