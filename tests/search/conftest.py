"""How the tests of comparisons run them."""

import json
import sys
from pathlib import Path

import pytest
from tests.search.listening import without_seconds

from gatework.search.comparing.config import make_compare_config
from gatework.search.running import worker

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
SMALL = {"task": "adding", "cells": "rnn,lstm", "gaps": "10,50", "seeds": 3, "steps": 300, "hidden_size": 4}
SMALL |= {"learning_rates": "0.001,0.01,0.1", "workers": 2}


@pytest.fixture
def fake(monkeypatch):
    """Let trials be run by the fake worker; call it to say what goes wrong."""
    monkeypatch.setattr(worker, "COMMAND", FAKE)
    monkeypatch.delenv("FAKE", raising=False)
    return lambda what: monkeypatch.setenv("FAKE", what)


@pytest.fixture
def told(tmp_path):
    """Make the configuration of a small comparison in a folder of its own."""
    return lambda **values: make_compare_config({**SMALL, "run": str(tmp_path / "run"), **values})


@pytest.fixture
def results():
    """Read the results of a comparison, but for the times."""
    return lambda folder: without_seconds(json.loads((Path(folder) / "results.json").read_text()))
