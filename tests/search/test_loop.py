"""Whole comparisons, their trials run by a fake: what is kept, gone on with, refused and reported."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from tests.search.listening import Told, without_seconds

from gatework.errors import ConfigError, RunError, Stopped
from gatework.search import compare
from gatework.search.comparing.plan import ComparisonPlan


def test_a_whole_comparison(fake, told, results):
    config, reporter = told(cells="rnn,gru,lstm"), Told()
    found = compare(config, reporter)
    assert found.summary["lstm", 10].solved == 3
    assert found.summary["lstm", 10].learning_rate == 0.01
    assert str(found.crossovers["lstm"]) == "solved up to gap 10, not at 50"
    assert str(found.crossovers["rnn"]) == "no gap solved"
    best = next(test for test in found.tests if {test.better, test.worse} == {"lstm", "rnn"})
    assert (best.better, best.wins, best.losses, best.pairs) == ("lstm", 6, 0, 6)
    # Six pairs of one sign: two of 64 changes of signs; and three tests.
    assert (best.p, best.corrected) == (2 / 64, 6 / 64)
    total = 3 * 2 * (3 + 3)
    assert reporter.counts() == {
        "begin": 1, "started": total, "step": total, "finished": total, "chosen": 6, "end": 1,
    }  # fmt: skip
    folder = config.directory
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "config.json", "data.json", "gaps.png", "results.json", "trials.jsonl",
    ]  # fmt: skip
    assert len((folder / "trials.jsonl").read_text().splitlines()) == total
    assert (folder / "gaps.png").read_bytes().startswith(b"\x89PNG")
    assert results(folder) == without_seconds(json.loads(json.dumps(found.to_json())))


def test_the_same_again_runs_nothing(fake, told, results, tmp_path):
    compare(told())
    before = results(told().directory)
    fake(f"note:{tmp_path}")
    reporter = Told()
    compare(told(), reporter)
    assert reporter.counts() == {"end": 1}
    assert results(told().directory) == before
    assert not list(tmp_path.glob("rnn-*"))


def test_workers_make_no_difference(fake, told, results, tmp_path):
    compare(told(workers=1))
    compare(told(workers=3, run=str(tmp_path / "other")))
    assert results(tmp_path / "run") == results(tmp_path / "other")


def interrupt(number):
    return lambda: signal.raise_signal(number)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_saves_and_the_same_goes_on(fake, told, results, tmp_path, number, name):
    config = told()
    with pytest.raises(Stopped) as caught:
        compare(config, Told(after=5, do=interrupt(number)))
    assert caught.value.exit_code == 128 + number
    assert str(caught.value) == (
        f"Stopped by {name} after 5 of 24 trials, saved in '{config.directory}'. The same command goes on from there."
    )
    reporter = Told()
    compare(config, reporter)
    assert reporter.said[0] == ("begin", 5)
    assert reporter.counts()["finished"] == 24 - 5
    compare(told(run=str(tmp_path / "peace")))
    assert results(config.directory) == results(tmp_path / "peace")


def test_a_lock_that_is_gone_stops_it_before_it_writes(fake, told):
    config, trials = told(), told().directory / "trials.jsonl"
    with pytest.raises(RunError, match=r"\.lock' was removed or replaced while this process held it"):
        compare(config, Told(after=2, do=(config.directory / ".lock").unlink))
    assert len(trials.read_text().splitlines()) == 2
    assert not (config.directory / "results.json").exists()
    compare(config)
    assert (config.directory / "results.json").exists()


def test_half_a_line_at_the_end_is_run_again(fake, told, results):
    config = told()
    compare(config)
    before, path = results(config.directory), config.directory / "trials.jsonl"
    whole = path.read_bytes()
    for torn in (whole[:-40], whole[:-1], whole + b"\0\0\0\0", whole + b'{"trial": {"cell"'):
        path.write_bytes(torn)
        reporter = Told()
        compare(config, reporter)
        assert reporter.counts()["finished"] == (1 if torn == whole[:-40] else 0)
        assert results(config.directory) == before
        assert len(path.read_bytes().splitlines()) == 24


def test_damage_in_the_middle_is_refused(fake, told):
    config = told()
    compare(config)
    path = config.directory / "trials.jsonl"
    lines = path.read_text().splitlines()
    damaged = "\n".join(["{", *lines[1:]])
    path.write_text(damaged)
    with pytest.raises(RunError, match=r"trials\.jsonl' is damaged: line 1 is no trial"):
        compare(config)
    assert path.read_text() == damaged


def test_another_comparison_is_refused(fake, told):
    compare(told())
    before = {path: path.read_bytes() for path in told().directory.iterdir() if path.name != ".lock"}
    with pytest.raises(RunError) as caught:
        compare(told(seeds=2, cells="lstm", gaps="50,100", steps=7))
    assert str(caught.value) == (
        f"Directory '{told().directory}' has another comparison: "
        'cells is {"rnn": "rnn", "lstm": "lstm"} there and {"lstm": "lstm"} now; '
        "gaps is [10, 50] there and [50, 100] now; seeds is 3 there and 2 now; steps is 300 there and 7 now. "
        "Give the same settings, to which cells, gaps and seeds may be added, or another directory with --run."
    )
    assert {path: path.read_bytes() for path in before} == before


MORE = {
    "gaps": {"gaps": "10,20,50"},
    "a smaller gap": {"gaps": "5,10,50"},
    "seeds": {"seeds": 4},
    "cells": {"cells": "gru,rnn,lstm"},
    "all": {"cells": "rnn,lstm,gru", "gaps": "50,100,10", "seeds": 5},
    "order": {"cells": "lstm,rnn"},
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
def test_a_finished_comparison_grows(fake, told, results, tmp_path, more):
    """What is finished stays as it is, and what is missing is run; the result is that of one comparison of all."""
    compare(told())
    finished = (told().directory / "trials.jsonl").read_text()
    reporter = Told()
    grown = compare(told(**more), reporter)
    trials = (told().directory / "trials.jsonl").read_text()
    assert trials.startswith(finished)
    whole = told(**{**more, "cells": ",".join(grown.config.cells)}, run=str(tmp_path / "at once"))
    compare(whole)
    assert reporter.counts().get("finished", 0) == len(trials.splitlines()) - 24
    assert sorted(map(_trial, trials.splitlines())) == sorted(
        map(_trial, (whole.directory / "trials.jsonl").read_text().splitlines())
    )
    assert results(told().directory) == results(whole.directory)
    again = Told()
    compare(told(**more), again)
    assert again.counts() == {"end": 1}


def _trial(line: str) -> str:
    return json.dumps({**json.loads(line), "outcome": without_seconds(json.loads(line)["outcome"])}, sort_keys=True)


def test_a_grown_comparison_keeps_its_reference(fake, told):
    """Without lstm the first cell is the reference; the sizes of what is finished were matched to it."""
    before = compare(told(cells="rnn,gru"))
    grown = compare(told(cells="lstm,rnn,gru"))
    assert (grown.reference, list(grown.config.cells)) == ("rnn", ["rnn", "gru", "lstm"])
    assert {cell: grown.sizes[cell] for cell in before.sizes} == before.sizes
    assert compare(told(cells="lstm,rnn,gru")).reference == "rnn"


@pytest.mark.usefixtures("interruptible")
def test_growing_goes_on_where_it_stopped(fake, told):
    compare(told())
    with pytest.raises(Stopped):
        compare(told(seeds=5), Told(after=3, do=interrupt(signal.SIGINT)))
    reporter = Told()
    compare(told(seeds=5), reporter)
    assert reporter.said[0] == ("begin", 24 + 3)


def test_other_data_are_refused(fake, told):
    compare(told())
    path = told().directory / "data.json"
    known = json.loads(path.read_text())
    assert list(known) == ["10", "50"]
    path.write_text(json.dumps(known | {"50": "0"}))
    with pytest.raises(RunError) as caught:
        compare(told())
    assert str(caught.value) == (
        f"The data of task 'adding' at gap 50 are no longer those that directory '{told().directory}' was begun with. "
        "Give the same data, or another directory with --run."
    )


def test_a_beginning_that_was_cut_short_is_begun_again(fake, told):
    folder = told().directory
    folder.mkdir()
    (folder / "data.json").write_text("{")
    (folder / ".unfinished-config.json").write_text("{")
    compare(told())
    assert not (folder / ".unfinished-config.json").exists()


def test_a_directory_of_something_else_is_refused(fake, told, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match=r"is no comparison and not empty \(it holds letter\.txt\). Choose another"):
        compare(told(run=str(tmp_path / "full")))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]
    with pytest.raises(RunError, match="is a file; expected the name of a directory"):
        compare(told(run=str(tmp_path / "full" / "letter.txt")))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"hidden_size": 3}')
    with pytest.raises(RunError) as caught:
        compare(told())
    assert str(caught.value) == (
        f"Directory '{tmp_path / 'run'}' holds no comparison that can be read. '{tmp_path / 'run' / 'config.json'}': "
        "task is missing. cells is missing. gaps is missing. Choose another with --run."
    )
    (tmp_path / "run" / "config.json").write_text('{"hiden_size": 3}')
    with pytest.raises(RunError, match=r"config\.json': 'hiden_size' is no setting. Did you mean 'hidden_size'\?"):
        compare(told())
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(RunError, match="is not JSON"):
        compare(told())


def test_two_at_once_are_refused(fake, told):
    config = told()
    caught = []

    def second():
        try:
            compare(config)
        except RunError as error:
            caught.append(str(error))

    compare(config, Told(after=1, do=second))
    assert caught == [
        f"Run directory '{config.directory}' is being written by another process (process {os.getpid()}). "
        "Wait for it, or choose another directory with --run."
    ]


def test_nothing_is_written_where_something_is_wrong(fake, told):
    with pytest.raises(ConfigError):
        compare(told(cells="lstm,clockwork", match="size"))
    assert not told().directory.exists()


def test_a_worker_that_dies_is_replaced(fake, told, tmp_path, results):
    fake(f'die:"lstm"+0.01:{tmp_path}')
    reporter = Told()
    compare(told(), reporter)
    notes = [said for what, said in reporter.said if what == "note"]
    assert notes == [
        "the process that ran lstm at gap 50, learning rate 0.01, tuning run 1 died (exit code 1; out of luck); "
        "it is tried once more"
    ]
    fake("")
    compare(told(run=str(tmp_path / "peace")))
    assert results(told().directory) == results(tmp_path / "peace")


def test_a_trial_whose_worker_dies_twice_stops_the_comparison(fake, told):
    fake('always:"gap": 10+"rnn"+0.001')
    config = told(workers=1)
    with pytest.raises(RunError) as caught:
        compare(config)
    message = str(caught.value)
    assert message.startswith(
        "The process that ran rnn at gap 10, learning rate 0.001, tuning run 1 died 2 times (signal 9), so the "
        f"comparison was stopped; the 12 trials that are over are saved in '{config.directory}'"
    )
    fake("")
    reporter = Told()
    compare(config, reporter)
    assert reporter.said[0] == ("begin", 12)


def test_a_trial_that_is_refused_says_why(fake, told):
    fake('refuse:"learning_rate": 0.1,')
    with pytest.raises(RunError, match=r"^The trial of .* learning rate 0\.1, .* was refused: no such thing$"):
        compare(told())


@pytest.mark.usefixtures("interruptible")
def test_no_process_and_no_lock_is_left(fake, told):
    fake("slow:0.05")
    children = Path(f"/proc/self/task/{os.getpid()}/children")

    def living():
        """Count threads, and name processes: those that other tests have begun may live on."""
        return threading.active_count(), set(children.read_text().split()) if children.exists() else set()

    threads, processes = living()
    with pytest.raises(Stopped):
        compare(told(), Told(after=1, do=interrupt(signal.SIGINT)))
    threads_after, processes_after = living()
    assert threads_after == threads
    assert processes_after <= processes
    compare(told())


def test_rates_that_blow_up_are_not_chosen(fake, told):
    found = compare(told(learning_rates="0.001,2"))
    assert {summary.learning_rate for summary in found.summary.values()} == {0.001}
    assert any(outcome.blew_up for outcome in found.trials.values())


def test_trials_in_the_results_are_in_the_order_of_the_plan(fake, told):
    found = compare(told())
    plan = ComparisonPlan(told())
    tuned = [trial for trial in found.trials if trial.purpose == "tune"]
    assert tuned == [trial for place in plan.places() for trial in plan.tuning(*place)]
    assert len(found.trials) == plan.total
