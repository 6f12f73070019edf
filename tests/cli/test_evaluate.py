"""``gatework evaluate`` of a run on a task: its groups by their names, and JSON with names that fit."""

import pytest

from gatework.tasks.registry import TASKS
from gatework.training.jobs.gaps import takes_other_gaps

SMALL = ("--steps", 2, "--evaluate-every", 2, "--hidden-size", 4, "--batch-size", 4)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """Thirty sentences in the format of the recorded ones, with up to two attractors."""
    folder = tmp_path_factory.mktemp("sentences")
    texts, gold = [], []
    for number in range(30):
        subject, form, other = (("key", "is", "are"), ("keys", "are", "is"))[number % 2]
        texts.append(f"the {subject} " + "to the cabinet " * (number % 3) + f"{form} number {number} . <eos>")
        gold.append(f"{2 + 3 * (number % 3)}\t{form}\t{other}\t{number % 3}")
    (folder / "subj_agr_filtered.text").write_text("\n".join(texts) + "\n")
    (folder / "subj_agr_filtered.gold").write_text("\n".join(gold) + "\n")
    return folder


def test_groups_of_recorded_data_are_called_what_the_data_call_them(gatework, sentences, tmp_path):
    run = tmp_path / "run"
    trained = gatework("train", "--task", "agreement", "--data", sentences, "--run", run, *SMALL)
    assert trained.code == 0, trained.err
    assert f"gatework evaluate {run} --gap 100\n" in trained.out
    found = gatework("evaluate", run, "--split", "train", "--json").json
    own = ("sequences", "answers", "metrics", "solved", "chance", "trivial", "groups", "seconds")
    assert tuple(found) == ("run", "step", "split", "gap", *own)
    names = {number: line["name"] for number, line in found["groups"].items()}
    assert list(names) == ["0", "1", "2"]
    assert all("attractor" in name and name.startswith(number) for number, name in names.items())
    assert sum(line["sequences"] for line in found["groups"].values()) == found["sequences"] == found["answers"] == 24
    shown = gatework("evaluate", run, "--split", "train").out
    for name in names.values():
        assert f" {name} " in shown


def test_groups_without_names_keep_their_numbers(gatework, tmp_path):
    run = tmp_path / "run"
    assert gatework("train", "--task", "anbn", "--gap", 2, "--run", run, *SMALL).code == 0
    groups = gatework("evaluate", run, "--json").json["groups"]
    assert list(groups) == ["1", "2", "3", "4"]
    assert all("name" not in line for line in groups.values())
    assert gatework("evaluate", run).out.count("\n 3 ") == 1


def test_no_other_gap_is_offered_where_a_model_takes_none(gatework, tmp_path):
    """A forecast gives as many numbers as its gap is long, so that a model is good for one of them only."""
    table, run = tmp_path / "rows.csv", tmp_path / "run"
    table.write_text("\n".join(f"{row},{row * row % 17}" for row in range(400)))
    words = ("train", "--task", "forecast", "--gap", 3, "--data", table, "--run", run, *SMALL)
    trained = gatework(*words)
    assert trained.code == 0, trained.err
    assert f"gatework evaluate {run} --split test" in trained.out
    assert f"evaluate {run} --gap" not in trained.out
    assert "Train another one for that gap" in gatework("evaluate", run, "--gap", 4).err


def test_tasks_of_one_gap_have_no_other():
    """Of these no run is needed to see that no other gap is offered."""
    expected = {"mnist", "mnist_permuted", "mnist_rows", "ett_h1", "airline", "forecast"}
    assert {name for name, task in TASKS.items() if not takes_other_gaps(task)} == expected
