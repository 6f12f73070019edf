"""Number and gender are carried by units that can be found and switched off."""

from typing import Any

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.figures import Figure, Figures, mean, middle, share
from evidence.jobs import run_jobs
from evidence.page import number, shown
from evidence.pictures import draw_sentences

SEEDS = 5
SENTENCES = 1000
OTHERS = 20
COUNTS = (1, 2, 4)
UNITS = 16
TASKS = {"number of the subject": "verb_number", "gender of the name": "pronoun_gender"}
TRAINING = {"cell": "lstm", "hidden_size": UNITS, "learning_rate": 0.01, "schedule": "constant", "steps": 2000}
GAP = 6
_MOST = COUNTS[-1]
LEARNED = 0.9  # of the sentences, from which on a network is one that has learned the task


def _learned(task: str) -> str:
    return f"{task}: networks that learn it"


def _knows(network: dict[str, Any]) -> bool:
    return network["accuracy"] >= LEARNED


def _off(task: str, count: int, which: str) -> str:
    return f"{task}: accuracy with {count} {which} off"


def _read(task: str) -> str:
    return f"{task}: read off the one unit"


def _costs(task: str) -> str:
    return f"{task}: accuracy that {_MOST} of them cost more than {_MOST} others"


def _measure(context: Context) -> Measured:
    figures: list[Figure] = []
    seconds = 0.0
    drawn = {}
    for name, task in TASKS.items():
        told = {"task": task, "gap": GAP, "sentences": SENTENCES, "counts": list(COUNTS), "others": OTHERS,
                "training": TRAINING}  # fmt: skip
        found = run_jobs(context, "units", [{**told, "seed": seed} for seed in range(SEEDS)])
        seconds += sum(one["seconds"] for one in found)
        figures.append(share(_learned(name), sum(map(_knows, found)), SEEDS, "networks"))
        # Where nothing was learned there is nothing to be found; where nobody learned, all of them say so.
        found = [one for one in found if _knows(one)] or found
        figures.append(middle(f"{name}: accuracy", [one["accuracy"] for one in found], "networks", grain=0.02))
        figures.append(middle(_read(name), [one["read"] for one in found], "networks", grain=0.02))
        for count in COUNTS:
            for which, key in (("of them", "off"), ("others", "random")):
                values = [one[key][str(count)] for one in found]
                figures.append(middle(_off(name, count, which), values, "networks", grain=0.05))
        costs = [one["random"][str(_MOST)] - one["off"][str(_MOST)] for one in found]
        figures.append(mean(_costs(name), costs, "networks", grain=0.05))
        drawn[name] = found[0]
    settings = {**TRAINING, "gap": GAP, "networks": SEEDS, "sentences": SENTENCES, "draws_of_others": OTHERS}
    return Measured(figures, settings, seconds, draw_sentences(drawn))


def _judge(figures: Figures) -> Verdict:
    told = "; ".join(
        f"the {name} is read off one unit of {UNITS} in {shown(figures[_read(name)])} of sentences, and with {_MOST} "
        f"such units off accuracy falls to {shown(figures[_off(name, _MOST, 'of them')])}, with {_MOST} others to "
        f"{number(figures[_off(name, _MOST, 'others')].value)}"
        for name in TASKS
    )
    learned = " and ".join(f"{shown(figures[_learned(name)])} the {name}" for name in TASKS)
    told = f"Of the networks {learned} learn; in those {told}."
    switched = [name for name in TASKS if figures[_read(name)].value > 0.9 and figures[_costs(name)].low > 0]
    if not switched:
        return Verdict("does not hold", told)
    if len(switched) < len(TASKS):
        return Verdict("holds with a condition", f"{told} Shown of the {', '.join(switched)} only.")
    alone = [shown(figures[_off(name, 1, "of them")]) for name in TASKS]
    if max(figures[_off(name, 1, "of them")].value for name in TASKS) < 0.6:
        return Verdict("holds", told)
    end = f"One unit off is not always enough: it leaves {' and '.join(alone)}, for others carry the same."
    return Verdict("holds with a condition", f"{told} {end}")


CLAIM = Claim(
    id="units",
    title="Units for number and gender",
    claim="Whether the subject is plural, whether the pronoun is she, is carried by units that can be found and "
    "switched off.",
    whose="Olah 2015, Understanding LSTM Networks, on what a cell state may hold",
    commands=("python -m evidence --only units",),
    measure=_measure,
    judge=_judge,
    shown=tuple(
        name for task in TASKS for name in (_read(task), _off(task, _MOST, "of them"), _off(task, _MOST, "others"))
    ),
    cost=50,
    bounds="Sentences from templates, networks of 16 units; figures are of the networks that answer "
    f"{LEARNED:.0%} of the sentences rightly. A unit is found by the correlation of its cell state before the last "
    "word with the answer, on sentences that are not judged on, and switched off by "
    "`gatework.clamp(model, c=0, units=...)` from the first word on.",
)
