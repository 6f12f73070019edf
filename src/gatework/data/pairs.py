"""Byte-pair encoding as plain data: the pairs that were merged, and the pieces that they make (Sennrich et al. 2016).

The first 256 pieces are the bytes. Each pair of numbers names two earlier pieces; their bytes one after the other are
the next piece, unless there is such a piece already.
"""

from collections.abc import Sequence

from gatework.errors import DataError

Merges = tuple[tuple[int, int], ...]

LONGEST = 256
"""The most bytes of a piece."""

_MOST = 1 << 24


def pieces_of(merges: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Return the bytes of each piece.

    Args:
        merges: The pairs, in the order in which they were merged.

    Returns:
        The pieces, whose index is their number.

    Raises:
        DataError: If a pair names no earlier pieces, or makes a piece that is too long.

    Example:
        >>> pieces_of([(104, 105), (256, 33)])[256:]
        (b'hi', b'hi!')
    """
    pieces = [bytes([byte]) for byte in range(256)]
    known = set(pieces)
    if len(merges) > _MOST:
        raise DataError(f"This is not a vocabulary: it has {len(merges):,} merges; expected at most {_MOST:,}.")
    for place, pair in enumerate(merges):
        if not all(type(number) is int and 0 <= number < len(pieces) for number in pair):
            raise DataError(f"This is not a vocabulary: merge {place} is {pair!r}; expected two earlier pieces.")
        piece = pieces[pair[0]] + pieces[pair[1]]
        if len(piece) > LONGEST:
            raise DataError(
                f"This is not a vocabulary: merge {place} has {len(piece)} bytes; expected {LONGEST} at most."
            )
        if piece not in known:
            known.add(piece)
            pieces.append(piece)
    return tuple(pieces)
