"""What looking into a layer costs: a run that is traced, or held, beside the same run left alone.

    python benchmarks/tracing.py [--cell lstm] [--sizes 200x1x512 128x32x512] [--repeats 15]

For every size (steps x rows x units) the outputs are compared first, and no time is printed unless they are the same
bit by bit. Times are medians, measured in turn.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

import gatework
from gatework.tracing import trace_chunks

SIZES = ("200x1x128", "200x1x512", "128x32x512", "1000x1x512")


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time each run in turn, so that what else the machine does falls on all of them."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in found.items()}


def measured(cell: str, steps: int, rows: int, units: int, repeats: int) -> dict[str, float]:
    """Compare a run with what looks into it, then time all."""
    torch.manual_seed(0)
    layer = gatework.Recurrent(cell, units, units).eval()
    given = torch.randn(steps, rows, units)
    state = layer.cell.states[-1]

    def alone() -> torch.Tensor:
        with torch.no_grad():
            return layer(given)[0]

    def held() -> torch.Tensor:
        with gatework.clamp(layer, {state: 0.0}, units=[0], start=steps // 2):
            return alone()

    runs = {
        "alone": alone,
        f"{state} only": lambda: gatework.trace(layer, given, state).output,
        "everything": lambda: gatework.trace(layer, given).output,
        "with parts": lambda: gatework.trace(layer, given, parts=True).output,
        "in 4 chunks": lambda: torch.cat([one.output for one in trace_chunks(layer, given, chunk=-(-steps // 4))]),
    }
    expected = runs["alone"]()
    for name, run in runs.items():
        if not torch.equal(run(), expected):
            sys.exit(f"{cell}, {steps}x{rows}x{units}: the output of a run traced `{name}` differs")
    if not torch.equal(held()[: steps // 2], expected[: steps // 2]):
        sys.exit(f"{cell}, {steps}x{rows}x{units}: a unit held from a step on changes the steps before it")
    return seconds({**runs, "one unit held": held}, repeats)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What looking into a layer costs.")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="steps x rows x units")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(f"{options.cell}, float32, {torch.get_num_threads()} threads, milliseconds (and times the run alone)")
    for size in options.sizes:
        steps, rows, units = map(int, size.split("x"))
        found = measured(options.cell, steps, rows, units, options.repeats)
        told = [f"{name} {1000 * one:.2f} ({one / found['alone']:.2f})" for name, one in found.items()]
        print(f"{size:>12}  " + "  ".join(told))


if __name__ == "__main__":
    main()
