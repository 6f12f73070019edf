"""Temporal order: in which order did a few symbols come, far apart among others?"""

import math
from functools import partial
from itertools import product

import numpy as np
import torch

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_PAPER = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.6"
# The symbols, in the order of their numbers.
_SYMBOLS = "EBabcdXY"
# The positions of the deciding symbols, in hundredths of the gap: each in a range of ten.
_TWO = (10, 50)
_THREE = (10, 33, 66)


def draw(rng: np.random.Generator, size: int, gap: int, split: Split, *, places: tuple[int, ...]) -> Batch:
    """Draw sequences of symbols: E at the beginning, B at the end, some X or Y between a, b, c and d.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a sequence.
        split: Not used.
        places: The earliest position of each X or Y, in hundredths of the gap.

    Returns:
        Inputs ``[T, B]`` with T up to gap + gap // 10, targets ``[T, B]``: at the end the order of X and Y, read as
        a binary number in which Y is 1.
    """
    lengths = rng.integers(gap, gap + gap // 10, size=size, endpoint=True)
    steps, columns = int(lengths.max()), np.arange(size)
    symbols = rng.integers(_SYMBOLS.index("a"), _SYMBOLS.index("d"), size=(steps, size), endpoint=True)
    order = np.zeros(size, dtype=np.int64)
    for place in places:
        where = rng.integers(gap * place // 100, gap * (place + 10) // 100, size=size, endpoint=True)
        which = rng.integers(0, 2, size=size)
        symbols[where, columns] = _SYMBOLS.index("X") + which
        order = 2 * order + which
    symbols[0] = _SYMBOLS.index("E")
    symbols[lengths - 1, columns] = _SYMBOLS.index("B")
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, columns] = torch.from_numpy(order)
    return Batch(torch.from_numpy(symbols), targets, torch.from_numpy(lengths))


# The last X or Y stands at 60 % (76 %) of the gap at the latest, counted from 0, and the question at the gap less one.
_GAP = (
    "least length of a sequence, in steps; from the last X or Y to the question are at least {} % of it, less one step"
)
_SUCCESS = Success(
    "accuracy",
    at_least=0.99,
    words="The paper counts a net as trained if the mean error is below 0.1 and the last 2,000 sequences are "
    "classified correctly, which means that no output is off by 0.3, and tests it on 2,560 sequences.",
)
_NOTES = (
    "The paper has one length, 100 to 110; where symbols stand is scaled with the gap. "
    "An answer is right where the right class scores highest."
)

temporal_order_2 = Task(
    name="temporal_order_2",
    title="Temporal order of two symbols",
    asks="Two symbols of a long sequence are X or Y, and the others are a, b, c and d. In which order did X and Y "
    "come?",
    source=f"{_PAPER}, task 6a",
    kind="choice",
    inputs=len(_SYMBOLS),
    outputs=4,
    symbols=True,
    alphabet=tuple(_SYMBOLS),
    classes=tuple("".join(order) for order in product("XY", repeat=2)),
    gap=Gap(100, _GAP.format(40), least=10),
    success=_SUCCESS,
    chance=lambda gap: {"loss": math.log(4), "accuracy": 1 / 4},
    published=(
        Published("LSTM 1997, 2 blocks of 2 cells", "1 of 2,560 wrong after 31,390 sequences", f"{_PAPER}, table 9"),
    ),
    examples=Synthetic(partial(draw, places=_TWO), test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 1500,
    },
    notes=_NOTES,
)

temporal_order_3 = Task(
    name="temporal_order_3",
    title="Temporal order of three symbols",
    asks="Three symbols of a long sequence are X or Y, and the others are a, b, c and d. In which order did X and Y "
    "come?",
    source=f"{_PAPER}, task 6b",
    kind="choice",
    inputs=len(_SYMBOLS),
    outputs=8,
    symbols=True,
    alphabet=tuple(_SYMBOLS),
    classes=tuple("".join(order) for order in product("XY", repeat=3)),
    gap=Gap(100, _GAP.format(24), least=10),
    success=_SUCCESS,
    chance=lambda gap: {"loss": math.log(8), "accuracy": 1 / 8},
    published=(
        Published("LSTM 1997, 3 blocks of 2 cells", "2 of 2,560 wrong after 571,100 sequences", f"{_PAPER}, table 9"),
    ),
    examples=Synthetic(partial(draw, places=_THREE), test_size=2560),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 2000,
    },
    notes=_NOTES,
)
