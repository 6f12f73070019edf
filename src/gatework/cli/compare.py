"""``gatework compare``: compare cells on a task, over gaps and seeds, or go on with a comparison."""

import json as json_text
import shlex
import sys
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from gatework.cli.output import Json, err, grid, out
from gatework.cli.settings import given, make_flags
from gatework.errors import ConfigError, Stopped
from gatework.search import CompareConfig, Comparison, Summary, make_compare_config, make_reporter
from gatework.search import compare as compare_cells
from gatework.search.comparing.config import OF_TABLE
from gatework.tasks.task import name_predictor

# Cells are given together, one by one, or both.
CELLS: dict[str, Any] = {
    "cells": Annotated[str | None, Parameter(help="Cells' names, such as rnn,lstm,gru, or .txt files of equations.")],
    "cell": Annotated[
        list[str] | None,
        Parameter(help="One more cell, a name or a .txt file of equations; can be given again and again.", negative=""),
    ],
}
# The settings of a table of one's own come last.
SETTINGS = sorted(CompareConfig.model_fields, key=lambda name: name in OF_TABLE)
FLAGS: Any = make_flags(CompareConfig, dict.fromkeys(SETTINGS, ""), instead={"cells": CELLS})


def compare(*, settings: Any, json: Json = False) -> int | None:
    """Compare cells on a task: with what gap does each still learn it, and is the difference more than chance?

    Every cell gets the same budget, as many parameters, and the learning rate that is best for it out of the same few.

    Args:
        settings: The flags of the configuration, which stand for its fields.
        json: Print JSON, one line per trial and the result last, for programs.

    Returns:
        An exit code, where it is not 0.
    """
    values = given(settings)
    cells = [word.strip() for word in values.pop("cells", "").split(",") if word.strip()] + values.pop("cell", [])
    if not cells:
        raise ConfigError("No cells are given. Say which are to be compared, such as --cells rnn,lstm,gru.")
    config = make_compare_config({**values, "cells": cells})
    reporter = make_reporter("json", sys.stdout) if json else make_reporter()
    try:
        comparison = compare_cells(config, reporter)
    except Stopped as stopped:
        err().print(escape(str(stopped)), soft_wrap=True)
        return stopped.exit_code
    if json:
        print(json_text.dumps({"result": comparison.to_json()}, ensure_ascii=False))
    else:
        _print(out(), comparison)
    return None


# The flags are made from the fields of CompareConfig, so their type cannot be written into the signature.
compare.__annotations__["settings"] = Annotated[FLAGS, Parameter(name="*")]


def _print(console: Console, comparison: Comparison) -> None:
    """Print the tables, what they mean in words, and where everything is."""
    task, metric = comparison.task, comparison.task["success"]["metric"].replace("_", " ")
    console.print(f"[bold]{escape(task['title'])}[/bold]: {metric} on test sequences, median \\[95 % interval]")
    console.print(_results(comparison))
    guessed = [f"{entry[task['success']['metric']]:.3g} at {entry['gap']:,}" for entry in _baselines(comparison)]
    name = name_predictor(task["predictor"])
    guess = f" {name[0].upper()}{name[1:]} gets {', '.join(guessed)}." if guessed else ""
    better = ", and if it is better than that" if guessed and task["predictor"] != "guessing" else ""
    console.print(f"A run is solved at {task['success']['in_words']}{better}.{guess}", soft_wrap=True)
    if comparison.config.match == "parameters":
        console.print(
            f"As many parameters as {escape(comparison.reference)}, as nearly as units allow.", soft_wrap=True
        )
    edges = [f"{summary.cell} at {summary.gap:,}" for summary in comparison.summary.values() if summary.at_edge]
    if edges:
        console.print(
            f"The best rate was the largest or the smallest tried, so that another may be better: {', '.join(edges)}.",
            soft_wrap=True,
        )
    console.print("\n[bold]Where each cell gives up[/bold] (most of its runs)")
    for cell, crossover in comparison.crossovers.items():
        console.print(f"  [cyan]{escape(cell)}[/cyan]  {crossover}", soft_wrap=True)
    if comparison.tests:
        console.print("\n[bold]Is the difference more than chance?[/bold] (sign-flip test, paired by gap and seed)")
        console.print(_tests(comparison))
    if task["published"]:
        console.print(f"[bold]Published[/bold] ({escape(task['source'])})", soft_wrap=True)
    for result in task["published"]:
        console.print(
            f"  {escape(result['model'])}: {escape(result['result'])}, {escape(result['source'])}", soft_wrap=True
        )
    where = shlex.quote(str(comparison.directory))
    console.print(f"\nEverything: {escape(where)}/results.json, the picture: {escape(where)}/gaps.png", soft_wrap=True)


def _baselines(comparison: Comparison) -> list[dict[str, Any]]:
    """List what the best trivial predictor gets at each gap where that is known."""
    metric = comparison.task["success"]["metric"]
    return [entry for entry in comparison.task["chance"] if entry[metric] is not None]


def _results(comparison: Comparison) -> Any:
    """Make the table: a row for each cell at each gap."""
    rows = []
    for cell, size in comparison.sizes.items():
        for number, gap in enumerate(comparison.config.gaps):
            summary = comparison.summary[cell, gap]
            first = (escape(cell), f"{size.hidden_size:,}", f"{size.parameters:,}") if number == 0 else ("", "", "")
            rows.append(
                (*first, f"{gap:,}", f"{summary.learning_rate:g}", _value(summary), _share(summary), _steps(summary))
            )
    columns = ("cell", "units", "parameters", "gap", "rate", "median", "solved", "steps")
    return grid(columns, rows, right=columns[1:])


def _value(summary: Summary) -> str:
    return f"{_number(summary.median)} \\[{_number(summary.low)}, {_number(summary.high)}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def _share(summary: Summary) -> str:
    return f"{summary.solved} of {summary.runs} \\[{summary.solved_low:.0%}, {summary.solved_high:.0%}]"


def _steps(summary: Summary) -> str:
    return "-" if summary.steps_median is None else f"{summary.steps_median:,.0f}"


def _tests(comparison: Comparison) -> Any:
    """Make the table of pairs, the surest first."""
    rows = []
    for test in sorted(comparison.tests, key=lambda test: test.p):
        sure = "yes" if test.corrected < 0.05 else "not shown"
        rows.append(
            (
                f"{escape(test.better)} over {escape(test.worse)}",
                _number(test.difference),
                f"{test.wins} : {test.losses} of {test.pairs}",
                f"{test.p:.2g}",
                f"{test.corrected:.2g}",
                sure,
            )
        )
    columns = ("pair", "mean difference", "better : worse", "p", "corrected", "more than chance")
    return grid(columns, rows, right=columns[1:5])
