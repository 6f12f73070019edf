"""The named results: adding over 1,000 steps, temporal order over 500."""

from functools import partial
from typing import Any

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    measured,
    published_of,
    run_comparison,
    solved_by,
    solved_name,
    summary_figures,
)
from evidence.figures import Figures
from evidence.page import shown

_COMMON = {"cells": ("rnn", "lstm"), "seeds": 3, "init": "chrono"}
ADDING = {"task": "adding", "gaps": (1000,), "learning_rates": (0.003, 0.01), "steps": 1200, **_COMMON}
ORDER = {
    "task": "temporal_order_2",
    "gaps": (500,),
    "learning_rates": (0.003, 0.01),
    "steps": 1500,
    **_COMMON,
    "seeds": 5,
}


def _measure(context: Context, settings: dict[str, Any]) -> Measured:
    comparison = run_comparison(context, settings)
    return measured(context, comparison, settings, summary_figures(comparison))


def _judge(figures: Figures, gap: int) -> Verdict:
    gated, plain = solved_by(figures, "lstm", gap), solved_by(figures, "rnn", gap)
    told = f"{shown(gated)} of the LSTMs and {shown(plain)} of the plain networks learn it."
    if gated.value <= 0.5 or plain.value > 0.5:
        return Verdict("does not hold", told)
    end = (
        "The forget gates of the LSTM were initialised open, as the command shows; [long gaps](#long-gaps) shows the "
        "results without this."
    )
    return Verdict("holds with a condition", f"{told} {end}")


def _claim(id: str, title: str, claim: str, whose: str, settings: dict[str, Any], cost: float) -> Claim:
    gap = settings["gaps"][0]
    return Claim(
        id=id,
        title=title,
        claim=f"{claim}; a plain network does not.",
        whose=whose,
        commands=(command_of(settings),),
        measure=partial(_measure, settings=settings),
        judge=partial(_judge, gap=gap),
        shown=(solved_name("lstm", gap), solved_name("rnn", gap)),
        cost=cost,
        bounds="There are few seeds. The budget was chosen for the LSTM, and the plain network has the same budget. "
        "The gates that keep the state are initialised open, with biases drawn for the gap (`--init chrono`).",
        published=published_of(settings["task"]),
    )


CLAIMS = (
    _claim(
        "adding",
        "Adding over 1,000 steps",
        "An LSTM learns to add two numbers, one in the first ten steps, the other in the first half of 1,000 steps",
        "Hochreiter & Schmidhuber 1997, section 5.4",
        ADDING,
        560,
    ),
    _claim(
        "temporal-order",
        "Temporal order over 500 steps",
        "An LSTM learns to tell which of two symbols came first, over 500 steps",
        "Hochreiter & Schmidhuber 1997, section 5.6, there over 100",
        ORDER,
        240,
    ),
)
