"""Memory that nobody uses at the moment, kept for the next run: one bound over all of it.

The system hands memory out in pages that it clears when they are first touched. For a training step of a few
milliseconds that clearing is a tenth of the time, so what one step has freed is kept for the next one: what a forward
pass wrote down for the backward pass, workspaces with their packed weights, the layouts of batches. What was used least
recently goes first, so what belonged to layers that are gone makes room for what layers use now.
"""

import weakref
from collections import deque
from contextlib import suppress
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

SPARE = 16 << 20  # bytes that are kept beside as much as was in use at once lately
MOST_IN_USE = 256 << 20  # of what was in use, no more bytes than these count
LATELY = 256  # for so many things that came back, what was in use at that moment is remembered
MOST_THINGS = 1024  # things that are kept, whatever their size

_ALIGNED = 64  # bytes: a line of the cache, and the widest register
_APART = 17  # lines between matrices: odd, so that many of them fall on different places
_GRAINS = 8  # sizes are rounded up to an eighth of a power of two, so that sequences of other lengths share

_SMALL = 1 << 18  # bytes that are had as fast from the system


class Idle(Protocol):
    """What lies ready for who asks for it next; it is known by its identity."""

    @property
    def held(self) -> int:
        """Count the bytes it holds."""
        ...

    def let_go(self) -> None:
        """Be found no more."""
        ...


# Every call here is whole in itself, and a block can come back at any moment; a lock might be held by another thread
# when a process forks. Who takes a thing out of where it is found owns it; this order of them decides only what goes.
_idle: dict[Idle, int] = {}  # the one that was used least recently first
_lately: deque[int] = deque(maxlen=LATELY)


def keep(thing: Idle) -> None:
    """Note that something is no longer in use, and let go of what has not been used for longest, if it is too much.

    Args:
        thing: What can be found again from now on.
    """
    held = thing.held
    _idle.pop(thing, None)
    _idle[thing] = held
    _lately.append(sum(_out.copy().values()) + held)
    kept = kept_bytes()
    if kept > SPARE or len(_idle) > MOST_THINGS:
        most = SPARE + min(max(_lately.copy()), MOST_IN_USE)
        for oldest in _idle.copy():
            if kept <= most and len(_idle) <= MOST_THINGS:
                break
            kept -= _idle.pop(oldest, 0)
            oldest.let_go()


def forget(thing: Idle) -> None:
    """Count something no longer, by who took it out of where it is found."""
    _idle.pop(thing, None)


def kept_bytes() -> int:
    """Count the bytes of all that is kept and not in use."""
    return sum(_idle.copy().values())


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


class _Block:
    """A stretch of bytes."""

    def __init__(self, size: int) -> None:
        self.bytes = np.empty(size, np.uint8)
        self.held = size

    def let_go(self) -> None:
        with suppress(ValueError):  # it was taken
            _freed[self.held].remove(self)


_freed: dict[int, deque[_Block]] = {}  # by size
_out: dict[int, int] = {}  # the bytes of each block that is in use


def _take(size: int) -> Tensor:
    grain = (1 << (size - 1).bit_length()) // (2 * _GRAINS)
    wanted = -(-size // grain) * grain
    try:
        block = _freed[wanted + _ALIGNED].pop()  # the last that came back
        forget(block)
    except (KeyError, IndexError):
        block = _Block(wanted + _ALIGNED)
    _out[id(block)] = block.held
    first = -block.bytes.ctypes.data % _ALIGNED
    handle = block.bytes[first : first + wanted]  # the tensor holds this view; when it goes, the block comes back
    weakref.finalize(handle, _give_back, block)
    return torch.from_numpy(handle)


def _give_back(block: _Block) -> None:
    _out.pop(id(block), None)
    _freed.setdefault(block.held, deque()).append(block)
    keep(block)
