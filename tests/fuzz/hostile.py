"""What strangers send - texts of cells, files, requests - changed at random: refused in a sentence, or taken.

Every exception but the library's own is a finding, and so is a request answered with an error of the server's own, a
file outside of the folder that was given, and what takes longer than a few seconds.
"""

import contextlib
import io
import json
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import torch
from starlette.testclient import TestClient
from tests.fuzz.grammar import draw_cell
from tests.fuzz.judge import LAYER, READ, TRACE, TRANSFORMS
from tests.tasks.recorded.tiny import CASES, load

from gatework.cells import CELLS
from gatework.cli import main
from gatework.errors import GateworkError
from gatework.explorer.answers import open_answers
from gatework.explorer.guard import Door
from gatework.explorer.server import make_app
from gatework.explorer.settings import Settings
from gatework.tracing.traces import Trace

SECONDS = 20  # for one attempt, on a machine that does other things as well
FAULT = 1  # the exit code for a fault of the program's own
SAMPLE = "def f(a, b):\n    return (a, b)\n" * 60


class Slow(BaseException):
    """An attempt took too long; no handler of exceptions catches it."""


@dataclass(frozen=True)
class Target:
    """A place where something from outside comes in.

    Args:
        name: What it takes.
        begin: Prepares a folder; gives what :attr:`attempt` needs.
        attempt: Draws something, hands it in, and gives what it was, for the report.
    """

    name: str
    begin: Callable[[Path], Any]
    attempt: Callable[[Any, Path, Random, list[str]], None]


def attempts(target: Target, folder: Path, random: Random, count: int) -> Iterator[tuple[str, str]]:
    """Try a target some times.

    Args:
        target: The target.
        folder: An empty folder; nothing may be written outside of what is made in it.
        random: What is drawn from.
        count: How many times.

    Yields:
        What went wrong, and with what: empty texts where nothing did.
    """
    inside = folder / "inside"
    inside.mkdir()
    (folder / "beside.txt").write_text("untouched")
    held = target.begin(inside)
    signal.signal(signal.SIGALRM, _too_slow)
    for _ in range(count):
        said: list[str] = []
        signal.alarm(SECONDS)
        wrong = ""
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                target.attempt(held, inside, random, said)
        except GateworkError:
            pass
        except Slow:
            wrong = f"slow: more than {SECONDS} s"
        except (Exception, SystemExit) as error:
            wrong = f"{type(error).__name__}: {str(error)[:300]}"
        finally:
            signal.alarm(0)
        if sorted(path.name for path in folder.iterdir()) != ["beside.txt", "inside"]:
            wrong = "something was written outside of the folder"
        yield wrong, " ".join(said)[:2000]


def _too_slow(number: int, frame: Any) -> None:
    raise Slow


# --- texts


_PIECES = (
    *("sigmoid(", "tanh(", "prev(", "(", ")", " @ ", ".T", "*", "/", "+", "-", "=", ",", "\n", " ", "#", "0", "1e400"),
    *("block_diagonal(", "block_upper(", "bernoulli(0.5)", "period(3)", "outer(", "where(", "norm(", "mean(", "h", "x"),
    *(
        "prev(h)",
        "99999999999999999999",
        "lambda: 0",
        "__import__('os')",
        "outputs: h\n",
        "[h]",
        "'",
        '"',
        "\\",
        "\t",
        "\x00",
        "é",
        "１",
    ),
    *(
        "if",
        "None",
        "True",
        "0x10",
        "1_000",
        "1j",
        "h.real",
        "h[0]",
        ":=",
        "**",
        "//",
        "%",
        "@@",
        ";",
        "\u2028",
        "\ud800",
    ),
)


def changed_text(text: str, random: Random) -> str:
    """Change a text here and there."""
    for _ in range(random.choice([1, 1, 2, 3, 6])):
        place = random.randrange(len(text) + 1)
        end = min(len(text), place + random.choice([0, 1, 1, 2, 5, 20]))
        what = random.random()
        if what < 0.5:
            text = text[:place] + random.choice(_PIECES) * random.choice([1, 1, 1, 2, 70]) + text[end:]
        elif what < 0.7:
            text = text[:place] + text[end:]
        else:
            start = random.randrange(len(text) + 1)
            text = text[:place] + text[start : start + random.choice([1, 5, 30])] + text[end:]
    return text


