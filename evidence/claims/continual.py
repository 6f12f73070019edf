"""Without a forget gate an endless stream is not learned."""

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
        f"Without forget gates {shown(small)} of networks of {SMALL} and {shown(large)} of those of {LARGE} go through "
        f"ten streams of {100 * GAP:,} symbols without an error; with them {shown(small_with)} and {shown(large_with)}."
    )
    if large_with.value <= 0.5 or max(small.value, large.value) > 0.5:
        return Verdict("does not hold", told)
    if max(small.value, large.value) > 0:
        end = f"Most fail, not all: they take {shown(figures[_slower(SMALL)])} times the steps of the others, or more."
        return Verdict("holds with a condition", f"{told} {end}")
    if small_with.value <= 0.5:
        end = f"With {SMALL} units a forget gate is not always enough; without one nothing is."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="continual",
    title="The endless stream",
    claim="An LSTM without a forget gate fails on a stream in which nothing says where one string ends and the next "
    "begins.",
    whose="Gers, Schmidhuber & Cummins 2000, Learning to forget",
    commands=("python -m evidence --only continual", *map(command_of, SIZES.values())),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, GAP, size) for size in SIZES for cell in CELLS),
    cost=120,
    bounds="Streams a hundred times as long as those trained on, as long as the paper's. The gradient goes back "
    "through a tenth of a stream, by Adam; the paper's goes back one step at a time, online. `solved` is the share of "
    "streams without an error. At first streams a tenth as long were looked at, and there three of three networks of "
    "16 units without forget gates came through at a learning rate of 0.03: what fails them is how long a stream "
    "goes on.",
    published=published_of("continual_reber"),
)
