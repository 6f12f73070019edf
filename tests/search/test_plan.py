"""Which trials there are, what each is told, and which learning rate is chosen."""

from dataclasses import replace

import pytest
import torch

from gatework.errors import ConfigError
from gatework.search.comparing.plan import ComparisonPlan, seed_of
from gatework.search.running.trial import Outcome, Trial, worth
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Success
from gatework.training.config import TrainConfig
from gatework.training.jobs.sequence import SequenceJob

GOOD = {"loss": 0.1, "accuracy": 0.9}
OUTCOME = Outcome(300, False, False, False, GOOD, 100, GOOD, 1.0)


def over(plan, **changes):
    """Give every trial of the tuning of the LSTM at gap 10 an outcome, those of a rate changed: r0_001={...}."""
    found = {}
    for trial in plan.tuning("lstm", 10):
        change = changes.get("r" + f"{trial.learning_rate:g}".replace(".", "_"), {})
        found[trial] = replace(OUTCOME, **change)
    return found


def test_every_trial_comes_once(told):
    plan, done, seen = ComparisonPlan(told(tuning_seeds=2)), {}, []
    while waiting := plan.waiting(done):
        seen += waiting
        done |= dict.fromkeys(waiting, OUTCOME)
    assert len(seen) == len(set(seen)) == plan.total == 2 * 2 * (3 * 2 + 3)


def test_longest_come_first_and_tuning_before_what_waits_for_it(told):
    plan = ComparisonPlan(told())
    waiting = plan.waiting({})
    assert [trial.gap for trial in waiting] == [50] * 6 + [10] * 6
    done = dict.fromkeys(plan.tuning("rnn", 50), OUTCOME)
    assert [(t.cell, t.gap, t.purpose) for t in plan.waiting(done)][:6] == [
        *[("lstm", 50, "tune")] * 3,
        *[("rnn", 50, "final")] * 3,
    ]


def test_one_learning_rate_needs_no_tuning(told):
    plan = ComparisonPlan(told(learning_rates="0.02"))
    assert plan.total == 2 * 2 * 3
    assert {trial.purpose for trial in plan.waiting({})} == {"final"}
    assert plan.chosen("rnn", 10, {}) == 0.02


def test_choice_waits_for_all(told):
    plan = ComparisonPlan(told())
    done = over(plan)
    done.popitem()
    assert plan.chosen("lstm", 10, done) is None


SOLVED = {"loss": 0.3, "accuracy": 0.99}
BETTER = {"loss": 0.2, "accuracy": 0.95}


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, 0.001),  # all the same: the smallest
        ({"r0_1": {"valid": BETTER}}, 0.1),  # the criterion's metric, whatever the loss
        ({"r0_01": {"steps": 200}}, 0.01),  # of equally good ones the quickest
        ({"r0_01": {"steps": 200}, "r0_1": {"valid": BETTER}}, 0.1),
        ({"r0_1": {"valid": GOOD | {"loss": 0.01}}}, 0.1),  # and then the lower loss
        # Beyond the criterion all are equally good.
        ({"r0_01": {"valid": SOLVED, "steps": 200}, "r0_1": {"valid": SOLVED | {"accuracy": 1.0}}}, 0.01),
        ({"r0_1": {"valid": BETTER, "blew_up": True}}, 0.001),  # one that blew up stands behind all others
        ({"r0_001": {"valid": GOOD | {"accuracy": None}}}, 0.01),
        ({"r0_001": {"valid": GOOD | {"loss": None}}}, 0.01),
    ],
)
def test_choice_of_the_learning_rate(told, changes, chosen):
    plan = ComparisonPlan(told())
    assert plan.chosen("lstm", 10, over(plan, **changes)) == chosen


def test_several_tuning_runs_are_averaged(told):
    plan = ComparisonPlan(told(tuning_seeds=2))
    done = over(plan)
    values = {0.001: (0.9, 0.1), 0.01: (0.6, 0.6), 0.1: (0.0, 0.9)}
    for trial in done:
        accuracy = values[trial.learning_rate][trial.number]
        done[trial] = replace(OUTCOME, valid={"loss": 0.1, "accuracy": accuracy})
    assert plan.chosen("lstm", 10, done) == 0.01


def test_less_is_better_where_the_criterion_says_so():
    success = Success("loss", at_most=0.1)
    assert worth(0.1, success) > worth(0.2, success) > worth(None, success)
    assert worth(float("inf"), success) == worth(float("nan"), success) == worth(None, success)


def test_seeds_are_shared_by_cells_and_rates_and_by_nothing_else():
    trials = [
        Trial(cell, gap, purpose, rate, number)
        for cell in ("rnn", "lstm")
        for gap in (10, 50)
        for purpose in ("tune", "final")
        for rate in (0.1, 0.2)
        for number in range(3)
    ]
    seeds = {}
    for trial in trials:
        seeds.setdefault(seed_of(0, trial), set()).add((trial.gap, trial.purpose, trial.number))
    assert len(seeds) == 2 * 2 * 3
    assert all(len(uses) == 1 for uses in seeds.values())
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(1, trials[0]) != seed_of(0, trials[0])


