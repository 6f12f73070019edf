"""Without a forget gate an endless stream is not learned."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import (
    command_of,
    measured,
    metric_figures,
    published_of,
    run_comparison,
    solved_by,
    solved_name,
    summary_figures,
    value_name,
)
from evidence.figures import Figures
from evidence.page import shown

GAP = 1000
SETTINGS = {
    "task": "continual_reber",
    "cells": ("lstm_1997", "lstm"),
    "gaps": (GAP,),
    "seeds": 5,
    "learning_rates": (0.01, 0.03),
    "steps": 2000,
    "hidden_size": 16,
}


def _measure(context: Context) -> Measured:
    comparison = run_comparison(context, SETTINGS)
    return measured(context, comparison, SETTINGS, summary_figures(comparison) + metric_figures(comparison, "accuracy"))


def _judge(figures: Figures) -> Verdict:
    without, with_gate = solved_by(figures, "lstm_1997", GAP), solved_by(figures, "lstm", GAP)
    share = figures[value_name("lstm_1997", GAP, "solved")], figures[value_name("lstm", GAP, "solved")]
    told = (
        f"Without a forget gate {shown(without)} of the networks go through ten streams of {10 * GAP:,} symbols "
        f"without an error, with one {shown(with_gate)}. Of single streams {shown(share[0])} and {shown(share[1])} "
        "are without error."
    )
    if without.value > 0.5:
        return Verdict("does not hold", told)
    if with_gate.value > 0.5:
        return Verdict("holds", told)
    if share[1].low > share[0].high:
        return Verdict("holds with a condition", f"{told} Not every stream is learned with a forget gate either.")
    return Verdict("does not hold", told)


CLAIM = Claim(
    id="continual",
    title="The endless stream",
    claim="An LSTM without a forget gate fails on a stream in which nothing says where one string ends and the next "
    "begins.",
    whose="Gers, Schmidhuber & Cummins 2000, Learning to forget",
    commands=(command_of(SETTINGS),),
    measure=_measure,
    judge=_judge,
    shown=(solved_name("lstm_1997", GAP), solved_name("lstm", GAP),
           value_name("lstm_1997", GAP, "accuracy"), value_name("lstm", GAP, "accuracy")),
    cost=900,
    bounds="Streams ten times as long as those trained on; the paper's are of 100,000 symbols. The gradient goes back "
    "through a tenth of a stream at a time, the state through all of it.",
    published=published_of("continual_reber"),
)  # fmt: skip
