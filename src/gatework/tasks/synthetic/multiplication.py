"""The multiplication problem: the adding problem's twin, whose answer no sum of inputs gives."""

import math

import numpy as np

from gatework.tasks.synthetic.adding import adding, mark, pairs, unmarked
from gatework.tasks.task import Batch, Published, Split, Success, Synthetic, Task

_PAPER = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.5"
_TABLE = f"{_PAPER}, table 8"


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences of pairs, a number from [0, 1] and a mark; the target at the end is the product X1 X2.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a sequence.
        split: Not used.

    Returns:
        Inputs ``[T, B, 2]`` with T up to gap + gap // 10, targets ``[T, B, 1]``.
    """
    lengths, marks, places = mark(rng, size, gap)
    values = rng.uniform(0, 1, marks.shape)
    # A first pair that is chosen shows no mark, so that its number does not count.
    chosen = [np.where(place == 0, 1.0, values[place, np.arange(size)]) for place in places]
    return pairs(values, marks, lengths, chosen[0] * chosen[1])


def guess(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric.

    Args:
        gap: The least length of a sequence.

    Returns:
        ``loss`` of always answering the mean, and ``accuracy`` of always answering 0.04.
    """
    # Where the first pair is one of the two, the answer is the other's number and not a product.
    alone = unmarked(gap)
    mean = (1 - alone) / 4 + alone / 2
    square = (1 - alone) / 9 + alone / 3
    # Small products are the likeliest: below z they come with probability z - z log z.
    near = (1 - alone) * 0.08 * (1 - math.log(0.08)) + alone * 0.08
    return {"loss": square - mean**2, "accuracy": near}


multiplication = Task(
    name="multiplication",
    title="Multiplication problem",
    asks="Two numbers of a long sequence are marked, both in its first half and one of them among its first ten. What "
    "is their product?",
    source=_PAPER,
    kind="number",
    inputs=2,
    outputs=1,
    gap=adding.gap,
    success=Success(
        "accuracy",
        at_least=0.99,
        words="An answer is correct if it is off by less than 0.04. The paper tests a net when less than 140, and "
        "again when less than 13, of the last 2,000 sequences are wrong.",
    ),
    tolerance=0.04,
    chance=guess,
    published=(
        Published("LSTM 1997, 2 blocks of 2 cells", "T=100: 139 of 2,560 wrong after 482,000 sequences", _TABLE),
        Published("LSTM 1997, 2 blocks of 2 cells", "T=100: 14 of 2,560 wrong after 1,273,000 sequences", _TABLE),
    ),
    examples=Synthetic(draw, test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 3000,
    },
    notes="The output is a linear unit instead of the paper's logistic unit. The first pair shows no mark; if it is "
    "one of the two marked pairs, its number does not count.",
)
