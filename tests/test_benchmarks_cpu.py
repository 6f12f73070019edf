"""The benchmarks refuse to give a ratio where the numbers differ. Nothing here is timed."""

import json
from functools import partial
from io import StringIO

import pytest
import torch
from benchmarks.cpu import __main__ as command
from benchmarks.cpu import measure, memory, report
from benchmarks.cpu.contestants import in_double, over_sequence, random_input, random_state
from benchmarks.cpu.measure import GRADIENT, Effort, Pair, compare, compare_exactly
from benchmarks.cpu.outcome import Outcome, measure_table
from benchmarks.cpu.plan import MODES, Table
from benchmarks.cpu.targets import Target
from rich.console import Console
from torch import nn

import gatework

SHAPE = (2, 5, 8)
PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
every_mode = pytest.mark.parametrize("mode", MODES)


class TimedError(Exception):
    """Raised in place of taking a time."""


@pytest.fixture(autouse=True)
def _nothing_is_timed(monkeypatch):
    def refuse(*_):
        raise TimedError

    monkeypatch.setattr(measure, "_sample", refuse)


def pair_of(mode, wrong=None):
    """Two layers with the same weights, one of them a little off where a parameter is named."""
    units = SHAPE[2]
    torch.manual_seed(0)
    theirs, ours = nn.LSTM(units, units), nn.LSTM(units, units)
    ours.load_state_dict(theirs.state_dict())
    if wrong is not None:
        with torch.no_grad():
            getattr(theirs, wrong)[3] += 0.01
    given, state = random_input(SHAPE, units), random_state(SHAPE, 2)
    make = MODES[mode]
    return Pair(
        "row",
        make(over_sequence("ours", ours, given, state)),
        make(over_sequence("theirs", theirs, given, state)),
    )


@every_mode
def test_the_right_weights_are_timed(mode):
    """Or the tests below would pass with a harness that refuses everything."""
    with pytest.raises(TimedError):
        measure.measure(pair_of(mode), Effort())


@every_mode
@pytest.mark.parametrize("wrong", PARAMETERS)
def test_a_wrong_weight_gives_no_times(mode, wrong):
    row = measure.measure(pair_of(mode, wrong), Effort())
    assert row.status == "numbers differ"
    assert row.ours is None
    assert row.peer is None
    assert Target(mean=1).figure(row) is None


@every_mode
def test_a_wrong_weight_gives_the_table_no_figure(mode):
    table = Table("title", mode, Target(mean=1), {"row": partial(pair_of, mode, "weight_hh_l0")})
    outcome = measure_table(table, Effort())
    assert outcome.verdict == "numbers differ"
    assert outcome.refused
    assert outcome.figures == []
    facts = outcome.facts()
    assert "geometric_mean" not in facts
    assert "figure" not in facts["rows"][0]
    paper = StringIO()
    report.show(Console(width=150, file=paper), outcome, is_quick=False)
    assert "numbers differ; no figure" in paper.getvalue()


@pytest.mark.parametrize(("wrong", "code"), [("weight_hh_l0", 1), (None, 0)])
def test_exit_code(monkeypatch, capsys, wrong, code):
    """A wrong weight fails the run; a peer that is not installed is said not to be, which is no failure."""
    entries = {"row": partial(pair_of, "training", wrong)}
    table = Table("title", "training", Target(mean=1), entries, missing="" if wrong else "No module named 'peer'")
    monkeypatch.setitem(command.TABLES, "lstm", lambda plan: [table])
    monkeypatch.setattr(command, "_keep_to", lambda threads: None)
    monkeypatch.setattr(command, "measure_peak", lambda threads, quick: {})
    assert command.main(["--only", "lstm", "--quick", "--json"]) == code
    (found,) = json.loads(capsys.readouterr().out)
    verdict = found["tables"][0]["verdict"]
    assert verdict == ("numbers differ" if wrong else "not installed: No module named 'peer'")


@pytest.mark.parametrize(("others", "verdict"), [(0.3, "disturbed"), (0.01, "met"), (None, "met")])
def test_a_table_that_others_disturbed_is_not_judged(others, verdict):
    row = {"row": "row", "status": "measured", "figure": 240.0, "others_had": others}
    outcome = Outcome("title", "inference", Target(mean=1), [row], [("row", 240.0)])
    outcome.judge()
    assert outcome.verdict == verdict
    assert ("geometric_mean" in outcome.facts()) is (verdict == "met")


