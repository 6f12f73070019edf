"""A human could pick the parameters; gradient descent does not find them."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import command_of, measured, run_comparison, solved_by, solved_name, summary_figures
from evidence.figures import Figure, Figures, mean, share
from evidence.jobs import run_jobs
from evidence.page import shown

SEQUENCES = 500
BY_HAND = (10, 1000, 10_000)
SHORT, FAR = 10, 10_000
SEEDS = 5
SETTINGS = {
    "task": "latch",
    "cells": ("rnn",),
    "gaps": (10, 30, 100, 300),
    "seeds": SEEDS,
    "learning_rates": (0.003, 0.01, 0.03),
    "steps": 800,
}
LONGEST = SETTINGS["gaps"][-1]
_TRAINED = f"trained at gap {SHORT}, evaluated at gap {FAR:,}: accuracy"


def _name(gap: int) -> str:
    return f"set by hand, gap {gap:,}: sequences answered correctly"


def _measure(context: Context) -> Measured:
    by_hand = run_jobs(context, "latch", [{"gap": gap, "sequences": SEQUENCES, "seed": 0} for gap in BY_HAND])
    figures: list[Figure] = [
        share(_name(gap), one["right"], one["sequences"], "sequences")
        for gap, one in zip(BY_HAND, by_hand, strict=True)
    ]
    comparison = run_comparison(context, SETTINGS)
    figures += summary_figures(comparison)
    rate = comparison.summary["rnn", SHORT].learning_rate
    asked = {"gap": SHORT, "asked": FAR, "sequences": SEQUENCES, "learning_rate": rate, "steps": SETTINGS["steps"]}
    far = run_jobs(context, "latch-far", [{**asked, "seed": seed} for seed in range(SEEDS)])
    figures.append(mean(_TRAINED, [one["accuracy"] for one in far], "networks", grain=0.05))
    found = measured(context, comparison, SETTINGS, figures)
    own = sum(one["seconds"] for one in (*by_hand, *far))
    return Measured(figures, found.settings, found.seconds + own, found.picture, found.remarks[:1])


def _judge(figures: Figures) -> Verdict:
    hand, far = figures[_name(FAR)], figures[_TRAINED]
    short, longest = solved_by(figures, "rnn", SHORT), solved_by(figures, "rnn", LONGEST)
    told = (
        f"A single unit set by hand answers {shown(hand)} of the sequences of up to {FAR:,} steps correctly. Of plain "
        f"networks with 16 units, {shown(short)} learn the task over {SHORT} steps by training, and {shown(longest)} "
        f"over {LONGEST}."
    )
    if hand.low < 0.99 or longest.value > 0.5:
        return Verdict("does not hold", told)
    asked = f"Networks that were trained over {SHORT} steps have an accuracy of {shown(far)} over {FAR:,}"
    if far.value > 0.9:
        return Verdict(
            "holds with a condition",
            f"{told} {asked}. So training finds such weights on short sequences, but seldom on long ones.",
        )
    if longest.value > 0:
        return Verdict("holds with a condition", f"{told} {asked}. Training seldom finds such weights.")
    return Verdict("holds", f"{told} {asked}.")


CLAIM = Claim(
    id="hand-set",
    title="Weights set by hand",
    claim="A human could pick weights that let a plain network remember over any gap; training does not find them.",
    whose="Olah 2015, Understanding LSTM Networks; Bengio, Simard & Frasconi 1994",
    commands=("python -m evidence --only hand-set", command_of(SETTINGS)),
    measure=_measure,
    judge=_judge,
    shown=(_name(FAR), solved_name("rnn", SHORT), solved_name("rnn", LONGEST), _TRAINED),
    cost=125,
    bounds="`gatework.models.hand_set.hand_set_latch` has one unit with a recurrent weight of 4, so it has two stable "
    "states. Noise of 4.8 standard deviations, several times in a row, would be needed to flip it. Only this task was "
    "solved by hand; nobody knows how to set by hand the weights of a network that reads English.",
)
