"""One start of a training run in a process of its own, which something happens to at a chosen file operation.

The process is forked from this one, which has imported torch and never computes with it. What the run does with files
is seen where Python itself announces it (its audit events), and at ``fsync``.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What torch and matplotlib import when they are first used; here once, instead of in every process.
import PIL.PngImagePlugin  # noqa: F401
import torch._dynamo  # noqa: F401
from PIL import Image
from tests.training.kills import WORDS, contents

from gatework.errors import GateworkError, Stopped
from gatework.training import make_config, train

Image.preinit()
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "fcntl.flock")
FOREIGN = 70  # the exit code after an exception that is none of the library's own
PATIENCE = 120


@dataclass(frozen=True)
class End:
    """How a start ended.

    Args:
        code: The exit code; the negative number of the signal that ended it.
        told: What it said.
    """

    code: int
    told: str


Deed = Callable[[int], None]


def settings_in(folder: Path) -> dict[str, Any]:
    """Give the settings of a run that does everything often, and write its text."""
    text = folder / "text.txt"
    words = random.Random(1).choices(WORDS.split(), k=400)
    text.write_text(" ".join(word + "\n" * (len(word) == 3) for word in words))
    small = {"hidden_size": 8, "embedding_size": 4, "batch_size": 4, "window": 12, "dropout": 0.2, "threads": 1}
    often = {"steps": 14, "checkpoint_every": 3, "evaluate_every": 10, "log_every": 2}
    return {"data": str(text)} | small | often


def start(settings: dict[str, Any], said: Path, deed: Deed | None = None) -> int:
    """Start a run; gives the number of its process.

    Args:
        settings: What the run is told.
        said: The file for what it says.
        deed: Called with the number of each file operation, from 1, just before it.
    """
    number = os.fork()
    if number:
        return number
    code = FOREIGN
    try:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
        if deed is not None:
            _watch(str(settings["run"]), deed)
        code = _train(settings)
    finally:
        sys.stderr.flush()
        os._exit(code)
    raise AssertionError("a forked process ends above")


def _train(settings: dict[str, Any]) -> int:
    try:
        train(make_config(settings))
    except GateworkError as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, Stopped) else 1
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return FOREIGN
    return 0


def _watch(run: str, deed: Deed) -> None:
    done, sync = 0, os.fsync

    def operation() -> None:
        nonlocal done
        done += 1
        deed(done)

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event in EVENTS and (event == "fcntl.flock" or str(given[0]).startswith(run)):
            operation()

    def fsync(fd: Any) -> None:
        operation()
        sync(fd)

    os.fsync = fsync
    sys.addaudithook(heard)


def wait(number: int, said: Path) -> End:
    """Wait for a start to end; one that hangs is ended, and that is its end."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return End(os.waitstatus_to_exitcode(status), said.read_text(errors="replace") if said.exists() else "")
        time.sleep(0.005)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return End(FOREIGN, f"it did not end within {PATIENCE} seconds")


def differences(peace: Path, other: Path, last: int | None = None) -> list[str]:
    """Name the files in which two finished runs differ.

    Args:
        peace: A run that nothing happened to.
        other: The other run.
        last: The last step, where older checkpoints may be of other steps.
    """
    one, two = contents(peace), contents(other)
    if last is not None:
        one, two = (
            {
                name: content
                for name, content in found.items()
                if not name.startswith("checkpoints/") or name.startswith(f"checkpoints/step-{last}/")
            }
            for found in (one, two)
        )
    differing = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
    return differing + [name for name in ("config.json", "loss.png") if not (other / name).is_file()]
