"""Files that survive a crash: written whole under another name, flushed to the disk, and only then renamed."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from gatework.errors import RunError

# Names that begin so are unfinished or on their way out: no reader looks at them, and the next start sweeps them.
UNFINISHED = ".unfinished-"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place at once: after a crash it is there whole, or the old one still is.

    Args:
        path: Where to put it.
        content: What is in it.
    """
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        write_flushed(unfinished, content)
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Put JSON in place at once, see :func:`write_file`."""
    write_file(path, to_json(data))


def to_json(data: Any) -> bytes:
    """Turn data into the bytes of a JSON file for people to read."""
    # A file's name need not be UTF-8: Python then holds stand-ins for its bytes, and JSON spells them as this does.
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8", errors="backslashreplace")


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file and see it to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """See a folder's list of names to the disk, without which a rename may be lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what a killed process left unfinished in a folder."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def digest(content: bytes | memoryview) -> str:
    """Give the SHA-256 of bytes."""
    return sha256(content).hexdigest()


@contextmanager
def saving(what: str, kept: str = "") -> Iterator[None]:
    """Turn the system's refusal to write into one clear sentence.

    Args:
        what: What is being written.
        kept: What is safe nevertheless, for the sentence's end.

    Raises:
        RunError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _NO_ROOM else f"the system says: {error.strerror}"
        remedy = "make room" if error.errno in _NO_ROOM else "put that right"
        raise RunError(
            f"{what} could not be written: {reason}. {kept + ' ' if kept else ''}"
            f"{remedy[0].upper()}{remedy[1:]} and run the same command again"
        ) from error
