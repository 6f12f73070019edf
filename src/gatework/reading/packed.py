"""Compressed files: gzip and tar, unpacked in steps up to a size limit. Standard library only."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from gatework.errors import FileError

_STEP = 1 << 20
_BLOCK = 512


def unpack_gzip(content: bytes, path: str | Path, most: int) -> bytes:
    """Unpack a gzip file.

    Args:
        content: The file's bytes.
        path: The file, for error messages.
        most: The largest allowed unpacked size in bytes.

    Returns:
        The unpacked bytes.

    Raises:
        FileError: If the file is damaged or too large.
    """
    parts: list[bytes] = []
    left = most + 1
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            while left and (part := file.read(min(left, _STEP))):
                parts.append(part)
                left -= len(part)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(path, f"is not a whole gzip file ({error})", "Download it again.") from error
    if not left:
        raise FileError(path, f"unpacks to more than {most:,} bytes, which is more than such data have")
    return b"".join(parts)


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Args:
        name: The name of the file.
        content: The bytes of the file.
        regular: False for a link, a device or the like.
    """

    name: str
    content: bytes
    regular: bool


def unpack_tar(content: bytes, path: str | Path, most: int) -> Iterator[Member]:
    """Read a gzipped tar archive without unpacking it to disk.

    Only the plain format is read, with names of up to 255 bytes and sizes up to 8 GB. Extended headers and folders are
    skipped.

    Args:
        content: The bytes of the ``.tar.gz`` file.
        path: The file, for error messages.
        most: The largest allowed unpacked size in bytes.

    Yields:
        The files in the archive.

    Raises:
        FileError: If the archive is damaged or too large.
    """
    content = unpack_gzip(content, path, most)
    place, empty = 0, bytes(_BLOCK)
    while head := content[place : place + _BLOCK].ljust(_BLOCK, b"\0"):
        if head == empty:
            return
        name, size, kind = _read_head(head, path)
        place += _BLOCK
        if place + size > len(content):
            raise _no_tar(path, f"it ends within '{name}'")
        if kind not in b"5xgLK":
            yield Member(name, content[place : place + size], kind in b"0\0")
        place += -(-size // _BLOCK) * _BLOCK


def _read_head(head: bytes, path: str | Path) -> tuple[str, int, bytes]:
    """Return the name, the size and the kind of a member."""
    told = _octal(head[148:156])
    if told != sum(head[:148]) + sum(head[156:]) + 8 * ord(" "):
        raise _no_tar(path, "a header does not match its checksum")
    size = _octal(head[124:136])
    if size is None:
        raise _no_tar(path, "a header has no size")
    parts = [head[345:500], head[:100]] if head[257:262] == b"ustar" and head[262:263] == b"\0" else [head[:100]]
    names = [part.partition(b"\0")[0].decode("utf-8", errors="replace") for part in parts]
    return "/".join(name for name in names if name), size, head[156:157]


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _no_tar(path: str | Path, why: str) -> FileError:
    return FileError(path, f"is not a whole .tar.gz archive ({why})", "Download it again.")
