"""``gatework forecast``: forecast how a table goes on, with intervals."""

from math import floor, log10
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from gatework.cli.output import Checkpoint, Json, Size, checkpoint_step, csv_text, err, grid, out, print_json
from gatework.cli.predictors import predictor_table
from gatework.data.times import write_times
from gatework.errors import printable
from gatework.runs.files import saving, write_file
from gatework.training.forecast_figure import draw_forecast
from gatework.training.forecasting import Forecast
from gatework.training.forecasting import forecast as forecast_table
from gatework.training.intervals import LEVELS, name_level

# The most rows and columns that are printed; all of them are written.
_MOST_ROWS, _MOST_COLUMNS = 24, 4


def forecast(
    run: str,
    table: Path | None = None,
    /,
    *,
    horizon: Size | None = None,
    ahead: Path | None = None,
    output: Annotated[Path | None, Parameter(name=("-o", "--output"))] = None,
    plot: Path | None = None,
    checkpoint: Checkpoint = "last",
    json: Json = False,
) -> None:
    """Forecast how a table goes on beyond its end, in its own units, with 80 % and 95 % intervals.

    Args:
        run: The directory of a run of task forecast.
        table: A table with the same columns; by default that of the run.
        horizon: Number of rows; by default the number that the model was trained for. Beyond it, forecasts are read
            like rows.
        ahead: A table with the columns that are known ahead, for the rows to come.
        output: Write the forecast to this CSV file.
        plot: Write a picture to this PNG file.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        json: Print JSON, for programs.
    """
    found = forecast_table(run, table, horizon, ahead=ahead, step=checkpoint_step(checkpoint))
    if output is not None:
        with saving(f"'{output}'"):
            write_file(output, csv_text(found.header(), found.rows()).encode("utf-8"))
    if plot is not None:
        title = f"{(table or Path(run)).name}: the next {found.horizon:,} rows"
        picture = draw_forecast(found, printable(title))
        with saving(f"'{plot}'"):
            write_file(plot, picture)
    if json:
        print_json(found.to_json())
        return
    _print(out(), found)
    for path in (output, plot):
        if path is not None:
            err().print(escape(f"Wrote {path}."), soft_wrap=True)


def _print(console: Console, found: Forecast) -> None:
    """Print the forecast, and what it is worth."""
    for line in describe(found):
        console.print(escape(line), soft_wrap=True)
    console.print("\nOn the test part of the run's table, beside predictors that learn nothing:")
    console.print(predictor_table(found.metrics, found.trivial))
    console.print(escape(f"{found.verdict}."), soft_wrap=True)
    console.print()
    columns = found.columns[:_MOST_COLUMNS]
    headings = [f"{name}{end}" for name in columns for end in ("", *(f" {name_level(level)}" for level in LEVELS))]
    for one in found.series[:_MOST_COLUMNS]:
        rows = []
        for place, time in enumerate(write_times(one.times[:_MOST_ROWS])):
            cells = []
            for column in range(len(columns)):
                digits = f",.{_decimals(one.point[:, column])}f"
                cells.append(f"{one.point[place, column]:{digits}}")
                for level in LEVELS:
                    bounds = (side[level][place, column] for side in (one.lower, one.upper))
                    cells.append(" to ".join(f"{bound:{digits}}" for bound in bounds))
            rows.append([escape(time), *cells])
        first = escape(printable(one.name)) if one.name else "time"
        console.print(grid([first, *map(escape, headings)], rows, right=headings))
    if found.horizon > _MOST_ROWS or len(found.columns) > len(columns) or len(found.series) > _MOST_COLUMNS:
        console.print(
            f"{len(found.series):,} x {found.horizon:,} rows of {len(found.columns):,} columns in all: -o writes them.",
            soft_wrap=True,
        )


def _decimals(values: NDArray[np.float64]) -> int:
    """Return how many decimals show four digits of the largest of some values."""
    largest = float(np.abs(values).max())
    return min(9, max(0, 3 - floor(log10(largest)))) if largest else 0


def describe(found: Forecast) -> list[str]:
    """Say in a few lines what is forecast, how its intervals were found, and how often such intervals held.

    Args:
        found: The forecast.
    """
    names = ", ".join(printable(found.name(column)) for column in found.columns)
    lines = [f"forecast: {found.horizon:,} rows of {names}, {found.continued}"]
    if found.horizon > found.trained:
        lines.append(
            f"beyond the {found.trained:,} rows that the model was trained for, forecasts are read like rows, so that "
            "errors add up"
        )
    if found.left_out:
        lines.append(f"left out, because they are too short: {', '.join(map(printable, found.left_out))}")
    lines.append(f"intervals: {found.how}")
    held = [
        f"{name_level(level)} intervals held {100 * shares.mean():.1f} %" for level, shares in found.coverage.items()
    ]
    if held:
        lines.append(f"coverage on the test part: {', '.join(held)} of the time, in {found.measured:,} forecasts")
    else:
        lines.append("coverage: not measured, because the test part is shorter than the horizon")
    return lines
