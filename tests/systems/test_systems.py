"""What differs between systems stands in one module, and a Windows that is simulated runs what a person does."""

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import gatework
from gatework import system
from gatework.kernels.cpu import cache
from gatework.reading.files import read_file

SOURCE = Path(gatework.__file__).parent
ROOT = Path(__file__).parents[2]
# Modules and names that only some systems have, and who may use them beside the one module. Each of them asks first.
ONLY_SOME = {"fcntl", "msvcrt", "resource", "pwd", "grp", "termios", "winreg"}
OF_OS = {
    *("fork", "register_at_fork", "sysconf", "sched_getaffinity", "uname", "geteuid", "getuid", "killpg", "setsid"),
    *("chown", "fchmod", "mkfifo", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"),
    *("rename", "replace", "statvfs", "startfile"),
}
OTHERS = {
    "kernels/cpu/cache.py": "keeps nothing where OWNERS_ARE_KNOWN is false",
    "kernels/cpu/build.py": "hasattr(os, 'register_at_fork')",
    "kernels/cpu/team.py": "hasattr(os, 'register_at_fork')",
    "kernels/cpu/streaming.py": "suppress(AttributeError)",
    "runs/forked.py": "called where system.can_fork",
}


def uses(path: Path) -> set[str]:
    """Name what a file uses that only some systems have."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & ONLY_SOME
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} & ONLY_SOME
            found |= {f"os.{alias.name}" for alias in node.names if node.module == "os" and alias.name in OF_OS}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            whole = f"{node.value.id}.{node.attr}"
            if (node.value.id == "os" and node.attr in OF_OS) or whole == "signal.SIGHUP" or "SO_REUSEADDR" in whole:
                found.add(whole)
    return found


def test_what_differs_between_systems_stands_in_one_module():
    using = {path.relative_to(SOURCE).as_posix(): uses(path) for path in SOURCE.rglob("*.py")}
    found = {name: names for name, names in using.items() if names}
    assert found.pop("system.py") >= {"fcntl", "msvcrt", "os.sysconf", "os.replace"}
    assert set(found) == set(OTHERS)
    kernels = [name for name in OTHERS if name.startswith("kernels") and "cache" not in name]
    assert {name: found[name] for name in kernels} == {name: {"os.register_at_fork"} for name in kernels}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """The environment of a process that is a Windows for gatework, and so are those that it starts."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text("from tests.systems.windows import install\ninstall()\n", encoding="utf-8")
    path = os.pathsep.join((str(site), str(SOURCE.parent), str(ROOT)))
    return {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"}


def child(*words: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the simulation looks into /proc")
def test_a_person_on_windows_trains_resumes_measures_generates_compares_and_explores(windows, tmp_path):
    ran = child("-m", "tests.systems.tour", str(tmp_path), env=windows, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert "is being written by another process (process " in told.pop("refused")
    assert told == {
        **dict.fromkeys(("train", "resume", "evaluate", "generate", "compare", "doctor"), 0),
        "checkpoints": ["step-8", "step-9"],
        "explore": [[200, True], [200, True]],
    }


JUDGED = """
import contextlib, os, sys
from gatework import system
from pathlib import Path

told = {}
def refused(what, *kinds):
    try:
        what()
    except kinds as error:
        return type(error).__name__
    return None

ask = compile("import fcntl", "asked", "exec")
told["fcntl"] = refused(lambda: exec(ask, {"__name__": "gatework.asked"}), ImportError)
told["stands"] = [system.fcntl is None, system.os.name, hasattr(system.os, "sysconf"), system.os.sep]
with open("held.txt", "wb"):
    told["held"] = refused(lambda: Path("held.txt").replace("other.txt"), PermissionError)
Path("held.txt").replace("other.txt")
told["name"] = refused(lambda: Path("a:b").write_bytes(b""), AssertionError)
told["text"] = refused(
    lambda: exec(compile("open('x.txt', 'w')", "asked", "exec"), {"__name__": "gatework.asked"}), AssertionError
)
told["folder"] = refused(lambda: system.open_for_reading("."), IsADirectoryError)
print(told)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the simulation looks into /proc")
def test_the_windows_that_is_simulated_refuses_what_windows_refuses(windows, tmp_path):
    ran = child("-c", JUDGED, env=windows, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ast.literal_eval(ran.stdout) == {
        "fcntl": "ModuleNotFoundError",
        "stands": [True, "nt", False, "/"],
        "held": "PermissionError",
        "name": "AssertionError",
        "text": "AssertionError",
        "folder": "IsADirectoryError",
    }


class Busy:
    """A file that is in use for some attempts."""

    def __init__(self, times, number=32):
        self.left, self.number = times, number

    def __call__(self, source, target):
        if self.left:
            self.left -= 1
            error = PermissionError(13, "The process cannot access the file")
            vars(error)["winerror"] = self.number
            raise error


def test_a_file_that_is_in_use_is_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(system.time, "sleep", waits.append)
    monkeypatch.setattr(system.os, "replace", Busy(3))
    system.replace(Path("one"), Path("other"))
    assert waits == list(system._BUSY_WAITS[:3])
    monkeypatch.setattr(system.os, "replace", Busy(100))
    with pytest.raises(PermissionError) as told:
        system.replace(Path("one"), Path("other"))
    assert system.is_in_use(told.value)
    assert len(waits) == 3 + len(system._BUSY_WAITS)


def test_a_file_that_may_not_be_renamed_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(system.time, "sleep", lambda seconds: pytest.fail("it waited"))
    monkeypatch.setattr(system.os, "replace", Busy(1, number=None))
    with pytest.raises(PermissionError) as told:
        system.replace(Path("one"), Path("other"))
    assert not system.is_in_use(told.value)


def test_memory_is_asked_of_whoever_knows(monkeypatch):
    first = system.memory()
    assert first is not None
    assert 0 < first[1] <= first[0]
    monkeypatch.setattr(system, "_memory_of_linux", lambda: Path("/nowhere/meminfo").read_text())
    posix = system.memory()
    assert posix is not None
    assert posix[0] == posix[1] == pytest.approx(first[0], rel=0.1)
    monkeypatch.setattr(system, "_memory_of_posix", lambda: vars(system.os)["not_there"])
    assert system.memory() is None
    monkeypatch.setattr(system, "_memory_of_windows", lambda: (8, 4))
    assert system.memory() == (8, 4)


def test_a_port_is_claimed_as_the_system_has_it(monkeypatch):
    with socket.socket() as sock:
        system.claim_port(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with socket.socket() as sock:
        system.claim_port(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_where_nobody_tells_who_owns_a_file_no_kernels_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "OWNERS_ARE_KNOWN", False)
    with pytest.warns(RuntimeWarning, match="this system does not tell Python who may write a file: compiled kernels"):
        assert not cache.write(cache.key_of("a"), b"b")
    assert list(tmp_path.iterdir()) == []
    assert cache.look() == cache.CacheFolder(None, "this system does not tell Python who may write a file")
    monkeypatch.delenv("GATEWORK_CACHE")
    assert cache.look().trouble == "this system does not tell Python who may write a file"


def test_bytes_are_read_as_they_are(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one\r\ntwo\x1athree\n")
    assert read_file(path, 100) == b"one\r\ntwo\x1athree\n"
