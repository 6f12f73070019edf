"""Assemble sequences from pieces, of which each sequence has some and lacks others."""

import numpy as np
from numpy.typing import NDArray


def pack(pieces: NDArray[np.int64], present: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move the present symbols to the front, keeping their order.

    Args:
        pieces: Symbols ``[S, B]``, at places of which each sequence fills some.
        present: Which places are filled ``[S, B]``.

    Returns:
        Symbols ``[T, B]`` with T the length of the longest, 0 beyond the end of the others; and the lengths ``[B]``.

    Example:
        >>> pack(np.array([[1, 4], [2, 5], [3, 6]]), np.array([[True, False], [False, False], [True, True]]))
        (array([[1, 6], [3, 0]]), array([2, 1]))
    """
    places = np.cumsum(present, axis=0) - 1
    lengths = places[-1] + 1
    packed = np.zeros((int(lengths.max(initial=0)), pieces.shape[1]), dtype=np.int64)
    packed[places[present], np.nonzero(present)[1]] = pieces[present]
    return packed, lengths
