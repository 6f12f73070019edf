"""A plain network is good enough if the gap is short."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import command_of, measured, run_comparison, solved_by, solved_name, summary_figures
from evidence.figures import Figures
from evidence.page import shown

SETTINGS = {
    "task": "clouds",
    "cells": ("rnn", "lstm", "gru"),
    "gaps": (3, 5, 10),
    "seeds": 3,
    "learning_rates": (0.003, 0.01),
    "steps": 1200,
    "hidden_size": 32,
    "init": "chrono",
}
SHORT, LONGEST = SETTINGS["gaps"][0], SETTINGS["gaps"][-1]


def _measure(context: Context) -> Measured:
    comparison = run_comparison(context, SETTINGS)
    return measured(context, comparison, SETTINGS, summary_figures(comparison))


def _judge(figures: Figures) -> Verdict:
    short, longest = solved_by(figures, "rnn", SHORT), solved_by(figures, "rnn", LONGEST)
    told = (
        f"With {SHORT} words in between, {shown(short)} of the plain networks name the right place. With {LONGEST} "
        f"words, {shown(longest)} of the plain networks and {shown(solved_by(figures, 'lstm', LONGEST))} of the LSTMs "
        "do."
    )
    if short.value <= 0.5:
        return Verdict("does not hold", told)
    if longest.value <= 0.5:
        return Verdict(
            "holds with a condition",
            f"{told} So the gap must be very short if other words of the same kind are near.",
        )
    return Verdict("holds", told)


CLAIM = Claim(
    id="short-gap",
    title="Short gaps",
    claim="If the relevant word is near, as in 'the clouds are in the sky', a plain network learns to use it.",
    whose="Olah 2015, Understanding LSTM Networks",
    commands=(command_of(SETTINGS),),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, gap) for gap in (SHORT, LONGEST) for cell in ("rnn", "lstm")),
    cost=75,
    bounds="The sentences come from templates with ten nouns, and contain other nouns of the same kind beside the "
    "relevant one. This is harder than the essay's sentence, which has only one candidate.",
)
