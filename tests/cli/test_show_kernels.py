"""``gatework show --plan`` and ``--kernel``."""

import pytest

from gatework.cells import CELLS
from gatework.kernels.door.listing import code_of
from gatework.kernels.llvm.target import host
from gatework.kernels.planning.plan import show_plan
from gatework.kernels.planning.planned import PASSES_OF_A_CELL, plan_of


def test_plans_of_all_passes(gatework):
    text = gatework("show", "lstm", "--plan").out
    titles = ["Forward, nothing saved", "Forward, saving what the backward pass reads", "Backward"]
    places = [text.index(f"{title}\n{'-' * len(title)}\n") for title in titles]
    assert places == sorted(places)
    assert "before the loop, stage 0 (units: hidden_size)\n  product    i_1_1 = W_i @ x\n" in text
    for which in PASSES_OF_A_CELL:
        assert show_plan(plan_of(CELLS["lstm"].step, which)) in text


def test_the_plan_of_the_way_back_alone(gatework):
    text = gatework("show", "gru", "--plan", "--backward").out
    assert text == f"Backward\n--------\n{show_plan(plan_of(CELLS['gru'].step, 'backward'))}\n"


@pytest.mark.parametrize("name", CELLS)
def test_plans_for_programs(gatework, name):
    shown = gatework("show", name, "--plan", "--json").json
    assert shown["name"] == name
    assert shown["plans"] == {which: show_plan(plan_of(CELLS[name].step, which)) for which in PASSES_OF_A_CELL}


@pytest.mark.parametrize(("flags", "which"), [((), "inference"), (("--backward",), "backward")])
def test_code(gatework, flags, which):
    code = code_of(CELLS["rnn"].step, which).text
    assert "define void @each(ptr %table)" in code
    assert gatework("show", "rnn", "--kernel", *flags).out == code
    shown = gatework("show", "rnn", "--kernel", *flags, "--json").json
    assert shown == {"name": "rnn", "pass": which, "form": "llvm", "level": host().level, "text": code}


@pytest.mark.parametrize("flags", [(), ("--backward",)])
def test_machine_code(gatework, flags):
    text = gatework("show", "rnn", "--kernel", "--assembly", *flags).out
    assert "\neach:" in text
    assert "define" not in text
    assert ("flat_0:" in text) == (not flags)  # the product with x stands before the loop; the backward pass has sums
    assert gatework("show", "rnn", "--kernel", "--assembly", *flags, "--json").json["form"] == "assembly"


def test_a_cell_from_a_file(gatework, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("h = tanh(W @ x + R @ h + b)\n", encoding="utf-8")
    assert "product    h_1_1 = W @ x" in gatework("show", file, "--plan").out


@pytest.mark.parametrize("flags", [("--backward",), ("--assembly",), ("--plan", "--assembly"), ("--plan", "--kernel")])
def test_flags_that_do_not_go_together(gatework, flags):
    outcome = gatework("show", "lstm", *flags)
    assert outcome.code == 2
    assert outcome.err == (
        "gatework: --plan and --kernel are shown one at a time; --backward goes with either, and --assembly with "
        "--kernel.\n"
    )
