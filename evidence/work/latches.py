"""The latch by hand and by training."""

from typing import Any

import numpy as np
import torch

from evidence.work.training import trained
from gatework.models.hand_set import hand_set_latch
from gatework.models.sequences import measure_sequences
from gatework.tasks.synthetic.latch import draw, latch


def measure_latch(gap: int, sequences: int, seed: int) -> dict[str, Any]:
    """Measure the plain network whose weights were set by hand.

    Args:
        gap: The gap.
        sequences: How many sequences are read.
        seed: Where chance begins.

    Returns:
        ``right``, how many were answered right, and ``sequences``.
    """
    batch = draw(np.random.default_rng([seed, gap]), sequences, gap, "test")
    with torch.no_grad():
        score, _ = measure_sequences(hand_set_latch(), batch, latch)
    return {"right": score.right, "sequences": score.sequences}


def measure_latch_far(
    gap: int, asked: int, sequences: int, seed: int, learning_rate: float, steps: int
) -> dict[str, float]:
    """Train a plain network over a short gap, and ask it over a long one.

    Args:
        gap: The gap it learns.
        asked: The gap it is asked at.
        sequences: How many sequences it is asked.
        seed: Where chance begins.
        learning_rate: The learning rate.
        steps: The budget.

    Returns:
        Its ``accuracy`` there.
    """
    told = {"task": "latch", "cell": "rnn", "gap": gap, "seed": seed, "learning_rate": learning_rate, "steps": steps}
    trainer, _ = trained(told)
    batch = draw(np.random.default_rng([seed, asked]), sequences, asked, "test")
    model: Any = trainer.model
    return {"accuracy": measure_sequences(model, batch, latch)[0].named()["accuracy"]}
