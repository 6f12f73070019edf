"""XML tags: the element that was opened last is closed first, by its name."""

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.synthetic.packing import pack
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

ALPHABET = "abcdefghijklmnopqrstuvwxyz<>/"
_LETTERS = 26
_OPEN, _CLOSE, _SLASH = (ALPHABET.index(character) for character in "<>/")
_SHORTEST, _LONGEST = 2, 10


def tags(
    rng: np.random.Generator, size: int, gap: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the order in which tags are opened and closed.

    Args:
        rng: The random generator.
        size: The number of documents B.
        gap: The number of tags after which no more tags are opened.

    Returns:
        The number of the element of each tag, in the order of opening, ``[S, B]``; which tags are present ``[S, B]``;
        and which of them are closing tags ``[S, B]``.
    """
    elements = np.zeros((2 * gap, size), dtype=np.int64)
    present, closing = np.zeros((2, 2 * gap, size), dtype=bool)
    stack, columns = np.zeros((gap, size), dtype=np.int64), np.arange(size)
    depth, opened = np.zeros((2, size), dtype=np.int64)
    going = np.ones(size, dtype=bool)
    for step in range(2 * gap):
        # The first tag opens: the paper's rule would leave half of all documents empty.
        closes = (rng.random(size) < 0.5 if step < gap else np.ones(size, dtype=bool)) & (step > 0)
        going &= ~(closes & (depth == 0))
        opens, closes = going & ~closes, going & closes
        stack[depth[opens], columns[opens]] = opened[opens]
        elements[step, opens] = opened[opens]
        elements[step, closes] = stack[depth[closes] - 1, columns[closes]]
        present[step], closing[step] = going, closes
        opened += opens
        depth += opens.astype(np.int64) - closes
        if not going.any():
            break
    return elements, present, closing


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw documents such as ``<ab><xyz></xyz></ab>``; the targets are the name and the > in closing tags.

    Args:
        rng: The random generator.
        size: The number of documents B.
        gap: The number of tags after which no more tags are opened.
        split: Not used.

    Returns:
        Symbols ``[T, B]``, targets ``[T, B]``: the next symbol.
    """
    elements, present, closing = tags(rng, size, gap)
    letters = rng.integers(0, _LETTERS, size=(_LONGEST, gap, size))
    counts = rng.integers(_SHORTEST, _LONGEST, size=(gap, size), endpoint=True)
    columns = np.arange(size)
    # The places of a tag: <, /, the letters of the name, >: [S, 13, B].
    pieces = np.empty((2 * gap, _LONGEST + 3, size), dtype=np.int64)
    pieces[:, 0], pieces[:, 1], pieces[:, -1] = _OPEN, _SLASH, _CLOSE
    pieces[:, 2:-1] = letters[:, elements, columns].swapaxes(0, 1)
    there = np.repeat(present[:, None], _LONGEST + 3, axis=1)
    there[:, 1] = closing
    there[:, 2:-1] &= np.arange(_LONGEST)[:, None] < counts[elements, columns][:, None]
    telling = np.repeat(closing[:, None], _LONGEST + 3, axis=1)
    telling[:, :2] = False
    flat = (-1, size)
    text, lengths = pack(pieces.reshape(flat), there.reshape(flat))
    asked, _ = pack(telling.reshape(flat).astype(np.int64), there.reshape(flat))
    targets = np.where(asked[1:] == 1, text[1:], -100)
    return Batch(torch.from_numpy(text[:-1]), torch.from_numpy(targets), torch.from_numpy(lengths - 1))


def guess(gap: int) -> dict[str, float]:
    """Return the baselines of always answering >, and of giving each symbol its frequency in closing tags.

    Args:
        gap: The number of tags after which no more tags are opened; not used.

    Returns:
        ``accuracy`` of the first and ``loss`` of the second.
    """
    end = 1 / ((_SHORTEST + _LONGEST) / 2 + 1)
    letter = (1 - end) / _LETTERS
    return {"accuracy": end, "loss": float(-end * np.log(end) - (1 - end) * np.log(letter))}


def _published(model: str, accuracy: str) -> Published:
    result = f"{accuracy} of all next characters right, 50 tags"
    return Published(
        model, result, "Jozefowicz et al. 2015, table 1, column XML; quoted from memory, not compared with the paper"
    )


xml_tags = Task(
    name="xml_tags",
    foretells=True,
    title="XML tags",
    asks="Tags with made-up names are opened and closed, nested in one another. Which name does the closing tag have? "
    "The answer is given character by character, and the model reads the correct characters before it.",
    source="Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, where "
    "the tasks of the search are described",
    kind="choice",
    inputs=len(ALPHABET),
    outputs=len(ALPHABET),
    symbols=True,
    alphabet=tuple(ALPHABET),
    classes=tuple(ALPHABET),
    gap=Gap(10, "tags after which no more are opened, and those still open are closed; 50 in the paper", least=1),
    success=Success(
        "accuracy",
        at_least=0.9,
        words="The paper reports the accuracy over all characters and names no criterion; 0.9 of the characters in "
        "closing tags is this project's own.",
    ),
    chance=guess,
    published=(_published("LSTM", "0.425"), _published("MUT1, the best net found", "0.475")),
    examples=Synthetic(draw),
    defaults={"hidden_size": 128, "batch_size": 32, "learning_rate": 5e-3, "steps": 4000},
    notes="The paper predicts every next character. Here the model predicts only characters that are determined and "
    "need memory, the name in a closing tag and its end, so the accuracies are not comparable with the published ones. "
    "No document is empty, and each starts from the initial state.",
)
