"""What a person or a program sees."""

import io
import json
from typing import Any

from rich.console import Console

from gatework.search import compare, make_reporter
from gatework.search.comparing.matching import Size
from gatework.search.comparing.progress import Beginning, JsonLines, Live, Plain, Quiet, Tally, ending
from gatework.search.running.trial import Outcome, Trial

METRICS = {"loss": 0.5, "accuracy": 0.25}
OUTCOME = Outcome(300, False, False, False, METRICS, 100, METRICS, 2.0)


def beginning(**values):
    known: dict[str, Any] = {
        "run": "here", "task": "Adding problem", "success": "accuracy of at least 0.99", "metric": "accuracy",
        "sizes": {"rnn": Size(33, 1222)}, "gaps": (10, 100), "trials": 20, "done": {}, "workers": 2, "budget": 300,
    }  # fmt: skip
    return Beginning(**(known | values))


def trial(gap=10, number=0, cell="rnn"):
    return Trial(cell, gap, "final", 0.01, number)


def test_time_left():
    tally = Tally(beginning())
    assert tally.left() is None
    tally.add(trial(), OUTCOME)
    # Nine more at gap 10 take 2 s each, and ten at gap 100 ten times as long; two at a time.
    assert tally.left() == (9 * 2 + 10 * 20) / 2
    tally.add(trial(100), OUTCOME)
    assert tally.left() == (9 * 2 + 9 * 2) / 2


def test_time_left_knows_what_was_over_before():
    assert Tally(beginning(done={trial(100): OUTCOME})).left() == (10 * 0.2 + 9 * 2) / 2


def test_best_so_far():
    tally = Tally(beginning())
    tally.add(trial(), OUTCOME)
    assert tally.best() == ""
    for cell, number in (("lstm", 0), ("lstm", 1), ("rnn", 1)):
        tally.add(trial(number=number, cell=cell), Outcome(9, True, True, False, METRICS, 9, METRICS, 1.0))
    assert tally.best() == "most solved: lstm, 2 of 2 runs"


def test_endings():
    assert ending(OUTCOME, "accuracy") == "not solved after 300 steps (accuracy 0.25)"
    blown = Outcome(41, False, False, True, METRICS, 41, {"accuracy": None}, 1.0)
    assert ending(blown, "accuracy") == "blew up at step 42 (accuracy not a number)"


def test_plain_lines(fake, told):
    file = io.StringIO()
    compare(told(workers=1), make_reporter("plain", file))
    lines = file.getvalue().splitlines()
    assert lines[0] == "Adding problem, solved at accuracy of at least 0.99; gaps 10, 50"
    assert lines[1] == "cells: rnn (9 units, 118 parameters), lstm (4 units, 117 parameters)"
    assert lines[2] == f"24 trials of at most 300 steps, 1 at a time, into {told().directory}"
    assert lines[3].startswith("1/24  rnn at gap 50, learning rate 0.001, tuning run 1: not solved after 300 steps (")
    assert "lstm at gap 10 goes on with learning rate 0.01" in lines
    assert "24/24  lstm at gap 10, learning rate 0.01, final run 3: solved after 100 steps (accuracy 1)" in lines[-1]


def test_json_lines_are_those_of_the_file(fake, told):
    file = io.StringIO()
    compare(told(workers=1), make_reporter("json", file))
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    written = [json.loads(line) for line in (told().directory / "trials.jsonl").read_text().splitlines()]
    assert [line for line in lines if "trial" in line] == written
    assert {"chosen": {"cell": "lstm", "gap": 10, "learning_rate": 0.01}} in lines


def test_live_display(fake, told):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=140, color_system=None)
    compare(told(), Live(console))
    shown = file.getvalue()
    assert "trial 24/24" in shown
    assert "most solved: lstm, 3 of 6 runs" in shown
    assert "lstm at gap 10 goes on with learning rate 0.01" in shown


def test_choosing_a_reporter():
    file = io.StringIO()
    kinds: dict[Any, type] = {"auto": Plain, "plain": Plain, "json": JsonLines, "quiet": Quiet, "live": Live}
    for mode, kind in kinds.items():
        assert type(make_reporter(mode, file)) is kind
