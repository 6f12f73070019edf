"""What a finished run is asked, and what was measured."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Question:
    """What a finished run is to be measured on.

    Args:
        split: A split of its own data.
        data: A file or folder of text to measure on instead.
        streams: Parts of a text read side by side; None: as many as suit it.
        gap: Another gap than it was trained on.
    """

    split: str = "valid"
    data: str = ""
    streams: int | None = None
    gap: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        text: The split, or the file or folder.
        tokens: The number of symbols, each counted once; of a task the number of answers.
        unknown: How many of them the vocabulary lacks; they count as ``<unk>``. None of a task's.
        metrics: Of text ``loss`` in nats per symbol, ``perplexity``, and ``bits_per_byte`` or ``bits_per_character``;
            of a task its metrics.
        seconds: How long it took.
        gap: The task's gap; None for text.
        solved: Whether the task's criterion is met; None for text.
        chance: The baseline: the metrics of a guess without looking, where they are known.
        sequences: The number of a task's sequences; None for text.
        groups: Results by group of sequences, where the task has groups.
        group_names: What the groups are called, where recorded data say so.
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
    sequences: int | None = None
    groups: dict[int, dict[str, float]] = field(default_factory=dict)
    group_names: dict[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the result as plain data, of text and of a task each with the names that fit it."""
        about = {"run": self.run, "step": self.step}
        if self.gap is None:
            about |= {"text": self.text, "tokens": self.tokens, "unknown": self.unknown}
            return about | {"metrics": self.metrics, "seconds": self.seconds}
        about |= {"split": self.text, "gap": self.gap, "sequences": self.sequences, "answers": self.tokens}
        groups = {
            group: ({"name": self.group_names[group]} if group in self.group_names else {}) | line
            for group, line in self.groups.items()
        }
        judged = {"metrics": self.metrics, "solved": self.solved, "chance": self.chance, "groups": groups}
        return about | judged | {"seconds": self.seconds}
