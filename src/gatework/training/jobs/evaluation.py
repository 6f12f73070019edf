"""A request to measure a finished run, and the result."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

from gatework.errors import ConfigError

Knowledge = Literal["words", "letters", "none"]
"""What an n-gram of the training transcripts counts."""

_MOST_BEAMS, _MOST_ORDER = 4096, 16
# The weight of an n-gram and the bonus.
_WEIGHING: Mapping[str, tuple[float, float]] = {"words": (0.7, 4.5), "letters": (1.0, 2.0), "none": (0.0, 0.0)}


@dataclass(frozen=True)
class Search:
    """How the scores of a model are turned into transcripts.

    Args:
        beams: The number of prefixes that are kept; 0 for the most probable path, without an n-gram.
        ngram: Whether an n-gram of the training transcripts counts ``words``, ``letters``, or ``none``.
        order: The number of words or letters that are counted together.
        weight: What the log-probability by the n-gram counts, beside the one by the scores; None for 0.7 with words
            and 1 with letters.
        bonus: What is added for each word or letter; None for 4.5 for a word and 2 for a letter. These and the weights
            were the best of a few on the validation part of task ``speech``.

    Raises:
        ConfigError: If a value is out of its range.

    Example:
        >>> Search(beams=-1)
        Traceback (most recent call last):
        gatework.errors.ConfigError: beams is -1; expected a whole number from 0 to 4,096.
    """

    beams: int = 0
    ngram: Knowledge = "words"
    order: int = 2
    weight: float | None = None
    bonus: float | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("beams", 0, _MOST_BEAMS), ("order", 1, _MOST_ORDER)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"{name} is {value!r}; expected a whole number from {least} to {most:,}.")
        if self.ngram not in ("words", "letters", "none"):
            raise ConfigError(f"ngram is {self.ngram!r}; expected words, letters or none.")
        weight, bonus = self.weighing
        if not (isfinite(weight) and isfinite(bonus) and weight >= 0):
            raise ConfigError(
                f"weight is {weight!r} and bonus is {bonus!r}; expected finite numbers, the weight 0 or more."
            )

    @property
    def weighing(self) -> tuple[float, float]:
        """The weight and the bonus."""
        weight, bonus = _WEIGHING[self.ngram]
        return (weight if self.weight is None else self.weight), (bonus if self.bonus is None else self.bonus)


@dataclass(frozen=True)
class Question:
    """The data on which to measure a finished run.

    Args:
        split: A split of the run's data.
        data: A file or folder of text to measure on instead.
        streams: The number of parts of a text to read in parallel; None for a number that suits the text.
        gap: Another gap than in training.
        symbols: The most symbols of a text to measure, evenly chosen; 0 for all, None for the number of the run.
        beams: The number of beams of the searches for translations, or for transcripts; None for the number of the run,
            or for no search for transcripts.
        search: What a search for transcripts knows; None for what it knows by itself.
        draws: The number of draws of latent variables for an importance-weighted estimate; None for none.
    """

    split: str = "valid"
    data: str = ""
    streams: int | None = None
    gap: int | None = None
    symbols: int | None = None
    beams: int | None = None
    search: Search | None = None
    draws: int | None = None

    @property
    def transcribing(self) -> Search | None:
        """The search for transcripts; None for none."""
        if self.beams is None:
            return self.search
        return replace(self.search or Search(), beams=self.beams)


@dataclass(frozen=True)
class Evaluation:
    """The result of a measurement.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        text: The split, or the file or folder.
        tokens: The number of symbols, each counted once; for a task, the number of targets.
        unknown: The number of symbols of the whole text that the vocabulary lacks; they count as ``<unk>``. 0 for a
            task.
        metrics: For text, ``loss`` in nats per symbol, ``perplexity``, and ``bits_per_byte`` or ``bits_per_character``;
            for a task, its metrics.
        seconds: The duration of the measurement.
        gap: The gap of the task; None for text.
        solved: Whether the criterion of the task is met; None for text.
        chance: The baseline: the metrics at chance level on the test split, if they are known.
        trivial: The metrics of trivial predictors on the same split, by their names.
        verdict: Whether the criterion is met, in a sentence with the figure of the best trivial predictor.
        sequences: The number of sequences of the task; None for text.
        groups: The results by group of sequences, if the task has groups.
        group_names: The names of the groups, if recorded data define them.
        of: The number of symbols of the whole text, of which ``tokens`` were measured; None for a task.
        replaced: The number of places of a text that were no text and were replaced.
        notes: How a metric was measured, by its name; empty if nothing needs to be said.
    """

    run: str
    step: int
    text: str
    tokens: int
    unknown: int
    metrics: dict[str, float]
    seconds: float = 0.0
    gap: int | None = None
    solved: bool | None = None
    chance: dict[str, float] = field(default_factory=dict)
    trivial: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    verdict: str = ""
    sequences: int | None = None
    groups: dict[int, dict[str, float]] = field(default_factory=dict)
    group_names: dict[int, str] = field(default_factory=dict)
    of: int | None = None
    replaced: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data, with names that suit a text or a task."""
        about = {"run": self.run, "step": self.step}
        if self.gap is None:
            about |= {"text": self.text, "tokens": self.tokens, "of": self.of, "unknown": self.unknown}
            about |= {"replaced": self.replaced}
            return about | {"metrics": self.metrics, "seconds": self.seconds}
        about |= {"split": self.text, "gap": self.gap, "sequences": self.sequences, "answers": self.tokens}
        groups = {
            group: ({"name": self.group_names[group]} if group in self.group_names else {}) | line
            for group, line in self.groups.items()
        }
        judged = {"metrics": self.metrics, "solved": self.solved, "chance": self.chance}
        judged |= {"trivial": {name: dict(found) for name, found in self.trivial.items()}, "groups": groups}
        told = {"notes": dict(self.notes)} if self.notes else {}
        return about | judged | told | {"seconds": self.seconds}
