"""The definition of a task: its sequences, its targets, and its criterion of success.

A task is a table of facts and one function that makes its sequences. The model, the loss, the metrics, the training
loop and the comparisons are elsewhere, exist once, and do not depend on the name of a task.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from math import nan
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gatework.data.targets import IGNORED
from gatework.errors import ConfigError
from gatework.heads import HEADS, Head

Split = Literal["train", "valid", "test"]

# The metrics of no trivial predictor.
NOTHING: Mapping[str, Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class Batch:
    """A batch of sequences, time first.

    Args:
        inputs: The inputs: numbers ``[T, B, I]`` float32, or symbols ``[T, B]`` int64.
        targets: The targets. For the heads ``choice`` and ``words`` the right class ``[T, B]`` int64, -100 at steps
            without a target; for ``transcript`` the labels in their order from the first step on ``[T, B]`` int64, then
            -100; for the other heads ``[T, B, O]`` float32, NaN at steps without a target.
        lengths: The number of steps of each sequence ``[B]`` int64; None if all have T. There must be no target beyond
            the end.
        legal: For the kind ``choice``, if several answers count as correct: True for those ``[T, B, O]``. A step is
            then correct if every legal class scores above all others.
        groups: The group of each sequence ``[B]`` int64, for results by group; None for a single group.
        baseline: The constant answer of a trivial predictor: the class, or for the kind ``number`` the value of all
            numbers. The metric ``skill`` is relative to it; None if there is no such metric.
        weights: For the kind ``number``: what an absolute error counts in the metric ``mase``, for each sequence and
            number of a row ``[B, C]``, where the targets are O / C rows, one after the other. None if there is no such
            metric.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    legal: Tensor | None = None
    groups: Tensor | None = None
    baseline: int | None = None
    weights: Tensor | None = None

    @property
    def size(self) -> int:
        """The number of sequences."""
        return self.inputs.shape[1]

    @property
    def asked(self) -> Tensor:
        """The steps with a target ``[T, B]``, bool."""
        if self.targets.dim() == 2:
            return self.targets != IGNORED
        return ~self.targets.isnan().any(dim=-1)

    @property
    def asked_last(self) -> bool:
        """Whether every sequence has one target, at its last step."""
        asked, steps = self.asked, len(self.inputs)
        last = torch.full((self.size,), steps) if self.lengths is None else self.lengths
        rows = torch.arange(self.size)
        return bool((asked.sum(0) == 1).all()) and bool(asked[(last - 1).clamp(min=0), rows].all())

    def columns(self, which: Tensor | slice) -> "Batch":
        """Select some of the sequences, and cut them to the longest of them."""
        lengths = None if self.lengths is None else self.lengths[which]
        longest = self.inputs.shape[0] if lengths is None or not len(lengths) else int(lengths.max())
        legal = None if self.legal is None else self.legal[:longest, which]
        groups = None if self.groups is None else self.groups[which]
        weights = None if self.weights is None else self.weights[which]
        inputs, targets = self.inputs[:longest, which], self.targets[:longest, which]
        return Batch(inputs, targets, lengths, legal, groups, self.baseline, weights)

    def window(self, begin: int, end: int) -> "Batch":
        """Select a window of steps; all sequences must have T steps."""
        legal = None if self.legal is None else self.legal[begin:end]
        return replace(self, inputs=self.inputs[begin:end], targets=self.targets[begin:end], legal=legal)

    def asked_from(self, step: int) -> "Batch":
        """Leave out the targets of the steps before one; all sequences must have T steps."""
        targets = self.targets.clone()
        targets[:step] = nan if targets.is_floating_point() else IGNORED
        return replace(self, targets=targets)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """Move everything to a device, and convert numbers to a type. Lengths stay on the CPU, as torch needs."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)

        legal = None if self.legal is None else self.legal.to(device)
        weights = None if self.weights is None else moved(self.weights)
        return replace(self, inputs=moved(self.inputs), targets=moved(self.targets), legal=legal, weights=weights)


# Draws sequences. The arguments are a random generator, the number of sequences, the gap, and the split.
Draw = Callable[[np.random.Generator, int, int, Split], Batch]


@dataclass(frozen=True)
class Synthetic:
    """Sequences that are drawn for every step, from a seed.

    Args:
        draw: The function that draws them.
        windows: The number of windows into which a training batch is cut. The state is carried from one window to the
            next, but the gradient is not. 1 for training on whole sequences.
        test_size: The number of sequences for evaluation.
    """

    draw: Draw
    windows: int = 1
    test_size: int = 500


@dataclass(frozen=True)
class Recording:
    """Recorded data, ready for training.

    Args:
        splits: The sequences of ``train``, ``valid`` and ``test``, each as one batch.
        inputs: The number of input features; for symbols, the number of different symbols.
        outputs: The number of scores at each step.
        facts: Facts about the data, as plain data: source, size, scales, baselines.
        disturb: What changes a training batch each time it is read, with a random generator of the step: noise and
            masks that a model learns to do without. None for nothing.
    """

    splits: Mapping[str, Batch]
    inputs: int
    outputs: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    disturb: Callable[[Batch, np.random.Generator], Batch] | None = None


@dataclass(frozen=True)
class Recorded:
    """Recorded sequences.

    Args:
        folder: The name of the folder of the data; empty for a task of your own that knows where its data are.
        load: The function that reads them from the folder (or file), for a gap; with ``own`` it also takes the
            :class:`~gatework.data.options.TableOptions`.
        own: True for a table of the user's own, whose columns and format are settings.
        ahead: True if rows to come are forecast, so that columns can be known ahead.
        fresh: The function that reads a new table for a trained model, without targets: of the path, the facts of the
            run, the options and the gap it makes a :class:`gatework.tasks.generic.fresh.Fresh`. None if there is none.
        spoken: True for recordings of speech, whose features are settings: the function also takes the
            :class:`~gatework.tasks.features.prepared.SpeechOptions`.
    """

    folder: str
    load: Callable[..., Recording]
    own: bool = False
    ahead: bool = False
    fresh: Callable[..., Any] | None = None
    spoken: bool = False


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations, in files that belong together line by line.

    Args:
        folder: The name of the folder of the data; empty if there is none.
        languages: The endings of the files of sentences and of their translations, such as ``en-de``.
    """

    folder: str
    languages: str


