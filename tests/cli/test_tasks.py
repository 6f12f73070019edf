"""``gatework tasks``: the list, one task, and what is asked for wrongly; and a run on a task from the command line."""

import json
import re
import shlex

import pytest

from gatework.tasks.registry import TASKS
from gatework.tasks.synthetic.sentences import FORMS
from gatework.tasks.task import Synthetic

DRAWN = [name for name, task in TASKS.items() if isinstance(task.examples, Synthetic)]


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
    assert (facts["gap"], facts["example"]["gap"]) == (12, 12)
    assert int(step) == len(inputs) - 1
    marked = [value for value, mark in inputs if mark == 1]
    assert facts["example"]["asked"][step][0] == pytest.approx(0.5 + sum(marked) / 4)


def example(gatework, *words):
    """The words of the example that is shown."""
    shown = gatework("tasks", *words).out
    found = re.search(r"^An example, drawn at gap ([\d,]+)\n(.*?)\n\nNext", shown, re.M | re.S)
    assert found, shown
    return int(found[1].replace(",", "")), re.sub(r"\s+", " ", found[2])


# Streams without an end: their examples are beginnings.
STREAMS = ("continual_reber", "periodic_cosine", "periodic_triangle")


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_left_out_of_an_example_where_no_gap_is_asked_for(gatework, name):
    gap, text = example(gatework, name)
    assert gap <= TASKS[name].gap.default
    assert ("steps …" in text) == (name in STREAMS)


@pytest.mark.parametrize(("name", "mark"), [("temporal_order_2", "[XY]"), ("temporal_order_3", "[XY]")])
@pytest.mark.parametrize("gap", [[], ["--gap", 300]])
def test_symbols_that_matter_are_never_left_out(gatework, name, mark, gap):
    read, answer = example(gatework, name, *gap)[1].split(" → ")
    assert "".join(re.findall(mark, read)) == answer
    assert ("steps …" in read) == bool(gap)


def test_marked_numbers_are_never_left_out(gatework):
    for seed in range(5):
        read, answer = example(gatework, "adding_arjovsky", "--gap", 400, "--seed", seed)[1].split(" → ")
        numbers = [float(number) for number in re.findall(r"\(([\d.]+) 1\)", read)]
        assert sum(numbers) == pytest.approx(float(answer), abs=0.01)


def test_what_is_left_out_is_counted(gatework):
    _, text = example(gatework, "two_sequence", "--gap", 300)
    inputs = gatework("tasks", "two_sequence", "--gap", 300, "--json").json["example"]["inputs"]
    left_out = sum(int(number) for number in re.findall(r"… (\d+) steps …", text))
    shown = re.sub(r"… \d+ steps …|→ \S+", "", text).split()
    assert left_out + len(shown) == len(inputs)


def test_equal_steps_are_written_once(gatework):
    assert "_ → _ (×99) > → _ _ → " in example(gatework, "copy")[1]


@pytest.mark.parametrize("name", ["reber", "embedded_reber", "continual_reber", "anbn", "anbncn"])
def test_every_legal_answer_is_shown(gatework, name):
    assert re.search(r"(B → T/P|a → a/b)", example(gatework, name)[1])
    asked = gatework("tasks", name, "--json").json["example"]["asked"]
    assert {len(answers) for answers in asked.values()} == {1, 2}


@pytest.mark.parametrize(("name", "gap"), [("pronoun_gender", 12), ("verb_number", 10), ("native_language", 15)])
def test_an_example_has_the_gap_that_it_says(gatework, name, gap):
    """Training sentences may have shorter ones."""
    form = FORMS[name]
    right = dict(zip(form.cues, form.answers, strict=True))
    for seed in range(8):
        found = gatework("tasks", name, "--gap", gap, "--seed", seed, "--json").json["example"]
        assert list(found["asked"].values()) == [right.get(found["inputs"][-gap - 1])], found


def test_recorded_ones_say_where_their_data_lie(gatework):
    assert "folder polyphonic_music" in " ".join(gatework("tasks", "jsb_chorales").out.split())


def test_what_is_refused(gatework):
    unknown = gatework("tasks", "ading")
    assert (unknown.code, "Did you mean 'adding'?" in unknown.err) == (2, True)
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
    assert (found["gap"], found["split"]) == (30, "valid")
    assert (found["sequences"], found["answers"]) == (500, 500)
    assert not {"text", "tokens", "unknown"} & set(found)
    printed = re.findall(r"^  gatework (evaluate .*)$", trained.out, re.MULTILINE)
    assert printed == [f"evaluate {run} --split test", f"evaluate {run} --gap 24"]
    assert [gatework(*shlex.split(command)).code for command in printed] == [0, 0]
    assert "(by guessing 0.5000)" in gatework("evaluate", run, "--split", "test").out


def test_a_gap_of_any_size_is_answered_from_a_shorter_example(gatework, monkeypatch):
    """Two sequences of 100,000,000 steps would take gigabytes."""
    shown = gatework("tasks", "adding", "--gap", 100_000_000)
    assert "An example, drawn at gap 20,000 for its length\n" in shown.out
    assert "100,000,000 least length" in shown.out
    facts = gatework("tasks", "adding", "--gap", 100_000_000, "--json").json
    assert (facts["gap"], facts["example"]["gap"]) == (100_000_000, 20_000)
    assert len(facts["example"]["inputs"]) <= 22_000
