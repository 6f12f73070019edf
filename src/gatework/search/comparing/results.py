"""What came of a comparison: a summary of each cell at each gap, a test of each pair, and where each cell gives up."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gatework import __version__
from gatework.search.comparing.config import MAY_CHANGE, CompareConfig
from gatework.search.comparing.matching import Size
from gatework.search.comparing.plan import Plan
from gatework.search.comparing.statistics import holm, median_interval, share_interval, sign_flip_test
from gatework.search.running.trial import Outcome, Trial, worth


@dataclass(frozen=True)
class Summary:
    """The final runs of one cell at one gap.

    Args:
        cell: Its label.
        gap: The gap.
        learning_rate: The one that was best in tuning.
        at_edge: True where that was the largest or the smallest of several, so that one beyond may be better still.
        values: The criterion's metric on the test sequences, of each run; None where it is no finite number.
        median: Their median; None where it is not finite, as the further ones.
        low: The lower end of its 95 % interval.
        high: The upper end.
        solved: How many runs met the criterion.
        runs: How many there were.
        solved_low: The lower end of the 95 % interval of the share that meets it.
        solved_high: The upper end.
        steps: The steps to success of each run; None where it was not solved.
        steps_median: Their median, a run that was not solved standing above all others; None where it is one.
        steps_low: The lower end of its 95 % interval.
        steps_high: The upper end.
    """

    cell: str
    gap: int
    learning_rate: float
    at_edge: bool
    values: tuple[float | None, ...]
    median: float | None
    low: float | None
    high: float | None
    solved: int
    runs: int
    solved_low: float
    solved_high: float
    steps: tuple[int | None, ...]
    steps_median: float | None
    steps_low: float | None
    steps_high: float | None

    @property
    def mostly_solved(self) -> bool:
        """True where more than half of the runs met the criterion."""
        return 2 * self.solved > self.runs


@dataclass(frozen=True)
class PairTest:
    """A test of two cells, paired by gap and seed.

    Args:
        better: The label of the cell that is better on average.
        worse: The other's.
        difference: How much better, in the criterion's metric, averaged over the pairs; None where it is not finite.
        wins: Pairs in which the first was better.
        losses: Pairs in which it was worse.
        pairs: All pairs.
        p: The p of the sign-flip test.
        corrected: The same, corrected by Holm for the number of all tests.
    """

    better: str
    worse: str
    difference: float | None
    wins: int
    losses: int
    pairs: int
    p: float
    corrected: float


@dataclass(frozen=True)
class Crossover:
    """Between which gaps a cell goes from solving the task to not solving it.

    Args:
        cell: Its label.
        last: The largest gap at which most of its runs solve it; None where there is none.
        first: The next larger gap, at which most do not; None where there is none.
        monotone: False where it fails at a gap smaller than one that it solves.
    """

    cell: str
    last: int | None
    first: int | None
    monotone: bool

    def __str__(self) -> str:
        """Say it in words."""
        if self.last is None:
            return "no gap solved"
        if self.first is None:
            return "all gaps solved" if self.monotone else f"solved at gap {self.last:,}, but not at every smaller one"
        words = f"solved up to gap {self.last:,}, not at {self.first:,}"
        return words if self.monotone else f"{words}; but not at every smaller one"


@dataclass(frozen=True)
class Comparison:
    """A comparison that is over.

    Args:
        config: Its configuration.
        directory: Where everything is kept.
        sizes: The size of each cell's model.
        reference: The cell that sizes are matched to.
        budget: The steps that a run may take; None where the task counts passes over its data.
        task: The task, as plain data: criterion, baseline, published results.
        trials: Every trial, in the order of the plan.
        summary: The final runs by cell and gap.
        tests: Every pair of cells.
        crossovers: Where each cell gives up.
        seconds: How long all trials took together.
    """

    config: CompareConfig
    directory: Path
    sizes: Mapping[str, Size]
    reference: str
    budget: int | None
    task: Mapping[str, Any]
    trials: Mapping[Trial, Outcome]
    summary: Mapping[tuple[str, int], Summary]
    tests: tuple[PairTest, ...]
    crossovers: Mapping[str, Crossover]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data; but for ``seconds`` it is the same whenever it is made on a machine."""
        config = {key: value for key, value in self.config.model_dump(mode="json").items() if key not in MAY_CHANGE}
        return {
            "config": config,
            "task": dict(self.task),
            "budget": self.budget,
            "reference": self.reference,
            "sizes": {cell: asdict(size) for cell, size in self.sizes.items()},
            "summary": [asdict(summary) for summary in self.summary.values()],
            "tests": [asdict(test) for test in self.tests],
            "crossovers": {
                cell: asdict(crossover) | {"words": str(crossover)} for cell, crossover in self.crossovers.items()
            },
            "trials": [{"trial": asdict(trial), "outcome": out.to_json()} for trial, out in self.trials.items()],
            "versions": {
                "gatework": __version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "seconds": round(self.seconds, 3),
        }


def draw_conclusions(plan: Plan, done: Mapping[Trial, Outcome], directory: Path) -> Comparison:
    """Make the results of trials that are all over.

    Args:
        plan: The plan.
        done: Every trial of it.
        directory: Where they are kept.

    Returns:
        The comparison.
    """
    ordered: dict[Trial, Outcome] = {}
    summary: dict[tuple[str, int], Summary] = {}
    for cell, gap in plan.places():
        rate = plan.chosen(cell, gap, done)
        assert rate is not None  # all trials are over
        finals = plan.finals(cell, gap, rate)
        ordered |= {trial: done[trial] for trial in (*plan.tuning(cell, gap), *finals)}
        summary[cell, gap] = _summarise(cell, gap, rate, [done[trial] for trial in finals], plan)
    return Comparison(
        plan.config,
        directory,
        plan.sizes,
        plan.config.reference_cell,
        plan.budget,
        plan.facts(),
        ordered,
        summary,
        _test_pairs(plan, summary),
        {cell: find_crossover(cell, [summary[cell, gap] for gap in plan.config.gaps]) for cell in plan.config.cells},
        sum(outcome.seconds for outcome in ordered.values()),
    )


def _summarise(cell: str, gap: int, rate: float, runs: list[Outcome], plan: Plan) -> Summary:
    success = plan.success
    values = tuple(run.test[success.metric] for run in runs)
    worst = inf if success.at_least is None else -inf
    middle = median_interval([worst if value is None else value for value in values])
    share = share_interval(sum(run.solved for run in runs), len(runs))
    steps = tuple(run.steps if run.solved else None for run in runs)
    length = median_interval([inf if count is None else count for count in steps])
    return Summary(
        cell=cell,
        gap=gap,
        learning_rate=rate,
        at_edge=plan.tunes and rate in (plan.config.learning_rates[0], plan.config.learning_rates[-1]),
        values=values,
        median=_finite(middle.estimate),
        low=_finite(middle.low),
        high=_finite(middle.high),
        solved=sum(run.solved for run in runs),
        runs=len(runs),
        solved_low=share.low,
        solved_high=share.high,
        steps=steps,
        steps_median=_finite(length.estimate),
        steps_low=_finite(length.low),
        steps_high=_finite(length.high),
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _test_pairs(plan: Plan, summary: Mapping[tuple[str, int], Summary]) -> tuple[PairTest, ...]:
    """Test every two cells over all gaps and seeds."""
    uncorrected = []
    for one, other in combinations(plan.config.cells, 2):
        differences = []
        for gap in plan.config.gaps:
            pairs = zip(summary[one, gap].values, summary[other, gap].values, strict=True)
            differences += [_difference(mine, theirs, plan) for mine, theirs in pairs]
        mean = sum(differences) / len(differences)
        if mean < 0:
            one, other, mean, differences = other, one, -mean, [-difference for difference in differences]
        wins, losses = sum(x > 0 for x in differences), sum(x < 0 for x in differences)
        p = sign_flip_test(differences)
        uncorrected.append((one, other, mean if isfinite(mean) else None, wins, losses, len(differences), p))
    corrected = holm([test[-1] for test in uncorrected])
    return tuple(PairTest(*test, value) for test, value in zip(uncorrected, corrected, strict=True))


def _difference(mine: float | None, theirs: float | None, plan: Plan) -> float:
    """Say by how much the first of two metrics is better; two that are both nothing do not differ."""
    one, other = worth(mine, plan.success), worth(theirs, plan.success)
    return 0.0 if one == other else one - other


def find_crossover(cell: str, summaries: list[Summary]) -> Crossover:
    """Find where a cell goes from solving the task to not solving it.

    Args:
        cell: Its label.
        summaries: Its summaries, by growing gap.

    Returns:
        The crossover.
    """
    solved = [place for place, summary in enumerate(summaries) if summary.mostly_solved]
    if not solved:
        return Crossover(cell, None, summaries[0].gap, True)
    last = solved[-1]
    first = summaries[last + 1].gap if last + 1 < len(summaries) else None
    return Crossover(cell, summaries[last].gap, first, len(solved) == last + 1)
