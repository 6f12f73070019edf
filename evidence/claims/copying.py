"""Repeating ten symbols after a wait of 200 steps."""

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
from evidence.figures import Figures, exact
from evidence.page import number, shown
from gatework.tasks.registry import TASKS

GAP = 200
SETTINGS = {
    "task": "copy",
    "cells": ("rnn", "lstm"),
    "gaps": (GAP,),
    "seeds": 2,
    "learning_rates": (0.003,),
    "steps": 7000,
    "evaluate_every": 3500,
    "shortest_gap": 1,
    "init": "orthogonal",
    "forget_bias": 6.0,
}
_GUESS = "remembering nothing: loss"


def _measure(context: Context) -> Measured:
    comparison = run_comparison(context, SETTINGS)
    figures = summary_figures(comparison) + metric_figures(comparison, "loss", grain=0.01)
    guessed = exact(_GUESS, TASKS["copy"].chance(GAP)["loss"], "10 ln 8 / (T + 20)", unit="nats a step")
    return measured(context, comparison, SETTINGS, [*figures, guessed])


def _judge(figures: Figures) -> Verdict:
    gated, plain = solved_by(figures, "lstm", GAP), solved_by(figures, "rnn", GAP)
    loss, other = figures[value_name("lstm", GAP, "loss")], figures[value_name("rnn", GAP, "loss")]
    guess = figures[_GUESS]
    told = (
        f"{shown(gated)} of the LSTMs learn it, {shown(plain)} of the plain networks. The loss of the LSTM is "
        f"{shown(loss)}, of the plain network {shown(other)}, of whoever remembers nothing {number(guess.value)}."
    )
    if gated.value > 0.5 >= plain.value:
        how = "Its gates began open, and both were trained on gaps from 1 to 200, as the command says."
        return Verdict("holds with a condition", f"{told} {how}")
    if plain.value > 0.5 or loss.high >= guess.value:
        return Verdict("does not hold", told)
    end = "So within this budget the LSTM has learned to keep a part of the symbols, and not all of them."
    return Verdict("does not hold", f"{told} {end}")


CLAIM = Claim(
    id="copy",
    title="Copying over 200 steps",
    claim="An LSTM learns to repeat ten symbols after 200 steps; a plain network does not.",
    whose="Arjovsky, Shah & Bengio 2016, section 5.1; Hochreiter & Schmidhuber 1997",
    commands=(command_of(SETTINGS),),
    measure=_measure,
    judge=_judge,
    shown=(
        value_name("lstm", GAP, "loss"),
        value_name("rnn", GAP, "loss"),
        _GUESS,
        solved_name("lstm", GAP),
    ),
    cost=2500,
    bounds="Size, learning rate, clipping, gaps of training and steps were found by trying, with the LSTM alone. With "
    "4,500 steps, and a look every 250, a first run of it ended at 0.988 of the test sequences, below the criterion; "
    "so the budget was raised. With sequences of one length it needs longer: see [what was measured](measured.md).",
    published=published_of("copy"),
)