def test_cells_learn_from_the_same_sequences_and_are_measured_on_the_same(told):
    plan = ComparisonPlan(told())
    trials = [Trial(cell, 10, "final", rate, 1) for cell, rate in (("rnn", 0.1), ("lstm", 0.01))]
    one, other = (SequenceJob(plan.train_config(trial)) for trial in trials)
    for step in (0, 7):
        mine, theirs = one.batches.training(step)[0], other.batches.training(step)[0]
        assert torch.equal(mine.inputs, theirs.inputs)
        assert torch.equal(mine.targets.nan_to_num(), theirs.targets.nan_to_num())
    assert torch.equal(one.held("test").inputs, other.held("test").inputs)
    tuning = SequenceJob(plan.train_config(Trial("rnn", 10, "tune", 0.1, 1)))
    assert not torch.equal(tuning.held("test").inputs[:9], one.held("test").inputs[:9])


def test_a_trial_is_told_everything(told):
    plan = ComparisonPlan(told(batch_size=8, clip_norm=0.5, schedule="constant"))
    found = plan.train_config(Trial("rnn", 50, "final", 0.01, 2))
    assert isinstance(found, TrainConfig)
    assert (found.task, found.gap, found.cell, found.learning_rate) == ("adding", 50, "rnn", 0.01)
    assert (found.batch_size, found.clip_norm, found.schedule, found.steps) == (8, 0.5, "constant", 300)
    assert found.hidden_size == plan.sizes["rnn"].hidden_size != 4


def test_what_is_left_open_is_the_tasks_own(told):
    plan = ComparisonPlan(told(steps=None, hidden_size=None))
    defaults = TASKS["adding"].defaults
    assert plan.budget == defaults["steps"]
    assert plan.sizes["lstm"].hidden_size == defaults["hidden_size"]
    assert plan.train_config(Trial("lstm", 10, "final", 0.5, 0)).batch_size == defaults["batch_size"]


def test_a_forget_bias_is_for_cells_that_have_one(told):
    plan = ComparisonPlan(told(forget_bias=3.0, init="chrono"))
    lstm, rnn = (plan.train_config(Trial(cell, 10, "final", 0.01, 0)) for cell in ("lstm", "rnn"))
    assert (lstm.forget_bias, lstm.init) == (3.0, "chrono")
    assert (rnn.forget_bias, rnn.init) == (None, "torch")


def test_equations_of_the_users_own_take_part(told):
    plan = ComparisonPlan(told(cells={"mine": "h = tanh(W @ x + R @ h + b)", "rnn": "rnn"}))
    assert plan.sizes["mine"] == plan.sizes["rnn"]
    assert plan.train_config(Trial("mine", 10, "final", 0.01, 0)).cell == "h = tanh(W @ x + R @ h + b)"


def test_cells_that_cannot_take_part(told):
    with pytest.raises(ConfigError, match=r"^These cells cannot take part at this task and size: clockwork \("):
        ComparisonPlan(told(cells="lstm,clockwork", match="size"))


def test_a_projection_that_one_cell_has_to_have_is_no_other_cells(told):
    for reference in ("lstm", "lstm_projected"):
        plan = ComparisonPlan(told(cells="lstm,lstm_projected,mut1", reference=reference, hidden_size=9))
        given = {cell: plan.train_config(Trial(cell, 10, "final", 0.01, 0)) for cell in plan.sizes}
        assert given["lstm_projected"].proj_size == plan.sizes["lstm_projected"].hidden_size // 2 > 0
        assert given["lstm"].proj_size == given["mut1"].proj_size == 0
        for cell, config in given.items():
            model = SequenceJob(config).build(torch.device("cpu"))
            assert sum(parameter.numel() for parameter in model.parameters()) == plan.sizes[cell].parameters


def test_data_are_for_tasks_that_are_recorded(told):
    with pytest.raises(ConfigError, match=r"^data is 'foo\.txt', and the sequences of task 'adding' are drawn"):
        ComparisonPlan(told(data="foo.txt"))


def test_every_cell_is_tried_with_every_value_of_a_setting(told):
    plan = ComparisonPlan(told(vary="num_layers=1,2", hidden_size=32))
    labels = ["rnn num_layers=1", "rnn num_layers=2", "lstm num_layers=1", "lstm num_layers=2"]
    assert sorted(plan.sizes) == sorted(labels)
    assert plan.total == 2 * ComparisonPlan(told()).total
    trials = {trial.cell: trial for trial in plan.waiting({})}
    for label in labels:
        config = plan.train_config(trials[label])
        assert (config.cell, config.num_layers) == (label.split()[0], int(label[-1]))
        assert config.hidden_size == plan.sizes[label].hidden_size
    # All are as large as the reference, which has the task's own number of layers.
    wanted = plan.sizes["lstm num_layers=1"].parameters
    assert all(abs(plan.sizes[label].parameters - wanted) < 0.05 * wanted for label in labels)
    assert plan.sizes["lstm num_layers=2"].hidden_size < plan.sizes["lstm num_layers=1"].hidden_size


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("num_layers", "vary is 'num_layers'; expected a setting and different values"),
        ("num_layers=1,1", "expected a setting and different values"),
        ("num_leyers=1", "'num_leyers' is no setting. Did you mean 'num_layers'"),
        ("seed=1,2", "a comparison decides seed itself"),
        ("num_layers=1,none", "num_layers is 'none'"),
        ("attention=none", "attention is 'none', and has no meaning"),
    ],
)
def test_what_cannot_be_varied_is_refused(told, vary, message):
    with pytest.raises(ConfigError, match=message):
        told(vary=vary)
