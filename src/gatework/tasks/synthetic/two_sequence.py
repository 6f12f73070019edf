"""The two-sequence problem: the signal and the noise come through the same input."""

import math
from functools import partial

import numpy as np
import torch

from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_PAPER = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.3"
_NOISE = math.sqrt(0.2)
_TARGET_NOISE = math.sqrt(0.1)
# The number of steps that show the class, N in the paper.
_SHOWN = 3


def draw(
    rng: np.random.Generator,
    size: int,
    gap: int,
    split: Split,
    *,
    answers: tuple[float, float] = (1.0, 0.0),
    shown_noise: float = 0.0,
    target_noise: float = 0.0,
) -> Batch:
    """Draw sequences of numbers: three times 1 or three times -1, then noise; the target is one number for each class.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a sequence.
        split: Only the targets of ``train`` have noise.
        answers: The answer for sequences that began with 1, and for those that began with -1.
        shown_noise: Standard deviation of the noise on the numbers that show the class.
        target_noise: Standard deviation of the noise on the targets.

    Returns:
        Inputs ``[T, B, 1]`` with T up to gap + gap // 10, targets ``[T, B, 1]``.
    """
    lengths = rng.integers(gap, gap + gap // 10, size=size, endpoint=True)
    steps, columns = int(lengths.max()), np.arange(size)
    second = rng.integers(0, 2, size=size)  # 0: began with 1, 1: began with -1
    values = rng.normal(0, _NOISE, (steps, size))
    values[:_SHOWN] = 1 - 2 * second + shown_noise * rng.standard_normal((_SHOWN, size))
    targets = np.full((steps, size, 1), np.nan)
    off = target_noise * rng.standard_normal(size) if split == "train" else 0.0
    targets[lengths - 1, columns, 0] = np.array(answers)[second] + off
    return Batch(
        torch.from_numpy(values[..., None]).float(), torch.from_numpy(targets).float(), torch.from_numpy(lengths)
    )


def guess(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric, if the answers are 0 and 1.

    Args:
        gap: The least length of a sequence; not used.

    Returns:
        ``loss`` and ``mean_absolute_error`` of 0.5, and ``accuracy`` of either.
    """
    return {"loss": 0.25, "accuracy": 0.5, "mean_absolute_error": 0.5}


def guess_between(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric, if the answers are 0.2 and 0.8.

    Args:
        gap: The least length of a sequence; not used.

    Returns:
        ``loss`` and ``mean_absolute_error`` of 0.5, and ``accuracy`` of either.
    """
    return {"loss": 0.09, "accuracy": 0.5, "mean_absolute_error": 0.3}


_GAP = Gap(100, "least length of a sequence, in steps; its first 3 show the class", least=_SHOWN)
_LSTM = "LSTM 1997, 3 cells, N={}"
_AFTER = "T={}: {} of the sequences misclassified after {} sequences"

two_sequence = Task(
    name="two_sequence",
    title="Two sequences",
    asks="A sequence begins with 1 or with -1, three times, and continues with noise. Answer 1 or 0.",
    source=f"{_PAPER}, task 3a, after Bengio, Simard & Frasconi 1994",
    kind="number",
    inputs=1,
    outputs=1,
    gap=_GAP,
    success=Success(
        "accuracy",
        at_least=0.99,
        words="An answer is correct if it is off by less than 0.2. The paper stops if none of 256 sequences is "
        "misclassified (or, more strictly, if the mean error is below 0.01 as well), and tests on 2,560 sequences.",
    ),
    tolerance=0.2,
    chance=guess,
    published=(
        Published(_LSTM.format(3), _AFTER.format(100, "0.0195 %", "39,850"), f"{_PAPER}, table 4"),
        Published(_LSTM.format(1), _AFTER.format(100, "0.0117 %", "64,330"), f"{_PAPER}, table 4"),
        Published(_LSTM.format(3), _AFTER.format(1000, "0.0078 %", "452,460"), f"{_PAPER}, table 4"),
    ),
    examples=Synthetic(draw, test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 500,
    },
    notes="N = 3 numbers show the class. The output is a linear unit instead of the paper's logistic unit.",
)

two_sequence_noise = Task(
    name="two_sequence_noise",
    title="Two sequences, noise on the signal",
    asks="A sequence begins with 1 or with -1, three times and each time a little off, and continues with noise. "
    "Answer 1 or 0.",
    source=f"{_PAPER}, task 3b",
    kind="number",
    inputs=1,
    outputs=1,
    gap=_GAP,
    success=Success(
        "accuracy",
        at_least=0.98,
        words="An answer is correct if it is off by less than 0.2. The paper stops if less than 6 of 256 sequences are "
        "misclassified (or, more strictly, if the mean error is below 0.04 as well), and tests on 2,560 sequences.",
    ),
    tolerance=0.2,
    chance=guess,
    published=(
        Published(_LSTM.format(3), _AFTER.format(100, "0.828 %", "43,250"), f"{_PAPER}, table 5"),
        Published(_LSTM.format(1), _AFTER.format(100, "1.500 %", "78,430"), f"{_PAPER}, table 5"),
        Published(_LSTM.format(1), _AFTER.format(1000, "1.207 %", "485,080"), f"{_PAPER}, table 5"),
    ),
    examples=Synthetic(partial(draw, shown_noise=_NOISE), test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 1000,
    },
    notes="N = 3 numbers show the class. The output is a linear unit instead of the paper's logistic unit. Even the "
    "ideal classifier is wrong in about one sequence of 9,000, because the noise may reverse the signal.",
)

two_sequence_targets = Task(
    name="two_sequence_targets",
    title="Two sequences, noise on the targets",
    asks="A sequence begins with 1 or with -1, three times, and continues with noise. Answer 0.2 or 0.8; in training "
    "the targets are noisy too.",
    source=f"{_PAPER}, task 3c",
    kind="number",
    inputs=1,
    outputs=1,
    gap=_GAP,
    success=Success(
        "mean_absolute_error",
        at_most=0.015,
        words="As in the paper, which also requires that none of 256 sequences is off by more than 0.1 from the target "
        "without noise.",
    ),
    tolerance=0.1,
    chance=guess_between,
    published=(
        Published(_LSTM.format(3), _AFTER.format(100, "0.558 %", "269,650"), f"{_PAPER}, table 6"),
        Published(_LSTM.format(1), _AFTER.format(100, "0.441 %", "565,640"), f"{_PAPER}, table 6"),
        Published(_LSTM.format(3), "T=100: mean absolute error 0.014", f"{_PAPER}, table 6"),
        Published(_LSTM.format(1), "T=100: mean absolute error 0.012", f"{_PAPER}, table 6"),
    ),
    examples=Synthetic(partial(draw, answers=(0.2, 0.8), target_noise=_TARGET_NOISE), test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 1000,
    },
    notes="N = 3 numbers show the class. The output is a linear unit instead of the paper's logistic unit. In "
    "evaluation the targets have no noise.",
)
