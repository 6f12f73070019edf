"""What a single step costs beside torch's cells, in a loop of one's own, with a gradient and without.

    OMP_NUM_THREADS=1 python benchmarks/single_steps.py [--kinds LSTM GRU RNN] [--sizes 8x32x64 1x32x64 32x128x256]

For every size (rows x features x units) states and gradients are compared first, and no time is printed where they
differ. Times are the processor's, measured in turn; a ratio is the median of the turns' ratios.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

import gatework

KINDS = ("LSTM", "GRU", "RNN")
SIZES = ("8x32x64", "1x32x64", "32x128x256")


def loops(kind: str, rows: int, features: int, units: int, steps: int) -> dict[str, Callable[[], Any]]:
    """Make the three loops, with the same weights: torch's cell, our cell, our layer's step."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, f"{kind}Cell")(features, units)
    cell, layer = getattr(gatework, f"{kind}Cell")(features, units), getattr(gatework, kind)(features, units)
    cell.load_state_dict(theirs.state_dict())
    layer.load_state_dict({f"{key}_l0": value for key, value in theirs.state_dict().items()})
    given = torch.randn(steps, rows, features)

    def loop(step: Callable[[Any, Any], Any], module: torch.nn.Module) -> list[torch.Tensor]:
        state: Any = None
        for one in given:
            state = step(one, state)
        last = state[0] if isinstance(state, tuple) else state
        if last.requires_grad:
            module.zero_grad()
            last.sum().backward()
        return [last.detach().view(rows, units), *(one.grad for one in module.parameters() if one.grad is not None)]

    return {
        f"torch.nn.{kind}Cell": lambda: loop(theirs, theirs),
        f"gatework.{kind}Cell": lambda: loop(cell, cell),
        f"gatework.{kind}.step": lambda: loop(lambda one, state: layer.step(one, state)[1], layer),
    }


def measured(runs: dict[str, Callable[[], Any]], steps: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Give for each run the microseconds of a step, and how often the first run's it takes."""
    (first, *_), expected = runs, next(iter(runs.values()))()
    for name, run in runs.items():
        if not all(torch.allclose(one, other, atol=1e-5) for one, other in zip(run(), expected, strict=True)):
            sys.exit(f"{name} computes something else than {first}")
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            found[name].append((time.process_time() - begin) / steps * 1e6)
    return {
        name: (
            statistics.median(times),
            statistics.median(one / other for one, other in zip(times, found[first], strict=True)),
        )
        for name, times in found.items()
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What a single step costs beside torch's cells.")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="rows x features x units")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=41)
    asked = parser.parse_args()
    print("| what | rows x features x units | gradient | us a step | times torch's |\n|---|---|---|---|---|")
    for kind in asked.kinds:
        for size in asked.sizes:
            rows, features, units = map(int, size.split("x"))
            runs = loops(kind, rows, features, units, asked.steps)
            for gradient in (False, True):
                with torch.set_grad_enabled(gradient):
                    for name, (time_taken, ratio) in measured(runs, asked.steps, asked.repeats).items():
                        told = f"{'with' if gradient else 'without'} | {time_taken:.1f} | {ratio:.2f}"
                        print(f"| {name} | {size} | {told} |", flush=True)


if __name__ == "__main__":
    main()
