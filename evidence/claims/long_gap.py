"""Only gated cells learn to bridge a long gap."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    measured,
    published_of,
    run_comparison,
    seconds_of,
    solved_by,
    solved_name,
    summary_figures,
)
from evidence.figures import Figures
from evidence.page import shown

GATED = ("lstm", "gru")
SETTINGS = {
    "task": "temporal_order_2",
    "cells": ("rnn", "irnn", *GATED),
    "gaps": (10, 30, 100, 300),
    "seeds": 3,
    "learning_rates": (0.003, 0.01),
    "steps": 1200,
    "hidden_size": 16,
    "init": "chrono",
}
LONGEST = SETTINGS["gaps"][-1]
# The same settings, but the gates are initialised as the cell's page says.
WITHOUT = {**SETTINGS, "cells": GATED, "gaps": (100,), "init": "torch"}
_WITHOUT = "biases not drawn for the gap"


def _measure(context: Context) -> Measured:
    comparison, without = run_comparison(context, SETTINGS), run_comparison(context, WITHOUT, "without")
    figures = [*summary_figures(comparison), *summary_figures(without, _WITHOUT)]
    found = measured(context, comparison, SETTINGS, figures)
    seconds = found.seconds + seconds_of(context, "without")
    return Measured(figures, found.settings, seconds, found.picture, found.remarks)


def _judge(figures: Figures) -> Verdict:
    gated = [solved_by(figures, cell, LONGEST) for cell in GATED]
    plain, identity = solved_by(figures, "rnn", LONGEST), solved_by(figures, "irnn", LONGEST)
    without = [solved_by(figures, cell, 100, _WITHOUT) for cell in GATED]
    told = (
        f"Over {LONGEST} steps {shown(gated[0])} of the LSTMs, {shown(gated[1])} of the GRUs and {shown(plain)} of the "
        f"plain networks learn which of two symbols came first. Of plain networks with rectified linear units and an "
        f"identity initialisation, {shown(identity)} learn it."
    )
    if max(one.value for one in gated) <= 0.5 or plain.value > 0.5:
        return Verdict("does not hold", told)
    conditions = []
    if identity.value > 0.5:
        conditions.append("Gates are not the only way: a plain network with an identity initialisation can do it too.")
    if max(one.value for one in without) <= 0.5:
        conditions.append(
            "The gates must be initialised open: if the biases are not drawn for the gap, "
            f"{shown(without[0])} of the LSTMs and {shown(without[1])} of the GRUs learn it over 100 steps."
        )
    if conditions:
        return Verdict("holds with a condition", f"{told} {' '.join(conditions)}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="long-gap",
    title="Long gaps",
    claim="If the relevant input lies far back, gated networks learn to use it, and plain networks do not.",
    whose="Hochreiter & Schmidhuber 1997; Olah 2015, Understanding LSTM Networks",
    commands=(command_of(SETTINGS), command_of(WITHOUT)),
    measure=_measure,
    judge=_judge,
    shown=(
        *(solved_name(cell, gap) for gap in (10, LONGEST) for cell in ("rnn", *GATED)),
        *(solved_name(cell, 100, _WITHOUT) for cell in GATED),
    ),
    cost=370,
    bounds="One task, small networks and a small budget: a cell that fails here may learn the task with a larger "
    "budget. The biases of the gates that keep the state are drawn for the gap (`--init chrono`); a plain network has "
    "no such biases.",
    published=published_of("temporal_order_2"),
)
