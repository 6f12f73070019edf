"""Forecast: predict the next values of the columns of your own table from those so far."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.table import list_names, split_time
from gatework.errors import DataError
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
    series = [table.sequence(number) for number in range(table.size)]
    rows, columns = int(table.lengths.sum()), len(table.columns)
    ends = [split_time(len(numbers)) for numbers in series]
    learned = [train for train, _, _ in ends]
    if not any(learned):
        raise DataError(f"'{table.source}' has {rows:,} rows; expected 2 or more.")
    check_asked(table.source, rows, columns, gap)
    # Short enough that there are enough sequences for a batch, and that a series of median length has some.
    context = max(1, min(MOST_CONTEXT, sum(learned) // CONTEXT_SHARE, int(median(learned)) // 2))
    standard, scale = scale_by(
        table, np.concatenate([numbers[:train] for numbers, train in zip(series, learned, strict=True)])
    )
    scaled = [standard.sequence(number) for number in range(table.size)]
    spans = {split: [list(pairwise((0, *cuts)))[place] for cuts in ends] for place, split in enumerate(_SPLITS)}
    season = find_season([numbers[:train] for numbers, train in zip(scaled, learned, strict=True)])
    weights, trivial = measure_splits(scaled, spans, context, gap, season)
    splits, counts = {}, {}
    asked = [False] * table.size
    for split, places in spans.items():
        parts = [
            weighted(ask_ahead(numbers, numbers, begin, end, context, gap), weights[[number]])
            for number, (numbers, (begin, end)) in enumerate(zip(scaled, places, strict=True))
        ]
        asked = [before or part.size > 0 for before, part in zip(asked, parts, strict=True)]
        together = _side_by_side([part for part in parts if part.size] or parts[:1])
        splits[split] = together if weights.any() else replace(together, weights=None)
        counts[split] = sum(end - begin for begin, end in places)
    check_parts(table.source, rows, splits, gap)
    unasked = [name for name, is_asked in zip(table.names, asked, strict=True) if not is_asked]
    short = [f"too short to ask {gap:,} rows ahead, and left out: {list_names(unasked)}"] if unasked else []
    facts: dict[str, Any] = {
        "about": [*table.about, *short, describe_season(season)],
        "table": dict(table.read_as),
        "columns": list(table.columns),
        "ignored": list(table.left_out),
        "series": table.size,
        "rows": counts,
        "context": context,
        **scale,
        "chance": persist(splits["test"]) | {"skill": 0.0},
        "season": {"rows": season, "found": "by the autocorrelation of the training part"},
        "trivial": trivial,
    }
    return Recording(splits, columns, gap * columns, facts)


def describe_season(season: int) -> str:
    """Say which season the seasonal predictor takes.

    Args:
        season: The number of rows of a season; 0 for none.
    """
    if not season:
        return "season: none found, the autocorrelation of the training part has no peak above 0.3"
    return f"season: {season:,} rows, found by the autocorrelation of the training part"


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
    title="Any table of numbers",
    asks="The columns of numbers of your own table are read row by row. How do they go on?",
    source="Your own table or arrays",
    kind="number",
    gap=Gap(24, "rows forecast"),
    success=better_than("the values read last"),
    examples=Recorded("", load, own=True),
    defaults={"hidden_size": 64, "batch_size": 8, "learning_rate": 3e-3, "steps": 1000, "dropout": 0.2},
    notes=LIKE_NLINEAR + "The first 70 % of the rows are learned, the next 10 % validate, the last 20 % are the test; "
    "columns are standardised by the first part. Up to 96 rows are read before the first answer, and no more than a "
    "twelfth of those learned. Columns that are not numbers, such as dates, are left out. Where values of a column id, "
    "sequence or series come again, each is a series of its own, and all are split in time.",
)
