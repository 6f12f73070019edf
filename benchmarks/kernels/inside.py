"""Where the time of a run goes: every call of generated code, by name.

python benchmarks/kernels/inside.py lstm --batch 16 --steps 128 --units 128 --threads 2
"""

import argparse
import time
from collections import defaultdict

import torch

from gatework import CELLS, Recurrent
from gatework.kernels.cpu.table import ArgumentTable

RUNS = 40


class Watched:
    """Adds up the time of every call of an entry while it is in force."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._plain = ArgumentTable.call

    def __enter__(self) -> "Watched":
        """Take the place of the plain call."""
        watched = self

        def call(table: ArgumentTable, address: int, threads: int) -> None:
            start = time.perf_counter()
            watched._plain(table, address, threads)
            kernel = table.kernel
            entries = {**kernel.entries, **kernel.shared}
            way = "back" if kernel.plan.columns or kernel.plan.outers else "forward"
            name = f"{way} {next(name for name, place in entries.items() if place == address)}"
            watched.seconds[name] += time.perf_counter() - start
            watched.calls[name] += 1

        setattr(ArgumentTable, "call", call)  # noqa: B010
        return self

    def __exit__(self, *_: object) -> None:
        """Put the plain call back."""
        setattr(ArgumentTable, "call", self._plain)  # noqa: B010


def main() -> None:
    """Train the layer for some runs, and say where their time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", choices=tuple(CELLS))
    for name, value in (("batch", 16), ("steps", 128), ("units", 128), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    layer = Recurrent(given.cell, given.units, given.units)
    inputs = torch.randn(given.steps, given.batch, given.units, requires_grad=True)
    arriving = torch.randn(given.steps, given.batch, given.units)

    def run() -> None:
        layer.zero_grad()
        inputs.grad = None
        layer(inputs)[0].backward(arriving)

    for _ in range(RUNS // 4):
        run()
    with Watched() as watched:
        start = time.perf_counter()
        for _ in range(RUNS):
            run()
        total = time.perf_counter() - start
    print(f"{1e3 * total / RUNS:9.3f} ms   a run, of which")
    for name, seconds in watched.seconds.items():
        print(f"{1e3 * seconds / RUNS:9.3f} ms   {name}, {watched.calls[name] // RUNS} calls")
    print(f"{1e3 * (total - sum(watched.seconds.values())) / RUNS:9.3f} ms   all else")


if __name__ == "__main__":
    main()
