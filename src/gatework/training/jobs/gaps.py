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


def takes_other_gaps(task: Task) -> bool:
    """Tell whether a trained model can be measured at other gaps: there are others, with the same number of outputs.

    Args:
        task: The task.
    """
    # If the data determine the number of outputs, there is one set of them for every step up to the gap.
    return task.gap.least != task.gap.most and not (task.kind == "number" and task.outputs is None)