@dataclass(frozen=True)
class Gap:
    """The adjustable difficulty: the distance between related parts of a sequence, or the length of a sequence.

    Args:
        default: The default gap.
        meaning: What the gap counts, in words, such as ``steps between the first symbol and the question``.
        least: The smallest gap.
        most: The largest gap; None for no limit.
    """

    default: int
    meaning: str
    least: int = 1
    most: int | None = None


@dataclass(frozen=True)
class Success:
    """The criterion of success.

    Args:
        metric: The name of a metric: ``accuracy``, ``solved``, ``skill``, ``loss`` …
        at_least: The least value of the metric; None for a metric where less is better.
        at_most: The largest value of the metric.
        words: The paper's criterion in words, and how this one relates to it.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    words: str = ""

    def reached(self, metrics: Mapping[str, float], trivial: Mapping[str, Mapping[str, float]] = NOTHING) -> bool:
        """Tell whether metrics meet the criterion, and no trivial predictor is better.

        Args:
            metrics: The metrics of a model.
            trivial: The metrics of trivial predictors on the same sequences, by their names. For the metric ``skill``,
                the model must then avoid the required share of the errors of the best of them.

        Example:
            >>> success = Success("skill", at_least=0.1)
            >>> success.reached({"skill": 0.4}), success.reached({"skill": 0.4}, {"seasonal": {"skill": 0.38}})
            (True, False)
        """
        value, best = metrics[self.metric], self.best(trivial)
        least, most = self.at_least, self.at_most
        if best is not None and self.metric == "skill" and least is not None:
            least = max(least, 1 - (1 - least) * (1 - best[1]))
        elif best is not None and least is not None:
            least = max(least, best[1])
        elif best is not None and most is not None:
            most = min(most, best[1])
        return value >= least if least is not None else most is not None and value <= most

    def best(self, trivial: Mapping[str, Mapping[str, float]]) -> tuple[str, float] | None:
        """Find the best of the trivial predictors, by the metric of the criterion.

        Args:
            trivial: The metrics of each, by its name.

        Returns:
            Its name and its value; None if none has the metric.

        Example:
            >>> Success("loss", at_most=0.1).best({"mean": {"loss": 1.2}, "seasonal": {"loss": 0.4}})
            ('seasonal', 0.4)
        """
        known = {name: found[self.metric] for name, found in trivial.items() if self.metric in found}
        if not known:
            return None
        name = (max if self.at_least is not None else min)(known, key=known.__getitem__)
        return name, known[name]

    def verdict(self, metrics: Mapping[str, float], trivial: Mapping[str, Mapping[str, float]] = NOTHING) -> str:
        """Say in a sentence whether metrics meet the criterion, with the figure of the best trivial predictor.

        Args:
            metrics: The metrics of a model.
            trivial: The metrics of trivial predictors on the same sequences, by their names.

        Example:
            >>> Success("loss", at_most=1).verdict({"loss": 0.3}, {"mean": {"loss": 0.05}})
            'The criterion, loss of at most 1: not reached, with 0.3; the best trivial predictor (mean) gets 0.05'
        """
        reached = "reached" if self.reached(metrics, trivial) else "not reached"
        said = f"The criterion, {self}: {reached}, with {metrics[self.metric]:.4g}"
        best = self.best(trivial)
        return said if best is None else f"{said}; {name_predictor(best[0])} gets {best[1]:.4g}"

    def __str__(self) -> str:
        name = "a share of solved sequences" if self.metric == "solved" else self.metric
        if self.at_least is not None:
            return f"{name} of at least {self.at_least:g}"
        return f"{name} of at most {self.at_most:g}"


def name_predictor(name: str) -> str:
    """Name the best trivial predictor in a sentence.

    Args:
        name: Its name in a table.

    Example:
        >>> name_predictor("seasonal"), name_predictor("guessing")
        ('the best trivial predictor (seasonal)', 'guessing')
    """
    return name if name == "guessing" else f"the best trivial predictor ({name})"


@dataclass(frozen=True)
class Published:
    """A published result.

    Args:
        model: The model, as the paper calls it.
        result: The figure, with its unit.
        source: The paper, with table or section.
    """

    model: str
    result: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Args:
        name: The name in commands and tables.
        title: The title for people.
        asks: The question, in a sentence or two.
        source: The paper, with section or table.
        kind: The head, by its name in :data:`gatework.heads.HEADS`: ``choice`` picks one of several classes (cross
            entropy in nats), ``bits`` answers several yes-no questions (nats, summed over the questions), ``number``
            answers numbers (squared error, averaged over the numbers), and so on.
        options: Further options of the head, such as the number of ``components`` of a mixture.
        inputs: The number of input features; for symbols, the number of different symbols. None if recorded data
            determine it.
        outputs: The number of classes, questions or numbers of an answer. None if recorded data determine it.
        symbols: True if the inputs are symbols: one-hot vectors, or learned embeddings if the model has an
            ``embedding_size``.
        gap: The adjustable difficulty.
        success: The criterion of success.
        chance: Returns the metrics at chance level for a gap; empty if recorded data determine them.
        published: Published results.
        examples: The source of the sequences.
        tolerance: For the kind ``number``: the largest error of a correct answer.
        foretells: Whether an answer stands in the inputs of later steps, as that of what comes next does. Its models
            must not read a sequence from its end.
        alphabet: The names of the input symbols; empty for numeric inputs.
        classes: The names of the classes; empty if they are named by their numbers.
        defaults: Default settings of a training run, by the names of :class:`gatework.TrainConfig`.
        notes: The differences from the paper.
    """

    name: str
    title: str
    asks: str = ""
    source: str = ""
    kind: str
    gap: Gap
    success: Success
    examples: Synthetic | Recorded | Pairs
    inputs: int | None = None
    outputs: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    symbols: bool = False
    chance: Callable[[int], Mapping[str, float]] = lambda gap: {}
    published: tuple[Published, ...] = ()
    tolerance: float | None = None
    foretells: bool = False
    alphabet: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    def head(self, outputs: int | None = None) -> Head:
        """Make the head of the task.

        Args:
            outputs: The size of an answer; by default the one that the task says.

        Raises:
            ConfigError: If there is no such head, or it has no such option.
            SizeError: If the size or an option is out of its range.

        Example:
            >>> from gatework.tasks.registry import TASKS
            >>> TASKS["parity"].head()
            Choice(2, numbers=2)
        """
        found = HEADS[self.kind]
        known = [name for name in signature(found).parameters if name != "size"]
        for name in self.options:
            if name not in known:
                raise ConfigError(
                    f"Task '{self.name}' has the option '{name}', which head '{self.kind}' does not have; expected "
                    f"{', '.join(known) or 'none'}."
                )
        return found(int(self.outputs or 0) if outputs is None else outputs, **self.options)

    def check_gap(self, gap: int | None) -> int:
        """Check a gap, and return it or the default.

        Args:
            gap: The requested gap; None for the default of the task.

        Returns:
            The gap.

        Raises:
            ConfigError: If the gap is out of range.
        """
        chosen = self.gap.default if gap is None else gap
        most = "" if self.gap.most is None else f" to {self.gap.most:,}"
        if chosen < self.gap.least or (self.gap.most is not None and chosen > self.gap.most):
            takes = f"{self.gap.least:,}{most or ' and more'} ({self.gap.meaning})"
            raise ConfigError(f"gap is {chosen}: task '{self.name}' takes {takes}.")
        return chosen

    def check_data(self, data: str) -> None:
        """Refuse a data folder for a task whose sequences are drawn.

        Args:
            data: The given path; empty for none.

        Raises:
            ConfigError: If a path was given and the sequences are drawn.
        """
        if data and isinstance(self.examples, Synthetic):
            raise ConfigError(f"data is '{data}', and the sequences of task '{self.name}' are drawn. Leave it out.")

    def check_shortest_gap(self, shortest: int, gap: int) -> None:
        """Refuse an invalid shortest gap.

        Args:
            shortest: The shortest gap to train on.
            gap: The longest gap, which is also the gap for evaluation.

        Raises:
            ConfigError: If the sequences are recorded, so that gaps are not drawn, or if the shortest gap is out of
                range.
        """
        if isinstance(self.examples, Recorded):
            raise ConfigError(
                f"shortest_gap is {shortest}: the sequences of task '{self.name}' are recorded, and their gap is not "
                "drawn. Leave it out."
            )
        if not self.gap.least <= shortest <= gap:
            raise ConfigError(
                f"shortest_gap is {shortest}; expected {self.gap.least:,} to {gap:,}, the gap that is measured."
            )
