"""Periodic function generation: generate a wave from a constant input, without drift."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.task import Batch, Draw, Gap, Published, Split, Success, Synthetic, Task

# Returns one period of a wave, with values from 0 to 1, for a length in steps.
Wave = Callable[[int], NDArray[np.float64]]

# Periods of a stream. The paper's training streams end after 100 at the latest, its test streams after 1,000.
PERIODS: dict[Split, int] = {"train": 10, "valid": 100, "test": 1000}
_TOLERANCE = 0.3


def cosine(period: int) -> NDArray[np.float64]:
    """Return one period of (1 - cos(2 pi t / F)) / 2.

    Args:
        period: Its length F in steps.

    Returns:
        Its values ``[F]``.
    """
    return (1 - np.cos(2 * np.pi * np.arange(period) / period)) / 2


def triangle(period: int) -> NDArray[np.float64]:
    """Return one period of a wave that climbs to 1 in half of it and falls back in the other.

    Args:
        period: Its length F in steps.

    Returns:
        Its values ``[F]``.
    """
    return 1 - np.abs(1 - 2 * np.arange(period) / period)


def rectangle(period: int) -> NDArray[np.float64]:
    """Return one period of a wave that is 0 through half of it and 1 in the other.

    Args:
        period: Its length F in steps.

    Returns:
        Its values ``[F]``.
    """
    return (np.arange(period) > period / 2).astype(np.float64)


def drawer(wave: Wave) -> Draw:
    """Make the function that draws streams of a wave.

    Args:
        wave: The wave.

    Returns:
        The function. It uses no randomness, and all its streams are the same.
    """

    def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
        stream = torch.from_numpy(np.tile(wave(gap), PERIODS[split])).float()
        return Batch(torch.ones(len(stream), size, 1), stream[:, None, None].repeat(1, size, 1))

    return draw


def guesser(wave: Wave) -> Callable[[int], dict[str, float]]:
    """Make the function that computes the baseline of a constant answer.

    Args:
        wave: The wave.

    Returns:
        The function, from a period to ``loss`` of the best constant answer for the loss, which is the mean, and
        ``accuracy`` of the best constant answer for the accuracy.
    """

    def guess(gap: int) -> dict[str, float]:
        values = wave(gap)
        # Just above the lower edge of each value's window: what lies in the most windows lies in one that begins there.
        answers = values - _TOLERANCE + 1e-6
        near = np.abs(answers[:, None] - values) < _TOLERANCE
        return {"loss": float(values.var()), "accuracy": float(near.mean(axis=1).max())}

    return guess


def _task(wave: Wave, looks: str, published: tuple[Published, ...]) -> Task:
    name = wave.__name__
    unknown = "" if published else " No published figure is given here, because none was looked up."
    return Task(
        name=f"periodic_{name}",
        title=f"Periodic function generation, {name}",
        asks=f"Give {looks} again and again, with nothing to go by: the input never changes.",
        source="Gers, Schraudolph & Schmidhuber 2002, JMLR 3:115-143, section 4, task PFG",
        kind="number",
        inputs=1,
        outputs=1,
        gap=Gap(10, "steps of a period, the paper's F: 10 and 25 there", least=3, most=100),
        success=Success(
            "solved",
            at_least=1,
            words="The paper counts a net as trained if its output is off by less than 0.3 at every step of a test "
            "stream of 1,000 periods.",
        ),
        tolerance=_TOLERANCE,
        chance=guesser(wave),
        published=published,
        examples=Synthetic(drawer(wave), test_size=1),
        defaults={"hidden_size": 16, "batch_size": 1, "learning_rate": 1e-2, "steps": 2000},
        notes="A constant 1 is read at every step; the paper's net has no input. Training streams have 10 periods and "
        "do not end at the first error; the paper's end there, or after 100 periods. All streams are the same, so a "
        f"batch of one is as good as a larger one.{unknown}",
    )


periodic_cosine = _task(
    cosine,
    "a cosine",
    (
        Published(
            "LSTM with peepholes, 1 cell",
            "F=25: root of the mean squared error 0.17 at a tolerance of 0.3, 0.086 when trained to one of 0.15",
            "section 4, PFG",
        ),
    ),
)
periodic_triangle = _task(triangle, "a triangle", ())
periodic_rectangle = _task(rectangle, "a rectangle", ())
