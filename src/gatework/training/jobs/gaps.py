"""The gaps of a task: one drawn for each step of the training, and others to measure at."""

import numpy as np

from gatework.tasks.task import Task


def draw_gap(rng: np.random.Generator, shortest: int, longest: int) -> int:
    """Draw a gap uniformly in its logarithm: as many from 10 to 20 as from 100 to 200.

    Args:
        rng: The random generator.
        shortest: The shortest gap, which may be drawn.
        longest: The longest gap, which may be drawn.

    Example:
        >>> draw_gap(np.random.default_rng(0), 10, 200)
        69
    """
    ratio = (longest + 2) / (shortest + 1)
    # Rounding could push the largest numbers past the end.
    return min(int((shortest + 1) * ratio ** rng.random()) - 1, longest)


def another_gap(task: Task, gap: int) -> int | None:
    """Choose another gap to measure a trained model at: twice its own, as far as the task allows.

    Args:
        task: The task.
        gap: The gap that the model was trained on.

    Returns:
        The other gap; None if the model can be measured at its own gap only.

    Example:
        >>> from gatework.tasks.registry import TASKS
        >>> another_gap(TASKS["adding"], 100), another_gap(TASKS["spike_delay"], 100), another_gap(TASKS["airline"], 12)
        (200, 50, None)
    """
    if not takes_other_gaps(task):
        return None
    wider = 2 * gap or 5
    return wider if task.gap.most is None or wider <= task.gap.most else max(task.gap.least, gap // 2)


def takes_other_gaps(task: Task) -> bool:
    """Tell whether a trained model can be measured at other gaps: there are others, with the same number of outputs.

    Args:
        task: The task.
    """
    # If the data determine the number of outputs, there is one set of them for every step up to the gap.
    return task.gap.least != task.gap.most and not (task.kind == "number" and task.outputs is None)
