"""How far float32 runs of layer norm part from float64 with length, on the kernels and on the reference.

python benchmarks/kernels/rounding.py
"""

import torch

from gatework import CELLS, Recurrent, coupled, layer_norm, peephole, recurrent_dropout, zoneout

UNITS, ROWS = 256, 8
PLAIN = CELLS["lstm"]
VARIANTS = {
    "layer norm": layer_norm(PLAIN),
    "all together": recurrent_dropout(zoneout(layer_norm(coupled(peephole(PLAIN)))), 0.25),
}


def everything(layer: Recurrent, inputs: torch.Tensor, backend: str, dtype: torch.dtype) -> list[torch.Tensor]:
    """Give output and all gradients of a run, in float64."""
    layer = layer.to(dtype)
    layer.backend = backend
    layer.zero_grad()
    given = inputs.detach().to(dtype, copy=True).requires_grad_()
    output, _ = layer(given)
    output.sum().backward()
    gradients = [given.grad, *(parameter.grad for parameter in layer.parameters())]
    return [output.detach().double(), *(one.double() for one in gradients if one is not None)]


def apart(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Give the largest difference, as a share of each tensor's largest number."""
    pairs = zip(ours, theirs, strict=True)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


if __name__ == "__main__":
    for name, cell in VARIANTS.items():
        for steps in (8, 128):
            torch.manual_seed(0)
            layer = Recurrent(cell, UNITS, UNITS, dtype=torch.float64).eval()
            inputs = torch.randn(steps, ROWS, UNITS, dtype=torch.float64)
            truth = everything(layer, inputs, "reference", torch.float64)
            kinds = (("cpu", torch.float64), ("cpu", torch.float32), ("reference", torch.float32))
            # float64 comes first: going to float32 rounds the weights for good
            found = [apart(everything(layer, inputs, *kind), truth) for kind in kinds]
            shown = (f"{backend} {one:.1e}" for (backend, _), one in zip(kinds, found, strict=True))
            print(f"{name:14} T={steps:<4} " + "   ".join(shown))
