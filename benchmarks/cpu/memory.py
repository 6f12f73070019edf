"""The memory of one training step, each in a process of its own.

    python -m benchmarks.cpu.memory ours 32 128 512

The kernel keeps the highest resident size of a process and lets it be set back, so nothing is sampled and nothing is
missed. To show that it can be trusted, the process then asks for a known amount and reads that too.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from benchmarks.cpu.contestants import (
    Network,
    Shape,
    over_sequence,
    random_input,
    random_state,
    training,
)
from benchmarks.cpu.measure import compare
from benchmarks.cpu.outcome import Outcome, reason_of
from benchmarks.cpu.plan import FULL, Plan, drop_in, label_of
from benchmarks.cpu.targets import MEMORY, Target

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_KNOWN = 256_000_000  # bytes
_TRUST = 0.01  # by how much of a known amount the reading may be wrong
_TURNS = 3
_TINY = 2  # steps of the first, unmeasured step: what is made once, such as code, is made there
SIDES: Mapping[str, dict[str, Any]] = {"ours": {}, "small": {"memory": "small"}, "torch": {}}
MISSING = "" if _RESET.exists() else f"needs {_RESET}, which Linux has"


def side(plan: Plan, name: str, shape: Shape) -> Network:
    """Make what takes the training step.

    Args:
        plan: The run.
        name: A row of ``SIDES``.
        shape: (B, T, H).

    Returns:
        The network; all with the same weights.
    """
    units = shape[2]
    torch.manual_seed(0)
    module = torch.nn.LSTM(units, units)
    if name != "torch":
        ours = drop_in(plan, "LSTM", units, **SIDES[name])
        ours.load_state_dict(module.state_dict())
        module = ours
    return over_sequence(name, module, random_input(shape, units), random_state(shape, 2))


def peak_of_step(plan: Plan, name: str, shape: Shape) -> dict[str, float]:
    """Measure one training step in this process.

    Args:
        plan: The run.
        name: A row of ``SIDES``.
        shape: (B, T, H).

    Returns:
        In megabytes: by how much the step raised the resident size at its highest, and what is seen of a known amount.
    """
    torch.set_num_threads(plan.threads)
    rows, _, units = shape
    training(side(plan, name, (rows, _TINY, units))).call()
    step = training(side(plan, name, shape))
    before = _set_back()
    step.call()
    peak = _resident("VmHWM") - before
    before = _set_back()
    kept = torch.ones(_KNOWN // 4)
    seen = _resident("VmHWM") - before
    assert kept.numel() * 4 == _KNOWN
    return {"peak_mb": peak / 1e6, "seen_of_known": seen / _KNOWN}


def _set_back() -> int:
    """Set the highest resident size back to the present one, and give that in bytes."""
    _RESET.write_text("5", encoding="ascii")
    return _resident("VmRSS")


def _resident(field: str) -> int:
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def in_fresh_process(plan: Plan, name: str) -> dict[str, float]:
    """Measure one training step in a process of its own; arguments and result as for :func:`peak_of_step`."""
    options = ["--threads", str(plan.threads), "--backend", plan.backend]
    command = [sys.executable, "-m", "benchmarks.cpu.memory", name, *map(str, plan.sizes.memory), *options]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a process that measures memory failed with code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def measure_memory(plan: Plan) -> list[Outcome]:
    """Measure the step of every side, after their numbers were compared.

    Args:
        plan: The run.

    Returns:
        A table for the layer as it is, and one for ``memory="small"``, both against torch.nn.LSTM.
    """
    outcomes = []
    for name, most in (("ours", 1.0), ("small", 0.5)):
        keywords = "".join(f", {key}={value!r}" for key, value in SIDES[name].items())
        target = Target(MEMORY, most=most)
        title = f"gatework.LSTM(...{keywords}) against torch.nn.LSTM, the peak of a training step"
        outcome = Outcome(title, "memory", target)
        outcomes.append(outcome)
        if MISSING:
            outcome.verdict = MISSING
            continue
        label = label_of(plan.sizes.memory)
        try:
            outcome.rows = [_row(plan, name, label)]
        except Exception as error:
            outcome.rows = [{"row": label, "status": "failed", "failure": reason_of(error)}]
        outcome.figures = [(label, row["figure"]) for row in outcome.rows if "figure" in row]
        outcome.judge()
    return outcomes


def _row(plan: Plan, name: str, label: str) -> dict[str, Any]:
    shape = plan.sizes.memory
    difference = compare(*(training(side(plan, one, shape)).numbers() for one in (name, "torch")))
    row: dict[str, Any] = {"row": label, "status": "measured" if difference.agrees else "numbers differ"}
    row["furthest_apart"] = difference.facts()
    if not difference.agrees:
        return row
    # Turn by turn, though nothing but the allocator's moods can differ between processes.
    turns = [(in_fresh_process(plan, name), in_fresh_process(plan, "torch")) for _ in range(_TURNS)]
    for key, found in zip(("ours", "peer"), zip(*turns, strict=True), strict=True):
        row[key] = {
            "name": "torch.nn.LSTM" if key == "peer" else "gatework",
            "mb": median(one["peak_mb"] for one in found),
            "seen_of_a_known_amount": [round(one["seen_of_known"], 3) for one in found],
        }
        if any(abs(one["seen_of_known"] - 1) > _TRUST for one in found):
            row["status"], row["failure"] = "failed", "the resident size does not show a known amount"
            return row
    return row | {"figure": row["ours"]["mb"] / row["peer"]["mb"]}


def main() -> None:
    """Measure what the command line names, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("shape", type=int, nargs=3, metavar=("B", "T", "H"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="auto")
    given = parser.parse_args()
    print(json.dumps(peak_of_step(Plan(FULL, given.threads, given.backend), given.side, tuple(given.shape))))


if __name__ == "__main__":
    main()
