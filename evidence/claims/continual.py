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
    steps_ratio,
    summary_figures,
    value_name,
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
    LARGE: {**_COMMON, "hidden_size": 16, "seeds": 3},
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


def _streams(figures: Figures, cell: str, size: str) -> Figure:
    """Give the share of streams without an error, of the median network."""
    return figures[value_name(cell, GAP, "solved", size)]


def _judge(figures: Figures) -> Verdict:
    without, with_gate = (_streams(figures, cell, SMALL) for cell in CELLS)
    larger = [solved_by(figures, cell, GAP, LARGE) for cell in CELLS]
    told = (
        f"Of ten streams of {10 * GAP:,} symbols the median network of {SMALL} goes through {shown(with_gate)} "
        f"without an error where it has forget gates, and through {shown(without)} where it has none."
    )
    if without.value >= with_gate.value:
        return Verdict("does not hold", told)
    if larger[0].value > 0.5:
        end = (
            f"That is so of networks as small as the paper's: of those with {LARGE} {shown(larger[0])} learn it "
            f"without forget gates, in {shown(figures[_slower(LARGE)])} times the steps, and {shown(larger[1])} with "
            "them."
        )
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
    shown=tuple(value_name(cell, GAP, "solved", size) for size in SIZES for cell in CELLS),
    cost=200,
    bounds="Streams ten times as long as those trained on; the paper's are of 100,000 symbols. The gradient goes back "
    "through a tenth of a stream, by Adam; the paper's goes back one step at a time, online. `solved` is the share of "
    "streams without an error.",
    published=published_of("continual_reber"),
)
