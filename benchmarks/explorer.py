"""Time the explorer's answers over HTTP, on this machine, as the page waits for them.

    python -m benchmarks.explorer [--rounds 30] [--quick] [--write benchmarks/results/explorer.json]

A model of about a million parameters reads 200 characters, each time with one of them changed, as in an edit; one with
H = 512 reads 1,000; and the demo's reads 100,000. Before anything is timed, the loss of a text is compared with the
model's own. A median and a 95th percentile stand in each row, in milliseconds; what a page does with an answer is not
in them.
"""

import argparse
import json
import platform
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import torch

from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.explorer.answers import Answers
from gatework.explorer.models import DemoOrigin, OpenRun, Origin
from gatework.explorer.server import listen, make_door, serve
from gatework.explorer.settings import Settings
from gatework.models.language import LanguageModel
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.text import build_model

LETTERS = "abcdefghijklmnopqrstuvwxyz .,()[]{}'\"=:0123456789"


class Untrained:
    """A model as it begins: what it computes takes as long as if it had learned."""

    def __init__(self, title: str, **changes: Any) -> None:
        self.title = title
        self.config: TrainConfig = make_config(changes)
        self.vocabulary = Vocabulary.of(LETTERS + "\n", "char")
        self.steps: list[int] = [0]

    def load(self, step: int) -> LanguageModel:
        torch.manual_seed(0)
        return build_model(self.config, len(self.vocabulary), torch.device("cpu")).eval()

    def held_out(self) -> Symbols:
        return write(20_000)

    def samples(self) -> list[tuple[dict[str, str], str]]:
        return []


def write(length: int, seed: int = 0) -> str:
    """Write text without meaning."""
    chosen = random.Random(seed)
    return "".join(chosen.choice(LETTERS) for _ in range(length))


class Client:
    """One connection, as a page has it."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        answer = self._connection.getresponse()
        given = answer.read()
        assert answer.status == 200, given
        return given

    def read(self, run: str, **text: str) -> dict[str, Any]:
        return json.loads(self.ask("POST", "/api/traces", {"run": run, **text}))


def check(client: Client, answers: Answers, run: str) -> None:
    """Compare the loss of a text with what the model gives for it, to the bit."""
    text = write(200)
    opened = answers.runs[run].open()
    rows = torch.cat([torch.tensor([opened.vocabulary.start]), opened.vocabulary.encode(text).long()])
    with torch.no_grad():
        logs = opened.model(rows[:, None])[0][:, 0].log_softmax(-1)
    nats = -logs[:-1].gather(1, rows[1:, None])[:, 0]
    assert client.read(run, text=text)["loss"] == [*nats[1:].tolist(), None]


def measured(deed: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Give median and 95th percentile in milliseconds, after two rounds that do not count."""
    times = []
    for number in range(rounds + 2):
        began = time.perf_counter()
        deed(number)
        times.append(1e3 * (time.perf_counter() - began))
    kept = sorted(times[2:])
    return statistics.median(kept), kept[min(len(kept) - 1, round(0.95 * len(kept)))]


def rows_of_text(
    client: Client, answers: Answers, run: str, length: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Time what is asked about a text of letters."""
    check(client, answers, run)
    path = f"/api/traces/{client.read(run, text=write(length))['trace']}"
    marks = {"names": ["c", "h"], "ranges": [[10, 60]]}
    deeds: dict[str, Callable[[int], object]] = {
        "all of a unit": lambda n: client.ask("GET", f"{path}/unit?unit={n}"),
        "a quantity of all units": lambda n: client.ask("GET", f"{path}/values?name=c"),
        "an equation in numbers": lambda n: client.ask("GET", f"{path}/terms?name=f&unit=3&step={n}"),
        "gradients": lambda n: client.ask("GET", f"{path}/gradients?at={length - 2 - n}"),
        "figures about units": lambda n: client.ask("GET", f"{path}/units?name=f"),
        "units that follow a mark": lambda n: client.ask("POST", f"{path}/find", marks),
        # Last, for what they leave behind pushes out what was asked about.
        "an edit": lambda n: client.read(run, text=write(length, n)),
    }
    model = answers.runs[run].open().model
    count = sum(parameter.numel() for parameter in model.parameters())
    what = f"{count / 1e6:.1f} M parameters, H = {model.recurrent.layers[0].hidden_size}, T = {length:,}"
    return {f"{what}: {name}": measured(deed, rounds) for name, deed in deeds.items()}


def rows_of_long_text(client: Client, answers: Answers, run: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Time what is asked about the longest of a run's samples."""
    sample = answers.runs[run].samples[-1]
    path = f"/api/traces/{client.read(run, sample=sample.id)['trace']}"
    deeds: dict[str, Callable[[int], object]] = {
        "read": lambda n: client.read(run, sample=sample.id),
        "overview of a quantity": lambda n: client.ask("GET", f"{path}/overview?name=c"),
        "all of a unit": lambda n: client.ask("GET", f"{path}/unit?unit=3"),
        "a window of 1,000": lambda n: client.ask("GET", f"{path}/values?name=c&from=50000&to=51000"),
    }
    return {f"demo, T = {len(sample.text):,}: {name}": measured(deed, rounds) for name, deed in deeds.items()}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="leave out wide models and long texts")
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args(words)
    origins: list[Origin] = [
        Untrained("a million", hidden_size=320, embedding_size=320, num_layers=1),
        Untrained("wide", hidden_size=512, embedding_size=512, num_layers=1),
        DemoOrigin(),
    ]
    answers = Answers({f"r{n}": OpenRun(f"r{n}", origin) for n, origin in enumerate(origins)}, Settings())
    sock, stop = listen("127.0.0.1", 0), threading.Event()
    port = sock.getsockname()[1]
    arguments = (lambda: answers, sock, make_door("127.0.0.1", port), Settings(), stop)
    server = threading.Thread(target=serve, args=arguments, daemon=True)
    server.start()
    client = Client(port)
    found = rows_of_text(client, answers, "r0", 200, chosen.rounds)
    if not chosen.quick:
        found |= rows_of_text(client, answers, "r1", 1000, chosen.rounds)
        found |= rows_of_long_text(client, answers, "r2", max(3, chosen.rounds // 10))
    stop.set()
    server.join()
    width = max(map(len, found))
    print(f"{'':{width}}  median ms    p95 ms")
    for name, (median, high) in found.items():
        print(f"{name:{width}}  {median:9.1f} {high:9.1f}")
    if chosen.write:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
        facts = machine | {"threads": torch.get_num_threads(), "rounds": chosen.rounds}
        table = {
            name: {"median_ms": round(median, 2), "p95_ms": round(high, 2)} for name, (median, high) in found.items()
        }
        chosen.write.write_text(json.dumps({"facts": facts, "milliseconds": table}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
