"""The number of a verb in real sentences, by how many nouns stand in its way."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import published_of
from evidence.figures import Figure, Figures, exact, mean
from evidence.jobs import run_jobs
from evidence.page import shown

SEEDS = 4
ATTRACTORS = ("0", "1", "2", "3", "4")
CELLS = ("lstm", "rnn")
_CHANCE = "always the commoner number: accuracy"


def _name(cell: str, attractors: str) -> str:
    return f"{cell}, {attractors} attractor{'' if attractors == '1' else 's'}: accuracy"


def _all(cell: str) -> str:
    return f"{cell}, all sentences: accuracy"


def _measure(context: Context) -> Measured:
    pieces = [{"cell": cell, "seed": seed} for cell in CELLS for seed in range(SEEDS)]
    found = run_jobs(context, "agreement", pieces)
    figures: list[Figure] = []
    for place, cell in enumerate(CELLS):
        runs = found[place * SEEDS : (place + 1) * SEEDS]
        figures.append(mean(_all(cell), [run["accuracy"] for run in runs], "networks", grain=0.02))
        for group in ATTRACTORS:
            shares = [run["by_attractors"][group] for run in runs]
            figures.append(mean(_name(cell, group), shares, "networks", grain=0.04))
    figures.append(exact(_CHANCE, found[0]["chance"], "the test sentences"))
    settings = {"task": "agreement", "networks": SEEDS, "test_sentences_by_attractors": found[0]["sentences"]}
    return Measured(figures, settings, sum(one["seconds"] for one in found))


def _judge(figures: Figures) -> Verdict:
    best, worst = figures[_name("lstm", "0")], figures[_name("lstm", "4")]
    told = (
        f"Accuracy of the LSTM is {shown(best)} without attractors and {shown(worst)} with four; of a plain network "
        f"{shown(figures[_name('rnn', '0')])} and {shown(figures[_name('rnn', '4')])}. Always saying the commoner "
        f"number gets {shown(figures[_CHANCE])}."
    )
    if figures[_all("lstm")].low <= figures[_CHANCE].value:
        return Verdict("does not hold", told)
    if worst.high < best.low:
        return Verdict("holds with a condition", f"{told} It learns the number, and attractors mislead it.")
    return Verdict("holds", told)


CLAIM = Claim(
    id="agreement",
    title="Verb number in real sentences",
    claim="An LSTM learns from real sentences whether a verb is singular or plural, over nouns that stand in between.",
    whose="Linzen, Dupoux & Goldberg 2016, TACL 4, arXiv:1611.01368",
    commands=("python -m evidence --only agreement", "gatework train --task agreement"),
    measure=_measure,
    judge=_judge,
    shown=(_name("lstm", "0"), _name("lstm", "4"), _CHANCE),
    cost=200,
    bounds="About 6,000 sentences to learn from, where the paper has 121,500, and three quarters of them with "
    "attractors, where most of the paper's have none. Intervals are over networks; the test sentences are the same "
    "for all.",
    data="agreement_en/linzen",
    published=published_of("agreement"),
)
