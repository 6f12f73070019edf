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
_GRAIN = 1 << 16  # sizes are rounded up to this, so that nearly equal ones share

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
    if sum(rows * columns for rows, columns in sizes) * dtype.itemsize < _SMALL:
        return [torch.empty(rows, columns, dtype=dtype) for rows, columns in sizes]
    numbers = [-(-rows * columns * dtype.itemsize // _ALIGNED) * _ALIGNED // dtype.itemsize for rows, columns in sizes]
    whole = _take(sum(numbers) * dtype.itemsize).view(dtype)
    parts = whole.split([*numbers, whole.numel() - sum(numbers)])
    return [part[: rows * columns].view(rows, columns) for part, (rows, columns) in zip(parts[:-1], sizes, strict=True)]


def _take(size: int) -> Tensor:
    wanted = max(1, -(-size // _GRAIN)) * _GRAIN
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
