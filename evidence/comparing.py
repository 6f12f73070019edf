"""Claims that a comparison of cells settles: the command, the run, and figures from its results."""

import math
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evidence.claim import Context, Measured
from evidence.figures import Figure, Figures, mean, middle, share
from evidence.jobs import ROOT
from gatework.search import Comparison, compare, make_compare_config
from gatework.search.comparing.directory import CompareDirectory
from gatework.search.comparing.progress import Beginning, Quiet
from gatework.search.comparing.statistics import holm, sign_flip_test
from gatework.search.running.trial import Outcome, Trial
from gatework.tasks.registry import TASKS

Settings = Mapping[str, Any]


def command_of(settings: Settings) -> str:
    """Write the command that makes a comparison.

    Args:
        settings: Fields of :class:`gatework.search.CompareConfig` by name.

    Returns:
        What to type.

    Example:
        >>> command_of({"task": "adding", "cells": ("rnn", "lstm"), "gaps": (5, 10), "seeds": 5, "init": "chrono"})
        'gatework compare --task adding --cells rnn,lstm --gaps 5,10 --seeds 5 --init chrono'
    """
    return " ".join(["gatework compare", *(f"--{name.replace('_', '-')} {_word(v)}" for name, v in settings.items())])


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ",".join(map(_word, value)) if isinstance(value, Sequence) else f"{value:g}"


def published_of(*tasks: str) -> tuple[str, ...]:
    """Give the published results of tasks, each with its source.

    Args:
        tasks: Their names.

    Returns:
        A line for each.
    """
    return tuple(
        f"{TASKS[name].title}, {known.model}: {known.result} ({known.source})"
        for name in tasks
        for known in TASKS[name].published
    )


def run_comparison(context: Context, settings: Settings, name: str = "compare") -> Comparison:
    """Make a comparison, or go on with it where it was stopped.

    Args:
        context: Where, and how many processes.
        settings: Fields of :class:`gatework.search.CompareConfig` by name; cells ending in .txt lie in this project.
        name: The name of its directory.

    Returns:
        The comparison.
    """
    cells = [str(ROOT / cell) if cell.endswith(".txt") else cell for cell in settings["cells"]]
    told = {**settings, "cells": cells, "run": str(context.folder / name), "workers": context.workers}
    begin = _children_seconds()
    try:
        return compare(make_compare_config(told), _Teller(context, name))
    finally:
        # Kept in a file, so that the time of a run that was stopped counts too.
        with _seconds_file(context, name).open("a", encoding="utf-8") as file:
            file.write(f"{_children_seconds() - begin:.2f}\n")


def _seconds_file(context: Context, name: str) -> Path:
    return context.folder / f"{name}-seconds.txt"


def _children_seconds() -> float:
    """Give the processor time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Teller(Quiet):
    """Say how many trials are over."""

    def __init__(self, context: Context, name: str) -> None:
        self._tell = context.tell
        self._name = name
        self._done = self._total = 0

    def begin(self, beginning: Beginning) -> None:
        """Count what is over already."""
        self._done, self._total = len(beginning.done), beginning.trials

    def finished(self, trial: Trial, outcome: Outcome) -> None:
        """Count one more."""
        self._done += 1
        self._tell(f"{self._name}, trial {self._done} of {self._total}")

    def note(self, message: str) -> None:
        """Say what is out of the ordinary."""
        self._tell(message)


def picture_of(comparison: Comparison) -> bytes:
    """Give the picture of a comparison, as PNG."""
    return CompareDirectory(Path(comparison.directory)).picture.read_bytes()


def solved_name(cell: str, gap: int, of: str = "") -> str:
    """Name the figure of the runs that solve a task."""
    return f"{_before(of)}{cell}, gap {gap:,}: runs that solve it"


def value_name(cell: str, gap: int, metric: str, of: str = "") -> str:
    """Name the figure of the criterion's metric."""
    return f"{_before(of)}{cell}, gap {gap:,}: {metric}"


def _before(of: str) -> str:
    return f"{of}, " if of else ""


def summary_figures(comparison: Comparison, of: str = "", grain: float = 0.02) -> list[Figure]:
    """Make the figures of every cell at every gap: the share of runs that solve the task, and the metric.

    Args:
        comparison: The comparison.
        of: What their names begin with.
        grain: How far a repeat's metric may always lie from the median.

    Returns:
        Two figures for each.
    """
    metric = comparison.task["success"]["metric"]
    figures = []
    for (cell, gap), found in comparison.summary.items():
        figures.append(share(solved_name(cell, gap, of), found.solved, found.runs, "seeds"))
        values = [value for value in found.values if value is not None]
        if values:  # none where every run blew up, of which the first figure tells
            figures.append(middle(value_name(cell, gap, metric, of), values, "seeds", grain=grain))
    return figures


def metric_figures(comparison: Comparison, metric: str, of: str = "", grain: float = 0.005) -> list[Figure]:
    """Make the figures of another metric than the criterion's, of every cell at every gap.

    Args:
        comparison: The comparison.
        metric: The metric, on the test sequences.
        of: What their names begin with.
        grain: How far a repeat may always lie from the median.

    Returns:
        A figure for each.
    """
    found: dict[str, list[float]] = {}
    for trial, outcome in comparison.trials.items():
        value = outcome.test.get(metric)
        if trial.purpose == "final" and value is not None:
            found.setdefault(value_name(trial.cell, trial.gap, metric, of), []).append(value)
    return [middle(name, values, "seeds", grain=grain) for name, values in found.items()]


