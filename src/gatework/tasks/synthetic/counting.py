"""Counting: a^n b^n and a^n b^n c^n, learned from short strings and tested on longer ones."""

from collections.abc import Callable

import numpy as np
import torch

from gatework.tasks.task import Batch, Draw, Gap, Published, Split, Success, Synthetic, Task


def drawer(letters: int) -> Draw:
    """Make the function that draws strings of several letters, each n times.

    Args:
        letters: The number of different letters: symbols 0, 1 … ``letters - 1``. The symbol ``letters`` is the mark
            that begins a string in the input, and ends it in the target.

    Returns:
        The function. For training it draws n from 1 to gap; for the test it takes n evenly from 1 to 2 gap.
    """

    def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
        if split == "train":
            counts = rng.integers(1, gap, size=size, endpoint=True)
        else:
            counts = 1 + np.arange(size) * 2 * gap // size
        lengths = letters * counts + 1
        steps = np.arange(lengths.max())[:, None]
        inside = steps < lengths
        # Step 0 reads the mark, and step t the letter that step t - 1 is asked for.
        symbols = np.where((steps > 0) & inside, (steps - 1) // counts, letters)
        targets = np.where(inside, steps // counts, -100)
        legal = targets[..., None] == np.arange(letters + 1)
        # After an a, one more is as right as the first b.
        legal[..., :2] |= (symbols == 0)[..., None]
        return Batch(
            torch.from_numpy(symbols),
            torch.from_numpy(targets),
            torch.from_numpy(lengths),
            torch.from_numpy(legal),
            torch.from_numpy(counts),
        )

    return draw


def guesser(letters: int) -> Callable[[int], dict[str, float]]:
    """Make the function that computes the baseline of one order of preference at every step.

    Args:
        letters: How many different letters.

    Returns:
        The function, from a gap to ``accuracy`` and ``solved``. The best order is b, a, the others, which is right
        after each a and after each b but the last; where all strings are short it is a, b, the others, which is right
        after the mark and after each a.
    """

    def guess(gap: int) -> dict[str, float]:
        longest = 2 * gap
        asked = letters * longest * (longest + 1) // 2 + longest
        return {"accuracy": max(longest * longest, longest * (longest + 3) // 2) / asked, "solved": 0.0}

    return guess


def _task(name: str, title: str, letters: int, published: tuple[Published, ...]) -> Task:
    return Task(
        name=name,
        foretells=True,
        title=title,
        asks="Which symbols may come next? The string must have the same number of each letter, and the number is "
        "unknown before the second letter comes.",
        source="Gers & Schmidhuber 2001, LSTM recurrent networks learn simple context-free and context-sensitive "
        "languages, IEEE Transactions on Neural Networks 12(6)",
        kind="choice",
        inputs=letters + 1,
        outputs=letters + 1,
        symbols=True,
        alphabet=(*"abc"[:letters], "|"),
        classes=(*"abc"[:letters], "|"),
        gap=Gap(10, "largest n in training; tested with every n up to twice as large", least=1),
        success=Success(
            "solved",
            at_least=1,
            words="The paper reports the largest range of n, starting at 1, in which every string is predicted "
            "correctly from beginning to end. Here the range is 1 to 2 gap; the results by group show each n.",
        ),
        chance=guesser(letters),
        published=published,
        examples=Synthetic(drawer(letters)),
        defaults={"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-2, "steps": 2000},
        notes="A step is correct if every symbol that may come next scores above all others. Each string starts from "
        "the initial state, n is at least 1, and longer strings never occur in training. No figure of the paper is "
        "given here, because none was looked up.",
    )


anbn = _task("anbn", "Counting: a^n b^n", 2, ())
anbncn = _task(
    "anbncn",
    "Counting: a^n b^n c^n",
    3,
    (
        Published(
            "LSTM and variants",
            "the first recurrent networks to learn it, to the authors' knowledge (no figure)",
            "Gers & Schmidhuber 2001, abstract",
        ),
        Published(
            "LSTM trained with Kalman filters",
            "trained on n up to 10, right for n up to 1,000 and more",
            "Gers, Perez-Ortiz, Eck & Schmidhuber 2002, Learning context sensitive languages with LSTM trained with "
            "Kalman filters, abstract",
        ),
    ),
)
