"""Compiled kernels on disk, so that a process need not compile again what another has compiled.

A file holds one object. Its name is the hash of everything that went into the object. A header repeats that hash, and
gives the length and the hash of the bytes. A file that does not match exactly, or that another user could have written,
is not read; the kernel is compiled again. Nothing here stops a run: an unusable folder counts as an empty cache,
and :func:`look` says why.
"""

import hashlib
import os
import secrets
import stat
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "GATEWORK_CACHE"
"""The environment variable that names the folder; empty to keep nothing on disk."""

FORMAT = 1
MOST = 64 << 20  # bytes of all files together; a kernel takes 3 to 30 thousand
ABANDONED = 3600  # seconds after which an unfinished file is removed

_MAGIC = b"gatework"
_HEADER = struct.Struct("<8sI32sQ32s")  # magic, format, key, length, hash of the bytes
_SUFFIX, _UNFINISHED = ".kernel", ".unfinished"
_FOREIGN = stat.S_IWGRP | stat.S_IWOTH
# Python on Windows tells neither who owns a file nor who may write it.
OWNERS_ARE_KNOWN = hasattr(os, "geteuid") and os.open in os.supports_dir_fd


@dataclass(frozen=True)
class CacheFolder:
    """The state of the cache on disk.

    Args:
        folder: Its folder; None if nothing is cached.
        trouble: Why it cannot be used; empty if it can.
        files: The number of kernels.
        bytes: Their size.
    """

    folder: Path | None
    trouble: str = ""
    files: int = 0
    bytes: int = 0


def key_of(*parts: str) -> str:
    """Hash everything that an object is made from.

    Args:
        parts: Texts; the boundaries between them count.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(struct.pack("<I", FORMAT))
    for part in parts:
        data = part.encode()
        digest.update(struct.pack("<Q", len(data)))
        digest.update(data)
    return digest.hexdigest()


def folder() -> Path | None:
    """Return the folder for compiled kernels, which need not exist.

    Returns:
        What ``GATEWORK_CACHE`` names, else ``gatework`` in the user's cache folder, and in it ``kernels``; None if
        the variable is empty or names no folder, if there is no home, or if the system does not tell
        who owns a file.
    """
    if not OWNERS_ARE_KNOWN:
        return None
    named = os.environ.get(VARIABLE)
    if named is not None:
        place = os.path.expanduser(named)
        # Without a home, the name would keep its '~', and files would go into the current folder.
        if not place or place.startswith("~"):
            return None
        try:
            return Path(os.path.abspath(place)) / "kernels"
        except FileNotFoundError:  # a relative name, and the current folder has been removed
            return None
    try:
        home = Path.home()
    except RuntimeError:  # a user without an entry, as in some containers
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "gatework" / "kernels"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the standard ignores it unless it is absolute
    return (base if base.is_absolute() else home / ".cache") / "gatework" / "kernels"


def read(key: str) -> bytes | None:
    """Return an object that was written under a key.

    Args:
        key: Its :func:`key_of`.

    Returns:
        The bytes, exactly as written; None if there are no bytes that can be trusted.
    """
    try:
        with _opened(make=False) as place:
            data = _read_own(place, key + _SUFFIX)
    except OSError:  # missing or not trusted: either way the kernel is compiled
        return None
    if len(data) < _HEADER.size:
        return None
    body = data[_HEADER.size :]
    return body if data[: _HEADER.size] == _header(key, body) else None


def write(key: str, body: bytes) -> bool:
    """Cache an object under a key. The write is atomic: no reader sees a part of the object.

    Args:
        key: Its :func:`key_of`.
        body: The object.

    Returns:
        Whether it was cached; if not, :func:`look` says why.
    """
    unfinished = f"{key}.{secrets.token_hex(8)}{_UNFINISHED}"
    try:
        with _opened(make=True) as place:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(unfinished, flags, 0o600, dir_fd=place), "wb") as file:
                try:
                    file.write(_header(key, body) + body)
                    file.flush()
                    os.replace(unfinished, key + _SUFFIX, src_dir_fd=place, dst_dir_fd=place)
                except OSError:
                    os.unlink(unfinished, dir_fd=place)
                    raise
            if key[0] == "0":  # a look at all files takes longer than a write, so only one write in sixteen looks
                _sweep(place)
    except OSError:  # a full or read-only disk, or another user's folder: the run goes on without the cache
        return False
    return True


def look() -> CacheFolder:
    """Look at the cache, without changes.

    Returns:
        Its folder, its size, and what makes it unusable.
    """
    path = folder()
    if path is None:
        named = os.environ.get(VARIABLE)
        return CacheFolder(
            None,
            _no_folder(named or "")
            if named is not None or not OWNERS_ARE_KNOWN
            else "there is no folder that is this user's alone",
        )
    try:
        with _opened(make=False) as place:
            sizes = [size for name, _, size in _listed(place) if name.endswith(_SUFFIX)]
    except FileNotFoundError:
        above = next(parent for parent in path.parents if parent.exists())
        can = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        return CacheFolder(path, "" if can else f"'{above}' cannot be written to")
    except OSError as error:
        return CacheFolder(path, f"'{path}': {error.strerror}" if error.strerror else str(error))
    trouble = "" if os.access(path, os.W_OK | os.X_OK) else f"'{path}' cannot be written to"
    return CacheFolder(path, trouble, len(sizes), sum(sizes))


# --- trust


@contextmanager
def _opened(make: bool) -> Iterator[int]:
    """Open the folder, which must belong to this user alone. All operations use this handle instead of the name."""
    path = folder()
    if path is None:
        if named := os.environ.get(VARIABLE):
            warnings.warn(f"{_no_folder(named)}: compiled kernels are not kept on disk", RuntimeWarning, stacklevel=2)
        raise PermissionError("Nothing is kept on disk.")
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(place)
        if status.st_uid != os.geteuid() or status.st_mode & _FOREIGN:
            raise PermissionError(f"'{path}' can be written by others than this user: chmod 700 it, or remove it.")
        yield place
    finally:
        os.close(place)


def _no_folder(named: str) -> str:
    if not OWNERS_ARE_KNOWN:
        return "this system does not tell Python who may write a file"
    return f"{VARIABLE} is '{named}', which is no folder" if named else f"{VARIABLE} is empty"


def _read_own(place: int, name: str) -> bytes:
    # An ordinary open would wait for a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=place), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _FOREIGN:
            raise PermissionError(f"'{name}' can be written by others than this user.")
        if status.st_size > MOST:
            raise PermissionError(f"'{name}' is larger than all kernels together may be.")
        return file.read()


def _header(key: str, body: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, FORMAT, bytes.fromhex(key), len(body), hashlib.sha256(body).digest())


# --- size


def _listed(place: int) -> Iterator[tuple[str, float, int]]:
    """List this cache's own files: name, time of writing, and size. Other files are ignored."""
    for name in os.listdir(place):
        if name.endswith((_SUFFIX, _UNFINISHED)):
            try:
                status = os.stat(name, dir_fd=place, follow_symlinks=False)
            except FileNotFoundError:  # another process sweeps too
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield name, status.st_mtime, status.st_size


def _sweep(place: int) -> None:
    """Remove the oldest files until the rest fits, and unfinished files."""
    files = sorted(_listed(place), key=lambda file: file[1])
    total = sum(size for *_, size in files)
    now = time.time()
    for name, written, size in files:
        if total > MOST or (name.endswith(_UNFINISHED) and now - written > ABANDONED):
            total -= size
            try:
                os.unlink(name, dir_fd=place)
            except FileNotFoundError:  # another process was faster
                continue
