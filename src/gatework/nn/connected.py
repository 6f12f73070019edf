"""Run a stack whose layers are connected step by step: a prepared chain for each layer, and torch's operations between.

What stands between the layers is what stands between them over a whole sequence (:mod:`gatework.nn.wiring`), so that
every bit is that of the layer.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.kernels.backend import Chain, Level
from gatework.kernels.door import stepping
from gatework.language.spelling import BELOW
from gatework.nn.layers import follows_output, outer_inputs
from gatework.nn.wiring import enter, leave


class Connected:
    """A stack with skips, connections or maps below; see :class:`gatework.kernels.backend.Chain`.

    Args:
        layer: The :class:`gatework.Recurrent`.
        chains: The chain of each layer, all of whose inputs are outer ones.
        output: The tensor that receives the output, [B, H].
    """

    entry = None  # no single call runs a step

    def __init__(self, layer: Any, chains: Sequence[Chain], output: Tensor) -> None:
        self.output = output
        self.threads = [threads for chain in chains for threads in chain.threads]
        self._layer, self._chains = layer, chains

    def state(self, number: int) -> dict[str, Tensor]:
        """Return the states of a layer, [B, size]. The caller may write to them until the next step."""
        return self._chains[number].state(0)

    @torch.no_grad()
    def step(self, inputs: Sequence[Tensor]) -> None:
        """Run a step.

        Args:
            inputs: The outer inputs, [B, size] each.
        """
        with torch.autocast(self.output.device.type, enabled=False):  # chains read memory of their own type
            passed = self._passed(dict(zip(outer_inputs(self._layer.cell), inputs, strict=True)))
            self.output.copy_(torch.cat(passed, -1) if self._layer.wiring.skips_out else passed[-1])

    def _passed(self, given: dict[str, Tensor]) -> list[Tensor]:
        """Run the layers one above the other; return what each passes up, [B, H]."""
        layer, first, passed = self._layer, self._layer.first_input, []
        outside = given[first]
        for number, chain in enumerate(self._chains):
            before = given[first]
            enter(layer, number, given, outside, lambda value: value)
            chain.step([given[name] for name in layer.layers[number].step.inputs])
            given |= {f"{name}{BELOW}": value for name, value in chain.state(0).items()}
            passed.append(leave(layer, number, before, chain.output))
            if follows_output(layer.cell):
                given[first] = passed[-1]
        return passed


def connect(layer: Any, batch: int, like: Tensor, output: Tensor | None) -> tuple[Connected, str, str]:
    """Prepare a stack whose layers are connected; as :func:`gatework.kernels.door.stepping.prepare` does for others.

    Args:
        layer: The :class:`gatework.Recurrent`.
        batch: B.
        like: A tensor with the type and on the device of all tensors.
        output: The tensor that receives the output, [B, H], if its type and device fit; else a new one is made.

    Returns:
        The stack, its states zero; the backend of its layers, ``reference`` if it runs any of them; and why.

    Raises:
        ConfigError: If the layer's ``backend`` cannot run.
    """
    prepared = []
    for number, one in enumerate(layer.layers):
        inputs = {name: place for place, name in enumerate(one.step.inputs)}
        level = Level(one.step, layer.weights(number), one.sizes, inputs)
        prepared.append(stepping.prepare([level], batch, like, layer.backend))
    if output is None or output.dtype != like.dtype or output.device != like.device:
        output = like.new_zeros(batch, layer.output_size)
    slowest = next((one for one in prepared if one[1] == "reference"), prepared[0])
    return Connected(layer, [chain for chain, _, _ in prepared], output), slowest[1], slowest[2]
