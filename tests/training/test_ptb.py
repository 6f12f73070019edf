"""The small model of Zaremba et al. 2014: what its example says, and the settings that it needs."""

import json
from pathlib import Path

import pytest
import torch

from gatework.cells import CELLS
from gatework.models import language as text_module
from gatework.training import make_config, read_toml, train
from gatework.training.config import TrainConfig
from gatework.training.jobs.text import TextJob, build_model, read_text
from gatework.training.parallel import ProcessGroup
from gatework.training.progress import Quiet
from gatework.training.run import fingerprint
from gatework.training.schedule import learning_rate
from gatework.training.trainer import Trainer

EXAMPLE = Path(__file__).parents[2] / "examples" / "ptb_small_lstm.toml"
ZAREMBA = {
    "level": "word",
    "num_layers": 2,
    "init_range": 0.1,
    "reduction": "sum_over_time",
    "optimizer": "sgd",
    "schedule": "zaremba",
    "decay": 2.0,
    "decay_after": 1,
    "learning_rate": 1.0,
    "clip_norm": 5.0,
}


def test_the_example_is_what_the_paper_says():
    """Section 4.1: two layers of 200 units, 20 steps, 20 streams, ±0.1, norm 5, rate 1 for 4 of 13 epochs."""
    config = make_config(read_toml(EXAMPLE))
    assert (config.num_layers, config.hidden_size, config.input_size) == (2, 200, 200)
    assert (config.batch_size, config.window, config.init_range, config.clip_norm) == (20, 20, 0.1, 5.0)
    assert (config.optimizer, config.weight_decay, config.dropout, config.warmup_steps) == ("sgd", 0.0, 0.0, 0)
    rates = [learning_rate(config, 10 * epoch + 1, 130, 10) for epoch in range(config.epochs or 0)]
    assert rates == [1.0] * 4 + [2.0**-n for n in range(1, 10)]
    assert str(config.directory) == "runs/lstm-ptb"


def test_the_example_fits_its_text(data_folder):
    config = make_config(read_toml(EXAMPLE) | {"data": str(data_folder / "ptb")})
    text = read_text(config)
    assert len(text.vocabulary) == 10_000
    assert {split: len(tokens) for split, tokens in text.tokens.items()} == {
        "train": 929_589,
        "valid": 73_760,
        "test": 82_430,
    }
    trainer = Trainer(config, TextJob(config, text), ProcessGroup())
    assert trainer.job.steps_per_epoch == config.evaluate_every == 2 * config.checkpoint_every
    assert sum(parameter.numel() for parameter in trainer.parameters.values()) == 2 * 2_000_000 + 10_000 + 2 * 320_800
    # Weights this small know nothing at first: 10,000 words, all of them about as likely.
    assert trainer.train_step()[1] == pytest.approx(torch.tensor(10_000.0).log().item(), abs=0.02)


@pytest.mark.parametrize("cell", list(CELLS))
def test_every_weight_and_bias_is_drawn_from_the_range(cell):
    values = {"cell": cell, "hidden_size": 48, "num_layers": 2, "init_range": 0.1}
    if cell == "lstm_projected":
        values["proj_size"] = 32
    torch.manual_seed(0)
    model = build_model(make_config(values), 200, torch.device("cpu"))
    biases = {parameter.name for parameter in CELLS[cell].step.parameters if parameter.role == "bias"}
    for name in ("embedding.weight", "head.weight", "head.bias"):
        assert_uniform(model.get_parameter(name))
    for number in range(2):
        for name, tensor in model.recurrent.named_weights(number).items():
            if name in CELLS[cell].init and name not in biases:
                # A gain of one, or a matrix that makes the cell what it is.
                torch.testing.assert_close(tensor, fixed(CELLS[cell].init[name], tensor))
            else:
                assert_uniform(tensor)


def assert_uniform(tensor):
    assert 0.08 < float(tensor.detach().abs().max()) <= 0.1
    assert float(tensor.detach().mean()) == pytest.approx(0, abs=0.25 / len(tensor.flatten()) ** 0.5)


def fixed(value, like):
    return torch.eye(len(like)) if value == "identity" else torch.full_like(like, value)


def test_a_range_with_what_is_said_beside_it():
    def weights(**values):
        return build_model(make_config({"init_range": 0.1} | values), 9, torch.device("cpu")).recurrent.named_weights(0)

    assert torch.equal(weights(forget_bias=2.0)["b_f"], torch.full((256,), 2.0))
    assert torch.equal(weights(cell="cifg", forget_bias=2.0)["b_i"], torch.full((256,), -2.0))
    gains = {name: tensor for name, tensor in weights(layer_norm=True).items() if bool((tensor == 1).all())}
    assert gains


def test_summed_over_time_a_step_is_as_many_times_longer(configure):
    """With plain SGD and nothing clipped, T times the gradient is T times the step."""
    found = []
    for changes in ({"reduction": "sum_over_time", "learning_rate": 0.1}, {"learning_rate": 1.5}):
        config = configure(optimizer="sgd", schedule="constant", clip_norm=0.0, dtype="float64", **changes)
        trainer = Trainer(config, TextJob(config, read_text(config)), ProcessGroup())
        tokens, _ = trainer.train_step()
        assert tokens == 15 * config.batch_size  # the windows of this text are of 15 and of 16 steps
        found.append((trainer.take_sums()["gradient_norm"], [p.detach() for p in trainer.parameters.values()]))
    assert found[0][0] == pytest.approx(15 * found[1][0], rel=1e-12)
    for own, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-12)


class Killed(BaseException):
    """Stands for a SIGKILL."""


class KillAt(Quiet):
    """End the run when a step is done."""

    def __init__(self, at):
        self.at = at

    def step(self, step, tokens, loss):
        if step == self.at:
            raise Killed


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_killed_and_the_same_to_the_bit_with_a_large_vocabulary(configure, same, monkeypatch, cell):
    monkeypatch.setattr(text_module, "_LARGE_VOCABULARY", 2)
    straight = train(configure("straight", cell=cell, **ZAREMBA))
    for step in (13, 22):
        with pytest.raises(Killed):
            train(configure("broken", cell=cell, **ZAREMBA), KillAt(step))
    same(straight.run, train(configure("broken", cell=cell, **ZAREMBA)).run)


def test_settings_that_came_later_do_not_change_what_a_run_is():
    """The fingerprints are those of the version before `init_range` and `reduction`."""
    before = "a99b0a1eeeed9a022b8ec16902492f74d3e4dabb66115c890f142c948c730403"
    assert fingerprint(TrainConfig(), "text") == before
    assert fingerprint(TrainConfig(init_range=0.1), "text") != before
    assert fingerprint(TrainConfig(reduction="sum_over_time"), "text") != before
    changed = make_config({"cell": "gru", "zoneout": "h=0.1", "optimizer": "sgd", "hidden_size": 64})
    assert fingerprint(changed, "text") == "3085a8b3f7f882ddf88c50ea14d879215ccb513cef925685a10a8879bdef96e6"


def test_a_run_from_before_these_settings_goes_on(configure, same):
    straight = train(configure("straight"))
    with pytest.raises(Killed):
        train(configure("broken"), KillAt(13))
    path = configure("broken").directory / "config.json"
    told = json.loads(path.read_text())
    del told["init_range"], told["reduction"]
    path.write_text(json.dumps(told))
    same(straight.run, train(configure("broken")).run)
