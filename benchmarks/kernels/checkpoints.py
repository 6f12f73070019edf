"""The memory and the time of a training step over a long sequence, for each setting of ``memory``.

    python benchmarks/kernels/checkpoints.py 64 10000 64

Each setting runs in a process of its own, with one thread. The kernel keeps the highest resident size of a process, so
nothing is sampled. What is counted is by how much a forward and a backward pass of one LSTM raise it, without the
output, which is the user's; the input and the gradient of the output are there before. So saved states, workspaces,
packed weights and the gradients of the parameters count. Code is compiled and used before, by shorter sequences, and
the memory that these leave for later runs is released. A state is what one step leaves to the next: B * H numbers of h,
and as many of c.
"""

import argparse
import ctypes
import gc
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import torch

import gatework
from gatework.kernels import MEMORY
from gatework.kernels.cpu import memory

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_SHORT = (300, 300, 1000, 300)  # steps of the sequences that come before


def resident(field: str) -> int:
    """Return a size of this process in bytes: ``VmRSS``, or the highest so far, ``VmHWM``."""
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def step(layer: gatework.LSTM, rows: int, units: int, steps: int) -> tuple[int, float]:
    """Run forward and backward.

    Args:
        layer: The layer.
        rows: B.
        units: H.
        steps: T.

    Returns:
        The bytes by which the step raised the resident size, without the output, and the seconds of
        processor time.
    """
    torch.manual_seed(0)
    given, arriving = (torch.randn(steps, rows, units) for _ in range(2))
    layer.zero_grad()
    release()
    _RESET.write_text("5", encoding="ascii")
    before, start = resident("VmRSS"), time.process_time()
    output, _ = layer(given)
    output.backward(arriving)
    return resident("VmHWM") - before - output.nbytes, time.process_time() - start


def release() -> None:
    """Release the memory that earlier runs hold for later ones."""
    for thing in memory._idle.copy():
        memory.forget(thing)
        thing.let_go()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def measure(kind: str, rows: int, steps: int, units: int) -> dict[str, float]:
    """Measure one setting in this process.

    Args:
        kind: A row of ``MEMORY``.
        rows: B.
        steps: T.
        units: H.

    Returns:
        Megabytes, how many states they would hold, and seconds of processor time.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = gatework.LSTM(units, units, memory=kind)
    for short in _SHORT:
        step(layer, rows, units, short)
    peak, _ = step(layer, rows, units, steps)
    seconds = min(step(layer, rows, units, steps)[1] for _ in range(3))
    return {"megabytes": peak / 1e6, "states": peak / (2 * rows * units * 4), "seconds": seconds}


def main() -> None:
    """Measure what the command line names, and print it as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", type=int, nargs=3, metavar=("B", "T", "H"))
    parser.add_argument("--only", choices=MEMORY, help="measure this setting in this process, and print JSON")
    given = parser.parse_args()
    rows, steps, units = given.shape
    if given.only:
        print(json.dumps(measure(given.only, rows, steps, units)))
        return
    print(f"(B, T, H) = ({rows}, {steps}, {units}); the square root of T is {math.sqrt(steps):.0f}")
    for kind in MEMORY:
        command = [sys.executable, __file__, *map(str, given.shape), "--only", kind]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{kind:6}{found['megabytes']:9.1f} MB{found['states']:9.0f} states{found['seconds']:8.2f} s")


if __name__ == "__main__":
    main()
