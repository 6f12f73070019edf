"""A file's bytes: of a regular file only, opened once, and never more than a bound. Standard library only."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatework.errors import FileError

MOST_TEXT = 16 << 30
"""Bytes of a text of the user's own, at most."""

_STEP = 1 << 20
_HALF = re.compile("[\ud800-\udfff]")
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_file(path: str | Path, most: int, advice: str = "") -> bytes:
    """Read a regular file.

    What the name stands for is looked at after it is opened, so that nothing can be put in its place in between. A pipe
    is not waited for.

    Args:
        path: The file.
        most: Bytes that it may have.
        advice: What to say where there is no such file.

    Returns:
        Its bytes.

    Raises:
        FileError: When there is no such file, it is no regular file, or it is larger.

    Example:
        >>> read_file("/dev/zero", most=10)
        Traceback (most recent call last):
        gatework.errors.FileError: '/dev/zero' is a device: expected a regular file
    """
    parts: list[bytes] = []
    left = most + 1
    try:
        with _opened(path) as file:
            if os.fstat(file).st_size > most:
                raise _too_large(path, most)
            # Asked for in steps: what a file says of its size need not be true, as with those of /proc.
            while left and (part := os.read(file, min(left, _STEP))):
                parts.append(part)
                left -= len(part)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})", advice) from error
    if not left:
        raise _too_large(path, most)
    return b"".join(parts)


@contextmanager
def _opened(path: str | Path) -> Iterator[int]:
    """Open a file for reading, and close it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a NUL character, or half a character, in the name
        raise FileError(path, f"cannot be read (no file has such a name: {error})") from error
    try:
        kind = stat.S_IFMT(os.fstat(file).st_mode)
        if kind == stat.S_IFDIR:
            raise FileError(path, f"cannot be read ({os.strerror(errno.EISDIR)})")
        if kind in _KINDS:
            raise FileError(path, f"is {_KINDS[kind]}", "expected a regular file")
        yield file
    finally:
        os.close(file)


def read_beginning(path: str | Path, count: int) -> tuple[bytes, int]:
    """Read how a regular file begins.

    Args:
        path: The file.
        count: Bytes that are wanted.

    Returns:
        As many of them as there are, and how many bytes the file has.

    Raises:
        FileError: When there is no such file, or it is no regular file.
    """
    try:
        with _opened(path) as file:
            return os.read(file, count), os.fstat(file).st_size
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error


def read_text(path: str | Path, most: int) -> str:
    """Read a file of UTF-8 text; a byte order mark is dropped.

    Args:
        path: The file.
        most: Bytes that it may have.

    Returns:
        Its text.

    Raises:
        FileError: As :func:`read_file`, and when it is no text.
    """
    return decode(read_file(path, most), path)


def list_folder(path: Path) -> list[Path]:
    """List what is in a folder, in order.

    Args:
        path: The folder.

    Returns:
        The paths.

    Raises:
        FileError: When it cannot be read.
    """
    try:
        return sorted(path.iterdir())
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({getattr(error, 'strerror', error)})") from error


def decode(content: bytes, path: str | Path, encoding: str = "utf-8", advice: str = "") -> str:
    r"""Decode a file's bytes.

    Args:
        content: The bytes.
        path: The file, for an error.
        encoding: The encoding to read it in. A byte order mark at the start of UTF-8 is dropped.
        advice: What to say where it is not text of this encoding.

    Returns:
        The text, with line ends as they stand in the file.

    Raises:
        FileError: With the offset of the first byte that does not fit.

    Example:
        >>> decode(b"a\xe9", "book.txt")
        Traceback (most recent call last):
        gatework.errors.FileError: 'book.txt' is not utf-8 text: byte 0xe9 at offset 1 does not fit
    """
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        place = getattr(error, "start", 0)  # codecs of domain names do not tell
        fault = f"byte 0x{content[place]:02x} at offset {place} does not fit" if place < len(content) else str(error)
        raise _no_text(path, encoding, fault, advice) from error
    if half := _HALF.search(text):  # which some codecs let through, and no file can be written with
        raise _no_text(path, encoding, f"the character at place {half.start()} is half a character", advice)
    # Not left to the codec utf-8-sig, which counts a fault's offset from behind the mark.
    return text.removeprefix("\ufeff") if encoding.lower() in ("utf-8", "utf8") else text


def _no_text(path: str | Path, encoding: str, fault: str, advice: str) -> FileError:
    return FileError(path, f"is not {encoding} text: {fault}" + (f"; {advice}" if advice else ""))


def _too_large(path: str | Path, most: int) -> FileError:
    return FileError(path, f"is larger than {most:,} bytes, which is the most that is read of such a file")
