"""Measuring spike delays: exactly how long ago was the previous spike?"""

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

# Intervals of a stream. The paper's training streams end after 100 at the latest, its test streams after 1,000.
INTERVALS: dict[Split, int] = {"train": 10, "valid": 100, "test": 1000}


def stream_steps(gap: int, split: Split) -> int:
    """Return the length of a stream.

    Args:
        gap: The shorter of the two intervals, in steps.
        split: The split, which determines the length of the stream.

    Returns:
        The number of steps with as many intervals as the split needs, on average.
    """
    return INTERVALS[split] * (2 * gap + 1) // 2 + 1


def spike_train(
    rng: np.random.Generator, size: int, gap: int, split: Split
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Draw spikes that follow each other after gap or gap + 1 steps, with equal probability.

    Args:
        rng: The random generator.
        size: The number of streams B.
        gap: The shorter of the two intervals, in steps.
        split: The split, which determines the length of the stream.

    Returns:
        Where the spikes are ``[T, B]``, and the delay of the interval that each step belongs to ``[T, B]``: 0 or 1.
    """
    steps = stream_steps(gap, split)
    delays = rng.integers(0, 1, size=(steps // gap + 1, size), endpoint=True)
    times = np.cumsum(gap + delays, axis=0)
    within = times < steps
    spikes = np.zeros((steps, size), dtype=bool)
    spikes[times[within], np.nonzero(within)[1]] = True
    # A spike is the last step of its interval, so a step belongs to as many intervals on as spikes came before it.
    before = np.cumsum(spikes, axis=0) - spikes
    return spikes, np.take_along_axis(delays, before, axis=0)


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw streams of spikes; the target at each spike is its delay.

    Args:
        rng: The random generator.
        size: The number of streams B.
        gap: The shorter of the two intervals, in steps.
        split: The split, which determines the length of the streams.

    Returns:
        Inputs ``[T, B, 1]``, targets ``[T, B]``.
    """
    spikes, delays = spike_train(rng, size, gap, split)
    return Batch(
        torch.from_numpy(spikes[..., None]).float(),
        torch.from_numpy(np.where(spikes, delays, -100)),
    )


spike_delay = Task(
    name="spike_delay",
    title="Measuring spike delays",
    asks="Spikes follow each other after one of two intervals that differ by a single step. Which interval was it? The "
    "answer is due at every spike of a continuing stream.",
    source="Gers, Schraudolph & Schmidhuber 2002, JMLR 3:115-143, section 4, task MSD; first in Gers & Schmidhuber "
    "2000, Recurrent nets that time and count",
    kind="choice",
    inputs=1,
    outputs=2,
    gap=Gap(10, "steps of the shorter interval, the paper's F; the longer one has one more", least=1, most=100),
    success=Success(
        "solved",
        at_least=0.9,
        words="The paper counts a net as trained if it answers 1,000 spikes of one test stream in a row, each off by "
        "less than 0.49. Here this must hold for nine of ten streams.",
    ),
    chance=lambda gap: {"accuracy": 0.5, "loss": float(np.log(2))},
    published=(
        Published(
            "LSTM with peepholes",
            "learns to tell spikes 50 steps apart from spikes 49 apart",
            "Gers, Schraudolph & Schmidhuber 2002, abstract",
        ),
    ),
    examples=Synthetic(draw, test_size=10),
    defaults={"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-2, "steps": 2000},
    notes="The delays 0 and 1 are two classes, instead of one number. Training streams have about 10 spikes and do not "
    "end at the first error; the paper's streams end there, or after 100 spikes. The paper's nets have a single cell.",
)
