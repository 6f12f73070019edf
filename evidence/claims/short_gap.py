"""A plain network is fine where the gap is short."""

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
        f"With {SHORT} words in between {shown(short)} of the plain networks name the right place, with {LONGEST} "
        f"{shown(longest)}; of the LSTMs {shown(solved_by(figures, 'lstm', LONGEST))}."
    )
    if short.value <= 0.5:
        return Verdict("does not hold", told)
    if longest.value <= 0.5:
        return Verdict(
            "holds with a condition", f"{told} So short means very few words where others of the kind are near."
        )
    return Verdict("holds", told)


CLAIM = Claim(
    id="short-gap",
    title="Short gaps",
    claim="Where what is needed stands near, as in 'the clouds are in the sky', a plain network learns to use it.",
    whose="Olah 2015, Understanding LSTM Networks",
    commands=(command_of(SETTINGS),),
    measure=_measure,
    judge=_judge,
    shown=tuple(solved_name(cell, gap) for gap in (SHORT, LONGEST) for cell in ("rnn", "lstm")),
    cost=75,
    bounds="Sentences from templates with ten nouns, and other nouns of the same kind beside the one that counts: "
    "harder than the essay's sentence, in which nothing else could be meant.",
)
