"""The copying memory problem: ten symbols, a long wait, and the ten symbols again."""

import numpy as np
import torch

from gatework.tasks.task import Batch, Gap, Split, Success, Synthetic, Task

# Kinds of symbols to be kept; the symbol after them is the blank, the one after that the sign to begin.
KINDS = 8
KEPT = 10
_BLANK, _BEGIN = KINDS, KINDS + 1


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw ten symbols, gap - 1 blanks, the signal, and ten blanks, at which the targets are the ten symbols.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: Steps from the last symbol to the sign.
        split: Not used.

    Returns:
        Symbols ``[gap + 20, B]``, targets ``[gap + 20, B]``: the blank up to the sign, then what was read.
    """
    kept = rng.integers(0, KINDS, size=(KEPT, size))
    symbols = np.full((gap + 2 * KEPT, size), _BLANK)
    targets = symbols.copy()
    symbols[:KEPT] = kept
    symbols[gap + KEPT - 1] = _BEGIN
    targets[-KEPT:] = kept
    return Batch(torch.from_numpy(symbols), torch.from_numpy(targets))


def guess(gap: int) -> dict[str, float]:
    """Return the baseline without memory: blanks, and at the end a random symbol.

    Args:
        gap: Steps from the last symbol to the sign.

    Returns:
        ``loss``, ``accuracy`` and ``solved``.
    """
    steps = gap + 2 * KEPT
    return {
        "loss": KEPT * float(np.log(KINDS)) / steps,
        "accuracy": (gap + KEPT + KEPT / KINDS) / steps,
        "solved": KINDS**-KEPT,
    }


copy = Task(
    name="copy",
    title="Copying memory problem",
    asks="Ten symbols of eight kinds, then a long wait, then a signal: repeat the ten symbols in order. At every step "
    "before that, the answer is the blank.",
    source="Arjovsky, Shah & Bengio 2016, arXiv:1511.06464, section 5.1; after Hochreiter & Schmidhuber 1997",
    kind="choice",
    inputs=KINDS + 2,
    outputs=KINDS + 1,
    symbols=True,
    alphabet=(*"ABCDEFGH"[:KINDS], "_", ">"),
    classes=(*"ABCDEFGH"[:KINDS], "_"),
    gap=Gap(100, "steps from the last of the symbols to the sign to begin, the paper's T", least=1),
    success=Success(
        "solved",
        at_least=0.99,
        words="The paper compares the loss with that of a baseline without memory, 10 ln 8 / (T + 20), and names no "
        "criterion. Here all ten symbols and all blanks must be correct in 99 % of the sequences.",
    ),
    chance=guess,
    examples=Synthetic(draw),
    defaults={
        "hidden_size": 512,
        "embedding_size": 64,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "clip_norm": 0.1,
        "shortest_gap": 1,
        "init": "orthogonal",
        "forget_bias": 6.0,
        "steps": 7000,
    },
    notes="There is an answer at every step, as in the paper, so that losses are comparable. Most answers are blanks, "
    "so accuracy is not the criterion. There are nine classes, because the paper's tenth class (the signal itself) is "
    "never correct. Training draws a gap for each step, from 1 up to the given gap. With shortest_gap equal to gap, "
    "all sequences are as long as the paper's, and training takes longer.",
)
