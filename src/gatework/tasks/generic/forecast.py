"""Forecast: predict the next values of the columns of your own table from those so far."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.table import Table, list_names, split_time
from gatework.data.times import find_natural_season
from gatework.errors import DataError
from gatework.tasks.generic.ahead import Layout, choose_calendar, choose_columns
from gatework.tasks.generic.reading import better_than, open_series, scale_by
from gatework.tasks.recorded.forecasting import (
    CONTEXT_SHARE,
    LIKE_NLINEAR,
    MOST_CONTEXT,
    ask_ahead,
    check_asked,
    check_parts,
    persist,
    weighted,
)
from gatework.tasks.task import Batch, Gap, Recorded, Recording, Task
from gatework.tasks.trivial import find_season, measure_splits

_SPLITS = ("train", "valid", "test")


def load(path: Path, gap: int, options: TableOptions = NO_OPTIONS) -> Recording:
    """Read series, with later values as targets.

    Every series is split in time. The trivial predictor answers the values that were read last, as if nothing changed.

    Args:
        path: A CSV file, its folder, or arrays.
        gap: The number of rows to look ahead.
        options: How the table is read.

    Returns:
        Sequences cut from each series, standardised by the training parts of all series.

    Raises:
        DataError: If the path does not hold such a table, or the table is too short.
    """
    table = open_series(path, options)
    ends = [split_time(int(length)) for length in table.lengths]
    learned = [train for train, _, _ in ends]
    rows = int(table.lengths.sum())
    if not any(learned):
        raise DataError(f"'{table.source}' has {rows:,} rows; expected 2 or more.")
    layout = make_layout(table, gap, learned, options)
    check_asked(table.source, rows, len(layout.target) + layout.told, gap)
    learned_rows = [table.sequence(number)[:train] for number, train in enumerate(learned)]
    standard, scale = scale_by(table, np.concatenate(learned_rows))
    scaled = [standard.sequence(number) for number in range(table.size)]
    series = [numbers[:, layout.places(layout.target)] for numbers in scaled]
    season, found = _find_season(table, series, learned)
    spans = {split: [list(pairwise((0, *cuts)))[place] for cuts in ends] for place, split in enumerate(_SPLITS)}
    weights, trivial = measure_splits(series, spans, layout.context, gap, season)
    splits, short = _ask(table, layout, scaled, spans, weights)
    check_parts(table.source, rows, splits, gap)
    facts: dict[str, Any] = {
        "about": [*table.about, *short, *_describe(layout), describe_season(season, found)],
        "table": dict(table.read_as),
        "columns": list(table.columns),
        "ignored": list(table.left_out),
        "series": table.size,
        "rows": {split: sum(end - begin for begin, end in places) for split, places in spans.items()},
        "context": layout.context,
        "layout": layout.facts(),
        **scale,
        "chance": persist(splits["test"]) | {"skill": 0.0},
        "season": {"rows": season, "found": found},
        "trivial": trivial,
    }
    return Recording(splits, layout.width, gap * len(layout.target), facts)


def make_layout(table: Table, gap: int, learned: Sequence[int], options: TableOptions) -> Layout:
    """Decide what each column is for, and how many rows are read before an answer.

    Args:
        table: The series.
        gap: The number of rows to forecast.
        learned: The number of rows of each series in the training part.
        options: The settings.

    Returns:
        The layout.

    Raises:
        DataError: If the columns, the calendar or the context do not fit the table.
    """
    target, known = choose_columns(table, options.target, options.known)
    calendar = choose_calendar(table, learned) if options.calendar else ()
    # Short enough that there are enough sequences for a batch, and that a series of median length has some.
    context = max(1, min(MOST_CONTEXT, sum(learned) // CONTEXT_SHARE, int(median(learned)) // 2))
    if options.context > max(learned):
        raise DataError(
            f"context is {options.context:,}, and the longest training part of '{table.source}' has "
            f"{max(learned):,} rows: take a smaller context."
        )
    return Layout(table.columns, target, known, calendar, gap, options.context or context)


def _ask(
    table: Table,
    layout: Layout,
    scaled: Sequence[NDArray[np.float64]],
    spans: Mapping[str, Sequence[tuple[int, int]]],
    weights: NDArray[np.float64],
) -> tuple[dict[str, Batch], list[str]]:
    """Cut the series into sequences; return those of each split, and a line about series that are too short."""
    times = table.times or (None,) * table.size
    read = [layout.read(rows, layout.tell(rows, time)) for rows, time in zip(scaled, times, strict=True)]
    series = [rows[:, layout.places(layout.target)] for rows in scaled]
    splits, asked = {}, [False] * table.size
    for split, places in spans.items():
        parts = [
            weighted(ask_ahead(*both, begin, end, layout.context, layout.gap), weights[[number]])
            for number, (both, (begin, end)) in enumerate(zip(zip(read, series, strict=True), places, strict=True))
        ]
        asked = [before or part.size > 0 for before, part in zip(asked, parts, strict=True)]
        together = _side_by_side([part for part in parts if part.size] or parts[:1])
        splits[split] = together if weights.any() else replace(together, weights=None)
    unasked = [name for name, is_asked in zip(table.names, asked, strict=True) if not is_asked]
    short = [f"too short to ask {layout.gap:,} rows ahead, and left out: {list_names(unasked)}"] if unasked else []
    return splits, short


def _find_season(table: Table, series: Sequence[NDArray[np.float64]], learned: Sequence[int]) -> tuple[int, str]:
    """Return the number of rows of a season, and by what it was found."""
    parts = [rows[:train] for rows, train in zip(series, learned, strict=True)]
    if season := find_season(parts):
        return season, "the autocorrelation of the training part"
    natural = find_natural_season(table.times[0]) if table.times else 0
    return (natural, "the time stamps") if 0 < natural < max(learned) else (0, "")


def _describe(layout: Layout) -> list[str]:
    """Say in lines what is forecast and what is known ahead, where it is not simply everything and nothing."""
    lines = []
    if layout.target != layout.columns:
        lines.append(f"forecast: {list_names(layout.target)}")
    ahead = [*([list_names(layout.known)] if layout.known else []), *layout.calendar]
    if ahead:
        lines.append(f"known ahead: {', '.join(ahead)}")
    return lines


def describe_season(season: int, found: str) -> str:
    """Say which season the seasonal predictor takes.

    Args:
        season: The number of rows of a season; 0 for none.
        found: By what it was found.
    """
    if not season:
        return "season: none found, the autocorrelation of the training part has no peak above 0.3"
    return f"season: {season:,} rows, found by {found}"


def _side_by_side(parts: list[Batch]) -> Batch:
    """Join the sequences of several series into one batch. The trivial predictor answers 0, no change."""
    longest = max(part.inputs.shape[0] for part in parts)
    weights = [part.weights for part in parts if part.weights is not None]

    def padded(tensors: list[torch.Tensor], value: float) -> torch.Tensor:
        return torch.cat(
            [
                torch.cat([tensor, tensor.new_full((longest - len(tensor), *tensor.shape[1:]), value)])
                for tensor in tensors
            ],
            dim=1,
        )

    return Batch(
        padded([part.inputs for part in parts], 0.0),
        padded([part.targets for part in parts], torch.nan),
        torch.cat([part.lengths for part in parts if part.lengths is not None]),
        baseline=0,
        weights=torch.cat(weights),
    )


forecast = Task(
    name="forecast",
    foretells=True,
    title="Any table of numbers",
    asks="The columns of numbers of your own table are read row by row. How do they go on?",
    source="Your own table or arrays",
    kind="number",
    gap=Gap(24, "rows forecast"),
    success=better_than("the values read last"),
    examples=Recorded("", load, own=True, ahead=True),
    defaults={"hidden_size": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 1000, "dropout": 0.2},
    notes=LIKE_NLINEAR + "The first 70 % of the rows are learned, the next 10 % validate, the last 20 % are the test; "
    "columns are standardised by the first part. Up to 96 rows are read before the first answer, and no more than a "
    "twelfth of those learned. A column of dates gives the order; columns of text are left out. Where values of a "
    "column id, sequence or series come again, each is a series of its own, and all are split in time.",
)
