"""Coupled gates cost nothing."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    run_comparison,
    seconds_of,
    settings_of,
    steps_ratio,
    steps_told,
    summary_figures,
)
from evidence.figures import Figure, Figures
from evidence.page import shown

CELLS = ("cifg", "lstm")
_COMMON = {
    "cells": CELLS,
    "seeds": 5,
    "learning_rates": (0.01, 0.03),
    "tuning_seeds": 2,
    "hidden_size": 16,
    "evaluate_every": 50,
}
TASKS = {
    "embedded Reber grammar": {"task": "embedded_reber", "gaps": (5,), "steps": 1500, **_COMMON},
    "temporal order": {"task": "temporal_order_2", "gaps": (100,), "steps": 1500, "init": "chrono", **_COMMON},
    "measuring delays": {"task": "spike_delay", "gaps": (10,), "steps": 1500, **_COMMON},
}
# Up to half as many steps again counts as no cost, because another learning rate easily has the same effect.
NOTHING = 1.5


def _costs(task: str) -> str:
    return f"{task}: steps with coupled gates over steps of the LSTM"


def _measure(context: Context) -> Measured:
    figures: list[Figure] = []
    settings, remarks, seconds = {}, [], 0.0
    for name, told in TASKS.items():
        comparison = run_comparison(context, told, str(told["task"]))
        figures += [*summary_figures(comparison, name), steps_ratio(_costs(name), comparison, *CELLS)]
        settings[name] = settings_of(comparison, told)
        remarks.append(f"{name[0].upper()}{name[1:]}: {steps_told(comparison, [CELLS])}")
        seconds += seconds_of(context, str(told["task"]))
    return Measured(figures, settings, seconds, remarks=remarks)


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(f"{name} {shown(figures[_costs(name)])}" for name in TASKS)
    told = (
        "The number of steps to success with coupled gates, relative to an LSTM with the same number of parameters: "
        f"{told}."
    )
    dear = [name for name in TASKS if figures[_costs(name)].low > NOTHING]
    sure = [name for name in TASKS if figures[_costs(name)].high < NOTHING]
    if len(dear) == len(TASKS):
        return Verdict("does not hold", told)
    if dear:
        return Verdict("holds with a condition", f"{told} Coupled gates are slower in {', '.join(dear)}.")
    if len(sure) == len(TASKS):
        return Verdict("holds", told)
    slower = [name for name in TASKS if name not in sure and figures[_costs(name)].low > 1]
    if slower:
        return Verdict("holds with a condition", f"{told} Training does take longer with them in {', '.join(slower)}.")
    unsure = [name for name in TASKS if name not in sure]
    return Verdict("holds with a condition", f"{told} There are too few runs to show it in {', '.join(unsure)}.")


CLAIM = Claim(
    id="coupled",
    title="Coupled gates",
    claim="One gate for forgetting and writing, so that a cell forgets only where it writes, costs nothing.",
    whose="Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, arXiv:1503.04069; Olah 2015",
    commands=("python -m evidence --only coupled", *map(command_of, TASKS.values())),
    measure=_measure,
    judge=_judge,
    shown=tuple(_costs(name) for name in TASKS),
    cost=80,
    bounds="Coupled gates save a quarter of the parameters. These are given back as units, because the numbers of "
    "parameters are matched. A run that does not succeed counts with its whole budget. Less than "
    f"{NOTHING:g} times as many steps counts as no cost.",
)
