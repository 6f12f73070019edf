"""What a task is: sequences, the question asked of them, and what counts as solved.

A task is a table of facts and one function that makes its sequences. The model, the loss, the metrics, the training
loop and the comparisons live once, elsewhere, and know no task's name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gatework.data.targets import IGNORED
from gatework.errors import ConfigError

Kind = Literal["choice", "bits", "number"]
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Batch:
    """Sequences side by side, time first.

    Args:
        inputs: What is read: numbers ``[T, B, I]`` float32, or symbols ``[T, B]`` int64.
        targets: What is asked. Of kind ``choice`` the right class ``[T, B]`` int64, -100 where nothing is asked; of the
            other kinds ``[T, B, O]`` float32, NaN where nothing is asked.
        lengths: Steps of each sequence ``[B]`` int64; None where all have T. Nothing may be asked beyond the end.
        legal: Of kind ``choice``, where more than one answer counts as right: True for those ``[T, B, O]``. A step is
            then right where every legal class scores above every other.
        groups: To which group each sequence belongs ``[B]`` int64, for results by group; None for one group.
        baseline: What a trivial predictor answers at every step, whatever it reads: the class, or of kind ``number``
            the value of all numbers. The metric ``skill`` is measured against it; None where there is no such metric.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    legal: Tensor | None = None
    groups: Tensor | None = None
    baseline: int | None = None

    @property
    def size(self) -> int:
        """The number of sequences."""
        return self.inputs.shape[1]

    @property
    def asked(self) -> Tensor:
        """Where something is asked ``[T, B]``."""
        if self.targets.dim() == 2:
            return self.targets != IGNORED
        return ~self.targets.isnan().any(dim=-1)

    def columns(self, which: Tensor | slice) -> "Batch":
        """Take some of the sequences, cut to the longest of them."""
        lengths = None if self.lengths is None else self.lengths[which]
        longest = self.inputs.shape[0] if lengths is None or not len(lengths) else int(lengths.max())
        legal = None if self.legal is None else self.legal[:longest, which]
        groups = None if self.groups is None else self.groups[which]
        return Batch(self.inputs[:longest, which], self.targets[:longest, which], lengths, legal, groups, self.baseline)

    def window(self, begin: int, end: int) -> "Batch":
        """Take some of the steps of sequences that all have T of them."""
        legal = None if self.legal is None else self.legal[begin:end]
        return replace(self, inputs=self.inputs[begin:end], targets=self.targets[begin:end], legal=legal)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """Put everything on a device, and numbers into a type. Lengths stay where torch's own layers want them."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)

        legal = None if self.legal is None else self.legal.to(device)
        return replace(self, inputs=moved(self.inputs), targets=moved(self.targets), legal=legal)


# Draws sequences: a generator of chance, how many, the gap, and what they are for.
Draw = Callable[[np.random.Generator, int, int, Split], Batch]


@dataclass(frozen=True)
class Synthetic:
    """Sequences that are drawn anew for every step, from a seed.

    Args:
        draw: Draws them.
        windows: Into how many windows of time a training batch is cut, the state carried from each to the next and the
            gradient not; 1 for sequences that are learned whole.
        test_size: Sequences measured on.
    """

    draw: Draw
    windows: int = 1
    test_size: int = 500


@dataclass(frozen=True)
class Recording:
    """Recorded data, ready to learn from.

    Args:
        splits: The sequences of ``train``, ``valid`` and ``test``, each as one batch.
        inputs: Numbers read at each step; where symbols are read, how many there are.
        outputs: Scores given at each step.
        facts: What is worth knowing of them, as plain data: where from, how many, scales.
    """

    splits: Mapping[str, Batch]
    inputs: int
    outputs: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """Sequences that somebody recorded.

    Args:
        folder: The name of their folder among the data.
        load: Reads them: the folder (or file), and the gap.
    """

    folder: str
    load: Callable[[Path, int], Recording]


@dataclass(frozen=True)
class Gap:
    """The number to turn: how far apart things are that belong together, or how long a sequence is.

    Args:
        default: What it is when nobody says.
        meaning: What it counts, in words, such as ``steps between the first symbol and the question``.
        least: The smallest that makes sense.
        most: The largest; None where there is none.
    """

    default: int
    meaning: str
    least: int = 1
    most: int | None = None


@dataclass(frozen=True)
class Success:
    """What counts as solved.

    Args:
        metric: The name of a metric: ``accuracy``, ``solved``, ``skill``, ``loss`` …
        at_least: It must be this or more; None for a metric where less is better.
        at_most: It must be this or less.
        words: The paper's criterion, in words, where it is this one or stands behind it.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    words: str = ""

    def reached(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether metrics meet the criterion."""
        value = metrics[self.metric]
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    def __str__(self) -> str:
        name = "a share of solved sequences" if self.metric == "solved" else self.metric
        if self.at_least is not None:
            return f"{name} of at least {self.at_least:g}"
        return f"{name} of at most {self.at_most:g}"


@dataclass(frozen=True)
class Published:
    """A result that somebody published.

    Args:
        model: What was trained, as the paper calls it.
        result: The figure, with its unit.
        source: Paper, with table or section.
    """

    model: str
    result: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Args:
        name: How it is called in commands and tables.
        title: How people call it.
        asks: What is asked, in a sentence or two.
        source: The paper, and where in it.
        kind: ``choice`` picks one of several classes (cross entropy in nats), ``bits`` answers several yes-no questions
            (nats, summed over them), ``number`` gives numbers (squared error, averaged over them).
        inputs: Numbers read at each step; for symbols, how many there are. None where recorded data say.
        outputs: Classes, questions or numbers answered. None where recorded data say.
        symbols: True where symbols are read: as one-hot vectors, or as learned ones where the model is given an
            ``embedding_size``.
        gap: The number to turn.
        success: What counts as solved.
        chance: The metrics that whoever guesses without looking gets, for a gap; empty where recorded data decide.
        published: Known results.
        examples: Where its sequences come from.
        tolerance: Of kind ``number``: how far off an answer may be and count as right.
        alphabet: What the symbols that are read are called, one name each; empty where numbers are read.
        classes: What the classes are called; empty where they are called by their numbers.
        defaults: Settings of a training run that suit it, by the names of :class:`gatework.TrainConfig`.
        notes: Where this version differs from the paper's.
    """

    name: str
    title: str
    asks: str
    source: str
    kind: Kind
    gap: Gap
    success: Success
    examples: Synthetic | Recorded
    inputs: int | None = None
    outputs: int | None = None
    symbols: bool = False
    chance: Callable[[int], Mapping[str, float]] = lambda gap: {}
    published: tuple[Published, ...] = ()
    tolerance: float | None = None
    alphabet: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    def check_gap(self, gap: int | None) -> int:
        """Give the gap to use.

        Args:
            gap: What was asked for; None for the task's own.

        Returns:
            The gap.

        Raises:
            ConfigError: When it is out of range.
        """
        chosen = self.gap.default if gap is None else gap
        most = "" if self.gap.most is None else f" to {self.gap.most:,}"
        if chosen < self.gap.least or (self.gap.most is not None and chosen > self.gap.most):
            takes = f"{self.gap.least:,}{most or ' and more'} ({self.gap.meaning})"
            raise ConfigError(f"gap is {chosen}: task '{self.name}' takes {takes}")
        return chosen

    def check_data(self, data: str) -> None:
        """Refuse a place of data where there are none to read.

        Args:
            data: What was given; empty for nothing.

        Raises:
            ConfigError: When something was given, and the sequences are drawn.
        """
        if data and isinstance(self.examples, Synthetic):
            raise ConfigError(f"data is '{data}', and the sequences of task '{self.name}' are drawn: leave it out")

    def check_shortest_gap(self, shortest: int, gap: int) -> None:
        """Refuse a shortest gap of training that cannot be.

        Args:
            shortest: The shortest gap to train on.
            gap: The longest, on which the model is measured.

        Raises:
            ConfigError: When sequences are recorded, whose gap nobody draws, or the shortest is out of range.
        """
        if isinstance(self.examples, Recorded):
            raise ConfigError(
                f"shortest_gap is {shortest}: the sequences of task '{self.name}' are recorded, and their gap is not "
                "drawn; leave it out"
            )
        if not self.gap.least <= shortest <= gap:
            raise ConfigError(
                f"shortest_gap is {shortest}: expected {self.gap.least:,} to {gap:,}, the gap that is measured"
            )