def _text_of_a_cell(random: Random) -> str:
    known = random.choice([*CELLS])
    if random.random() < 0.5:
        return CELLS[known].equations
    cell = draw_cell(random)
    said = {"states": cell.states, "inputs": cell.inputs, "outputs": cell.outputs, "sizes": cell.own_sizes}
    said |= {"init": ["b0=1"], "source": ["Elman 1990"], "memories": ["m"]}
    header = [f"{word}: {' '.join(names)}\n" for word, names in said.items() if names and random.random() < 0.4]
    return "".join(header) + cell.equations


def _try_text(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    text = changed_text(_text_of_a_cell(random), random)
    said.append(repr(text))
    cell = READ(text, states=None if random.random() < 0.7 else "h")
    str(cell), cell.latex()
    if random.random() < 0.3:
        cell = TRANSFORMS[random.choice(["layer_norm", "project"])](cell)
    size = 4 * cell.step.multiple_of
    if size <= 64 and len(cell.step.equations) < 30:
        layer = LAYER(cell, size, size, dtype=torch.float64, backend="reference")
        given = tuple(torch.zeros(2, 1, size).double() for _ in cell.inputs)
        layer(given if len(given) > 1 else given[0])


# --- files


def changed_bytes(content: bytes, random: Random) -> bytes:
    """Change bytes here and there, or cut them off."""
    for _ in range(random.choice([1, 1, 2, 4])):
        place, what = random.randrange(len(content) + 1), random.random()
        if what < 0.35:
            content = content[:place] + bytes([random.randrange(256)]) + content[place + 1 :]
        elif what < 0.5:
            content = content[:place]
        elif what < 0.7:
            piece = random.choice(
                [b"\0", b"\xff" * 8, b"9" * 400, b"[" * 3000, b'{"a":' * 900, b"nan", b"-1", b"1e999"]
            )
            content = content[:place] + piece + content[place + random.choice([0, 1, 8]) :]
        elif what < 0.85:
            end = place + random.choice([1, 4, 50])
            content = content[:place] + content[end:]
        else:
            start = random.randrange(len(content) + 1)
            content = content[:place] + content[start : start + 64] + content[place:]
    return content


def command(*words: str) -> None:
    """Run the command line; an exit code that means a fault of its own is an error."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main(words)
    except SystemExit as end:
        if end.code == FAULT:
            raise AssertionError(said.getvalue()[-600:]) from None


def _try_cell_file(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    content = changed_text(_text_of_a_cell(random), random).encode("utf-8", "surrogatepass")
    content = changed_bytes(content, random) if random.random() < 0.3 else content
    (folder / "cell.txt").write_bytes(content)
    said.append(repr(content))
    command("show", str(folder / "cell.txt"))


_SETTINGS = 'data = "text.txt"\nrun = "run"\ncell = "gru"\nhidden_size = 8\nsteps = 2\nseed = 1\nlearning_rate = 0.01\n'


def _try_settings(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    content = changed_bytes(_SETTINGS.encode(), random)
    (folder / "settings.toml").write_bytes(content)
    said.append(repr(content[:1500]))
    command("train", "--config", str(folder / "settings.toml"), "--print-config")


def _begin_recorded(folder: Path) -> list[tuple[Any, Path, dict[str, bytes]]]:
    found = []
    for place, case in enumerate(CASES):
        home = folder / str(place)
        home.mkdir()
        case.write(home)
        files = {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}
        if sum(map(len, files.values())) < 200_000:
            found.append((case.task, home, files))
    return found


def _try_recorded(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    task, home, files = random.choice(held)
    name = random.choice(sorted(files))
    content = changed_bytes(files[name], random)
    (home / name).write_bytes(content)
    said.append(f"{task.name} {name} {content[:300]!r}")
    try:
        load(task, next(home.iterdir()) if len(files) == 1 else home)
    finally:
        (home / name).write_bytes(files[name])


def _begin_run(folder: Path) -> tuple[Path, dict[str, bytes]]:
    (folder / "text.txt").write_text(SAMPLE)
    run = folder / "run"
    sizes = ["--hidden-size", "8", "--batch-size", "2", "--window", "8", "--steps", "2"]
    command("train", "--data", str(folder / "text.txt"), "--run", str(run), *sizes)
    return run, {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def _try_run(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    run, files = held
    name = random.choice(sorted(files))
    content = changed_bytes(files[name], random)
    (run / name).write_bytes(content)
    said.append(f"{name} {content[:300]!r}")
    try:
        command(*random.choice([("evaluate", str(run)), ("generate", str(run), "--length", "5")]))
    finally:
        (run / name).write_bytes(files[name])


def _begin_trace(folder: Path) -> bytes:
    TRACE(LAYER("gru", 3, 4), torch.zeros(3, 2, 3)).save(folder / "trace.safetensors")
    return (folder / "trace.safetensors").read_bytes()


def _try_trace(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    content = changed_bytes(held, random)
    (folder / "trace.safetensors").write_bytes(content)
    said.append(repr(content[:1500]))
    Trace.load(folder / "trace.safetensors")


# --- requests


def _begin_requests(folder: Path) -> TestClient:
    run, _ = _begin_run(folder)
    settings = Settings()
    answers = open_answers((str(run),), False, settings)
    app = make_app(lambda: answers, Door.on("127.0.0.1", 8000, ""), settings, lambda: None)
    client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    client.__enter__()
    client.post("/api/traces", json={"run": "r0", "text": "def f(a):"})
    return client


_BODIES = (
    {"run": "r0", "text": "def f(a, b):"},
    {"layer": 0, "direction": 0, "name": "h", "mark": "spaces"},
    {"run": "r0", "layer": 0, "direction": 0, "name": "h", "unit": 1},
)
_PATHS = (
    *("/", "/api/about", "/api/traces", "/api/elsewhere", "/assets/index.js", "/assets/../../settings.py"),
    *(
        f"/api/traces/t0/{what}"
        for what in ("top", "values", "overview", "unit", "terms", "units", "gradients", "find")
    ),
)
_VALUES = ("0", "1", "-1", "9" * 30, "h", "c", "", "nan", "1e9", "../..", "\x00", "é" * 50, "true", "[0]", "0x1")


def _try_request(held: Any, folder: Path, random: Random, said: list[str]) -> None:
    path = random.choice(_PATHS)
    path = changed_text(path, random) if random.random() < 0.15 else path
    path = "/" + quote(path.lstrip("/").encode("utf-8", "replace"), safe="/%?&=.")
    names = ("layer", "direction", "name", "unit", "from", "to", "at", "buckets", "step", "odd")
    query = {name: random.choice(_VALUES) for name in names if random.random() < 0.5}
    body = json.dumps(random.choice(_BODIES)).encode()
    body = changed_bytes(body, random) if random.random() < 0.8 else body
    method = random.choice(["GET", "GET", "POST", "POST", "HEAD", "PUT", "OPTIONS", "DELETE"])
    said.append(f"{method} {path} {query} {body[:300]!r}")
    kind = {"content-type": random.choice(["application/json", "text/plain", ""])}
    try:
        answer = held.request(method, path, params=query, content=body if method == "POST" else None, headers=kind)
    except ValueError:  # the client itself sends no such address
        return
    if answer.status_code >= 500 and answer.status_code != 503:
        raise AssertionError(f"{answer.status_code}: {answer.text[:300]}")


def _nothing(folder: Path) -> None:
    return None


TARGETS = (
    Target("texts", _nothing, _try_text),
    Target("cell files", _nothing, _try_cell_file),
    Target("settings", _nothing, _try_settings),
    Target("recorded data", _begin_recorded, _try_recorded),
    Target("runs", _begin_run, _try_run),
    Target("traces", _begin_trace, _try_trace),
    Target("requests", _begin_requests, _try_request),
)
