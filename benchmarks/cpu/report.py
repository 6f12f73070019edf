"""The tables for people, and the files for programs."""

import json
from pathlib import Path
from typing import Any

from benchmarks.cpu.bystanders import MOST
from benchmarks.cpu.outcome import DISTURBED, Outcome
from benchmarks.cpu.targets import MEMORY, mean_of
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 150  # not a terminal: nobody's window limits the line, so wide tables stay whole
_STYLES = {"met": "green", "missed": "yellow"}


def console() -> Console:
    """Make what the tables are printed on."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPED_WIDTH)


def show(out: Console, outcome: Outcome, is_quick: bool) -> None:
    """Print a table and what it comes to.

    Args:
        out: Where to.
        outcome: The table.
        is_quick: Whether the shapes are small, so that the target is not asked of them.
    """
    table = Table(box=SIMPLE_HEAD)
    table.add_column("")
    for heading in ("gatework", "peer", outcome.target.unit, "furthest apart", "others had"):
        table.add_column(heading, justify="right")
    for row in outcome.rows:
        if row["status"] == "measured":
            apart = row.get("furthest_apart")
            numbers = "" if apart is None else f"{apart['share_of_largest']:.0e} {apart['name']}"
            others = "" if row.get("others_had") is None else f"{row['others_had']:.0%}"
            table.add_row(row["row"], _side(row["ours"]), _side(row["peer"]), _figure(row["figure"]), numbers, others)
        else:
            why = row.get("failure") or row["furthest_apart"]["name"]
            table.add_row(row["row"], "", "", Text(row["status"], style="bold red"), why.splitlines()[0])
    out.print(Text(f"\n{outcome.title}: {outcome.mode}", style="bold"))
    if outcome.rows:
        out.print(table)
    for remark in outcome.remarks:
        out.print(Text(f"  {remark}"))
    for line in _summary(outcome, is_quick):
        out.print(Text(f"  {line}", style=_STYLES.get(outcome.verdict, "bold red")))


def _summary(outcome: Outcome, is_quick: bool) -> list[str]:
    """Say what the table comes to, and beside it what it should."""
    target = f"target: {outcome.target}"
    if outcome.verdict == DISTURBED:
        count = f"{outcome.disturbed} of {len(outcome.rows)} rows"
        return [f"disturbed: others had over {MOST:.0%} of the processors in {count}; not judged", target]
    if outcome.verdict not in ("met", "missed"):
        return [f"{outcome.verdict}; no figure", target]
    worst, value = outcome.target.worst(outcome.figures)
    name = "largest" if outcome.target.unit == MEMORY else "slowest"
    found = (
        f"geometric mean {_figure(mean_of(outcome.figures))} {outcome.target.unit}, {name} {_figure(value)} at {worst}"
    )
    judged = f"{outcome.verdict} on these small shapes, which it is not meant for" if is_quick else outcome.verdict
    return [found, f"{target}: {judged}"]


def _side(side: dict[str, Any]) -> str:
    if "mb" in side:
        return f"{side['mb']:.1f} MB"
    rate = f" {side['gflops']:.0f} GFLOP/s" if "gflops" in side else ""
    return f"{_time(side['median_ms'])} (least {_time(side['least_ms'])}){rate}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.2f} ms" if milliseconds >= 0.1 else f"{milliseconds * 1e3:.1f} us"


def write(folder: Path, what: str, run: dict[str, Any], outcomes: list[Outcome]) -> Path:
    """Write the tables of one name.

    Args:
        folder: Where to.
        what: The name.
        run: What the figures depend on.
        outcomes: The tables.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cpu_{what}.json"
    path.write_text(json.dumps(facts(what, run, outcomes), indent=1) + "\n", encoding="utf-8")
    return path


def facts(what: str, run: dict[str, Any], outcomes: list[Outcome]) -> dict[str, Any]:
    """Give the tables of one name as the file has them."""
    return {"what": what, **run, "tables": [outcome.facts() for outcome in outcomes]}
