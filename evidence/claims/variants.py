"""The variants of the LSTM are about the same, but for the forget gate and the output activation."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    published_of,
    run_comparison,
    seconds_of,
    settings_of,
    steps_ratio,
    summary_figures,
    tests_told,
    value_gain,
)
from evidence.figures import Figure, Figures
from evidence.page import shown

VANILLA = "peephole"
NEEDED = ("nfg", "noaf")
SPARED = ("nig", "nog", "niaf", "np", "cifg", "fgr")
CELLS = (VANILLA, *NEEDED, *SPARED)
MUSIC = {
    "task": "jsb_chorales",
    "cells": CELLS,
    "gaps": (1,),
    "seeds": 5,
    "learning_rates": (0.003, 0.01),
    "steps": 800,
    "evaluate_every": 800,
    "hidden_size": 32,
    "reference": VANILLA,
}
GRAMMAR = {
    "task": "embedded_reber",
    "cells": CELLS,
    "gaps": (5,),
    "seeds": 5,
    "learning_rates": (0.003, 0.01),
    "steps": 1500,
    "reference": VANILLA,
}
# What is called about the same: nats a step of music, a tenth of what lies between the cells of the literature and
# less; and a factor of steps.
ABOUT_NATS, ABOUT_STEPS = 0.1, 1.5


def _worse(cell: str) -> str:
    return f"chorales, {cell}: nats a step more than {VANILLA}"


def _slower(cell: str) -> str:
    return f"Reber grammar, {cell}: steps over those of {VANILLA}"


def _measure(context: Context) -> Measured:
    music, grammar = run_comparison(context, MUSIC, "chorales"), run_comparison(context, GRAMMAR, "grammar")
    figures: list[Figure] = summary_figures(music, "chorales", 0.05)
    figures += [value_gain(_worse(cell), music, cell, VANILLA) for cell in (*NEEDED, *SPARED)]
    figures += summary_figures(grammar, "Reber grammar")
    figures += [steps_ratio(_slower(cell), grammar, cell, VANILLA) for cell in (*NEEDED, *SPARED)]
    remarks = (f"Chorales: {tests_told(music, 4)}", f"Reber grammar: {tests_told(grammar, 4)}")
    settings = {"chorales": settings_of(music, MUSIC), "Reber grammar": settings_of(grammar, GRAMMAR)}
    return Measured(figures, settings, seconds_of(music, grammar), remarks=remarks)


def _hurts(figures: Figures, cell: str) -> bool:
    """Tell whether leaving a part out is worse by more than nothing, on either task."""
    return figures[_worse(cell)].low > ABOUT_NATS or figures[_slower(cell)].low > ABOUT_STEPS


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(f"{cell} {shown(figures[_worse(cell)])} and {shown(figures[_slower(cell)])}" for cell in CELLS[1:])
    told = f"Nats a step of music more than the full cell, and steps to learn a grammar over its steps: {told}."
    needed = [cell for cell in NEEDED if _hurts(figures, cell)]
    missed = [cell for cell in SPARED if _hurts(figures, cell)]
    if len(needed) == len(NEEDED) and not missed:
        return Verdict("holds", told)
    if not needed and missed:
        return Verdict("does not hold", f"{told} What is missed is {', '.join(missed)}.")
    parts = []
    if len(needed) < len(NEEDED):
        parts.append(f"nothing is lost here with {', '.join(cell for cell in NEEDED if cell not in needed)}")
    if missed:
        parts.append(f"something is lost with {', '.join(missed)}")
    return Verdict("holds with a condition", f"{told} But {', and '.join(parts)}.")


CLAIM = Claim(
    id="variants",
    title="Eight variants",
    claim="Eight variants of the LSTM are about as good as it is, but for those without a forget gate or without an "
    "output activation.",
    whose="Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, arXiv:1503.04069; Olah 2015",
    commands=("python -m evidence --only variants", command_of(MUSIC), command_of(GRAMMAR)),
    measure=_measure,
    judge=_judge,
    shown=tuple(_worse(cell) for cell in (*NEEDED, *SPARED)),
    cost=1500,
    bounds="Small networks and few seeds: Greff et al. have 200 random settings for each variant and three data "
    "sets, JSB chorales among them. `cifg` here has no peepholes, the others have. A difference is called about the "
    f"same below {ABOUT_NATS:g} nats a step, and below {ABOUT_STEPS:g} times the steps.",
    data="polyphonic_music",
    published=published_of("jsb_chorales"),
)