def test_double_precision_has_the_same_masks():
    """Or a cell with masks would have other numbers there."""
    units = SHAPE[2]
    options = {"layer_norm": True, "zoneout": 0.3, "recurrent_dropout": 0.3}
    layer = gatework.LSTM(units, units, **options, backend="reference")
    given, state = random_input(SHAPE, units), random_state(SHAPE, 2)
    outputs = []
    for network in (over_sequence("single", layer, given, state), in_double(layer, given, state)):
        network.module.train()
        torch.manual_seed(4)
        with torch.no_grad():
            outputs.append({"output": network.run()[0]})
    single, double = outputs
    assert double["output"].dtype == torch.float64
    assert compare(single, double).agrees


def test_a_row_that_raises_fails_the_table(capsys):
    def broken():
        raise ValueError("no such kernel")

    outcome = measure_table(Table("title", "inference", Target(mean=1), {"row": broken}), Effort())
    assert outcome.verdict == "failed"
    assert outcome.refused
    assert outcome.rows == [{"row": "row", "status": "failed", "failure": "ValueError: no such kernel"}]
    assert "Traceback" in capsys.readouterr().err


def test_a_wrong_weight_gives_no_memory(monkeypatch):
    def wrong_side(plan, name, shape):
        units = shape[2]
        torch.manual_seed(int(name == "torch"))
        return over_sequence(name, nn.LSTM(units, units), random_input(shape, units), random_state(shape, 2))

    monkeypatch.setattr(memory, "side", wrong_side)
    monkeypatch.setattr(memory, "MISSING", "")
    monkeypatch.setattr(memory, "in_fresh_process", lambda plan, name: pytest.fail("measured"))
    first = memory.measure_memory(command.Plan(command.QUICK, 1, "auto"))[0]
    assert first.verdict == "numbers differ"
    assert first.figures == []


ONES = torch.ones(3)
NAME = f"{GRADIENT}W"
DIFFERENT = {
    "a value": ({"y": ONES + 2e-5}, {"y": ONES}, "y"),
    "a gradient": ({"y": ONES, NAME: ONES + 2e-4}, {"y": ONES, NAME: ONES}, NAME),
    "not a number": ({"y": ONES * torch.nan}, {"y": ONES * torch.nan}, "y is not finite"),
    "infinite": ({"y": ONES / 0}, {"y": ONES / 0}, "y is not finite"),
    "another shape": ({"y": ONES[None]}, {"y": ONES}, "y is (1, 3) beside (3,)"),
    "a gradient is missing": ({"y": ONES}, {"y": ONES, NAME: ONES}, f"only one side has {NAME}"),
    "a gradient too many": ({"y": ONES, NAME: ONES}, {"y": ONES}, f"only one side has {NAME}"),
    "something beside zeros": ({"x": ONES, "y": ONES * 1e-9}, {"x": ONES, "y": ONES * 0}, "y"),
    "nothing": ({}, {}, "all numbers are zero, or there are none"),
    "only zeros": ({"y": ONES * 0}, {"y": ONES * 0}, "all numbers are zero, or there are none"),
}


@pytest.mark.parametrize(("ours", "theirs", "where"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_numbers_differ(ours, theirs, where):
    found = compare(ours, theirs)
    assert not found.agrees
    assert found.where == where


def test_numbers_agree_within_their_tolerance():
    assert compare({"y": ONES + 5e-6, NAME: ONES + 5e-5}, {"y": ONES, NAME: ONES}).agrees


@pytest.mark.parametrize(
    ("ours", "judge", "agrees"),
    [(3e-3, 1e-3, True), (5e-3, 1e-3, False), (2e-5, 1e-7, False), (2e-2, 2e-2, False)],
    ids=["near as the judge", "further than the judge", "the judge is exact", "the judge says nothing"],
)
def test_numbers_beside_double_precision(ours, judge, agrees):
    exact = {"y": ONES.double()}
    assert compare_exactly({"y": ONES + ours}, {"y": ONES + judge}, exact).agrees is agrees
