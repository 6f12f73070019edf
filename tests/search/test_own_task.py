"""Cells compared on a task of a person's own: in copies of this process, or in this one, with the same results."""

from dataclasses import replace
from typing import Any

import pytest
from tests.tasks.test_own import draw, sign

from gatework.errors import ConfigError, RunError
from gatework.runs import forked
from gatework.runs.pool import Pool
from gatework.search import compare
from gatework.search.comparing.directory import CompareDirectory
from gatework.search.running import worker
from gatework.tasks.task import Synthetic

FEW: dict[str, Any] = {
    "cells": "rnn,gru",
    "gaps": [3],
    "seeds": 1,
    "learning_rates": [0.03],
    "steps": 20,
    "evaluate_every": 10,
    "hidden_size": 6,
    "batch_size": 8,
    "workers": 2,
}


def outcomes(run):
    done = CompareDirectory(run).read_trials()
    return {trial: replace(outcome, seconds=0.0) for trial, outcome in done.items()}


def test_copies_and_this_process_come_to_the_same(tmp_path, monkeypatch):
    assert worker.can_fork()
    copied = compare(task=sign, run=str(tmp_path / "copied"), **FEW)
    monkeypatch.setattr(worker, "can_fork", lambda: False)
    here = compare(task=sign, run=str(tmp_path / "here"), **FEW)
    assert outcomes(tmp_path / "copied") == outcomes(tmp_path / "here")
    assert len(outcomes(tmp_path / "here")) == 2
    assert copied.task["title"] == here.task["title"] == "The sign of the first number"


def test_a_finished_comparison_is_not_run_again_and_needs_the_task(tmp_path, monkeypatch):
    first = compare(task=sign, run=str(tmp_path / "one"), **FEW)
    monkeypatch.setattr(worker, "start_pool", None)
    again = compare(task=sign, run=str(tmp_path / "one"), **FEW)
    assert again.summary == first.summary
    with pytest.raises(ConfigError, match="There is no task 'first_sign'"):
        compare(task="first_sign", run=str(tmp_path / "one"), **FEW)


def test_several_tasks_have_a_comparison_each(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "can_fork", lambda: False)
    other = replace(sign, name="again")
    found = compare(tasks=[sign, other], run=str(tmp_path / "all"), **FEW | {"cells": "rnn"})
    assert list(found) == ["first_sign", "again"]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["again", "first_sign"]
    wrong: dict[str, Any]
    for wrong in ({"tasks": []}, {"tasks": [sign, sign]}, {"tasks": [sign], "task": other}):
        with pytest.raises(ConfigError, match=r"The tasks are .*; expected one or more, each once, and no task"):
            compare(**wrong, **FEW)


def test_a_draw_function_that_fails_ends_the_comparison_with_its_message(tmp_path):
    def fails(rng, size, gap, split):
        if split == "valid" and size > 3:
            raise ZeroDivisionError("my own fault")
        return draw(rng, size, gap, split)

    task = replace(sign, examples=Synthetic(fails, test_size=64))
    with pytest.raises(RunError, match=r"died 2 times \(exit code 1; .*ZeroDivisionError: my own fault\)"):
        compare(task=task, run=str(tmp_path / "fails"), **FEW)


def test_a_copy_ends_when_its_lines_end(capfd):
    def echo(lines, answers):
        for line in lines:
            print("to nobody")
            print(line.strip(), file=answers, flush=True)

    pool = Pool(2, echo)
    for number in (1, 2):
        pool.give(number, {"number": number})
    answers = [pool.wait(20) for _ in range(2)]
    assert sorted(answer.message["number"] for answer in answers if answer and answer.message) == [1, 2]
    processes = [process._process for process in pool._idle]
    for process in processes:  # the first one, too, although the second was copied while its pipe was open
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    pool.close()
    assert "to nobody" not in capfd.readouterr().out
    assert set() == forked._OURS
