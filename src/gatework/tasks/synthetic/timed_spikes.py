"""Generating timed spikes: the inverse of measuring spike delays."""

import numpy as np
import torch

from gatework.tasks.synthetic.spike_delay import spike_train, stream_steps
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw streams of delays; the target at each step tells whether there is a spike.

    Args:
        rng: The random generator.
        size: The number of streams B.
        gap: The shorter of the two intervals, in steps.
        split: The split, which determines the length of the streams.

    Returns:
        Inputs ``[T, B, 1]``, the delay of the running interval; targets ``[T, B, 1]``.
    """
    spikes, delays = spike_train(rng, size, gap, split)
    return Batch(torch.from_numpy(delays[..., None]).float(), torch.from_numpy(spikes[..., None]).float())


def guess(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric.

    Args:
        gap: The shorter of the two intervals, in steps.

    Returns:
        ``accuracy`` of never predicting a spike, or of always predicting one if most steps have one, and ``loss`` of a
        constant probability.
    """
    steps = stream_steps(gap, "test")
    # There is a spike where there was one either gap or gap + 1 steps ago; the stream begins as if after a spike.
    expected = np.zeros(steps + gap + 1)
    expected[gap + 1] = 1
    for step in range(gap + 2, steps + gap + 1):
        expected[step] = (expected[step - gap] + expected[step - gap - 1]) / 2
    rate = float(expected[gap + 2 :].sum()) / steps
    return {"accuracy": max(rate, 1 - rate), "loss": float(-rate * np.log(rate) - (1 - rate) * np.log(1 - rate))}


timed_spikes = Task(
    name="timed_spikes",
    title="Generating timed spikes",
    asks="A spike comes after one of two intervals that differ by a single step, and the next interval begins. The "
    "input says which interval. Is there a spike now? The answer is due at every step of a continuing stream.",
    source="Gers, Schraudolph & Schmidhuber 2002, JMLR 3:115-143, section 4, task GTS; first in Gers & Schmidhuber "
    "2000, Recurrent nets that time and count",
    kind="bits",
    inputs=1,
    outputs=1,
    gap=Gap(10, "steps of the shorter interval, the paper's F; the longer one has one more", least=1, most=100),
    success=Success(
        "solved",
        at_least=0.9,
        words="The paper counts a net as trained if its output is off by less than 0.49 at every step of a test stream "
        "of 1,000 spikes. Here a step is correct if the more probable answer is correct, without any tolerance in "
        "time, and nine of ten streams must be correct throughout.",
    ),
    chance=guess,
    published=(
        Published(
            "LSTM with peepholes",
            "learns to generate stable streams of precisely timed spikes (no figure)",
            "Gers, Schraudolph & Schmidhuber 2002, abstract",
        ),
    ),
    examples=Synthetic(draw, test_size=10),
    defaults={"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-2, "steps": 2000},
    notes="The input shows the delay, 0 or 1, during the whole interval. Training streams have about 10 spikes and do "
    "not end at the first error; the paper's streams end there, or after 100 spikes. The paper's nets have a single "
    "cell; without peepholes none of them learns the task. No published figure is given here, because none was looked "
    "up.",
)
