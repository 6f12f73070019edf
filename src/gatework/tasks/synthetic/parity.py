"""Parity: is the number of ones in a sequence odd?"""

import math

import numpy as np
import torch

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_GUESSING = "Schmidhuber, Hochreiter & Bengio 2001, Evaluating benchmark problems by random guessing, on parity"


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences of ones and minus ones, each a little off; the target at the end is the parity of the ones.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The greatest length of a sequence; the least is half of it.
        split: Not used.

    Returns:
        Inputs ``[T, B, 1]`` with T up to gap, targets ``[T, B]``: 1 for odd, 0 for even.
    """
    lengths = rng.integers(gap // 2, gap, size=size, endpoint=True)
    steps, columns = int(lengths.max()), np.arange(size)
    bits = rng.integers(0, 2, size=(steps, size))
    values = 2 * bits - 1 + rng.uniform(-0.2, 0.2, (steps, size))
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, columns] = torch.from_numpy(bits.cumsum(axis=0)[lengths - 1, columns] % 2)
    return Batch(torch.from_numpy(values[..., None]).float(), targets, torch.from_numpy(lengths))


parity = Task(
    name="parity",
    title="Parity",
    asks="A sequence consists of ones and minus ones. Is the number of ones odd?",
    source="Bengio, Simard & Frasconi 1994, Learning long-term dependencies with gradient descent is difficult, "
    "IEEE Transactions on Neural Networks 5(2), section VII",
    kind="choice",
    inputs=1,
    outputs=2,
    gap=Gap(6, "greatest length of a sequence, in steps; the least is half of it", least=2),
    success=Success("accuracy", at_least=0.99),
    chance=lambda gap: {"loss": math.log(2), "accuracy": 0.5},
    published=(
        Published("Simulated annealing", "25 to 50 steps: no error after about 810,000 trials", _GUESSING),
        Published("Discrete error back-propagation", "25 to 50 steps: error 0.05 after about 54,000 trials", _GUESSING),
        Published("Input/output hidden Markov model", "250 to 500 steps: error 0.12 after about 3,400", _GUESSING),
        Published("Random guessing of weights, with noise", "solved after 41,400 trials on average", _GUESSING),
        Published("Random guessing of weights, without noise", "solved after 2,906 trials on average", _GUESSING),
    ),
    examples=Synthetic(draw),
    defaults={"hidden_size": 32, "batch_size": 64, "learning_rate": 1e-2, "steps": 2000},
    notes="Each number is off by up to 0.2, as in 1994.",
)
