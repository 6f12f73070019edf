"""The first call of every cell, with nothing on disk: how much processor time compiling takes.

GATEWORK_CACHE= python benchmarks/kernels/first_call.py
"""

import time

import torch

from gatework import CELLS, Recurrent

SIZE = 16


def first_call(name: str, backward: bool) -> float:
    """Give the milliseconds of processor time of a new layer's first call."""
    projected = "proj_size" in CELLS[name].step.size_keys
    layer = Recurrent(name, SIZE, SIZE, proj_size=8 if projected else 0)
    inputs = torch.randn(3, 2, SIZE)
    start = time.process_time()
    with torch.set_grad_enabled(backward):
        output, _ = layer(inputs)
        if backward:
            output.sum().backward()
    return 1e3 * (time.process_time() - start)


if __name__ == "__main__":
    torch.set_num_threads(1)
    first_call("rnn", True)  # what all cells share is made here; the row of rnn then says nothing
    for cell in CELLS:
        print(
            f"{cell:20} forward {first_call(cell, False):6.1f} ms   with the way back {first_call(cell, True):6.1f} ms"
        )
