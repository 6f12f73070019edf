"""In a notebook, progress is a few lines of text: a cell's output has no cursor that a moving display could use."""

import io

import pytest
from rich.console import Console

from gatework import search, training
from gatework.runs import reporting
from gatework.search.comparing import progress as comparing
from gatework.training import progress

BEGINNING = progress.Beginning("runs/book", "lstm", 1000, "char", ["text: 1,000 chars"], 4000, 0, 1, "cpu")


@pytest.fixture
def notebook(monkeypatch):
    """Let rich believe that it writes into a notebook, as it does where IPython's kernel runs."""
    monkeypatch.setenv("FORCE_COLOR", "")
    monkeypatch.setattr(reporting, "Console", lambda **given: Console(force_jupyter=True, force_terminal=None, **given))


@pytest.mark.usefixtures("notebook")
def test_lines_are_chosen_by_themselves():
    assert isinstance(training.make_reporter(file=io.StringIO()), progress.Plain)
    assert isinstance(search.make_reporter(file=io.StringIO()), comparing.Plain)


@pytest.mark.usefixtures("notebook")
def test_a_long_run_does_not_flood_the_output():
    """4,000 steps in 200 seconds: what is printed grows with the minutes and the evaluations, not with the steps."""
    output = io.StringIO()
    reporter = training.make_reporter(file=output)
    reporter.begin(BEGINNING)
    for step in range(1, 4001):
        reporter.step(step, 32, 1.5)
        if step % 10 == 0:
            values = {"step": step, "train_loss": 1.5, "train_bits_per_character": 2.1, "seconds": step / 20}
            reporter.line(values | {"tokens_per_second": 640.0})
        if step % 500 == 0:
            reporter.line({"step": step, "valid_loss": 1.6, "valid_bits_per_character": 2.3, "seconds": step / 20})
    reporter.end()
    lines = output.getvalue().splitlines()
    assert sum("held out" in line for line in lines) == 8
    assert 20 < len(lines) < 60
    assert not {"\r", "\x1b"} & set(output.getvalue())
