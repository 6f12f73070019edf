"""Long time lags: the first symbols of a sequence decide the last, whatever comes between."""

import math

import numpy as np
import torch

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

_PAPER = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.2"
# Filler symbols have the numbers 0 to 98 in one task and 0 to 99 in the other. The other symbols come after them.
_FILLERS = 99
_DISTRACTORS = 100
# The names of the symbols in the order of their numbers: a1, a2 … as in the paper, and the deciding symbols.
_KNOWN = (*(f"a{number}" for number in range(1, _FILLERS + 1)), "x", "y")
_NOISY = (*(f"a{number}" for number in range(1, _DISTRACTORS + 1)), "e", "b", "x", "y")


def draw_known(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences that differ only in their first and last symbols; the target is always the next symbol.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: Steps from the first symbol to the last, which is the same.
        split: Not used.

    Returns:
        Inputs ``[T, B]`` with T = gap, targets ``[T, B]``.
    """
    sequences = np.empty((gap + 1, size), dtype=np.int64)
    sequences[1:gap] = (np.arange(gap - 1) % _FILLERS)[:, None]
    sequences[0] = sequences[gap] = _FILLERS + rng.integers(0, 2, size=size)
    whole = torch.from_numpy(sequences)
    return Batch(whole[:-1], whole[1:])


def guess_known(gap: int) -> dict[str, float]:
    """Return the baseline that knows both sequences, but does not know which of them it is reading.

    Args:
        gap: Steps from the first symbol to the last.

    Returns:
        ``loss``, ``accuracy`` and ``solved``.
    """
    return {"loss": math.log(2) / gap, "accuracy": (gap - 0.5) / gap, "solved": 0.5}


def draw_noisy(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sequences that begin with b, then x or y, and end with e after many others; the target at e is x or y.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least number of symbols between x or y and e; 9 more come on average.
        split: Not used.

    Returns:
        Inputs ``[T, B]``, targets ``[T, B]``: 0 for x, 1 for y.
    """
    end, begin, first = _DISTRACTORS, _DISTRACTORS + 1, _DISTRACTORS + 2
    # After the least number each symbol is followed by e with probability 1/10.
    lengths = 2 + gap + rng.geometric(0.1, size=size)
    steps, columns = int(lengths.max()), np.arange(size)
    classes = rng.integers(0, 2, size=size)
    symbols = rng.integers(0, _DISTRACTORS, size=(steps, size))
    symbols[0] = begin
    symbols[1] = first + classes
    symbols[lengths - 1, columns] = end
    targets = torch.full((steps, size), IGNORED)
    targets[lengths - 1, columns] = torch.from_numpy(classes)
    return Batch(torch.from_numpy(symbols), targets, torch.from_numpy(lengths))


noise_free_lag = Task(
    name="noise_free_lag",
    foretells=True,
    title="Long time lag without noise",
    asks="There are two sequences, which differ only in their first and last symbols. What is the next symbol, at "
    "every step?",
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
        words="A sequence is solved if every symbol is predicted. The paper requires that no output is off by 0.25, "
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
    notes="There are 101 symbols at every gap, as in the paper at gap 100; at longer gaps the fillers repeat. A model "
    "that ignores the first symbol solves half of the sequences, and training tends to stop there: while the model "
    "learns the fillers, the trace of the first symbol in the state is lost. The paper adds its memory cell only after "
    "the error has stopped falling.",
)

noisy_lag = Task(
    name="noisy_lag",
    title="Very long time lag with noise",
    asks="The second symbol of a long sequence is x or y, and all symbols after it are noise. Which was it?",
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
        words="The paper requires that no output is off by 0.2, over 10,000 sequences.",
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
