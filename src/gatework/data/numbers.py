"""A long list of small numbers: in memory, or in a temporary file where it would fill the memory."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError

IN_MEMORY = 1 << 28
"""The largest size in bytes of a list that is kept in memory."""

AT_ONCE = 1 << 20
"""The number of entries that are worked on at once."""

# The types that torch computes with, from the smallest.
_TYPES = (np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.int32))


class Numbers:
    """Whole numbers from 0 on, in the smallest type that holds them all. Only the end of the list grows.

    Args:
        in_memory: The largest size in bytes of a list that is kept in memory. A larger one is in a temporary file
            without a name, which the system removes with the process.

    Example:
        >>> numbers = Numbers()
        >>> numbers.append(np.array([1, 2]))
        >>> numbers.append(np.array([300]))
        >>> numbers.array().tolist(), numbers.array().dtype
        ([1, 2, 300], dtype('int16'))
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._type: np.dtype[Any] = _TYPES[0]
        self._file: Any = BytesIO()
        self._count = 0

    def __len__(self) -> int:
        """Count the numbers."""
        return self._count

    @property
    def bytes_on_disk(self) -> int:
        """The size of the temporary file; 0 if there is none."""
        return 0 if isinstance(self._file, BytesIO) else self._count * self._type.itemsize

    def append(self, numbers: NDArray[Any]) -> None:
        """Add numbers at the end.

        Args:
            numbers: The numbers ``[n]``, of any type.

        Raises:
            DataError: If the temporary file cannot be written.
        """
        if not len(numbers):
            return
        largest = int(numbers.max())
        while largest > np.iinfo(self._type).max:
            self._widen()
        self._write(numbers.astype(self._type, copy=False).tobytes())
        self._count += len(numbers)

    def array(self) -> NDArray[Any]:
        """Return all numbers ``[n]`` without a copy; changes of the array change the list. Nothing grows afterwards."""
        if not self._count:
            return np.zeros(0, self._type)
        if isinstance(self._file, BytesIO):
            return np.frombuffer(self._file.getbuffer(), self._type)
        with _explained():
            self._file.flush()
            return np.frombuffer(mmap.mmap(self._file.fileno(), self._count * self._type.itemsize), self._type)

    def _write(self, content: bytes) -> None:
        if isinstance(self._file, BytesIO) and self._file.tell() + len(content) > self._in_memory:
            memory = self._file
            with _explained():
                self._file = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the list
            for part in _parts(memory):
                self._write(part)
        with _explained():
            self._file.write(content)

    def _widen(self) -> None:
        """Change to the next larger type."""
        narrow, before = self._type, self._file
        self._type, self._file = _TYPES[_TYPES.index(narrow) + 1], BytesIO()
        for part in _parts(before):
            self._write(np.frombuffer(part, narrow).astype(self._type).tobytes())
        before.close()


def _parts(file: Any) -> Iterator[bytes]:
    with _explained():
        file.seek(0)
        while part := file.read(4 * AT_ONCE):
            yield part


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error of the temporary file into a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The numbers of the text do not fit into a temporary file in '{tempfile.gettempdir()}' "
            f"({error.strerror}). Set TMPDIR to a folder of a disk with more room: at most four bytes for each symbol "
            "of the text."
        ) from error
