"""Memory for what a forward pass keeps, used again by the next.

The system hands memory out in pages that it clears when they are first touched. For a training step of a few
milliseconds that clearing is a tenth of the time, so what one step has freed is kept for the next one, up to a bound.
"""

import weakref
from collections import deque
from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_KEPT = 256 << 20  # bytes of freed memory that are kept
_ALIGNED = 64  # bytes: a line of the cache, and the widest register
_APART = 17  # lines between matrices: odd, so that many of them fall on different places
_GRAINS = 8  # sizes are rounded up to an eighth of a power of two, so that sequences of other lengths share

_SMALL = 1 << 18  # bytes that are had as fast from the system

# The oldest first. Appending and popping are whole in themselves, and a block can come back at any moment; a lock might
# be held by another thread when a process forks.
_freed: deque[NDArray[np.uint8]] = deque()


def room(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[Tensor]:
    """Make room for several matrices at once; what they hold is not defined.

    Args:
        sizes: Rows and columns of each.
        dtype: The type of the numbers.

    Returns:
        The matrices; when all of them are gone the memory is free for the next.
    """
    numbers = _numbers(sizes, dtype)
    size = sum(numbers) * dtype.itemsize
    whole = torch.empty(sum(numbers), dtype=dtype) if size < _SMALL else _take(size).view(dtype)
    return _split(whole, numbers, sizes)


def lasting_room(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[Tensor]:
    """Make room for several matrices that stay; arguments and result as for :func:`room`."""
    numbers = _numbers(sizes, dtype)
    return _split(torch.empty(sum(numbers), dtype=dtype), numbers, sizes)


def _numbers(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[int]:
    """Say how many numbers apart matrices begin.

    A step reads the same row of a dozen matrices. If they began a power of two apart, all those rows would compete for
    the eight places that a cache has for them; a few lines between the matrices spread them out.
    """
    lines = [-(-rows * columns * dtype.itemsize // _ALIGNED) + _APART for rows, columns in sizes]
    return [line * _ALIGNED // dtype.itemsize for line in lines]


def _split(whole: Tensor, numbers: list[int], sizes: list[tuple[int, int]]) -> list[Tensor]:
    parts = whole.split([*numbers, whole.numel() - sum(numbers)])
    return [part[: rows * columns].view(rows, columns) for part, (rows, columns) in zip(parts[:-1], sizes, strict=True)]


def _take(size: int) -> Tensor:
    grain = (1 << (size - 1).bit_length()) // (2 * _GRAINS)
    wanted = -(-size // grain) * grain
    block = None
    for _ in range(len(_freed)):
        try:
            candidate = _freed.popleft()
        except IndexError:  # another thread took the last one
            break
        if candidate.nbytes == wanted + _ALIGNED:
            block = candidate
            break
        _freed.append(candidate)
    if block is None:
        block = np.empty(wanted + _ALIGNED, np.uint8)
    first = -block.ctypes.data % _ALIGNED
    handle = block[first : first + wanted]  # the tensor holds this view; when it goes, the block comes back
    weakref.finalize(handle, _give_back, block)
    return torch.from_numpy(handle)


def _give_back(block: NDArray[np.uint8]) -> None:
    _freed.append(block)
    while sum(one.nbytes for one in _freed.copy()) > MOST_KEPT:
        with suppress(IndexError):  # another thread was faster
            _freed.popleft()
