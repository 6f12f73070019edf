"""The learning rate of every step."""

from math import cos, pi

from gatework.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps: int, steps_per_epoch: int | None) -> float:
    """Return the learning rate of one step.

    It first rises linearly over ``warmup_steps``. Then it is constant, or follows half a cosine down to a hundredth of
    its maximum at the last step, or is divided by ``decay`` at the start of each epoch after the first ``decay_after``.

    Args:
        config: The schedule and its settings.
        step: The step, counted from 1.
        steps: The number of all steps.
        steps_per_epoch: The number of steps in one pass over the data; None if new data are drawn for every step, which
            counts as one epoch.

    Returns:
        The learning rate.

    Source:
        Zaremba, Sutskever & Vinyals 2014, arXiv:1409.2329, section 4.1 (zaremba); Loshchilov & Hutter 2017,
        arXiv:1608.03983, equation 5 (cosine, one cycle).
    """
    height = config.learning_rate
    if step <= config.warmup_steps:
        return height * step / config.warmup_steps
    if config.schedule == "zaremba":
        epoch = (step - 1) // (steps_per_epoch or steps) + 1
        return height / config.decay ** max(0, epoch - config.decay_after)
    if config.schedule == "cosine":
        floor = height / 100
        done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return floor + (height - floor) * (1 + cos(pi * min(1.0, done))) / 2
    return height
