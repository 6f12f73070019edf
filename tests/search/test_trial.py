"""One trial, trained in earnest."""

from dataclasses import replace

import pytest
import torch

from gatework.errors import ConfigError
from gatework.models.sequences import Score
from gatework.search.running import trial
from gatework.search.running.trial import run_trial
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Success, Synthetic
from gatework.training.config import make_config
from gatework.training.jobs.text import TextJob
from gatework.training.trainer import Trainer

TOLD = {"task": "easy", "gap": 10, "cell": "lstm", "hidden_size": 8, "learning_rate": 0.02, "steps": 40, "seed": 3}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def easy(monkeypatch):
    """A task that is the adding problem with another criterion, measured on fewer sequences."""

    def make(guessed=None, **success):
        adding = TASKS["adding"]
        examples = adding.examples
        assert isinstance(examples, Synthetic)
        task = replace(
            adding,
            name="easy",
            success=Success(**success),
            chance=lambda gap: guessed or {},
            examples=replace(examples, test_size=60),
            defaults={},
        )
        monkeypatch.setitem(TASKS._entries, "easy", task)
        return task

    return make


def run(settings, every, progress=lambda step: None, confirm=2):
    """Run a trial that is measured every so many steps."""
    return run_trial(make_config(settings | {"evaluate_every": every}), confirm, progress)


def same(one, other):
    return replace(one, seconds=0) == replace(other, seconds=0)


def test_the_budget_is_spent_where_nothing_is_solved(easy, monkeypatch):
    easy(metric="accuracy", at_least=0.99)
    monkeypatch.setattr(trial, "monotonic", iter([10.0, 12.5]).__next__)
    heard = []
    outcome = run(TOLD, 15, heard.append)
    assert heard == [15, 30, 40]
    assert (outcome.steps, outcome.solved, outcome.reached, outcome.blew_up) == (40, False, False, False)
    assert set(outcome.valid) == set(outcome.test) == {"loss", "accuracy", "solved", "mean_absolute_error"}
    assert outcome.valid_step in heard
    assert outcome.seconds == 2.5


def test_it_ends_as_soon_as_the_criterion_is_met(easy):
    easy(metric="loss", at_most=10.0)
    outcome = run(TOLD, 15, confirm=1)
    assert (outcome.steps, outcome.valid_step, outcome.solved, outcome.reached) == (15, 15, True, True)


def test_the_criterion_must_be_met_so_often_in_a_row(easy, monkeypatch):
    easy(metric="loss", at_most=0.5)
    losses = iter([0.1, 0.9, 0.3, 0.2, 0.4])
    monkeypatch.setattr(Trainer, "measure", lambda self, split: Score(next(losses), asked=1, judged=False))
    outcome = run(TOLD, 5)
    # Met at step 5, missed at 10, met at 15 and 20; then the test.
    assert (outcome.steps, outcome.valid_step, outcome.valid, outcome.test) == (20, 5, {"loss": 0.1}, {"loss": 0.4})


def test_met_at_the_last_step_is_met(easy):
    easy(metric="loss", at_most=10.0)
    outcome = run(TOLD, 40)
    assert (outcome.steps, outcome.reached, outcome.solved) == (40, True, True)


def test_nothing_is_solved_that_guessing_does_better(easy):
    easy(guessed={"loss": 1e-9}, metric="loss", at_most=10.0)
    outcome = run(TOLD, 10)
    assert (outcome.steps, outcome.reached, outcome.solved) == (40, False, False)


def test_the_same_to_the_bit_and_another_from_another_seed(easy):
    easy(metric="accuracy", at_least=0.99)
    first = run(TOLD, 20)
    torch.manual_seed(99)  # whatever was drawn before is of no account
    assert same(first, run(TOLD, 20))
    assert not same(first, run(TOLD | {"seed": 4}, 20))


def test_looking_does_not_change_the_training(easy):
    easy(metric="loss", at_most=0.0)
    told = TOLD | {"learning_rate": 0.002}
    seldom, often = (run(told, every) for every in (40, 1))
    # So slowly it only gets better, and the last weights are the best in both.
    assert seldom.valid_step == often.valid_step == 40
    assert same(seldom, often)


def test_a_loss_that_is_no_number_is_a_failed_run(easy):
    easy(metric="accuracy", at_least=0.0)  # which would count as solved
    heard = []
    outcome = run(TOLD | {"learning_rate": 1e4, "optimizer": "sgd", "clip_norm": 0.0}, 1000, heard.append)
    assert outcome.blew_up
    assert not outcome.solved
    assert outcome.steps < 40
    assert heard == [outcome.steps]
    assert all(
        value is None or abs(value) < float("inf") for value in (*outcome.valid.values(), *outcome.test.values())
    )


def test_measured_are_the_weights_that_were_best_on_validation(easy):
    """With a rate far too large the end is worse than the best, which is what the test must show."""
    easy(metric="loss", at_most=0.0)
    told = TOLD | {"learning_rate": 0.3, "schedule": "constant", "steps": 60}
    outcome = run(told, 1)
    assert outcome.valid_step < outcome.steps
    # A run that ends there has the same weights at its end.
    short = run(told | {"steps": outcome.valid_step}, outcome.valid_step)
    assert (short.valid, short.test) == (outcome.valid, outcome.test)


def test_any_job_that_says_what_counts_as_solved(monkeypatch, tmp_path):
    """A language model of a text is trained and measured as a task is, once somebody says what is enough."""
    (tmp_path / "text.txt").write_text("to be or not to be. " * 60)
    config = make_config(
        {"data": str(tmp_path / "text.txt"), "cell": "gru", "hidden_size": 4, "steps": 4, "evaluate_every": 2}
        | {"batch_size": 2, "window": 8}
    )
    with pytest.raises(ConfigError) as refusal:
        run_trial(config, 1, lambda step: None)
    assert str(refusal.value) == (
        "Cells cannot be compared on task 'text': it does not say when it counts as solved. Expected a task that does; "
        "`gatework tasks` lists them."
    )

    def measure_held_out(self, model, split, share):
        return measure(self, model, "valid", share)

    measure = TextJob.measure
    monkeypatch.setattr(TextJob, "success", Success("perplexity", at_most=1.0))
    monkeypatch.setattr(TextJob, "measure", measure_held_out)
    steps = []
    outcome = run_trial(config, 1, steps.append)
    assert (steps, outcome.steps, outcome.solved) == ([2, 4], 4, False)
    assert outcome.test == outcome.valid
    perplexity = outcome.test["perplexity"]
    assert perplexity is not None
    assert 1 < perplexity < 20
