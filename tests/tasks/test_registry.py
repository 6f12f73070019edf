"""The registry of tasks: what every table must have, whatever the task."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import gatework
from gatework.errors import ConfigError
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Recorded, Synthetic, Task
from gatework.training import TrainConfig, make_config

# The tasks that take a table of the user's own.
OWN_DATA = {"forecast", "classify", "tag", "regress"}


@pytest.mark.parametrize("name", TASKS)
def test_every_table_is_whole(name):
    task = TASKS[name]
    assert task.name == name
    assert task.asks.endswith(("?", "."))
    assert task.source
    assert task.gap.least <= task.gap.default
    assert (task.success.at_least is None) != (task.success.at_most is None)
    assert not task.alphabet or len(task.alphabet) == task.inputs
    assert not task.classes or len(task.classes) == task.outputs
    assert not task.alphabet or task.symbols
    if isinstance(task.examples, Synthetic):
        assert task.inputs
        assert task.outputs
        assert task.chance(task.gap.default)
    assert all(found.model and found.result and found.source for found in task.published)


@pytest.mark.parametrize("name", TASKS)
def test_settings_that_a_task_brings_are_settings(name):
    assert TASKS[name].defaults.keys() <= TrainConfig.model_fields.keys()
    assert TASKS[name].defaults.keys() >= {"hidden_size", "batch_size", "learning_rate"}
    for cell in ("lstm", "rnn"):
        assert make_config({"task": name, "cell": cell}).task == name


def test_chance_never_solves_a_task():
    guessed = {name: task for name, task in TASKS.items() if task.success.metric in task.chance(task.gap.default)}
    assert len(guessed) > 20
    assert [name for name, task in guessed.items() if task.success.reached(task.chance(task.gap.default))] == []


def test_a_task_without_a_published_result_says_so_or_has_no_paper():
    no_paper = {"delayed_credit", "clouds", "native_language", "pronoun_gender", "verb_number", "airline"}
    silent = {name for name, task in TASKS.items() if not task.published and "because none was" not in task.notes}
    # The copying task says it in its success: the figure of the paper is that of the baseline.
    assert silent - {"copy"} == no_paper | OWN_DATA


def test_recorded_tasks_name_a_folder_or_take_a_file():
    folderless = {
        name for name, task in TASKS.items() if isinstance(task.examples, Recorded) and not task.examples.folder
    }
    assert folderless == OWN_DATA


def test_what_is_looked_up_and_not_there():
    with pytest.raises(ConfigError, match=r"There is no task 'copi'\. Did you mean 'copy'"):
        TASKS["copi"]
    assert TASKS.get("copi") is None
    assert "copi" not in TASKS
    assert isinstance(TASKS.get("copy"), Task)


# Tasks that another file names: a model whose weights are set by hand, and a task that changes another's sequences.
NAMED_ELSEWHERE = {"latch": {"models/hand_set"}, "adding": {"tasks/synthetic/multiplication"}}
# Strings that are spelled like a task and mean something else: a copy in a figure, and where a state is read from.
WORDS = {
    "copy": {"translations", "diagram/kinds/figures"},
    "parity": {"kernels/cpu/streaming"},
    # The verb, the use of a random generator, and a label in a picture.
    "forecast": {"cli/app", "training/forecasting", "training/forecast_figure"},
}


def test_a_task_is_one_file_and_its_lines_in_the_registry():
    """No other file of the source names a task or imports it."""
    source, places = Path(gatework.__file__).parent, defaultdict(set)
    for path in sorted(source.rglob("*.py")):
        tree, place = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(source).with_suffix("").as_posix()
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                places[node.value].add(place)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatework.tasks."):
                for alias in node.names:
                    places[alias.name].add(place)
    for name in TASKS:
        others = places[name] - NAMED_ELSEWHERE.get(name, set()) - WORDS.get(name, set())
        assert "tasks/registry" in others
        assert len(others) <= 2, (name, others)
        assert all(place.startswith("tasks/") for place in others), (name, others)
