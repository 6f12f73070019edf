"""A small run, opened, and a client that asks it things."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from gatework.explorer.answers import Answers, open_answers
from gatework.explorer.guard import Door
from gatework.explorer.server import make_app
from gatework.explorer.settings import Settings
from gatework.models.language import LanguageModel
from gatework.training import make_config, train

LINES = ["def f(a, b):", '    return "a, b" + a', "# and (so) on", "x = [1, 2, 3]", ""]
TEXT = "\n".join(LINES * 40)
SMALL = {"hidden_size": 10, "num_layers": 2, "embedding_size": 6, "batch_size": 4, "window": 16, "steps": 8}
OFTEN = {"evaluate_every": 8, "checkpoint_every": 4, "log_every": 4, "threads": 1}


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Train a small run; keywords change its configuration."""

    def made(name="small run", text=TEXT, **changes) -> str:
        folder = tmp_path_factory.mktemp("explorer")
        (folder / "text.txt").write_text(text, encoding="utf-8")
        config = {"data": str(folder / "text.txt"), "run": str(folder / name)}
        train(make_config(SMALL | OFTEN | config | changes))
        return config["run"]

    return made


@pytest.fixture(scope="session")
def run(make_run) -> str:
    return make_run()


@dataclass
class Caller:
    """A client, and what it is a client of."""

    http: TestClient
    answers: Answers

    def get(self, path: str, **query: Any) -> Any:
        """Ask for JSON that must be given."""
        answer = self.http.get(path, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def numbers(self, path: str, **query: Any) -> np.ndarray:
        """Ask for an array that must be given."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        shape = [int(size) for size in answer.headers["x-shape"].split(",")]
        return np.frombuffer(answer.content, "<f4").reshape(shape)

    def post(self, path: str, **body: Any) -> Any:
        """Post JSON that must be taken."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, status: int, method: str, path: str, **options: Any) -> str:
        """Ask for what must be refused; gives the sentence."""
        answer = self.http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        assert list(answer.json()) == ["error"]
        return answer.json()["error"]

    def read(self, text: str, **more: Any) -> Any:
        """Let the run read a text."""
        return self.post("/api/traces", run="r0", text=text, **more)

    @property
    def model(self) -> LanguageModel:
        return self.answers.runs["r0"].open().model

    def forward(self, text: str) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
        """Run a text as anybody would: log-probabilities after each symbol, and what the layers record."""
        run = self.answers.runs["r0"]
        symbols: Any = text.encode() if run.config.level == "byte" else text
        rows = torch.cat([torch.tensor([run.vocabulary.start]), run.vocabulary.encode(symbols).long()])[:, None]
        with torch.no_grad():
            scores, _ = self.model(rows)
            names = [line.target for line in self.model.recurrent.cell.step.equations]
            records = self.model.recurrent.record(self.model.embedding(rows), names=names)[2]
        return scores[:, 0].log_softmax(-1), [{name: one[1:, 0] for name, one in layer.items()} for layer in records]


@pytest.fixture(scope="session")
def call():
    """Open runs, and give a client; keywords change the settings."""

    def opened(*runs: str, door: Door | None = None, demo: bool = False, **settings: Any) -> Caller:
        chosen = replace(Settings(), **settings)
        answers = open_answers(runs, demo, chosen)
        app = make_app(lambda: answers, door or Door.on("127.0.0.1", 8000, ""), chosen, lambda: None)
        client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        client.__enter__()
        opened_clients.append(client)
        return Caller(client, answers)

    opened_clients: list[TestClient] = []
    yield opened
    for client in opened_clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def small(call, run) -> Caller:
    """The small run."""
    return call(run)
