"""Forecasting: predict the next rows of a table of numbers from the rows so far."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gatework.data.recorded import find_scale, read_table
from gatework.errors import DataError
from gatework.tasks.task import Batch, Gap, Published, Recorded, Recording, Success, Task
from gatework.tasks.trivial import asked_at, measure_splits

# Steps read before anything is asked, and then steps asked one after the other, in a sequence: at most so many, and at
# most such a part of the training rows, so that there are enough sequences for a batch.
MOST_CONTEXT, CONTEXT_SHARE = 96, 12
# Numbers asked of a whole table, at most: eight bytes each while they are put side by side.
_MOST_ASKED = 1 << 30


def ask_ahead(
    read: NDArray[np.float64], series: NDArray[np.float64], begin: int, end: int, context: int, horizon: int
) -> Batch:
    """Make sequences that predict the next values of a series, at every step whose next values all lie in one part.

    Each sequence has ``context`` steps before its first answer, and then an answer at each of ``context`` steps. No
    step has two answers. The target is the difference between the coming values and the last values read.

    Args:
        read: The inputs at each step ``[n, I]``.
        series: The series to predict ``[n, C]``. Both arrays contain all steps, because inputs may lie before the part.
        begin: Where the part begins.
        end: Where it ends.
        context: The number of steps, 1 or more.
        horizon: The number of steps to predict.

    Returns:
        Inputs ``[T, B, I]`` with T up to 2 context - 1, targets ``[T, B, horizon x C]``, step by step and in it column
        by column; without sequences where the part is too short.
    """
    first, stop = asked_at(begin, end, context, horizon)
    starts = range(first, stop, context)
    columns = series.shape[1]
    longest = context - 1 + max(0, min(context, stop - first))
    inputs = np.zeros((longest, len(starts), read.shape[1]))
    targets = np.full((longest, len(starts), horizon * columns), np.nan)
    lengths = np.zeros(len(starts), dtype=np.int64)
    if starts:
        ahead = sliding_window_view(series[1:], horizon, axis=0).transpose(0, 2, 1)  # [n - horizon, horizon, C]
        for place, start in enumerate(starts):
            until = min(start + context, stop)
            lengths[place] = until - start + context - 1
            inputs[: lengths[place], place] = read[start - context + 1 : until]
            rise = ahead[start:until] - series[start:until, None]
            targets[context - 1 : lengths[place], place] = rise.reshape(until - start, -1)
    return Batch(torch.from_numpy(inputs).float(), torch.from_numpy(targets).float(), torch.from_numpy(lengths))


def weighted(part: Batch, weights: NDArray[np.float64]) -> Batch:
    """Give all sequences of one series the weights of their errors.

    Args:
        part: The sequences of a series.
        weights: The weights of the series ``[1, C]``, as :func:`gatework.tasks.trivial.find_weights` returns them.

    """
    return replace(part, weights=torch.from_numpy(weights).float().expand(part.size, -1))


def persist(test: Batch) -> dict[str, float]:
    """Compute the baseline of no change.

    Args:
        test: The test split, as :func:`ask_ahead` makes it.

    Returns:
        ``loss`` and ``mean_absolute_error``.
    """
    rises = test.targets[test.asked].double()
    return {"loss": float(rises.square().mean()), "mean_absolute_error": float(rises.abs().mean())}


def repeat_season(series: NDArray[np.float64], begin: int, end: int, horizon: int, season: int) -> dict[str, float]:
    """Compute the baseline of the values of a season before, such as those of the same hour yesterday.

    Args:
        series: The whole series ``[n, C]``.
        begin: The first step with an answer.
        end: The step after the last step with an answer.
        horizon: The number of steps to predict.
        season: The number of steps of a season; at most the number of steps before the first answer.

    Returns:
        ``loss`` and ``mean_absolute_error``.

    Example:
        >>> series = np.array([[0.0], [1.0], [0.0], [1.0], [0.0], [4.0]])
        >>> repeat_season(series, 1, 4, horizon=2, season=2)
        {'loss': 1.5, 'mean_absolute_error': 0.5}
    """
    ahead = np.arange(begin, end)[:, None] + np.arange(1, horizon + 1)
    # Back by whole seasons, to a step that has been read.
    back = season * -(-np.arange(1, horizon + 1) // season)
    off = series[ahead] - series[ahead - back]
    return {"loss": float(np.square(off).mean()), "mean_absolute_error": float(np.abs(off).mean())}


# Where the training and the validation part of so many rows end, and where the test part does.
Cuts = Callable[[int], tuple[int, int, int]]


def _cut_months(rows: int) -> tuple[int, int, int]:
    # Months of thirty days, as the paper counts them; the last ones of the file are not used.
    month = 30 * 24
    return 12 * month, 16 * month, 20 * month


def _cut_years(rows: int) -> tuple[int, int, int]:
    return rows - 60, rows - 36, rows


def _load(
    path: Path,
    gap: int,
    *,
    cuts: Cuts,
    file: str,
    context: int = 0,
    growth: bool = False,
    season: int = 0,
) -> Recording:
    """Read a table, and make sequences that predict its next rows.

    Args:
        path: The file, or its folder.
        gap: The number of rows to predict.
        cuts: Where the parts end.
        file: The name of the file in the folder.
        context: The number of rows before the first answer; 0 chooses it by the length of the table.
        growth: True to take logarithms, and to read their changes from row to row.
        season: The number of rows of a season; 0 if unknown.

    Returns:
        The parts in order, standardised by the first.

    Raises:
        DataError: If there is no such table, or it is too short.
    """
    path = path / file if path.is_dir() else path
    table = read_table(path)
    rows = np.log(_above_zero(table.rows, path)) if growth else table.rows
    ends = cuts(len(rows))
    if ends[0] < 1 or ends[2] > len(rows):
        least = max(ends[2], len(rows) - ends[0] + 1)
        raise DataError(f"'{path}' has {len(rows):,} rows; expected {least:,} or more.")
    check_asked(path, len(rows), len(table.names), gap)
    context = context or max(1, min(MOST_CONTEXT, ends[0] // CONTEXT_SHARE))
    mean, deviation = find_scale(rows[: ends[0]])
    series = read = (rows - mean) / deviation
    if growth:
        read = np.diff(series, axis=0, prepend=series[:1])
        read /= find_scale(read[1 : ends[0]])[1]
    spans = dict(zip(("train", "valid", "test"), pairwise((0, *ends)), strict=True))
    splits = {split: ask_ahead(read, series, begin, end, context, gap) for split, (begin, end) in spans.items()}
    check_parts(path, len(rows), splits, gap)
    weights, trivial = measure_splits([series], {split: [span] for split, span in spans.items()}, context, gap, season)
    splits = {split: weighted(part, weights) if weights.any() else part for split, part in splits.items()}
    facts: dict[str, Any] = {
        "columns": list(table.names),
        "ignored": list(table.ignored),
        "rows": {split: end - begin for split, (begin, end) in spans.items()},
        "context": context,
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "chance": persist(splits["test"]),
        "trivial": trivial,
    }
    if season:
        first, stop = spans["test"][0] - 1, spans["test"][1] - gap
        facts["season"] = {"rows": season, **repeat_season(series, first, stop, gap, season)}
    return Recording(splits, len(table.names), gap * len(table.names), facts)


def check_asked(path: str | Path, rows: int, columns: int, gap: int) -> None:
    """Refuse to ask for more numbers than can be held.

    Args:
        path: The table, for the error.
        rows: How many rows it has.
        columns: How many numbers a row has.
        gap: How many rows ahead are asked.

    Raises:
        DataError: If it would be too many.
    """
    asked = rows * gap * columns
    if asked > _MOST_ASKED:
        raise DataError(
            f"'{path}' has {rows:,} rows of {columns:,} numbers, which {gap} steps ahead are {asked:,} answers; "
            f"expected at most {_MOST_ASKED:,}. Take a smaller gap, or fewer columns."
        )


def check_parts(path: str | Path, rows: int, splits: Mapping[str, Batch], gap: int) -> None:
    """Refuse a table of which a split has no sequence.

    Args:
        path: The table, for the error.
        rows: How many rows it has.
        splits: The sequences of each split.
        gap: How many rows ahead are asked.

    Raises:
        DataError: If a split is empty.
    """
    for split, part in splits.items():
        if not part.size:
            raise DataError(
                f"'{path}' has {rows:,} rows, and its {split} part is too short to ask {gap} steps ahead. Give more "
                "rows, or take a smaller gap."
            )


def _above_zero(rows: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    if rows.min() <= 0:
        raise DataError(f"'{path}' has a value of {rows.min():g}; expected numbers above zero only.")
    return rows


LIKE_NLINEAR = (
    "What is asked is how much higher the values to come are than the last ones read, which leaves both errors as "
    "they are (Zeng, Chen, Zhang & Xu 2023, arXiv:2205.13504, do so in NLinear). The baseline is to answer that "
    "nothing changes. "
)
_INFORMER = "Zhou, Zhang, Peng, Zhang, Li, Xiong & Zhang 2021, AAAI, arXiv:2012.07436"
# Hours forecast, mean squared and mean absolute error.
_PUBLISHED = {
    "LSTMa, an LSTM with attention": (
        (24, 0.650, 0.624),
        (48, 0.702, 0.675),
        (168, 1.212, 0.867),
        (336, 1.424, 0.994),
        (720, 1.960, 1.322),
    ),
    "Informer": (
        (24, 0.577, 0.549),
        (48, 0.685, 0.625),
        (168, 0.931, 0.752),
        (336, 1.128, 0.873),
        (720, 1.215, 0.896),
    ),
}

ett_h1 = Task(
    name="ett_h1",
    foretells=True,
    title="Electricity transformer, hourly (ETTh1)",
    asks="The model reads the oil temperature and six loads of a transformer every hour. How do all seven continue?",
    source=f"{_INFORMER}, section 4, multivariate",
    kind="number",
    gap=Gap(24, "hours forecast", most=720),
    success=Success(
        "loss",
        at_most=0.65,
        words="The mean squared error of standardised values that the paper reports for its LSTM at 24 hours; at other "
        "gaps compare with the published results.",
    ),
    examples=Recorded("ett_h1", partial(_load, cuts=_cut_months, file="ETTh1.csv", season=24)),
    published=tuple(
        Published(model, f"{hours} hours: MSE {squared:.3f}, MAE {absolute:.3f}", f"{_INFORMER}, table 2")
        for model, results in _PUBLISHED.items()
        for hours, squared, absolute in results
    ),
    defaults={"hidden_size": 64, "batch_size": 16, "learning_rate": 3e-3, "steps": 250, "dropout": 0.3},
    notes=LIKE_NLINEAR + "12, 4 and 4 months, standardised by the first 12, as in the paper. 96 to 191 hours are read "
    "before an answer, where the paper chooses how many for each model; the hour of the day is not told. What the same "
    "hours of the day before would get is among the facts.",
)

airline = Task(
    name="airline",
    foretells=True,
    title="Airline passengers",
    asks="The model reads the passengers of an airline month by month. How do they continue?",
    source="Box & Jenkins 1976, Time Series Analysis, series G: monthly totals, 1949 to 1960",
    kind="number",
    gap=Gap(12, "months forecast", most=24),
    success=Success("loss", at_most=0.1, words="Our own level, because no paper has established one."),
    examples=Recorded(
        "airline", partial(_load, cuts=_cut_years, file="Airline.csv", context=24, growth=True, season=12)
    ),
    defaults={"hidden_size": 16, "batch_size": 2, "learning_rate": 3e-3, "steps": 400, "dropout": 0.2},
    notes=LIKE_NLINEAR + "Logarithms are taken, and standardised; what is read is how they change from month to "
    "month. Seven years are learned, two validate and the last three are the test. What the same months of the "
    "year before would get is among the facts. A toy: 144 numbers.",
)
