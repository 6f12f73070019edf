"""The best weights are kept beside the last ones, patience ends a run, and neither depends on how often it stopped."""

import shutil

import pytest
from tests.training.test_resume import At, Killed, kill

from gatework.errors import ConfigError, RunError
from gatework.models.language import Metric
from gatework.runs.checkpoint import list_checkpoints
from gatework.training import evaluate, generate, load, train
from gatework.training import loop as loop_module
from gatework.training.jobs.text import TextJob
from gatework.training.run import RunDirectory
from gatework.training.watch import Watch

# Evaluations at 4, 8, 12, …: the loss is lowest at step 12.
LOSSES = {4: 3.0, 8: 2.9, 12: 2.0, 16: 2.2, 20: 2.001, 24: 2.5, 28: 2.6, 32: 2.7, 36: 2.8, 40: 2.9, 44: 3.0}


@pytest.fixture
def rising(configure, monkeypatch):
    """Configure runs whose held-out loss falls and then rises."""
    # Pictures and samples take longer than the runs.
    monkeypatch.setattr(loop_module, "draw_curve", lambda *given: b"")
    monkeypatch.setattr(TextJob, "sample", lambda self, model, seed: str(seed))
    monkeypatch.setattr(loop_module.Trainer, "measure", lambda self, split: Metric(10 * LOSSES[self.step], 10, "char"))

    def configured(run="run", **changes):
        return configure(run, **{"steps": 24, "evaluate_every": 4, "checkpoint_every": 10, "log_every": 4, **changes})

    return configured


def weights(folder, step):
    return (folder / f"step-{step}" / "model.safetensors").read_bytes()


def test_the_best_weights_are_those_of_the_lowest_loss(rising):
    result = train(rising(checkpoint_every=4, keep_checkpoints=9))
    directory = RunDirectory(result.run)
    assert list_checkpoints(directory.best) == [12]
    assert weights(directory.best, 12) == weights(directory.checkpoints, 12) != weights(directory.checkpoints, 24)
    assert (result.best_step, result.stopped_early, result.metrics["loss"]) == (12, False, 2.5)
    assert result.notes == (
        "The held-out loss was lowest at step 12 (2; 2.5 now). The weights of that step are kept: "
        f"`gatework evaluate {result.run} --checkpoint best` uses them.",
    )


def test_best_and_last_are_asked_for_by_name(rising, monkeypatch):
    run = str(train(rising()).run)
    monkeypatch.undo()
    by_name = {name: evaluate(run, step=name) for name in ("best", "last", None, 12)}
    assert [found.step for found in by_name.values()] == [12, 24, 24, 12]
    assert by_name["best"].metrics == by_name[12].metrics != by_name["last"].metrics == by_name[None].metrics
    assert load(run, "best").step == generate(run, step="best", length=3).step == 12
    assert load(run, "best").metrics["loss"] == 2.0
    with pytest.raises(RunError, match="has no checkpoint of step 4; it has 20, 24, and 12 as the best"):
        load(run, 4)
    with pytest.raises(ConfigError, match="step is 'newest'; expected the step of a checkpoint, 'best' or 'last'"):
        load(run, "newest")  # pyrefly: ignore


@pytest.mark.parametrize("places", [(13,), (14, 22)])
def test_the_best_checkpoint_is_the_same_however_often_the_run_was_killed(rising, same, places):
    straight, broken = train(rising("straight")), rising("broken")
    for step in places:
        with pytest.raises(Killed):
            train(broken, At(step, kill))
    same(straight.run, train(broken).run)


def test_a_better_checkpoint_than_the_last_one_does_not_take_its_place_too_early(rising, monkeypatch):
    """A run that goes back to step 10 and comes to another result at 12, as on another device, keeps its best."""
    config = rising()
    with pytest.raises(Killed):
        train(config, At(13, kill))
    assert list_checkpoints(RunDirectory(config.directory).best) == [8, 12]
    monkeypatch.setitem(LOSSES, 12, 5.0)
    monkeypatch.setitem(LOSSES, 20, 5.0)
    monkeypatch.setitem(LOSSES, 16, 5.0)
    monkeypatch.setitem(LOSSES, 24, 5.0)
    train(config)
    assert list_checkpoints(RunDirectory(config.directory).best) == [8]


def test_patience_ends_a_run_and_says_so(rising, same):
    config = rising(steps=44, patience=3)
    result = train(config)
    assert (result.step, result.stopped_early, result.best_step) == (24, True, 12)
    assert result.notes[0] == (
        "Training stopped after step 24, because the held-out loss had not fallen for 3 evaluations. "
        "A larger --patience goes on from here."
    )
    assert list_checkpoints(RunDirectory(result.run).checkpoints) == [20, 24]
    again = train(config)
    assert again.already
    assert again.notes == result.notes
    same(result.run, again.run)


@pytest.mark.parametrize("place", [13, 23])
def test_the_count_of_patience_survives_a_kill(rising, same, place):
    straight, broken = train(rising("straight", steps=44, patience=3)), rising("broken", steps=44, patience=3)
    with pytest.raises(Killed):
        train(broken, At(place, kill))
    result = train(broken)
    assert result.step == 24
    same(straight.run, result.run)


def test_a_larger_patience_goes_on_as_if_the_run_had_never_stopped(rising):
    told = {"steps": 44, "schedule": "constant"}
    straight = train(rising("straight", patience=7, **told))
    stopped = train(rising("stopped", patience=3, **told))
    longer = train(rising("stopped", patience=7, **told))
    assert (stopped.step, straight.step, longer.step) == (24, 40, 40)
    last = [RunDirectory(run.run).checkpoints for run in (straight, longer)]
    assert weights(last[0], 40) == weights(last[1], 40)


def test_a_long_rise_is_told_once(rising):
    reporter = At(0, kill)
    train(rising(steps=44), reporter)
    assert reporter.notes == [
        "the held-out loss was lowest at step 12 (2) and has been higher for 5 evaluations (2.9 now): "
        "--patience 5 would stop a run here"
    ]
    broken, reporter = rising("broken", steps=44), At(42, kill)
    with pytest.raises(Killed):
        train(broken, reporter)
    train(broken, reporter := At(0, kill))
    assert reporter.notes == []


def test_a_small_rise_is_no_rise():
    watch = Watch()
    for step, loss in enumerate([1.0, *[1.009] * 9]):
        watch.take(step + 1, loss)
    assert (watch.waited, watch.above, watch.warn(), watch.conclusion("run", 10, early=False)) == (9, 0, "", [])


def test_a_run_of_an_earlier_version_has_its_best_among_its_checkpoints_or_says_so(rising):
    result = train(rising(keep_checkpoints=9, checkpoint_every=6))
    shutil.rmtree(result.run / "best")
    assert load(result.run, "best").step == 12
    shutil.rmtree(result.run / "checkpoints" / "step-12")
    with pytest.raises(RunError, match="lowest at step 12, of which no checkpoint was kept; it has 6, 18, 24"):
        load(result.run, "best")
    (result.run / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(RunError, match="has no best checkpoint: its held-out loss has not been measured yet"):
        load(result.run, "best")
