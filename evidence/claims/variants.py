"""The variants of the LSTM are about equally good, except without the forget gate or the output activation."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    published_of,
    run_comparison,
    seconds_of,
    settings_of,
    steps_ratio,
    steps_told,
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
    "seeds": 3,
    "learning_rates": (0.005, 0.01),
    "steps": 600,
    "evaluate_every": 600,
    "hidden_size": 64,
    "reference": VANILLA,
}
STREAM = {
    "task": "continual_reber",
    "cells": CELLS,
    "gaps": (1000,),
    "seeds": 3,
    "learning_rates": (0.01, 0.03),
    "steps": 1500,
    "hidden_size": 16,
    "reference": VANILLA,
}
# Differences below these count as about the same: in nats per step of music, and as a ratio of steps.
ABOUT_NATS, ABOUT_STEPS = 0.1, 1.5


def _worse(cell: str) -> str:
    return f"chorales, {cell}: nats a step more than {VANILLA}"


def _slower(cell: str) -> str:
    return f"Reber stream, {cell}: steps over those of {VANILLA}"


def _measure(context: Context) -> Measured:
    music, stream = run_comparison(context, MUSIC, "chorales"), run_comparison(context, STREAM, "stream")
    figures: list[Figure] = summary_figures(music, "chorales", 0.05)
    figures += [value_gain(_worse(cell), music, cell, VANILLA) for cell in (*NEEDED, *SPARED)]
    figures += summary_figures(stream, "Reber stream")
    figures += [steps_ratio(_slower(cell), stream, cell, VANILLA) for cell in (*NEEDED, *SPARED)]
    pairs = [(cell, VANILLA) for cell in (*NEEDED, *SPARED)]
    remarks = (f"Chorales: {tests_told(music, 4)}", f"Reber stream: {steps_told(stream, pairs, 4)}")
    settings = {"chorales": settings_of(music, MUSIC), "Reber stream": settings_of(stream, STREAM)}
    return Measured(figures, settings, seconds_of(context, "chorales", "stream"), remarks=remarks)


def _hurts(figures: Figures, cell: str) -> bool:
    """Tell whether a cell is worse than the full cell by more than the tolerance, on either task."""
    return figures[_worse(cell)].low > ABOUT_NATS or figures[_slower(cell)].low > ABOUT_STEPS


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(f"{cell} {shown(figures[_worse(cell)])} and {shown(figures[_slower(cell)])}" for cell in CELLS[1:])
    told = (
        "The additional nats per step of music, and the ratio of steps to learn the Reber stream, both relative to the "
        f"full cell: {told}."
    )
    needed = [cell for cell in NEEDED if _hurts(figures, cell)]
    missed = [cell for cell in SPARED if _hurts(figures, cell)]
    if len(needed) == len(NEEDED) and not missed:
        return Verdict("holds", told)
    if not needed and missed:
        return Verdict("does not hold", f"{told} The variants that are worse are {', '.join(missed)}.")
    parts = []
    if len(needed) < len(NEEDED):
        parts.append(f"nothing is lost here with {', '.join(cell for cell in NEEDED if cell not in needed)}")
    if missed:
        parts.append(f"something is lost with {', '.join(missed)}")
    return Verdict("holds with a condition", f"{told} But {', and '.join(parts)}.")


CLAIM = Claim(
    id="variants",
    title="Eight variants",
    claim="Eight variants of the LSTM are about as good as the LSTM, except those without a forget gate or without an "
    "output activation.",
    whose="Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, arXiv:1503.04069; Olah 2015",
    commands=("python -m evidence --only variants", command_of(MUSIC), command_of(STREAM)),
    measure=_measure,
    judge=_judge,
    shown=tuple(_worse(cell) for cell in (*NEEDED, *SPARED)),
    cost=500,
    bounds="The networks are small and the seeds few: Greff et al. have 200 random settings for each variant and three "
    "data sets, including JSB chorales. Training on the chorales takes 600 steps, which leaves the full cell well "
    "above the published losses, so the cells may differ only in how fast they learn. Training on the stream runs "
    "until success; a run that does not succeed counts with its whole budget. `cifg` has no peepholes here; the others "
    f"have them. Differences below {ABOUT_NATS:g} nats per step, and below {ABOUT_STEPS:g} times the steps, count as "
    f"about the same. The verdict uses {2 * len(CELLS[1:])} intervals, each of which contains the true value in 95 of "
    "100 cases.",
    data="polyphonic_music",
    published=published_of("jsb_chorales"),
)
