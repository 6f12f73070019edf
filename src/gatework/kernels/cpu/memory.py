"""Unused memory, held for the next run, with one limit for all of it.

The system clears each page of memory when it is first used. In a training step of a few milliseconds this takes a
tenth of the time. So memory that one step has freed is held for the next: saved tensors,
workspaces with their packed weights, and layouts of batches. What was used least recently goes first, so the memory of
deleted layers makes room for the layers in use.
"""

import weakref
from collections import deque
from contextlib import suppress
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

SPARE = 16 << 20  # bytes that are held beyond the most that was in use at once lately
MOST_IN_USE = 256 << 20  # the most bytes in use that count for that limit
LATELY = 256  # the number of returns for which the bytes in use are remembered
MOST_THINGS = 1024  # the most things that are held, whatever their size

_ALIGNED = 64  # bytes: a cache line, and the widest register
_APART = 17  # lines between matrices: odd, so that many matrices begin in different cache sets
_GRAINS = 8  # sizes are rounded up to an eighth of a power of two, so that sequences of similar lengths share

_SMALL = 1 << 18  # bytes that the system provides as fast


class Idle(Protocol):
    """Something unused that the next run can take. Its identity is its key."""

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        ...

    def let_go(self) -> None:
        """Make this unavailable to later runs."""
        ...


# Each operation here is atomic, because a block can come back at any moment, and another thread could hold a lock
# while a process forks. Whoever takes a thing out of its collection owns it. The order of this dict decides only what
# goes first.
_idle: dict[Idle, int] = {}  # the least recently used first
_lately: deque[int] = deque(maxlen=LATELY)


def keep(thing: Idle) -> None:
    """Note that something is unused. If too much is held, release what was used least recently.

    Args:
        thing: What later runs can take from now on.
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
    """Stop counting something. Whoever took it out of its collection calls this."""
    _idle.pop(thing, None)


def kept_bytes() -> int:
    """Count the bytes of everything held and unused."""
    return sum(_idle.copy().values())


def room(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[Tensor]:
    """Allocate several matrices at once, with undefined contents.

    Args:
        sizes: Rows and columns of each.
        dtype: The type of the numbers.

    Returns:
        The matrices. When all of them are gone, the memory is free for the next run.
    """
    numbers = _numbers(sizes, dtype)
    size = sum(numbers) * dtype.itemsize
    whole = torch.empty(sum(numbers), dtype=dtype, device="cpu") if size < _SMALL else _take(size).view(dtype)
    return _split(whole, numbers, sizes)


def lasting_room(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[Tensor]:
    """Allocate several matrices that stay; arguments and result as for :func:`room`."""
    numbers = _numbers(sizes, dtype)
    return _split(torch.empty(sum(numbers), dtype=dtype, device="cpu"), numbers, sizes)


def _numbers(sizes: list[tuple[int, int]], dtype: torch.dtype) -> list[int]:
    """Return the distances between the starts of matrices, in numbers.

    A step reads the same row of a dozen matrices. If the matrices began a power of two apart, all these rows would
    share one set of the cache, with eight places. A few lines between the matrices spread the rows over the sets.
    """
    lines = [-(-rows * columns * dtype.itemsize // _ALIGNED) + _APART for rows, columns in sizes]
    return [line * _ALIGNED // dtype.itemsize for line in lines]


def _split(whole: Tensor, numbers: list[int], sizes: list[tuple[int, int]]) -> list[Tensor]:
    parts = whole.split([*numbers, whole.numel() - sum(numbers)])
    return [part[: rows * columns].view(rows, columns) for part, (rows, columns) in zip(parts[:-1], sizes, strict=True)]


class _Block:
    """A block of bytes."""

    def __init__(self, size: int) -> None:
        self.bytes = np.empty(size, np.uint8)
        self.held = size

    def let_go(self) -> None:
        with suppress(ValueError):  # another thread took it
            _freed[self.held].remove(self)


_freed: dict[int, deque[_Block]] = {}  # by size
_out: dict[int, int] = {}  # the bytes of each block that is in use


def _take(size: int) -> Tensor:
    grain = (1 << (size - 1).bit_length()) // (2 * _GRAINS)
    wanted = -(-size // grain) * grain
    try:
        block = _freed[wanted + _ALIGNED].pop()  # the last one that came back
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
