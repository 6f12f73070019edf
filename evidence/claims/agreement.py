"""The number of a verb in real sentences, by the number of attractors between subject and verb."""

from dataclasses import replace

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.comparing import published_of
from evidence.figures import WILSON, Figure, Figures, exact, mean
from evidence.jobs import run_jobs
from evidence.page import shown
from gatework.search.comparing.statistics import share_interval

SEEDS = 3
ATTRACTORS = ("0", "1", "2", "3", "4")
CELLS = ("lstm", "rnn")
_MAJORITY = "majority baseline: accuracy"


def _name(cell: str, attractors: str) -> str:
    return f"{cell}, {attractors} attractor{'' if attractors == '1' else 's'}: accuracy"


def _known(attractors: str) -> str:
    return _name("majority baseline for each number of attractors", attractors)


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
            figure = mean(_name(cell, group), shares, "networks", grain=0.04)
            figures.append(_of_sentences(figure, found[0]["sentences"][group]))
    figures.append(exact(_MAJORITY, found[0]["chance"], "the test sentences"))
    figures += [exact(_known(group), found[0]["commonest"][group], "the test sentences") for group in ATTRACTORS]
    settings = {"task": "agreement", "networks": SEEDS, "test_sentences_by_attractors": found[0]["sentences"]}
    return Measured(figures, settings, sum(one["seconds"] for one in found))


def _of_sentences(figure: Figure, count: int) -> Figure:
    """Widen an interval over networks to what so few sentences allow, by Wilson's interval of their mean share."""
    interval = share_interval(round(figure.value * count), count)
    how = f"{figure.how}, or {WILSON} over {count:,} sentences where that is wider"
    return replace(
        figure, low=max(0.0, min(figure.low, interval.low)), high=min(1.0, max(figure.high, interval.high)), how=how
    )


def _judge(figures: Figures) -> Verdict:
    told = (
        f"On all sentences the accuracy of the LSTM is {shown(figures[_all('lstm')])}, that of a plain network is "
        f"{shown(figures[_all('rnn')])}, and that of the majority baseline is {shown(figures[_MAJORITY])}."
    )
    if figures[_all("lstm")].low <= figures[_MAJORITY].value:
        return Verdict("does not hold", told)
    beyond = [group for group in ATTRACTORS if figures[_name("lstm", group)].low > figures[_known(group)].value]
    if len(beyond) == len(ATTRACTORS):
        return Verdict("holds", told)
    examples = ", ".join(
        f"{group}: {shown(figures[_name('lstm', group)])} beside {shown(figures[_known(group)])}"
        for group in ATTRACTORS
    )
    end = (
        "The more attractors there are in these sentences, the more likely the subject is plural, and this alone is "
        "informative. The accuracy by number of attractors, beside a baseline that knows only this number, is "
        f"{examples}."
    )
    return Verdict("holds with a condition" if beyond else "does not hold", f"{told} {end}")


CLAIM = Claim(
    id="agreement",
    title="Verb number in real sentences",
    claim="An LSTM learns from real sentences whether a verb is singular or plural, across nouns in between.",
    whose="Linzen, Dupoux & Goldberg 2016, TACL 4, arXiv:1611.01368",
    commands=("python -m evidence --only agreement", "gatework train --task agreement"),
    measure=_measure,
    judge=_judge,
    shown=(_all("lstm"), _all("rnn"), _MAJORITY, *(_name("lstm", group) for group in ATTRACTORS)),
    cost=65,
    bounds="The networks train on about 6,000 sentences, and the paper's on 121,500. Three quarters of these sentences "
    "have attractors; most of the paper's have none. The test sentences are the same for all networks.",
    data="agreement_en/linzen",
    published=published_of("agreement"),
)
