"""The named results: adding over 1,000 steps, temporal order over 500, copying over 200."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    published_of,
    run_comparison,
    seconds_of,
    settings_of,
    solved_by,
    solved_name,
    summary_figures,
)
from evidence.figures import Figure, Figures
from evidence.page import shown

_COMMON = {"cells": ("rnn", "lstm"), "seeds": 3, "init": "chrono"}
TASKS = {
    "adding": {"task": "adding", "gaps": (1000,), "steps": 1500, "learning_rates": (0.003, 0.01), **_COMMON},
    "temporal order": {
        "task": "temporal_order_2", "gaps": (500,), "steps": 2000, "learning_rates": (0.003, 0.01), **_COMMON
    },
    "copy": {"task": "copy", "gaps": (200,), "learning_rates": (0.003, 0.01), **_COMMON},
}  # fmt: skip


def _measure(context: Context) -> Measured:
    figures: list[Figure] = []
    settings, seconds = {}, 0.0
    for name, told in TASKS.items():
        comparison = run_comparison(context, told, str(told["task"]))
        figures += summary_figures(comparison, name)
        settings[name] = settings_of(comparison, told)
        seconds += seconds_of(comparison)
    return Measured(figures, settings, seconds)


def _solved(figures: Figures, name: str, cell: str) -> Figure:
    return solved_by(figures, cell, TASKS[name]["gaps"][0], name)


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(
        f"{name} over {TASKS[name]['gaps'][0]:,} steps: {shown(_solved(figures, name, 'lstm'))} of the LSTMs, "
        f"{shown(_solved(figures, name, 'rnn'))} of the plain networks"
        for name in TASKS
    )
    done = [name for name in TASKS if _solved(figures, name, "lstm").value > 0.5]
    plain = [name for name in TASKS if _solved(figures, name, "rnn").value > 0.5]
    if len(done) == len(TASKS) and not plain:
        end = "The condition is that the gates begin open: their biases are drawn for the length of the gap."
        return Verdict("holds with a condition", f"{told[0].upper()}{told[1:]}. {end}")
    if not done or len(plain) == len(TASKS):
        return Verdict("does not hold", f"{told[0].upper()}{told[1:]}.")
    return Verdict("holds with a condition", f"{told[0].upper()}{told[1:]}. It holds of {', '.join(done)} only.")


CLAIM = Claim(
    id="named",
    title="Adding, temporal order, copying",
    claim="An LSTM learns to add over 1,000 steps, to tell an order over 500, to copy over 200; a plain network does "
    "not.",
    whose="Hochreiter & Schmidhuber 1997, sections 5.4 and 5.6; Arjovsky, Shah & Bengio 2016, sections 5.1 and 5.2",
    commands=("python -m evidence --only named", *map(command_of, TASKS.values())),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, told["gaps"][0], name) for name, told in TASKS.items() for cell in ("lstm", "rnn")),
    cost=1200,
    bounds="Three seeds each, a budget that the LSTM needs; a plain network was given the same.",
    published=published_of("adding", "temporal_order_2", "copy"),
)
