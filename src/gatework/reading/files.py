"""Read the bytes of a regular file, which is opened once, up to a size limit. Standard library only."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatework.errors import FileError
from gatework.system import open_for_reading

MOST_TEXT = 1 << 40
"""The largest size of a user's text in bytes. A text is read in pieces, so it may be larger than the memory."""

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

    The kind of file is checked after opening it, so that no other file can be substituted in between. The function does
    not wait for a pipe.

    Args:
        path: The file.
        most: The largest allowed size in bytes.
        advice: The advice of the error if there is no such file.

    Returns:
        The bytes of the file.

    Raises:
        FileError: If there is no such file, or if it is not a regular file or too large.

    Example:
        >>> read_file("/dev/zero", most=10)
        Traceback (most recent call last):
        gatework.errors.FileError: '/dev/zero' is a device. Expected a regular file.
    """
    return b"".join(read_pieces(path, most, advice))


def read_pieces(path: str | Path, most: int, advice: str = "") -> Iterator[bytes]:
    """Read a regular file piece by piece, for a file that may be larger than the memory; see :func:`read_file`.

    Args:
        path: The file.
        most: The largest allowed size in bytes.
        advice: The advice of the error if there is no such file.

    Yields:
        The bytes of the file, at most a mebibyte at once.

    Raises:
        FileError: If there is no such file, or if it is not a regular file or too large.
    """
    left = most + 1
    try:
        with _opened(path) as file:
            if os.fstat(file).st_size > most:
                raise _too_large(path, most)
            # Read in steps, because the reported size of a file may be wrong, as in /proc.
            while left and (part := os.read(file, min(left, _STEP))):
                left -= len(part)
                yield part
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})", advice) from error
    if not left:
        raise _too_large(path, most)


@contextmanager
def _opened(path: str | Path) -> Iterator[int]:
    """Open a regular file for reading, and close it in the end."""
    try:
        file = open_for_reading(path)
    except ValueError as error:  # a NUL character, or half a character, in the name
        raise FileError(path, f"cannot be read (no file has such a name: {error})") from error
    try:
        kind = stat.S_IFMT(os.fstat(file).st_mode)
        if kind == stat.S_IFDIR:
            raise FileError(path, f"cannot be read ({os.strerror(errno.EISDIR)})")
        if kind in _KINDS:
            raise FileError(path, f"is {_KINDS[kind]}", "Expected a regular file.")
        yield file
    finally:
        os.close(file)


def read_beginning(path: str | Path, count: int, advice: str = "") -> tuple[bytes, int]:
    """Read the beginning of a regular file.

    Args:
        path: The file.
        count: The number of bytes to read.
        advice: The advice of the error if there is no such file.

    Returns:
        Up to ``count`` bytes, and the size of the file in bytes.

    Raises:
        FileError: If there is no such file, or if it is not a regular file.
    """
    try:
        with _opened(path) as file:
            return os.read(file, count), os.fstat(file).st_size
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})", advice) from error


def read_text(path: str | Path, most: int) -> str:
    """Read a file of UTF-8 text, without its byte order mark.

    Args:
        path: The file.
        most: The largest allowed size in bytes.

    Returns:
        The text.

    Raises:
        FileError: As for :func:`read_file`, and if the file is not text.
    """
    return decode(read_file(path, most), path)


def list_folder(path: Path) -> list[Path]:
    """List the contents of a folder, sorted.

    Args:
        path: The folder.

    Returns:
        The paths.

    Raises:
        FileError: If the folder cannot be read.
    """
    try:
        return sorted(path.iterdir())
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({getattr(error, 'strerror', error)})") from error


def decode(content: bytes, path: str | Path, encoding: str = "utf-8", advice: str = "") -> str:
    r"""Decode a file's bytes.

    Args:
        content: The bytes.
        path: The file, for error messages.
        encoding: The encoding. A byte order mark at the start of UTF-8 is removed.
        advice: The advice of the error if the bytes are not text in this encoding.

    Returns:
        The text, with the line ends of the file.

    Raises:
        FileError: If a byte does not fit the encoding; the message gives its offset.

    Example:
        >>> decode(b"a\xe9", "book.txt")
        Traceback (most recent call last):
        gatework.errors.FileError: 'book.txt' is not utf-8 text: byte 0xe9 at offset 1 does not fit.
    """
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        place = getattr(error, "start", 0)  # codecs of domain names have no start
        fault = f"byte 0x{content[place]:02x} at offset {place} does not fit" if place < len(content) else str(error)
        raise _no_text(path, encoding, fault, advice) from error
    if half := _HALF.search(text):  # some codecs accept surrogates, but no file can be written with them
        raise _no_text(path, encoding, f"the character at place {half.start()} is half a character", advice)
    # The codec utf-8-sig would count the offset of an error from after the mark.
    return text.removeprefix("\ufeff") if encoding.lower() in ("utf-8", "utf8") else text


def _no_text(path: str | Path, encoding: str, fault: str, advice: str) -> FileError:
    return FileError(path, f"is not {encoding} text: {fault}", advice)


def _too_large(path: str | Path, most: int) -> FileError:
    return FileError(path, f"is larger than {most:,} bytes, which is the most that is read of such a file")
