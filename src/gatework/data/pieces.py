"""Byte-pair encoding by the package ``tokenizers``, which is imported here alone.

Import this module through :func:`gatework.lazy.late`, because the package may not be installed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from gatework.data.pairs import LONGEST, Merges, pieces_of
from gatework.errors import DataError
from gatework.reading.nested import parse_object

try:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    raise DataError(
        "Level bpe needs the package tokenizers, which is not installed. Run pip install 'gatework[text]', or choose "
        "--level char or word."
    ) from None

# A line end between letters: the words before it do not depend on what follows.
_SEAM = re.compile(r"(?<=\S)\n(?=\S)")
_LONGEST_PART = 1 << 22


def learn_merges(text: Iterable[str], size: int) -> Merges:
    r"""Find the pairs of pieces that are most frequent in a text.

    Args:
        text: The text, piece by piece.
        size: The most pieces, with the 256 bytes.

    Returns:
        The pairs. The same text gives the same pairs.

    Example:
        >>> [piece for piece in pieces_of(learn_merges(["so la la la\n" * 9], 258))[256:]]
        [b'la', b' la']
    """
    tokenizer = _empty(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST,
    )
    tokenizer.train_from_iterator(at_seams(text), trainer)
    learned = parse_object(tokenizer.to_str().encode(), "the tokenizer")["model"]["merges"]
    byte_of = {letter: byte for byte, letter in enumerate(_letters())}
    numbers = {bytes([byte]): byte for byte in range(256)}
    merges: list[tuple[int, int]] = []
    for pair in learned:
        first, second = (bytes(byte_of[letter] for letter in piece) for piece in pair)
        merges.append((numbers[first], numbers[second]))
        numbers.setdefault(first + second, len(numbers))
    return tuple(merges)


def make_encoder(merges: Merges) -> Callable[[Sequence[str]], list[list[int]]]:
    """Make the function that turns texts into the numbers of their pieces.

    Args:
        merges: The pairs.

    Returns:
        The function. Half characters in a text become U+FFFD.

    Example:
        >>> make_encoder(((108, 97), (32, 256)))(["la la", "l"])
        [[256, 257], [108]]
    """
    letters = _letters()
    names = ["".join(letters[byte] for byte in piece) for piece in pieces_of(merges)]
    pairs = [(names[first], names[second]) for first, second in merges]
    tokenizer = _empty(models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=pairs))

    def encode(texts: Sequence[str]) -> list[list[int]]:
        whole = [text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace") for text in texts]
        return [found.ids for found in tokenizer.encode_batch_fast(whole, add_special_tokens=False)]

    return encode


def at_seams(text: Iterable[str]) -> Iterator[str]:
    r"""Cut a text again, at line ends, so that no word is in two parts.

    Args:
        text: The text, piece by piece.

    Yields:
        The same text. A part without a suitable line end may be cut anywhere.

    Example:
        >>> list(at_seams(["a b\nc", "d\ne", ""]))
        ['a b\n', 'cd\n', 'e']
    """
    rest = ""
    for piece in text:
        rest += piece
        seams = [seam.end() for seam in _SEAM.finditer(rest)]
        end = seams[-1] if seams else len(rest) if len(rest) > _LONGEST_PART else 0
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _empty(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def _letters() -> list[str]:
    """Return the letter that stands for each byte in the package: itself if it is printable, otherwise one from 256."""
    shown = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256))
    return [chr(byte) if byte in shown else chr(256 + next(others)) for byte in range(256)]
