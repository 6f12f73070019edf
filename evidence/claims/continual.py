"""Without a forget gate, an LSTM does not learn an endless stream."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    metric_figures,
    published_of,
    run_comparison,
    seconds_of,
    settings_of,
    solved_by,
    solved_name,
    steps_ratio,
    summary_figures,
)
from evidence.figures import Figure, Figures
from evidence.page import shown

GAP = 1000
CELLS = ("lstm_1997", "lstm")
_COMMON = {"task": "continual_reber", "cells": CELLS, "gaps": (GAP,), "learning_rates": (0.01, 0.03), "steps": 1500}
SMALL, LARGE = "8 units", "16 units"
# The paper's networks have 4 blocks of 2 cells.
SIZES = {
    SMALL: {**_COMMON, "hidden_size": 8, "seeds": 5},
    LARGE: {**_COMMON, "hidden_size": 16, "seeds": 7},
}


def _slower(size: str) -> str:
    return f"{size}: steps without a forget gate over steps with one"


def _measure(context: Context) -> Measured:
    figures: list[Figure] = []
    settings, seconds = {}, 0.0
    for size, told in SIZES.items():
        name = size.replace(" ", "-")
        comparison = run_comparison(context, told, name)
        figures += [*summary_figures(comparison, size, 0.1), *metric_figures(comparison, "accuracy", size)]
        figures.append(steps_ratio(_slower(size), comparison, *CELLS))
        settings[size] = settings_of(comparison, told)
        seconds += seconds_of(context, name)
    return Measured(figures, settings, seconds)


def _judge(figures: Figures) -> Verdict:
    (small, small_with), (large, large_with) = (
        [solved_by(figures, cell, GAP, size) for cell in CELLS] for size in (SMALL, LARGE)
    )
    told = (
        f"Without forget gates, {shown(small)} of the networks with {SMALL} and {shown(large)} of those with {LARGE} "
        f"read ten streams of {100 * GAP:,} symbols without an error. With forget gates, {shown(small_with)} and "
        f"{shown(large_with)} do."
    )
    if large_with.value <= 0.5 or max(small.value, large.value) > 0.5:
        return Verdict("does not hold", told)
    if max(small.value, large.value) > 0:
        end = (
            f"Most networks without forget gates fail, but not all. They need at least "
            f"{shown(figures[_slower(SMALL)])} times as many steps as the others."
        )
        return Verdict("holds with a condition", f"{told} {end}")
    if small_with.value <= 0.5:
        end = f"With {SMALL}, a forget gate is not always enough, and no network succeeds without one."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="continual",
    title="The endless stream",
    claim="An LSTM without a forget gate fails on a stream that does not mark where one string ends and the next "
    "begins.",
    whose="Gers, Schmidhuber & Cummins 2000, Learning to forget",
    commands=("python -m evidence --only continual", *map(command_of, SIZES.values())),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, GAP, size) for size in SIZES for cell in CELLS),
    cost=120,
    bounds="The test streams are a hundred times as long as the training streams, and as long as the paper's. Here the "
    "gradient is truncated to a tenth of a training stream and Adam is the optimiser; the paper's networks learn "
    "online with a gradient truncated to one step. `solved` is the share of streams without an error. A preliminary "
    "run tested streams a tenth as long. There, at a learning rate of 0.03, three of three networks with 16 units and "
    "without forget gates made no error, so they fail because of the length of the stream.",
    published=published_of("continual_reber"),
)
