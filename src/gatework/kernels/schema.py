"""The kernels' operators, registered with torch once torch is imported. Their code is imported at the first run.

So a bare ``import gatework``, which stays quick, is enough to load a program that ``torch.export`` wrote.
"""

import torch

from gatework.lazy import late

_SIGNATURE = (
    "str spec, Tensor[] inputs, Tensor[] state, Tensor[] weights, Tensor? lengths, Tensor? restart, Tensor[] initial"
)
_DOING = "gatework.kernels.cpu.operators"  # the operators' code for the CPU
_GRADIENTS = "gatework.kernels.cpu.gradients"

library = torch.library.Library("gatework", "DEF")
library.define(f"forward({_SIGNATURE}) -> Tensor[]")
library.define(f"backward({_SIGNATURE}, Tensor[] kept, Tensor?[] grads, bool[] needed) -> Tensor[]")
library.impl("forward", late(_DOING, "run_apart"), "CPU")
library.impl("backward", late(_DOING, "run_backward"), "CPU")
torch.library.register_fake("gatework::forward", late(_DOING, "forward_shapes"))
torch.library.register_fake("gatework::backward", late(_DOING, "backward_shapes"))
torch.library.register_autograd(
    "gatework::forward", late(_GRADIENTS, "differentiate"), setup_context=late(_GRADIENTS, "remember")
)
