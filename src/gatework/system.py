"""What differs between operating systems, in one place: locks, flushing, renaming, signals, memory and processors.

Linux and macOS have ``fcntl``, ``os.sysconf`` and folders that can be opened. Windows has other means, or needs none.
The functions here look for what the system has and do not ask for its name. Standard library only.
"""

import ctypes
import errno
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

try:
    import msvcrt
except ImportError:  # every other system
    msvcrt = None

NO_ROOM = frozenset(
    number for name in ("ENOSPC", "EDQUOT", "EFBIG") if (number := getattr(errno, name, None)) is not None
)
"""The error numbers that mean a full disk, a used quota, or a file system's largest file."""

STOP_SIGNALS = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGBREAK") if (number := getattr(signal, name, None)) is not None
)
"""The signals that ask a run to end: Ctrl-C, ``kill``, and Ctrl-Break on Windows."""

# O_BINARY: otherwise Windows changes line ends. O_NONBLOCK: an ordinary open would wait for a pipe.
_READING = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")
)
# Windows lets nobody read a byte that is locked, so the lock is on one far behind the end of the file.
_LOCKED_BYTE = 1 << 30
# Windows refuses to rename or remove a file while another process has it open, as a virus scanner often does.
_BUSY = (5, 32, 33)  # its own numbers: access denied, sharing violation, lock violation
_BUSY_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def open_for_reading(path: str | Path) -> int:
    """Open a file as a descriptor that reads its bytes unchanged, is not inherited, and does not wait for a pipe.

    Args:
        path: The file.

    Returns:
        The descriptor; close it with ``os.close``.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If no file can have this name.
    """
    try:
        return os.open(path, _READING)
    except PermissionError:
        if os.path.isdir(path):  # Windows says of a folder that permission is denied
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) from None
        raise


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file, without waiting. The system releases the lock when the file is closed or the process ends.

    Args:
        file: The file, open for writing.

    Returns:
        Whether the lock was free. A system without locks gives it to everybody.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    elif msvcrt is not None:
        place = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyrefly: ignore[missing-attribute]
        except PermissionError:
            return False
        finally:
            os.lseek(file.fileno(), place, os.SEEK_SET)
    return True


def flush_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk. Otherwise a crash may undo a rename.

    Args:
        folder: The folder. Windows cannot open folders and keeps a journal of names, so nothing is done there.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Rename a file or a folder, replacing a file of that name. Wait where Windows says that the file is in use.

    Args:
        source: The file or folder.
        target: Its new name.

    Raises:
        OSError: If it cannot be renamed, or if it is in use for longer than two seconds.
    """
    _patiently(lambda: os.replace(source, target))


def is_in_use(error: OSError) -> bool:
    """Tell whether Windows refused to rename or remove a file because a process has it open."""
    return getattr(error, "winerror", None) in _BUSY


def _patiently(change: Callable[[], None]) -> None:
    for seconds in _BUSY_WAITS:
        try:
            return change()
        except PermissionError as error:
            if not is_in_use(error):
                raise
        time.sleep(seconds)
    return change()


def apart() -> dict[str, Any]:
    """Return the arguments of :class:`subprocess.Popen` for a process that the terminal's Ctrl-C does not reach."""
    own_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows; 0 is what every system takes
    return {"start_new_session": True, "creationflags": own_group}


def can_fork() -> bool:
    """Tell whether this system can copy a process safely. Apple's own libraries may not be used in a copy."""
    return hasattr(os, "fork") and platform.system() != "Darwin"


def claim_port(sock: socket.socket) -> None:
    """Set a socket up so that a restarted server gets its port again, and no second server can take it meanwhile.

    Args:
        sock: The socket, before it is bound.
    """
    # On Windows SO_REUSEADDR lets a second process listen at the same port.
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1)


def substitutes() -> dict[str, int]:
    """Return what machine code calls and Windows has under another name, or in a library that is not searched.

    Returns:
        The addresses of functions, by the names that machine code calls them by; nothing on other systems.
    """
    windows = getattr(ctypes, "windll", None)
    if windows is None:
        return {}
    own = {
        "sched_yield": windows.kernel32.SwitchToThread,  # both take nothing and return a 32-bit integer
        "__chkstk": getattr(windows.ntdll, "__chkstk"),  # touches each page of a large stack frame
    }
    return {name: ctypes.cast(function, ctypes.c_void_p).value or 0 for name, function in own.items()}


def count_cores() -> int:
    """Count the cores that this process may use, which can be fewer than the machine has.

    Example:
        >>> count_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Return the processor's name. On Linux it is in a file that the module platform does not read."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # another system, where platform knows the name
        return platform.processor() or platform.machine()
    return platform.machine()


def memory() -> tuple[int, int] | None:
    """Return the memory of this machine.

    Returns:
        The number of bytes in all, and of those that are free; None where the system tells neither. Where it does not
        tell what is free, as on macOS, all of it counts as free.
    """
    for ask in (_memory_of_linux, _memory_of_windows, _memory_of_posix):
        try:
            return ask()
        except (OSError, AttributeError, KeyError, ValueError):  # another system
            continue
    return None


def _memory_of_linux() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    return (int(facts["MemTotal"].split()[0]) * 1024, int(facts["MemAvailable"].split()[0]) * 1024)


class _MemoryStatus(ctypes.Structure):
    """The structure MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("total", "free", "page_total", "page_free")),
        *((name, ctypes.c_uint64) for name in ("virtual_total", "virtual_free", "extended")),
    )


def _memory_of_windows() -> tuple[int, int]:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # pyrefly: ignore[missing-attribute]
        raise OSError("Windows does not tell its memory.")
    return status.total, status.free


def _memory_of_posix() -> tuple[int, int]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total, total
