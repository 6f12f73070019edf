"""A Windows for gatework's own modules, in a process that runs on another system.

What gatework imports as ``os``, ``signal``, ``socket``, ``sys`` and so on are stand-ins without what Windows lacks,
and ``fcntl``, ``resource``, ``pwd``, ``grp`` and ``termios`` cannot be imported. Torch and Python's own library keep
the real ones. For every module, a file that is open cannot be renamed or removed, nor can a folder with such a file,
and no file gets a name that Windows does not allow. A text file that gatework opens without naming its encoding is a
fault, for there it would not be UTF-8.
"""

import builtins
import errno
import fcntl
import importlib
import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

MISSING = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}
LACKS = {
    "os": {
        *("fork", "forkpty", "register_at_fork", "sysconf", "sysconf_names", "confstr", "sched_getaffinity", "uname"),
        *("geteuid", "getuid", "getegid", "getgid", "getpgid", "setsid", "killpg", "chown", "fchmod", "mkfifo", "nice"),
        *("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_SYNC", "statvfs", "pread", "pwrite"),
        *("getloadavg", "openpty", "WIFEXITED", "wait", "posix_spawn", "fdatasync", "sendfile", "setpriority"),
    },
    "signal": {"SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGCHLD", "alarm", "setitimer"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
    "time": {"tzset"},
    "sys": set(),
    "platform": set(),
    "subprocess": set(),
}
_FORBIDDEN_NAME = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)', re.IGNORECASE)
_O_BINARY, _O_NOINHERIT, _SIGBREAK, _SO_EXCLUSIVEADDRUSE = 0x8000_0000, 0x4000_0000, 21, -5
_SHARING_VIOLATION = 32


class Stand(ModuleType):
    """A module without some of its names, and with others; all the rest is the real module's."""

    def __init__(self, real: ModuleType, lacks: set[str], own: dict[str, Any]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _lacks=lacks, **own)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_lacks"]:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}' on Windows")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)

    def __dir__(self) -> list[str]:
        return sorted((set(dir(self.__dict__["_real"])) | set(self.__dict__)) - self.__dict__["_lacks"])


def install() -> None:
    """Make this process a Windows for gatework, which must not have been imported yet."""
    assert not any(name.split(".")[0] == "gatework" for name in sys.modules)
    stands: dict[str, ModuleType] = {
        name: Stand(importlib.import_module(name), lacks, _own(name)) for name, lacks in LACKS.items()
    }
    stands["msvcrt"] = ModuleType("msvcrt")
    stands["msvcrt"].__dict__.update(LK_NBLCK=2, locking=_lock)
    real_import = builtins.__import__

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        asking = (globals or {}).get("__name__") or ""
        first = name.split(".")[0]
        if level == 0 and (asking == "gatework" or asking.startswith("gatework.") or asking == "__main__"):
            if first in MISSING:
                raise ModuleNotFoundError(f"No module named '{first}' on Windows", name=first)
            if first in stands and "." not in name:
                return stands[first]
        return real_import(name, globals, locals, fromlist, level)

    builtins.__import__ = import_
    _need_encodings()
    sys.addaudithook(_judge)


def _own(name: str) -> dict[str, Any]:
    """Give what Windows' module has of its own, or what is otherwise there."""
    own: dict[str, dict[str, Any]] = {
        "os": {
            "name": "nt",
            "open": _open,
            "O_BINARY": _O_BINARY,
            "O_NOINHERIT": _O_NOINHERIT,
            "supports_dir_fd": set(),
            "supports_follow_symlinks": set(),
        },
        "signal": {"SIGBREAK": _SIGBREAK},
        "socket": {"SO_EXCLUSIVEADDRUSE": _SO_EXCLUSIVEADDRUSE, "socket": _Socket},
        "sys": {"platform": "win32"},
        "platform": {"system": lambda: "Windows"},
        "subprocess": {"CREATE_NEW_PROCESS_GROUP": 0x200, "Popen": _popen},
    }
    return own.get(name, {})


def _lock(descriptor: int, mode: int, count: int) -> None:
    """Lock bytes as ``msvcrt.locking`` does: far from the start, or nobody could read the file."""
    assert (mode, count) == (2, 1)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
    """Open a file as ``os.open`` does there: folders never, and bytes unchanged only if asked for."""
    assert dir_fd is None, "Windows has no dir_fd"
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    assert flags & _O_BINARY or path == os.devnull, f"{path} is opened as text: line ends would change"
    return os.open(path, flags & ~_O_BINARY & ~_O_NOINHERIT, mode)


def _popen(*arguments: Any, creationflags: int = 0, **others: Any) -> Any:
    assert creationflags == 0x200, "Ctrl-C would reach this process too"
    return subprocess.Popen(*arguments, **others)


class _Socket(socket.socket):
    """A socket whose port can be claimed as on Windows."""

    def setsockopt(self, level: int, name: int, *value: Any) -> None:
        assert name != socket.SO_REUSEADDR, "a second server could take the port"
        super().setsockopt(level, socket.SO_REUSEADDR if name == _SO_EXCLUSIVEADDRUSE else name, *value)


def _need_encodings() -> None:
    """Refuse text files that gatework opens in the encoding of the system."""
    real = io.open

    def open_(file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *others: Any, **more: Any):
        if "b" not in mode and encoding in (None, "locale") and not isinstance(file, int) and _asked_by_gatework():
            raise AssertionError(f"{file} is opened as text in the encoding of the system")
        return real(file, mode, buffering, encoding, *others, **more)

    io.open = builtins.open = open_


def _asked_by_gatework() -> bool:
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "") in ("pathlib", "pathlib._local", "pathlib._abc"):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith("gatework")


def _judge(event: str, given: tuple[Any, ...]) -> None:
    if event in ("os.rename", "os.remove", "os.rmdir"):
        names = [os.fsdecode(one) for one in given[: 2 if event == "os.rename" else 1]]
        if given[-1] not in (-1, None) and event != "os.rename":
            return  # within a folder that is open, as shutil.rmtree does elsewhere; there it goes by names
        for path in names:
            if _is_open(os.path.abspath(path)):
                error = PermissionError(errno.EACCES, "The process cannot access the file: it is in use", path)
                vars(error)["winerror"] = _SHARING_VIOLATION
                raise error
    if event in ("os.rename", "os.mkdir", "open"):
        path = given[1] if event == "os.rename" else given[0]
        writes = event != "open" or (isinstance(given[1], str) and set(given[1]) & set("wax+"))
        if writes and isinstance(path, (str, bytes, os.PathLike)):
            name = Path(os.fsdecode(path)).name
            assert not _FORBIDDEN_NAME.search(name), f"Windows allows no file of the name {name!r}"


def _is_open(path: str) -> bool:
    """Tell whether this process has the file open or mapped, or a file in the folder."""
    used = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            used.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:  # the one that listed the folder
            continue
    with io.FileIO("/proc/self/maps") as maps:
        used |= {line.split(None, 5)[5] for line in maps.readall().decode().splitlines() if len(line.split()) > 5}
    return any(one == path or one.startswith(path + "/") for one in used)
