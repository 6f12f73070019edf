"""How the tests of the command line call it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from gatework.cli.app import run


@dataclass(frozen=True)
class Outcome:
    """What a call gave: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    """Nobody's window: a width in the environment would break lines."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def gatework(capsys):
    """Call the command line in this process."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(tmp_path):
    """Call the command line as a process of its own, in an empty folder."""

    def call(*words: object, **environment: str) -> Outcome:
        command = [sys.executable, "-m", "gatework", *(str(word) for word in words)]
        environ = {**os.environ, **environment}
        result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=300, check=False)
        return Outcome(result.returncode, result.stdout.decode(), result.stderr.decode())

    return call
