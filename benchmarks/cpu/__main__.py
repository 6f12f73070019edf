"""Set the CPU kernels beside their peers, turn by turn in one process and with the same threads.

    python -m benchmarks.cpu [--only lstm,gru] [--threads 2] [--quick] [--json]

Before a pair is timed, everything both compute is compared: outputs and final states, and in training every gradient.
Where they do not agree there is no ratio, and the exit code is 1. A missed target is said to be missed, and the exit
code stays 0. So does it where a peer is not installed; benchmarks/requirements.txt names them. A table during which
other processes had the processors is not judged. Except with --quick, the tables of a name are written to
benchmarks/results/cpu_<name>.json.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.cpu import report
from benchmarks.cpu.machine import describe, measure_peak, processors
from benchmarks.cpu.measure import TOLERANCES, Effort
from benchmarks.cpu.memory import measure_memory
from benchmarks.cpu.outcome import Outcome, measure_table
from benchmarks.cpu.plan import FULL, QUICK, Plan
from benchmarks.cpu.tables import TABLES

RESULTS = Path(__file__).resolve().parents[1] / "results"
NAMES = (*TABLES, "memory")


def main(words: list[str] | None = None) -> int:
    """Run what the command line asks for.

    Args:
        words: The command line; None for that of the process.

    Returns:
        The exit code: 1 where numbers differ or something failed, else 0.
    """
    given = _parser().parse_args(words)
    _keep_to(given.threads)
    plan = Plan(QUICK if given.quick else FULL, given.threads, given.backend)
    effort = Effort(3, 0.02) if given.quick else Effort()
    out = report.console()
    run: dict[str, Any] = {"command": shlex.join(["python", "-m", "benchmarks.cpu", *(words or sys.argv[1:])])}
    run |= {"quick": given.quick, "backend": given.backend, "tolerances": TOLERANCES}
    run["machine"] = describe(given.threads) | {"peak_gflops": measure_peak(given.threads, given.quick)}
    everything, refused = [], False
    if not given.json:
        out.print_json(json.dumps(run))
    for name in given.only or NAMES:
        outcomes = []
        for make in _measurements(name, plan, effort):
            outcomes += (made := make())
            if not given.json:
                for outcome in made:
                    report.show(out, outcome, given.quick)
        run["machine"]["load_after"] = [round(load, 2) for load in os.getloadavg()]
        refused = refused or any(outcome.refused for outcome in outcomes)
        everything.append(report.facts(name, run, outcomes))
        if not given.quick:
            print(f"written: {report.write(given.write, name, run, outcomes)}", file=sys.stderr)
    if given.json:
        print(json.dumps(everything, indent=1))
    return int(refused)


def _measurements(name: str, plan: Plan, effort: Effort) -> list[Callable[[], list[Outcome]]]:
    if name == "memory":
        return [partial(measure_memory, plan)]
    return [lambda table=table: [measure_table(table, effort)] for table in TABLES[name](plan)]


def _keep_to(threads: int) -> None:
    """Give every library as many threads: torch is told, the others count the processors that they may use."""
    torch.set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors(threads))


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"no table {', '.join(unknown)}; choose from {', '.join(NAMES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, help=f"names with commas between: {', '.join(NAMES)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="auto", help="what our layers run on")
    parser.add_argument(
        "--quick", action="store_true", help="small shapes and few turns, to try it out; writes no file"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", type=Path, default=RESULTS, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
