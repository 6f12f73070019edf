"""A task of a person's own: trained, resumed, loaded and measured, and refused in sentences where it cannot be."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gatework.errors import ConfigError, DataError, RunError
from gatework.tasks.own import find_task, is_own, knowing
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch, Gap, Recorded, Recording, Success, Synthetic, Task
from gatework.training import evaluate, load, train
from gatework.training.run import RunDirectory

SMALL = {"cell": "gru", "hidden_size": 8, "batch_size": 16, "log_every": 10, "checkpoint_every": 10, "threads": 1}


def draw(rng, size, gap, split):
    """Was the first number above zero?"""
    numbers = rng.normal(size=(gap, size, 1))
    targets = np.full((gap, size), -100)
    targets[-1] = numbers[0, :, 0] > 0
    return Batch(torch.from_numpy(numbers).float(), torch.from_numpy(targets))


sign = Task(
    name="first_sign",
    title="The sign of the first number",
    kind="choice",
    inputs=1,
    outputs=2,
    gap=Gap(4, "steps of a sequence"),
    success=Success("accuracy", at_least=0.9),
    examples=Synthetic(draw, test_size=64),
    classes=("negative", "positive"),
    defaults={"learning_rate": 0.03},
)


def settings(tmp_path, run="run", **changes):
    return SMALL | {"task": sign, "steps": 20, "run": str(tmp_path / run)} | changes


def test_it_is_trained_resumed_loaded_and_measured(tmp_path):
    straight = train(**settings(tmp_path, "straight", steps=40, schedule="constant"))
    train(**settings(tmp_path, schedule="constant"))
    resumed = train(**settings(tmp_path, steps=40, schedule="constant"))
    last = [run / "checkpoints" / "step-40" / "model.safetensors" for run in (straight.run, resumed.run)]
    assert last[0].read_bytes() == last[1].read_bytes()
    run = load(resumed.run, task=sign)
    assert run.config.learning_rate == 0.03
    assert run.classes == ("negative", "positive")
    assert run.predict([[5.0], [0.0]]).last.named in (["positive"], ["negative"])
    assert run.evaluate(gap=6).metrics == evaluate(str(resumed.run), gap=6, task=sign).metrics
    assert run.evaluate().metrics == resumed.metrics
    assert not is_own("first_sign")


def test_a_run_names_the_task_and_says_that_it_is_not_here(tmp_path):
    run = train(**settings(tmp_path)).run
    assert json.loads((run / "config.json").read_text())["task"] == "first_sign"
    for ask in (lambda: load(run), lambda: evaluate(str(run)), RunDirectory(run).read_config):
        with pytest.raises(RunError, match=r"task 'first_sign', which is not one of gatework's: give the task itself"):
            ask()
    changed = replace(sign, examples=Synthetic(lambda *given: replace(draw(*given), targets=1 - draw(*given).targets)))
    with pytest.raises(ConfigError, match="returned a class 101; expected numbers from 0 to 1"):
        train(**settings(tmp_path, task=changed, steps=30))

    def smaller(*given):
        batch = draw(*given)
        return replace(batch, inputs=batch.inputs / 2)

    with pytest.raises(RunError, match="was trained on other data"):
        train(**settings(tmp_path, task=replace(sign, examples=Synthetic(smaller)), steps=30))
    with pytest.raises(DataError, match="have changed since it was trained"):
        evaluate(str(run), task=replace(sign, examples=Synthetic(smaller)))


def test_a_task_of_gatework_is_trained_by_its_name_and_by_itself(tmp_path):
    named = train(**settings(tmp_path, "named", task="parity", gap=3))
    itself = train(**settings(tmp_path, "itself", task=TASKS["parity"], gap=3))
    assert named.metrics == itself.metrics
    assert load(itself.run).config.task == "parity"


def test_recordings_of_ones_own_need_no_folder(tmp_path):
    def read(path, gap):
        parts = {split: draw(np.random.default_rng(seed), 20, gap, split) for seed, split in enumerate(SPLITS)}
        return Recording(parts, inputs=1, outputs=2, facts={"classes": ["negative", "positive"]})

    own = replace(sign, inputs=None, outputs=None, examples=Recorded("", read))
    result = train(**settings(tmp_path, task=own))
    assert load(result.run, task=own).evaluate().metrics == result.metrics
    returned: Any = {"train": 1}
    bad = replace(own, examples=Recorded("", lambda path, gap: returned))
    with pytest.raises(ConfigError, match="The load function of task 'first_sign' returned an object of the type dict"):
        train(**settings(tmp_path, "bad", task=bad))


NO_BATCH: Any = 3
SPLITS = ("train", "valid", "test")


def drawn(**changes):
    return replace(sign, examples=Synthetic(lambda *given: replace(draw(*given), **changes)))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (3, "The task is of the type int; expected a gatework.Task, or the name of a task."),
        (replace(sign, name="a/b"), "The task's name is 'a/b'; expected a letter and then letters, digits"),
        (replace(sign, name="adding"), "The task's name is 'adding', which is a task of gatework: give yours another"),
        (replace(sign, name="text"), "The task's name is 'text', which is a job of gatework: give yours another name."),
        (replace(sign, inputs=None), "Task 'first_sign' has inputs=None; expected a whole number of 1 or more"),
        (
            replace(sign, examples=Synthetic(lambda *given: NO_BATCH)),
            "returned an object of the type int; expected a gatew",
        ),
        (drawn(inputs=[1]), "returned inputs of the type list; expected a torch.Tensor"),
        (drawn(inputs=torch.zeros(4, 3)), r"inputs \[4, 3\] of float32; expected \[4, 3, 1\] of float32, with at"),
        (
            drawn(inputs=torch.zeros(4, 3, 1).double()),
            r"inputs \[4, 3, 1\] of float64; expected \[4, 3, 1\] of float32",
        ),
        (drawn(targets=torch.zeros(4, 3).int()), r"targets \[4, 3\] of int32; expected \[4, 3\] of int64"),
        (drawn(targets=torch.full((4, 3), -100)), "returned only targets of -100; expected a target at one step"),
        (drawn(targets=torch.full((4, 3), 2)), "returned a class 2; expected numbers from 0 to 1"),
        (drawn(lengths=torch.tensor([4, 4, 9])), r"returned the lengths \[4, 4, 9\] for 4 steps; expected lengths"),
        (drawn(lengths=torch.tensor([4, 4, 2])), "and no target beyond the end of a sequence"),
        (drawn(legal=torch.ones(4, 3, 3).bool()), r"returned legal \[4, 3, 3\] of bool; expected \[4, 3, 2\] of bool"),
    ],
)
def test_what_is_no_task_is_refused_before_anything_is_written(tmp_path, task, message):
    with pytest.raises(ConfigError, match=message):
        train(**settings(tmp_path, task=task))
    assert list(tmp_path.iterdir()) == []


def test_symbols_are_held_to_their_number():
    symbols = replace(
        sign, symbols=True, inputs=3, examples=Synthetic(lambda rng, size, gap, split: read_symbols(size))
    )
    with knowing(symbols), pytest.raises(ConfigError, match="returned a symbol 3; expected numbers from 0 to 2"):
        train(task=symbols, run="never")


def read_symbols(size):
    return Batch(torch.arange(4)[:, None].expand(4, size).contiguous(), torch.zeros(4, size).long())


def test_tasks_are_known_only_for_a_while():
    with knowing(sign, None, TASKS["parity"]):
        assert find_task("first_sign") is sign
        with knowing(replace(sign, title="Another")):
            assert find_task("first_sign").title == "Another"
        assert find_task("first_sign") is sign
        assert find_task("parity") is TASKS["parity"]
    with pytest.raises(ConfigError, match="There is no task 'first_sign'"):
        find_task("first_sign")


def test_a_configuration_and_settings_together_are_refused(tmp_path):
    with knowing(sign):
        from_config = train(**settings(tmp_path)).run
        config = RunDirectory(from_config).read_config()
    with pytest.raises(ConfigError, match="A configuration is given and task, steps too: put them into the config"):
        train(config, task=sign, steps=3)
