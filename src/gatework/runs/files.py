"""Files that survive a crash: written under another name, flushed to the disk, and only then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from gatework.errors import RunError
from gatework.system import NO_ROOM, flush_folder, replace

# Files with this prefix are unfinished or being removed. No reader uses them, and the next start removes them.
UNFINISHED = ".unfinished-"


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically: after a crash there is the complete new file, or still the old one.

    Args:
        path: The path of the file.
        content: The contents of the file.
    """
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        write_flushed(unfinished, content)
        replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file atomically, see :func:`write_file`."""
    write_file(path, to_json(data))


def to_json(data: Any) -> bytes:
    """Convert data to the bytes of an indented JSON file."""
    # A file name need not be UTF-8. Python then represents its bytes by surrogates, which JSON escapes in the same way.
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8", errors="backslashreplace")


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sweep(folder: Path) -> None:
    """Remove the unfinished files that a killed process left in a folder."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes."""
    return sha256(content).hexdigest()


@contextmanager
def saving(what: str, kept: str = "") -> Iterator[None]:
    """Replace an OSError while writing by a clear message.

    Args:
        what: What is being written.
        kept: What is safe nevertheless, for the end of the message.

    Raises:
        RunError: Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in NO_ROOM else f"the system says: {error.strerror}"
        remedy = "make room" if error.errno in NO_ROOM else "put that right"
        raise RunError(
            f"{what} could not be written: {reason}. {kept + ' ' if kept else ''}"
            f"{remedy[0].upper()}{remedy[1:]} and run the same command again."
        ) from error
