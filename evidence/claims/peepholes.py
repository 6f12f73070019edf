"""Peepholes help to measure time."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    published_of,
    run_comparison,
    seconds_of,
    settings_of,
    solved_by,
    solved_name,
    steps_ratio,
    steps_told,
    summary_figures,
)
from evidence.figures import Figure, Figures
from evidence.page import shown

CELLS = ("lstm", "peephole")
GAP = 6
_COMMON = {
    "cells": CELLS,
    "gaps": (GAP,),
    "seeds": 7,
    "learning_rates": (0.01, 0.03),
    "tuning_seeds": 3,
    "steps": 1500,
    "hidden_size": 8,
    "evaluate_every": 25,
}
TASKS = {
    "measuring delays": {"task": "spike_delay", **_COMMON},
    "generating spikes": {"task": "timed_spikes", **_COMMON},
}


def _quicker(task: str) -> str:
    return f"{task}: steps of the LSTM over steps with peepholes"


def _measure(context: Context) -> Measured:
    figures: list[Figure] = []
    settings, remarks, seconds = {}, [], 0.0
    for name, told in TASKS.items():
        comparison = run_comparison(context, told, str(told["task"]))
        figures += [*summary_figures(comparison, name), steps_ratio(_quicker(name), comparison, *CELLS)]
        settings[name] = settings_of(comparison, told)
        remarks.append(f"{name[0].upper()}{name[1:]}: {steps_told(comparison, [CELLS])}")
        seconds += seconds_of(context, str(told["task"]))
    return Measured(figures, settings, seconds, remarks=remarks)


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(
        f"{name}: {shown(solved_by(figures, 'peephole', GAP, name))} solve it with peepholes and "
        f"{shown(solved_by(figures, 'lstm', GAP, name))} without them; those without need "
        f"{shown(figures[_quicker(name)])} times as many steps"
        for name in TASKS
    )
    told = f"{told[0].upper()}{told[1:]}."
    helped = [name for name in TASKS if figures[_quicker(name)].low > 1]
    hurt = [name for name in TASKS if figures[_quicker(name)].high < 1]
    if len(helped) == len(TASKS):
        return Verdict("holds", told)
    if helped:
        return Verdict("holds with a condition", f"{told} Peepholes are shown to help only in {', '.join(helped)}.")
    end = f"Peepholes slow down {', '.join(hurt)}." if hurt else "No difference is shown."
    return Verdict("does not hold", f"{told} {end}")


CLAIM = Claim(
    id="peepholes",
    title="Peepholes and timing",
    claim="Gates that see the cell state learn better to measure time exactly.",
    whose="Gers & Schmidhuber 2000, Recurrent nets that time and count; Gers, Schraudolph & Schmidhuber 2002",
    commands=("python -m evidence --only peepholes", *map(command_of, TASKS.values())),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, GAP, name) for name in TASKS for cell in CELLS),
    cost=75,
    bounds="The networks have about 8 units, and the same number of parameters with and without peepholes. The paper's "
    "networks have a single cell, which has no other means of measuring time. A run that does not succeed counts with "
    "its whole budget.",
    published=published_of("spike_delay", "timed_spikes"),
)
