"""A run that begins with another run's weights: what is taken, what is drawn, and what it depends on later."""

import json
import shutil

import pytest
import safetensors.torch
import torch
from tests.training.test_resume import At, Killed, kill

from gatework.errors import ConfigError, RunError
from gatework.runs.checkpoint import list_checkpoints
from gatework.training import load, make_config, train
from gatework.training import loop as loop_module
from gatework.training.jobs.text import TextJob


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out pictures and samples, which take longer than the runs."""
    monkeypatch.setattr(loop_module, "draw_curve", lambda *given: b"")
    monkeypatch.setattr(TextJob, "sample", lambda self, model, seed: str(seed))


def weights(run, step):
    return safetensors.torch.load_file(run / "checkpoints" / f"step-{step}" / "model.safetensors")


@pytest.fixture
def first(configure):
    return train(configure("first")).run


def begun(config):
    """Begin a run and stop it after its first step; return what it said, and the weights that it began with."""
    reporter = At(1, kill)
    with pytest.raises(Killed):
        train(config, reporter)
    assert list_checkpoints(config.directory / "checkpoints") == [0]
    assert reporter.began is not None
    return reporter.began.about, weights(config.directory, 0)


def test_the_same_text_takes_everything(configure, first):
    about, mine = begun(configure("second", start_from=str(first), learning_rate=1e-4))
    theirs = weights(first, 24)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert about[-1] == f"begins with '{first}', step 24: {len(theirs)} of {len(theirs)} parameters taken whole"


def test_another_text_takes_the_rows_of_the_symbols_that_both_have(configure, first, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("the gate! a zebra? KEEPS it all\n" * 40)
    config = configure("second", start_from=str(first), data=str(other))
    about, mine = begun(config)
    old, new = load(first).vocabulary, load(config.directory).vocabulary
    shared = set(old.symbols) & set(new.symbols)
    assert {"a", "e"} <= shared < set(new.symbols)
    for name in ("embedding.weight", "head.weight", "head.bias"):
        for symbol in new.symbols:
            same = symbol in shared and torch.equal(
                mine[name][new.numbers[symbol]], weights(first, 24)[name][old.numbers[symbol]]
            )
            assert same == (symbol in shared), (name, symbol)
    assert f"embedding.weight ({len(shared)} of {len(new)})" in about[-1]
    assert torch.equal(mine["recurrent.weight_hh_l0"], weights(first, 24)["recurrent.weight_hh_l0"])


def test_another_size_or_level_takes_what_fits(configure, first):
    about, _ = begun(configure("second", start_from=str(first), level="byte"))
    assert about[-2].endswith("step 24: 3 of 6 parameters taken whole")
    assert about[-1].startswith("drawn anew: embedding.weight (")
    assert "there, 256x12 here)" in about[-1]
    with pytest.raises(ConfigError, match=r"none of its parameters fits this model: .* Expected the same cell"):
        train(configure("third", start_from=str(first), hidden_size=10, level="word"))
    assert not configure("third").directory.exists()


def test_another_head(tmp_path):
    small = {"cell": "gru", "hidden_size": 8, "batch_size": 8, "steps": 2, "threads": 1}
    first = train(make_config({"task": "temporal_order_2", "gap": 10, "run": str(tmp_path / "first"), **small})).run
    config = {"task": "temporal_order_3", "gap": 10, "run": str(tmp_path / "second"), "start_from": str(first), **small}
    about, mine = begun(make_config(config))
    assert "drawn anew: head.weight (4x8 there, 8x8 here), head.bias (4 there, 8 here)" in about
    assert torch.equal(mine["recurrent.weight_hh_l0"], weights(first, 2)["recurrent.weight_hh_l0"])


@pytest.mark.parametrize("place", [1, 13])
def test_it_resumes_without_the_other_run_to_the_bit(configure, same, first, place):
    straight = train(configure("straight", start_from=str(first)))
    broken = configure("broken", start_from=str(first))
    with pytest.raises(Killed):
        train(broken, At(place, kill))
    shutil.rmtree(first)
    result = train(broken)
    same(straight.run, result.run)
    assert load(result.run).evaluate().metrics == result.metrics
    assert json.loads((result.run / "data.json").read_text())["start"]["step"] == 24


def test_it_learns_from_where_the_other_run_was(configure, first):
    drawn = train(configure("drawn", steps=1, log_every=1)).run
    begun = train(configure("begun", steps=1, log_every=1, start_from=str(first))).run
    assert load(begun).history[0]["train_loss"] < load(drawn).history[0]["train_loss"]


def test_other_weights_are_another_run(configure, first, tmp_path):
    train(configure("second", start_from=str(first)))
    for other in ("", str(tmp_path / "elsewhere")):
        with pytest.raises(RunError, match=r"start_from is \".*… there and \".* now\. Give"):
            train(configure("second", start_from=other))
    with pytest.raises(RunError, match="elsewhere' is not a run: it does not exist"):
        train(configure("third", start_from=str(tmp_path / "elsewhere")))
    # Killed before the first checkpoint, and the other run has gone on since.
    for path in (configure("second").directory / "checkpoints").iterdir():
        shutil.rmtree(path)
    train(configure("first", steps=30))
    with pytest.raises(RunError, match=r"was begun with other weights than '.*first' has now, and has no checkpoint"):
        train(configure("second", start_from=str(first)))


def test_chains_of_starts_are_opened(configure, first):
    second = train(configure("second", start_from=str(first))).run
    about, _ = begun(configure("third", start_from=str(second)))
    assert "step 24: " in about[-1]
