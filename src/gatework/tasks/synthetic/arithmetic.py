"""Arithmetic, character by character: add or subtract two numbers with letters in between."""

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.synthetic.packing import pack
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

ALPHABET = "0123456789+-=.abcdefghijklmnopqrstuvwxyz"
_PLUS, _MINUS, _EQUALS, _STOP, _LETTER = (ALPHABET.index(character) for character in "+-=.a")
# Letters that may stand after a character of the question.
_MOST_LETTERS = 3


def written(numbers: NDArray[np.int64], digits: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Write numbers in decimal, with as many digits as the longest needs.

    Args:
        numbers: The numbers ``[B]``.
        digits: The largest number of digits.

    Returns:
        Symbols ``[digits + 1, B]``, and which of them are present: a sign only for negative numbers, and no leading
        zeros.
    """
    powers = 10 ** np.arange(digits)[::-1, None]
    sizes = np.abs(numbers)
    symbols = np.concatenate([np.full((1, len(numbers)), _MINUS), sizes // powers % 10])
    return symbols, np.concatenate([numbers[None] < 0, (sizes >= powers) | (powers == 1)])


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw sums and differences such as ``3e36d9-h1h39f94eeh43keg3c=-13991064.``; targets are the symbols after =.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The largest number of digits of a number.
        split: Not used.

    Returns:
        Symbols ``[T, B]``, targets ``[T, B]``: at the = and at each character of the answer the next one.
    """
    digits = rng.integers(1, gap, size=(2, size), endpoint=True)
    numbers = rng.integers(np.where(digits == 1, 0, 10 ** (digits - 1)), 10**digits)
    numbers *= rng.choice([-1, 1], size=(2, size))
    subtracted = rng.integers(0, 1, size=size, endpoint=True) == 1
    total = np.where(subtracted, numbers[0] - numbers[1], numbers[0] + numbers[1])

    always = np.ones((1, size), dtype=bool)
    first, second = (written(number, gap) for number in numbers)
    question = np.concatenate([first[0], np.where(subtracted, _MINUS, _PLUS)[None], second[0]])
    there = np.concatenate([first[1], always, second[1]])
    # After each character 0 letters in one half of all cases, 1 in a quarter, 2 in an eighth, else 3: [S, 4, B].
    letters = rng.integers(_LETTER, len(ALPHABET), size=(len(question), _MOST_LETTERS, size))
    strewn = np.arange(_MOST_LETTERS)[:, None] < (rng.geometric(0.5, size=(len(question), 1, size)) - 1)
    question = np.concatenate([question[:, None], letters], axis=1).reshape(-1, size)
    there = np.concatenate([there[:, None], there[:, None] & strewn], axis=1).reshape(-1, size)

    answer, shown = written(total, gap + 1)
    pieces = np.concatenate([question, np.full((1, size), _EQUALS), answer, np.full((1, size), _STOP)])
    present = np.concatenate([there, always, shown, always])
    text, lengths = pack(pieces, present)
    asked, _ = pack((np.arange(len(pieces)) > len(question)).astype(np.int64)[:, None].repeat(size, axis=1), present)
    targets = np.where(asked[1:] == 1, text[1:], -100)
    return Batch(torch.from_numpy(text[:-1]), torch.from_numpy(targets), torch.from_numpy(lengths - 1))


def _below(first: int, second: int, limit: int) -> int:
    """Count the pairs i < first, j < second with i + j < limit, from 0 on."""

    def corner(side: int) -> int:
        return side * (side + 1) // 2 if side > 0 else 0

    return corner(limit) - corner(limit - first) - corner(limit - second) + corner(limit - first - second)


def _reaches(gap: int, bound: int) -> float:
    """Return the probability that the absolute value of the answer is at least a bound."""
    probability = 0.0
    ranges = [(0 if digits == 1 else 10 ** (digits - 1), 10**digits) for digits in range(1, gap + 1)]
    for low, high in ranges:
        for other_low, other_high in ranges:
            sizes = (high - low, other_high - other_low)
            pairs = sizes[0] * sizes[1]
            # Sizes add up in half of all cases. In the other half the second is counted down from its largest.
            added = _below(*sizes, bound - low - other_low)
            above = bound - low + other_high - 1
            apart = _below(*sizes, above) - _below(*sizes, above - 2 * bound + 1)
            probability += (1 - added / pairs) / 2 + (1 - apart / pairs) / 2
    return probability / len(ranges) ** 2


def guess(gap: int) -> dict[str, float]:
    """Return the baseline of always answering the full stop, which is the most frequent symbol.

    Args:
        gap: The largest number of digits of a number.

    Returns:
        ``accuracy``.
    """
    # The stop, the last digit, each digit before it, and in half of the cases that are not 0 the sign.
    asked = 2 + sum(_reaches(gap, 10**place) for place in range(1, gap + 1)) + _reaches(gap, 1) / 2
    return {"accuracy": 1 / asked}


def _published(model: str, accuracy: str) -> Published:
    result = f"{accuracy} of next characters right, numbers of up to 8 digits"
    return Published(
        model, result, "Jozefowicz et al. 2015, table 1, column Arith.; quoted from memory, not compared with the paper"
    )


arithmetic = Task(
    name="arithmetic",
    foretells=True,
    title="Arithmetic",
    asks="A sum or a difference of two numbers, with meaningless letters between the digits. What is the result? The "
    "answer is given character by character, and the model reads the correct characters before it.",
    source="Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, where "
    "the tasks of the search are described",
    kind="choice",
    inputs=len(ALPHABET),
    outputs=len(ALPHABET),
    symbols=True,
    alphabet=tuple(ALPHABET),
    classes=tuple(ALPHABET),
    gap=Gap(3, "most digits of a number; 8 in the paper", least=1, most=8),
    success=Success(
        "accuracy",
        at_least=0.95,
        words="The paper reports the accuracy and names no criterion; 0.95 is this project's own.",
    ),
    chance=guess,
    published=(
        _published("tanh", "0.295"),
        _published("LSTM", "0.892"),
        _published("LSTM without forget gate", "0.293"),
        _published("LSTM, forget bias 1", "0.902"),
        _published("GRU", "0.896"),
        _published("MUT1", "0.921"),
    ),
    examples=Synthetic(draw, test_size=1000),
    defaults={"hidden_size": 128, "batch_size": 64, "learning_rate": 5e-3, "steps": 5000},
    notes="Numbers have 1 to gap digits, each number of digits with the same probability. The paper does not say how "
    "many letters there are: here 0 to 3 after each character, less than 1 on average, as in its example.",
)
