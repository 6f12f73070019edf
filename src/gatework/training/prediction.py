"""Predict with the model of a run on a table: classes, tags or numbers for new sequences."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.errors import DataError, RunError
from gatework.reading.tables import parse_number
from gatework.tasks.task import Recorded, Task
from gatework.training.restore import Step, reopen

# The most numbers of the layers' output in memory at once.
_MOST_OUTPUTS = 1 << 25


@dataclass(frozen=True)
class Predictions:
    """The answers of a model for a table.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        source: The table.
        about: How the table was read, one line each.
        heading: The names of what tells the answers apart, such as ``id`` and ``time``.
        names: These for each answer.
        answers: The class of each answer, as text, or the numbers.
        classes: The classes; empty for numbers.
        probabilities: The probability of each class ``[n, classes]``; empty for numbers.
        target: The name of what is answered: that of the column of labels.
        unit: The unit of numbers, if the table of the run names one.
        labels: The labels in the table; empty without.
        score: How good the answers are, if there are labels: ``accuracy``, or ``mean_absolute_error`` and
            ``root_mean_squared_error`` in the unit of the labels.
        trivial: The same for the answer that is best without looking: the most frequent class of the file, or its mean.
    """

    run: str
    step: int
    source: str
    about: tuple[str, ...]
    heading: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...] | NDArray[np.float64]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    target: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    score: Mapping[str, float] = field(default_factory=dict)
    trivial: Mapping[str, float] = field(default_factory=dict)

    def header(self) -> list[str]:
        """Return the names of the columns of :meth:`rows`."""
        named = f"{self.target} ({self.unit})" if self.unit else self.target
        given = [f"{self.target} in the file"] if self.labels else []
        return [*self.heading, named, *given, *(f"probability {name}" for name in self.classes)]

    def rows(self) -> Iterator[list[Any]]:
        """Return the answers as rows: what tells them apart, the answer, the label if there is one, probabilities."""
        for place, (names, answer) in enumerate(zip(self.names, self.answers, strict=True)):
            given = [self.labels[place]] if self.labels else []
            shares = self.probabilities[place].tolist() if self.classes else []
            yield [*names, answer if isinstance(answer, str) else float(answer), *given, *shares]

    def to_json(self) -> dict[str, Any]:
        """Return the predictions as plain data."""
        told = []
        for names, row in zip(self.names, self.rows(), strict=True):
            own: dict[str, Any] = {**dict(zip(self.heading, names, strict=True)), "answer": row[len(names)]}
            if self.labels:
                own["label"] = row[len(names) + 1]
            if self.classes:
                own["probabilities"] = dict(zip(self.classes, row[-len(self.classes) :], strict=True))
            told.append(own)
        return {
            "run": self.run,
            "step": self.step,
            "source": self.source,
            "target": self.target,
            "unit": self.unit,
            "classes": list(self.classes),
            "predictions": told,
            "score": dict(self.score),
            "trivial": dict(self.trivial),
        }


def predict(run: str | Path, file: str | Path, *, step: Step = None, device: str = "cpu") -> Predictions:
    """Predict the labels of a table with the model of a run of task ``classify``, ``tag`` or ``regress``.

    The table is read as that of the run was. Its labels may be missing. The data of the run are not needed.

    Args:
        run: The run directory.
        file: A table, arrays, or a folder of recordings.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The answers, with their probabilities and, if the table has labels, how good they are.

    Raises:
        RunError: If the run is of another task.
        DataError: If the table cannot be read, or does not fit the model.
    """
    restored = reopen(str(run), step=step, device=device)
    job: Any = restored.trained
    task: Task | None = getattr(job, "task", None)
    if task is None or not isinstance(task.examples, Recorded) or task.examples.fresh is None:
        raise RunError(
            f"Run '{run}' was trained on task '{restored.config.task}', whose models predict nothing about a table. "
            "Expected a run of task classify, tag or regress. `gatework forecast` goes on with one of task forecast."
        )
    path = Path(file)
    if not path.exists():
        raise DataError(f"'{path}' does not exist; expected a table to predict.")
    facts = job.recording.facts
    fresh = task.examples.fresh(path, facts, restored.config.table_options(), job.gap)
    scores = _scores(restored.model, fresh)
    table = facts.get("table", {})
    target = next(iter(table.get("target", [])), "") or ("class" if task.kind == "choice" else "number")
    common = {
        "run": restored.run,
        "step": restored.step,
        "source": fresh.source,
        "about": fresh.about,
        "heading": fresh.heading,
        "names": tuple(fresh.names),
        "target": target,
        "labels": fresh.labels,
    }
    if task.kind == "choice":
        return _classes(scores, common, facts)
    return _numbers(scores, common, facts, str(table.get("units", {}).get(target, "")))


@torch.no_grad()
def _scores(model: Any, fresh: Any) -> NDArray[np.float64]:
    """Return the scores at the places where the model answers ``[n, O]``."""
    weight = model.head.weight
    size = max(1, _MOST_OUTPUTS // (len(fresh.inputs) * max(weight.shape)))
    steps, sequences = fresh.places
    found = np.empty((len(steps), weight.shape[0]))
    for first in range(0, len(fresh.lengths), size):
        lengths = fresh.lengths[first : first + size]
        given = fresh.inputs[: int(lengths.max()), first : first + size].to(weight.device, weight.dtype)
        output, _ = model.read(given, lengths)
        mine = (sequences >= first) & (sequences < first + size)
        answers = model.head(output[steps[mine], sequences[mine] - first])
        found[mine.numpy()] = answers.double().cpu().numpy()
    return found


def _classes(scores: NDArray[np.float64], common: dict[str, Any], facts: Mapping[str, Any]) -> Predictions:
    classes = tuple(map(str, facts.get("classes", ()))) or tuple(map(str, range(scores.shape[1])))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    answers = tuple(classes[place] for place in scores.argmax(axis=1).tolist())
    labels = common["labels"]
    score, trivial = {}, {}
    if labels:
        right = [_same(answer, label) for answer, label in zip(answers, labels, strict=True)]
        score = {"accuracy": float(np.mean(right))}
        trivial = {"accuracy": max(Counter(labels).values()) / len(labels)}
    return Predictions(answers=answers, classes=classes, probabilities=shares, score=score, trivial=trivial, **common)


def _same(answer: str, label: str) -> bool:
    """Tell whether a label names a class; numbers may be written in several ways."""
    return answer == label or (
        (number := parse_number(label)) is not None and isfinite(number) and number == parse_number(answer)
    )


def _numbers(scores: NDArray[np.float64], common: dict[str, Any], facts: Mapping[str, Any], unit: str) -> Predictions:
    scale = facts.get("answer", {})
    answers = scores[:, 0] * float(scale.get("deviation", 1.0)) + float(scale.get("mean", 0.0))
    score, trivial = {}, {}
    if common["labels"]:
        numbers = [parse_number(label) for label in common["labels"]]
        known = np.array([np.nan if number is None else number for number in numbers])
        if not np.isfinite(known).all():
            wrong = common["labels"][int(np.flatnonzero(~np.isfinite(known))[0])]
            raise DataError(f"'{common['source']}' has the label '{wrong}', which is not a number; expected numbers.")
        score, trivial = _errors(known - answers), _errors(known - known.mean())
    none = np.zeros((len(answers), 0))
    return Predictions(
        answers=answers, classes=(), probabilities=none, unit=unit, score=score, trivial=trivial, **common
    )


def _errors(off: NDArray[np.float64]) -> dict[str, float]:
    return {
        "mean_absolute_error": float(np.abs(off).mean()),
        "root_mean_squared_error": float(np.sqrt(np.square(off).mean())),
    }
