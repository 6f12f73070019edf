"""What came of a table: its rows, the figure over them, and the verdict. Plain data, as it is written to the file."""

import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cpu.bystanders import MOST
from benchmarks.cpu.measure import Contestant, Effort, Pair, Row, Times, measure
from benchmarks.cpu.plan import Table
from benchmarks.cpu.targets import Figure, Target, mean_of

# From bad to good: the verdict of a table is that of its worst row, and only when all rows have figures the target's.
REFUSED = ("failed", "numbers differ")
DISTURBED = "disturbed"
_NOBODY = Contestant("", lambda: None, dict)
_TOLD: set[str] = set()


@dataclass
class Outcome:
    """One table, measured.

    Args:
        title: What stands against what.
        mode: ``inference``, ``training`` and the like.
        target: What is asked for.
        rows: The rows.
        figures: The figure of each row that has one.
        verdict: ``met`` or ``missed``; or why it is neither, such as ``disturbed``.
        remarks: What the reader must know beside the rows.
    """

    title: str
    mode: str
    target: Target
    rows: list[dict[str, Any]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    verdict: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Say whether a row could not be computed, or computed other numbers than it must."""
        return self.verdict in REFUSED

    @property
    def disturbed(self) -> int:
        """Count the rows during which other processes had too much of the processors for times to mean anything."""
        return sum((row.get("others_had") or 0.0) > MOST for row in self.rows)

    def judge(self) -> None:
        """Reach the verdict."""
        found = {row["status"] for row in self.rows}
        for reason in (*REFUSED, *sorted(found - {"measured"})):
            if reason in found:
                self.verdict = reason
                return
        if self.disturbed:
            self.verdict = DISTURBED
        else:
            self.verdict = "met" if self.target.met(self.figures) else "missed"

    def facts(self) -> dict[str, Any]:
        """Give everything as the file has it; no figure over the rows unless every row has its own."""
        known: dict[str, Any] = {"title": self.title, "mode": self.mode, "target": str(self.target)}
        known["verdict"] = self.verdict
        if self.verdict in ("met", "missed"):
            worst, value = self.target.worst(self.figures)
            known |= {"geometric_mean": mean_of(self.figures), "worst": {"row": worst, "figure": value}}
        known["disturbed_rows"] = self.disturbed
        return known | {"unit": self.target.unit, "remarks": list(self.remarks), "rows": self.rows}


def measure_table(table: Table, effort: Effort) -> Outcome:
    """Measure every row of a table.

    Args:
        table: The table.
        effort: How long to measure a row.

    Returns:
        What came of it. A row whose numbers differ, or that raises, is said to; the rows after it are still measured.
    """
    outcome = Outcome(table.title, table.mode, table.target, remarks=table.remarks)
    if table.missing:
        outcome.verdict = f"not installed: {table.missing}"
        return outcome
    for label, make in table.entries.items():
        try:
            row = measure(make(), effort)
        except Exception as error:
            row = Row(Pair(label, _NOBODY, _NOBODY), None, failure=reason_of(error))
        figure = table.target.figure(row)
        if figure is not None:
            outcome.figures.append((label, figure))
        outcome.rows.append(row_facts(row, figure))
        print(f"{table.title}, {table.mode}: {label}: {row.status}", file=sys.stderr, flush=True)
    outcome.judge()
    return outcome


def reason_of(error: Exception) -> str:
    """Say why a row failed, and print where the first time. The rows after it are still measured; the run fails."""
    reason = f"{type(error).__name__}: {error}"
    if reason not in _TOLD:
        _TOLD.add(reason)
        traceback.print_exception(error)
    return reason


def row_facts(row: Row, figure: float | None) -> dict[str, Any]:
    """Give a row as the file has it."""
    known: dict[str, Any] = {"row": row.pair.label, "status": row.status}
    if row.failure:
        known["failure"] = row.failure
    if row.difference is not None:
        known["furthest_apart"] = row.difference.facts()
    if row.ours is None or row.peer is None:
        return known
    known |= {"figure": figure, "ours": _times(row.pair.ours, row.ours), "peer": _times(row.pair.peer, row.peer)}
    known["others_had"] = row.others
    if row.pair.flops:
        known["ours"]["gflops"] = row.pair.flops / row.ours.median / 1e9
    if row.pair.peer_flops:
        known["peer"]["gflops"] = row.pair.peer_flops / row.peer.median / 1e9
    return known


def _times(side: Contestant, times: Times) -> dict[str, Any]:
    return {
        "name": side.name,
        "median_ms": times.median * 1e3,
        "least_ms": times.least * 1e3,
        "turns": len(times.seconds),
    }
