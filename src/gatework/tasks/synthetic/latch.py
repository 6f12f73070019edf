"""The latch: remember the first steps through the noise that follows."""

import math

import numpy as np
import torch

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_GUESSING = "Schmidhuber, Hochreiter & Bengio 2001, Evaluating benchmark problems by random guessing, on the latch"
# Steps that show the class.
_SHOWN = 3
_NOISE = math.sqrt(0.2)


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences of numbers: three times 1 or three times -1, then noise; the target at the end tells which.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The greatest length of a sequence; the least is half of it.
        split: Not used.

    Returns:
        Inputs ``[T, B, 1]`` with T up to gap, targets ``[T, B]``: 1 where the sequence began with 1.
    """
    lengths = rng.integers(gap // 2, gap, size=size, endpoint=True)
    steps, columns = int(lengths.max()), np.arange(size)
    classes = rng.integers(0, 2, size=size)
    values = rng.normal(0, _NOISE, (steps, size))
    values[:_SHOWN] = 2 * classes - 1
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, columns] = torch.from_numpy(classes)
    return Batch(torch.from_numpy(values[..., None]).float(), targets, torch.from_numpy(lengths))


latch = Task(
    name="latch",
    title="Latch",
    asks="A sequence begins with 1 or with -1, three times, and continues with noise. With which did it begin?",
    source="Bengio, Simard & Frasconi 1994, Learning long-term dependencies with gradient descent is difficult, "
    "IEEE Transactions on Neural Networks 5(2), sections II, III and VII",
    kind="choice",
    inputs=1,
    outputs=2,
    gap=Gap(100, "greatest length of a sequence, in steps; the least is half of it", least=2 * _SHOWN),
    success=Success("accuracy", at_least=0.99),
    chance=lambda gap: {"loss": math.log(2), "accuracy": 0.5},
    published=(
        Published(
            "Several methods of the paper",
            "values that show the class learned: 1,600 trials",
            f"{_GUESSING}, quoting it",
        ),
        Published(
            "Random guessing of weights",
            "values that show the class learned: solved after 6 trials on average",
            _GUESSING,
        ),
        Published(
            "Random guessing of weights",
            "values that show the class given: solved after 22 trials on average",
            _GUESSING,
        ),
    ),
    examples=Synthetic(draw),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 500,
    },
    notes="In the paper the values that show the class are learned. Here they are given, and the model learns their "
    "weight. They are shown three times; in the published results they are shown once. No figure of a gated network is "
    "given here, because none was looked up.",
)
