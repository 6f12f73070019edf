"""What a person does with gatework, in one process, on whatever system this process simulates.

python -m tests.systems.tour FOLDER
"""

import importlib
import json
import os
import shlex
import sys
import threading
import urllib.request
from pathlib import Path


def tour(folder: Path) -> dict[str, object]:
    """Train, resume, evaluate, generate, look, and serve one request; give what each said."""
    run = importlib.import_module("gatework.cli.app").run
    told: dict[str, object] = {}
    book, one = folder / "book.txt", folder / "run"
    book.write_bytes("the naïve cat sat on the mat\r\nand the dog on the log\n".encode() * 60)
    small = "--hidden-size 8 --batch-size 4 --window 12 --checkpoint-every 2 --evaluate-every 4 --log-every 1"
    train = ["train", "--data", str(book), "--run", str(one), *shlex.split(small), "--steps"]
    told["train"] = run([*train, "6"])
    told["resume"] = run([*train, "9"])
    told["checkpoints"] = sorted(path.name for path in (one / "checkpoints").iterdir())
    told["refused"] = second_writer(one)
    told["evaluate"] = run(["evaluate", str(one), "--json"])
    told["generate"] = run(["generate", str(one), "--prompt", "the ", "--length", "20"])
    told["compare"] = run(compare(folder))
    told["explore"] = explore(one)
    told["doctor"] = run(["doctor", "--json"])
    return told


def compare(folder: Path) -> list[str]:
    """A comparison small enough for a test, in processes of its own."""
    small = "--task latch --cells rnn --gaps 10 --seeds 2 --steps 2 --workers 1 --learning-rates 0.01"
    return ["compare", *shlex.split(small), "--run", str(folder / "comparison")]


def second_writer(run: Path) -> str:
    """Take the lock of a run twice, and give what the second is told."""
    locks, errors = importlib.import_module("gatework.runs.locks"), importlib.import_module("gatework.errors")
    first = locks.Lock(run / ".lock")
    try:
        locks.Lock(run / ".lock")
    except errors.RunError as error:
        return str(error)
    finally:
        first.release()
    return ""


def explore(run: Path) -> object:
    """Serve a run, and ask for its page and its facts."""
    server = importlib.import_module("gatework.explorer.server")
    opening = importlib.import_module("gatework.cli.opening")
    settings = importlib.import_module("gatework.explorer.settings").Settings()
    sock = server.listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    door, stop = server.make_door("127.0.0.1", port), threading.Event()

    def opener() -> object:
        return opening.open_runs((str(run),), False, settings)

    serving = threading.Thread(target=server.serve, args=(opener, sock, door, settings, stop))
    serving.start()
    try:
        answers = []
        for path in ("/", "/api/about"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                answers.append([answer.status, len(answer.read()) > 100])
        return answers
    finally:
        stop.set()
        serving.join(30)


if __name__ == "__main__":
    where = sys.argv[1]
    os.chdir(where)
    result = tour(Path(where))
    Path(where, "told.json").write_text(json.dumps(result), encoding="utf-8")
