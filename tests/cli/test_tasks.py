"""``gatework tasks``: the list, one task, and what is asked for wrongly; and a run on a task from the command line."""

import json

from gatework.tasks.registry import TASKS


def test_all_are_listed(gatework):
    shown = gatework("tasks")
    assert shown.code == 0
    assert [name for name in TASKS if f" {name} " not in shown.out] == []
    assert [row["name"] for row in gatework("tasks", "--json").json] == list(TASKS)


def test_one_is_shown_with_an_example(gatework):
    shown = gatework("tasks", "adding", "--gap", 12).out
    assert "Two numbers of a long sequence are marked" in shown
    assert "section 5.4" in shown
    assert "→" in shown
    assert shown == gatework("tasks", "adding", "--gap", 12).out
    assert shown != gatework("tasks", "adding", "--gap", 12, "--seed", 1).out
    facts = gatework("tasks", "adding", "--gap", 12, "--json").json
    (step,) = facts["example"]["asked"]
    inputs = facts["example"]["inputs"]
    assert int(step) == len(inputs) - 1
    marked = [value for value, mark in inputs if mark == 1]
    assert facts["example"]["asked"][step][0] == 0.5 + sum(marked) / 4 or len(marked) == 1


def test_recorded_ones_say_where_their_data_lie(gatework):
    assert "folder polyphonic_music" in " ".join(gatework("tasks", "jsb_chorales").out.split())


def test_what_is_refused(gatework):
    unknown = gatework("tasks", "ading")
    assert (unknown.code, "did you mean 'adding'?" in unknown.err) == (2, True)
    small = gatework("tasks", "adding", "--gap", 2)
    assert (small.code, "gap is 2: task 'adding' takes 4 and more" in small.err) == (2, True)


def test_train_and_evaluate_as_a_user_does(gatework, tmp_path):
    run = tmp_path / "run"
    words = ("train", "--task", "latch", "--gap", 12, "--steps", 60, "--evaluate-every", 30, "--run", run)
    trained = gatework(*words)
    assert trained.code == 0, trained.err
    assert "task: Latch, gap 12" in trained.err
    assert "The criterion, accuracy of at least 0.99:" in trained.out
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    again = gatework(*words, "--json")
    assert json.loads(again.out.splitlines()[-1])["result"]["already"]
    found = gatework("evaluate", run, "--gap", 30, "--json").json
    assert (found["gap"], found["text"]) == (30, "valid")
    assert "(by guessing 0.5000)" in gatework("evaluate", run, "--split", "test").out
