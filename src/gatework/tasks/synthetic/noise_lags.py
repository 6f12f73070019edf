"""Long time lags: the first symbols of a sequence decide the last, whatever comes between."""

import math

import numpy as np
import torch

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_PAPER = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.2"
# Symbols that tell nothing, in both tasks: their numbers are 0 to 98, and 0 to 99. Behind them come the others.
_FILLERS = 99
_DISTRACTORS = 100
# What they are called, in the order of their numbers: a1, a2 … as in the paper, and those that count.
_KNOWN = (*(f"a{number}" for number in range(1, _FILLERS + 1)), "x", "y")
_NOISY = (*(f"a{number}" for number in range(1, _DISTRACTORS + 1)), "e", "b", "x", "y")


def draw_known(chance: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences that differ in their first and last symbol only; each next symbol is asked.

    Args:
        chance: Where chance comes from.
        size: How many sequences B.
        gap: Steps from the first symbol to the last, which is the same.
        split: Makes no difference.

    Returns:
        Inputs ``[T, B]`` with T = gap, targets ``[T, B]``.
    """
    sequences = np.empty((gap + 1, size), dtype=np.int64)
    sequences[1:gap] = (np.arange(gap - 1) % _FILLERS)[:, None]
    sequences[0] = sequences[gap] = _FILLERS + chance.integers(0, 2, size=size)
    whole = torch.from_numpy(sequences)
    return Batch(whole[:-1], whole[1:])


def guess_known(gap: int) -> dict[str, float]:
    """Give what somebody gets who knows both sequences by heart, but did not look which of them it is.

    Args:
        gap: Steps from the first symbol to the last.

    Returns:
        ``loss``, ``accuracy`` and ``solved``.
    """
    return {"loss": math.log(2) / gap, "accuracy": (gap - 0.5) / gap, "solved": 0.5}


def draw_noisy(chance: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences that begin with b, then x or y, and end with e after very many others; x or y is asked there.

    Args:
        chance: Where chance comes from.
        size: How many sequences B.
        gap: The least number of symbols between x or y and e; 9 more come on average.
        split: Makes no difference.

    Returns:
        Inputs ``[T, B]``, targets ``[T, B]``: 0 for x, 1 for y.
    """
    end, begin, first = _DISTRACTORS, _DISTRACTORS + 1, _DISTRACTORS + 2
    # After the least number each symbol is followed by e with probability 1/10.
    lengths = 2 + gap + chance.geometric(0.1, size=size)
    steps, columns = int(lengths.max()), np.arange(size)
    classes = chance.integers(0, 2, size=size)
    symbols = chance.integers(0, _DISTRACTORS, size=(steps, size))
    symbols[0] = begin
    symbols[1] = first + classes
    symbols[lengths - 1, columns] = end
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, columns] = torch.from_numpy(classes)
    return Batch(torch.from_numpy(symbols), targets, torch.from_numpy(lengths))


noise_free_lag = Task(
    name="noise_free_lag",
    title="Long time lag without noise",
    asks="There are two sequences, alike but for their first and last symbol. What is the next symbol, at every step?",
    source=f"{_PAPER}, task 2a",
    kind="choice",
    inputs=len(_KNOWN),
    outputs=len(_KNOWN),
    symbols=True,
    alphabet=_KNOWN,
    classes=_KNOWN,
    gap=Gap(100, "steps from the first symbol to the last, which is the same", least=2),
    success=Success(
        "solved",
        at_least=0.99,
        words="A sequence is solved where every symbol is foretold. The paper asks for no output off by 0.25, "
        "over 10,000 sequences.",
    ),
    chance=guess_known,
    published=(
        Published("RTRL", "lag 4: 78 % of trials succeed, after 1,043,000 sequences", f"{_PAPER}, table 2"),
        Published("RTRL", "lag 10: no trial succeeds within 5,000,000 sequences", f"{_PAPER}, table 2"),
        Published("BPTT", "lag 100: no trial succeeds within 5,000,000 sequences", f"{_PAPER}, table 2"),
        Published("Neural sequence chunker", "lag 100: 33 % succeed, after 32,400 sequences", f"{_PAPER}, table 2"),
        Published("LSTM 1997, 1 cell", "lag 100: 100 % succeed, after 5,040 sequences", f"{_PAPER}, table 2"),
    ),
    examples=Synthetic(draw_known),
    defaults={
        "hidden_size": 64,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "init": "orthogonal",
        "forget_bias": 5.0,
        "steps": 3000,
    },
    notes="There are 101 symbols at every gap, as the paper has them at 100; beyond it the fillers begin again. "
    "Half of the sequences are solved by whoever never looks at the first symbol, and there learning tends to stay: "
    "while the fillers are learned, what the first symbol left in the state is lost. "
    "The paper adds its memory cell only once the error has stopped falling.",
)

noisy_lag = Task(
    name="noisy_lag",
    title="Very long time lag with noise",
    asks="The second symbol of a long sequence is x or y, all that follow are noise. Which was it?",
    source=f"{_PAPER}, task 2c",
    kind="choice",
    inputs=len(_NOISY),
    outputs=2,
    symbols=True,
    alphabet=_NOISY,
    classes=("x", "y"),
    gap=Gap(100, "least number of symbols between the one that counts and the question, q in the paper"),
    success=Success(
        "accuracy",
        at_least=0.99,
        words="The paper asks for no output off by 0.2, over 10,000 sequences.",
    ),
    chance=lambda gap: {"loss": math.log(2), "accuracy": 0.5},
    published=tuple(
        Published("LSTM 1997, 2 cells", f"q={q}, p={p}: solved after {after} sequences", f"{_PAPER}, table 3")
        for q, p, after in (
            ("50", "50", "30,000"),
            ("100", "100", "31,000"),
            ("200", "200", "33,000"),
            ("500", "500", "38,000"),
            ("1000", "1000", "49,000"),
            ("1000", "100", "135,000"),
            ("1000", "50", "203,000"),
        )
    ),
    examples=Synthetic(draw_noisy),
    defaults={
        "hidden_size": 16,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "clip_norm": 0.1,
        "init": "chrono",
        "steps": 500,
    },
    notes="There are always p = 100 symbols of noise.",
)
