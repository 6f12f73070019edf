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
LEARNED = 0.9  # a network has learned the task if its accuracy is at least this


def _learned(task: str) -> str:
    return f"{task}: networks that learn it"


def _knows(network: dict[str, Any]) -> bool:
    return network["accuracy"] >= LEARNED


def _off(task: str, count: int, which: str) -> str:
    return f"{task}: accuracy with {count} {which} off"


def _read(task: str) -> str:
    return f"{task}: accuracy of a single unit"


def _costs(task: str) -> str:
    return f"{task}: accuracy lost with {_MOST} of them off, minus that with {_MOST} others off"


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
        # A network that learned nothing has no such units. If no network learned the task, all of them are shown.
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
        f"a single unit of {UNITS} tells the {name} in {shown(figures[_read(name)])} of the sentences; the accuracy "
        f"falls to {shown(figures[_off(name, _MOST, 'of them')])} with {_MOST} such units off, and to "
        f"{number(figures[_off(name, _MOST, 'others')].value)} with {_MOST} other units off"
        for name in TASKS
    )
    learned = " and ".join(f"{shown(figures[_learned(name)])} learn the {name}" for name in TASKS)
    told = f"Of the networks, {learned}. In those networks, {told}."
    switched = [name for name in TASKS if figures[_read(name)].value > 0.9 and figures[_costs(name)].low > 0]
    if not switched:
        return Verdict("does not hold", told)
    if len(switched) < len(TASKS):
        return Verdict("holds with a condition", f"{told} This is shown for the {', '.join(switched)} only.")
    alone = [shown(figures[_off(name, 1, "of them")]) for name in TASKS]
    if max(figures[_off(name, 1, "of them")].value for name in TASKS) < 0.6:
        return Verdict("holds", told)
    end = (
        f"Switching off one unit is not always enough, because other units carry the same information: the accuracy is "
        f"then {' and '.join(alone)}."
    )
    return Verdict("holds with a condition", f"{told} {end}")


CLAIM = Claim(
    id="units",
    title="Units for number and gender",
    claim="Some units carry whether the subject is plural, or whether the pronoun is she. They can be found and "
    "switched off.",
    whose="Olah 2015, Understanding LSTM Networks, on what a cell state may hold",
    commands=("python -m evidence --only units",),
    measure=_measure,
    judge=_judge,
    shown=tuple(
        name for task in TASKS for name in (_read(task), _off(task, _MOST, "of them"), _off(task, _MOST, "others"))
    ),
    cost=50,
    bounds="The sentences come from templates, and the networks have 16 units. The figures are for networks that "
    f"answer at least {LEARNED:.0%} of the sentences correctly. A unit is found by the correlation between its cell "
    "state before the last word and the answer, on other sentences than those of the evaluation. It is switched off by "
    "`gatework.clamp(model, c=0, units=...)` from the first word on.",
)