def _step_ratios(comparison: Comparison, one: str, other: str, gaps: Sequence[int] | None = None) -> list[float]:
    """Give how long one cell takes as a multiple of another, run by run; no success counts as the budget."""
    budget = float(comparison.budget or 0)
    ratios = []
    for gap in gaps or comparison.config.gaps:
        pairs = zip(comparison.summary[one, gap].steps, comparison.summary[other, gap].steps, strict=True)
        ratios += [(mine or budget) / (theirs or budget) for mine, theirs in pairs]
    return ratios


def steps_ratio(name: str, comparison: Comparison, one: str, other: str, gaps: Sequence[int] | None = None) -> Figure:
    """Compare how long two cells take to succeed, run by run.

    Args:
        name: What the figure is called.
        comparison: The comparison.
        one: A cell.
        other: Another; a figure above 1 says that it is the quicker.
        gaps: The gaps that count; None for all.

    Returns:
        The geometric mean of the ratio of steps over gaps and seeds; a run that does not succeed counts as its budget.
    """
    ratios = _step_ratios(comparison, one, other, gaps)
    return mean(name, ratios, "pairs of runs with one seed", scale="log", grain=0.1)


def value_gain(name: str, comparison: Comparison, one: str, other: str, gaps: Sequence[int] | None = None) -> Figure:
    """Compare the criterion's metric of two cells, run by run.

    Args:
        name: What the figure is called.
        comparison: The comparison.
        one: A cell.
        other: Another, whose metric is taken off.
        gaps: The gaps that count; None for all.

    Returns:
        The mean difference over gaps and seeds; runs that blew up are left out with their partners.
    """
    differences = []
    for gap in gaps or comparison.config.gaps:
        pairs = zip(comparison.summary[one, gap].values, comparison.summary[other, gap].values, strict=True)
        differences += [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]
    return mean(name, differences, "pairs of runs with one seed", grain=0.01)


def crossovers_told(comparison: Comparison) -> str:
    """Say where each cell gives up."""
    return "; ".join(f"{cell}: {found}" for cell, found in comparison.crossovers.items()) + "."


def tests_told(comparison: Comparison, most: int) -> str:
    """Say which differences are more than chance, the surest first.

    Args:
        comparison: The comparison.
        most: How many are told at most.

    Returns:
        A sentence.
    """
    tests = sorted(comparison.tests, key=lambda test: test.corrected)[:most]
    told = ", ".join(f"{test.better} over {test.worse} p = {test.corrected:.2g}" for test in tests)
    return f"Paired sign-flip tests over gaps and seeds, corrected by Holm: {told}."


def steps_told(comparison: Comparison, pairs: Sequence[tuple[str, str]], most: int | None = None) -> str:
    """Say which cells succeed sooner than others by more than chance.

    Args:
        comparison: The comparison.
        pairs: The cells that are compared, two by two.
        most: How many are told at most, the surest first; all when None.

    Returns:
        A sentence.
    """
    ratios = [[math.log(ratio) for ratio in _step_ratios(comparison, *pair)] for pair in pairs]
    corrected = holm([sign_flip_test(differences) for differences in ratios])
    surest = sorted(zip(corrected, pairs, ratios, strict=True))[:most]
    order = {-1: "sooner than", 0: "as soon as", 1: "later than"}
    told = ", ".join(
        f"{one} {order[int(np.sign(sum(differences)))]} {other} p = {p:.2g}" for p, (one, other), differences in surest
    )
    return f"Paired sign-flip tests of the steps to success, corrected by Holm: {told}."


def settings_of(comparison: Comparison, settings: Settings) -> dict[str, Any]:
    """Give the settings of a comparison for the page, with what it chose itself."""
    sizes = {
        cell: {"units": size.hidden_size, "parameters": size.parameters} for cell, size in comparison.sizes.items()
    }
    told = {name: value for name, value in settings.items() if name != "cells"}
    return {**told, "budget": comparison.budget, "sizes": sizes}


def seconds_of(context: Context, *names: str) -> float:
    """Give the processor time that comparisons took, by the names of their directories."""
    return math.fsum(
        float(line) for name in names for line in _seconds_file(context, name).read_text(encoding="utf-8").split()
    )


def measured(
    context: Context, comparison: Comparison, settings: Settings, figures: Sequence[Figure], name: str = "compare"
) -> Measured:
    """Put together what one comparison gave.

    Args:
        context: Where it was made.
        comparison: The comparison.
        settings: What it was told.
        figures: The figures made of it.
        name: The name of its directory.

    Returns:
        All of it, with its picture.
    """
    remarks = (f"Where each cell gives up: {crossovers_told(comparison)}", tests_told(comparison, 6))
    told = settings_of(comparison, settings)
    return Measured(figures, told, seconds_of(context, name), picture_of(comparison), remarks)


def solved_by(figures: Figures, cell: str, gap: int, of: str = "") -> Figure:
    """Give the figure of the runs of a cell that solve a task."""
    return figures[solved_name(cell, gap, of)]
