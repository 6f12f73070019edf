"""The results of a comparison: a summary per cell and gap, a test per pair of cells, and a crossover per cell."""

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
from gatework.search.comparing.config import MAY_CHANGE, OF_PAIRS, OF_STACK, OF_TABLE, CompareConfig
from gatework.search.comparing.matching import Size
from gatework.search.comparing.plan import ComparisonPlan
from gatework.search.comparing.statistics import holm, median_interval, share_interval, sign_flip_test
from gatework.search.running.trial import Outcome, Trial, worth


@dataclass(frozen=True)
class Summary:
    """The final runs of one cell at one gap.

    Args:
        cell: The label of the cell.
        gap: The gap.
        learning_rate: The learning rate that was best in tuning.
        at_edge: True if it was the largest or the smallest of several, so that a rate beyond may be better still.
        values: The criterion's metric on the test sequences, for each run; None if it is not finite.
        median: The median of the values. It and the following numbers are None if they are not finite.
        low: The lower end of the 95 % interval of the median.
        high: The upper end.
        solved: The number of runs that met the criterion.
        runs: The number of all runs.
        solved_low: The lower end of the 95 % interval of the share of runs that meet the criterion.
        solved_high: The upper end.
        steps: The steps to success of each run; None for a run that did not solve the task.
        steps_median: The median of the steps, where a run that did not solve the task ranks above all others. None if
            the median is such a run.
        steps_low: The lower end of the 95 % interval of the median.
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
        """Whether more than half of the runs met the criterion."""
        return 2 * self.solved > self.runs


@dataclass(frozen=True)
class PairTest:
    """A test of two cells, paired by gap and seed.

    Args:
        better: The label of the cell that is better on average.
        worse: The label of the other cell.
        difference: The difference in the criterion's metric, averaged over the pairs; None if it is not finite.
        wins: The number of pairs in which the better cell was ahead.
        losses: The number of pairs in which it was behind.
        pairs: The number of all pairs.
        p: The p-value of the sign-flip test.
        corrected: The p-value with Holm's correction for the number of all tests.
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
    """The two gaps between which a cell stops solving the task.

    Args:
        cell: The label of the cell.
        last: The largest gap at which most runs solve the task; None if there is none.
        first: The next larger gap, at which most runs do not; None if there is none.
        monotone: False if the cell fails at a smaller gap than one that it solves.
    """

    cell: str
    last: int | None
    first: int | None
    monotone: bool

    def __str__(self) -> str:
        """Describe the crossover in words."""
        if self.last is None:
            return "no gap solved"
        if self.first is None:
            return "all gaps solved" if self.monotone else f"solved at gap {self.last:,}, but not at every smaller one"
        words = f"solved up to gap {self.last:,}, not at {self.first:,}"
        return words if self.monotone else f"{words}; but not at every smaller one"


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Args:
        config: The configuration.
        directory: The directory of the comparison.
        sizes: The size of each cell's model.
        reference: The cell that sizes are matched to.
        budget: The most steps of a run; None if the task counts passes over its data.
        task: The task, as plain data: criterion, baseline, published results.
        trials: All trials, in the order of the plan.
        summary: The summaries of the final runs, by cell and gap.
        tests: The tests of all pairs of cells.
        crossovers: The crossover of each cell.
        seconds: The time that all trials took together.
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
        """Return the comparison as plain data. On one machine it is always the same, except for ``seconds``."""
        # How a table is read, layers are stacked and a setting varies stands there only if it was said.
        sayable, fields = (*OF_TABLE, *OF_STACK, *OF_PAIRS, "vary"), CompareConfig.model_fields
        unsaid = {name for name in sayable if getattr(self.config, name) == fields[name].default}
        told = self.config.model_dump(mode="json")
        config = {key: value for key, value in told.items() if key not in MAY_CHANGE | unsaid}
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


def draw_conclusions(plan: ComparisonPlan, done: Mapping[Trial, Outcome], directory: Path) -> Comparison:
    """Compute the results once all trials are finished.

    Args:
        plan: The plan.
        done: All trials of the plan.
        directory: The directory of the comparison.

    Returns:
        The comparison.
    """
    ordered: dict[Trial, Outcome] = {}
    summary: dict[tuple[str, int], Summary] = {}
    for cell, gap in plan.places():
        rate = plan.chosen(cell, gap, done)
        assert rate is not None  # all trials are finished
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
        {cell: find_crossover(cell, [summary[cell, gap] for gap in plan.config.gaps]) for cell in plan.config.entries},
        sum(outcome.seconds for outcome in ordered.values()),
    )


def _summarise(cell: str, gap: int, rate: float, runs: list[Outcome], plan: ComparisonPlan) -> Summary:
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


def _test_pairs(plan: ComparisonPlan, summary: Mapping[tuple[str, int], Summary]) -> tuple[PairTest, ...]:
    """Test every pair of cells over all gaps and seeds."""
    uncorrected = []
    for one, other in combinations(plan.config.entries, 2):
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


def _difference(mine: float | None, theirs: float | None, plan: ComparisonPlan) -> float:
    """Return by how much the first metric is better than the second; 0 if neither is finite."""
    one, other = worth(mine, plan.success), worth(theirs, plan.success)
    return 0.0 if one == other else one - other


def find_crossover(cell: str, summaries: list[Summary]) -> Crossover:
    """Find the gaps between which a cell stops solving the task.

    Args:
        cell: The label of the cell.
        summaries: The summaries of the cell, by ascending gap.

    Returns:
        The crossover.
    """
    solved = [index for index, summary in enumerate(summaries) if summary.mostly_solved]
    if not solved:
        return Crossover(cell, None, summaries[0].gap, True)
    last = solved[-1]
    first = summaries[last + 1].gap if last + 1 < len(summaries) else None
    return Crossover(cell, summaries[last].gap, first, len(solved) == last + 1)
