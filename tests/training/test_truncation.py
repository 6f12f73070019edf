"""``tbptt=k1,k2``: beside plain autograd, one step of time after the other, with the gradient cut off by hand."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.tolerances import assert_close
from tests.training.conftest import contents_of

from gatework.errors import ConfigError, GateworkError
from gatework.training import make_config, train
from gatework.training.jobs.registry import open_job
from gatework.training.jobs.text import TextJob
from gatework.training.jobs.truncation import cut_piece
from gatework.training.parallel import ProcessGroup
from gatework.training.trainer import Trainer

PLAIN = {"optimizer": "sgd", "learning_rate": 0.3, "schedule": "constant", "clip_norm": 0.0, "dtype": "float64"}
SIZES = [(3, 3), (3, 7), (4, 5), (1, 6), (7, 100)]


def detached(state: Any) -> Any:
    return tuple(one.detach() for one in state) if isinstance(state, tuple) else state.detach()


def by_hand(model: Any, length: int, new: int, reach: int, steps: int, loss: Any) -> Any:
    """Train a model, with the loss of each step of time on its own.

    Args:
        model: The model.
        length: The steps of a sequence.
        new: k1.
        reach: k2.
        steps: Training steps.
        loss: Gives the loss of one step of time of a sequence, how many targets that is, and the state.
    """
    count = -(-length // new)
    states: dict[int, Any] = {}  # the state before a step of time, as it was when it was last computed
    for step in range(steps):
        index = step % count
        first, end = length * index // count, length * (index + 1) // count
        begin = max(first - (reach - new), 0)
        state = states[begin] if begin else None
        total, asked = torch.zeros((), dtype=torch.float64), 0
        for time in range(begin, end):
            nats, targets, state = loss(model, step // count, time, state)
            states[time + 1] = detached(state)
            if time >= first:
                total, asked = total + nats, asked + targets
        model.zero_grad()
        (total / asked).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.3 * parameter.grad
    return model


def trained(config: Any, loss_of: Any, length_of: Any, steps: int) -> None:
    """Compare the weights after some steps of the trainer with those that were trained by hand."""
    job = open_job(config)
    trainer = Trainer(config, job, ProcessGroup())
    model = copy.deepcopy(trainer.model)
    for _ in range(steps):
        trainer.train_step()
    new, reach = config.tbptt
    hand = by_hand(model, length_of(job), new, reach, steps, loss_of(job))
    for (name, found), expected in zip(trainer.model.named_parameters(), hand.parameters(), strict=True):
        assert_close(found.detach(), expected.detach(), "gradients")
        assert name


@pytest.mark.parametrize("tbptt", SIZES, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_text_beside_plain_autograd(text, tbptt, cell):
    """Over the end of a pass, where the state begins anew."""
    text.write_text("the gate opens and the gate closes. " * 4)
    made = {"data": str(text), "cell": cell, "hidden_size": 5, "batch_size": 3, "num_layers": 2, "tbptt": tbptt}
    config = make_config(PLAIN | made)

    def loss_of(job: Any) -> Any:
        read, targets = job.streams.between(0, job.streams.length, slice(None))

        def loss(model: Any, number: int, time: int, state: Any) -> Any:
            nats, state = model.surprise(read[time : time + 1], targets[time : time + 1], state)
            return nats, 3, state

        return loss

    trained(config, loss_of, lambda job: job.streams.length, steps=25 if tbptt[0] > 1 else 50)


@pytest.mark.parametrize("tbptt", SIZES[1:], ids=str)
def test_a_task_beside_plain_autograd(tbptt):
    """Streams of symbols, several batches of them."""
    made = {"task": "continual_reber", "gap": 20, "hidden_size": 5, "batch_size": 3, "steps": 50, "tbptt": tbptt}
    config = make_config(PLAIN | made)

    def loss_of(job: Any) -> Any:
        def loss(model: Any, number: int, time: int, state: Any) -> Any:
            batch = job.batches.draw("train", 3, number).window(time, time + 1)
            total, asked, state = model.loss(batch, "choice", state)
            return total, asked, state

        return loss

    trained(config, loss_of, lambda job: 20, steps=12 if tbptt[0] > 1 else 30)


def test_as_many_steps_back_as_new_ones_are_windows(configure):
    """The same run to the bit, as the gradient goes over the window and no further."""
    one, other = train(configure("one", window=9)), train(configure("other", window=9, tbptt="9,9"))
    assert one.metrics == other.metrics
    first, second = contents_of(one.run), contents_of(other.run)
    # The settings differ, and what is stored of a checkpoint beside its tensors names them.
    assert [name for name in first if first[name] != second[name] and not name.endswith("training.json")] == []


@pytest.mark.parametrize("level", ["char", "word"])
def test_large_vocabularies_count_only_new_symbols(configure, level, monkeypatch):
    """The lean head sees no symbol twice: as many targets as symbols."""
    monkeypatch.setattr("gatework.models.language._LARGE_VOCABULARY", 1)
    config = configure("lean", level=level, window=5, tbptt="5,13", steps=10)
    job = open_job(config)
    assert isinstance(job, TextJob)
    trainer = Trainer(config, job, ProcessGroup())
    amounts = [trainer.train_step()[0] for _ in range(job.steps_per_epoch)]
    assert sum(amounts) == job.streams.length * config.batch_size
    assert trainer.sums.asked == sum(amounts)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 40))
def test_pieces_are_all_of_a_sequence(length, new, back):
    """Each step's loss counts once; no piece reads more than it may; each begins where a state was carried."""
    count = -(-length // new)
    pieces = [cut_piece(length, count, index, back) for index in range(count)]
    assert [step for one in pieces for step in range(one.first, one.end)] == list(range(length))
    for one in pieces:
        assert one.end - one.first <= new
        assert one.begin == max(0, one.first - back)
    assert [one.carried for one in pieces] == [*(one.begin for one in pieces[1:]), 0]
    assert all(one.begin <= one.carried <= one.end for one in pieces if one.carried)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tbptt": "32"}, "tbptt is '32'; expected two whole numbers k1,k2, such as 32,128."),
        ({"tbptt": "a,b"}, "tbptt is 'a,b'; expected two whole numbers k1,k2, such as 32,128."),
        ({"tbptt": [1, 2, 3]}, "tbptt is [1, 2, 3]; expected two whole numbers k1,k2, such as 32,128."),
        ({"tbptt": [1, True]}, "tbptt is [1, True]; expected two whole numbers k1,k2, such as 32,128."),
        ({"tbptt": 5}, "tbptt is 5; expected two whole numbers k1,k2, such as 32,128."),
        ({"tbptt": "9,3"}, "tbptt is '9,3'; expected 1 <= k1 <= k2 <= 1,048,576, such as 32,128."),
        ({"tbptt": "0,3"}, "tbptt is '0,3'; expected 1 <= k1 <= k2 <= 1,048,576, such as 32,128."),
        (
            {"tbptt": "9,30", "window": 32},
            "window is 32 and tbptt is 9,30, with which a step reads 9 new symbols. Leave window out.",
        ),
        (
            {"tbptt": "9,30", "task": "adding"},
            "tbptt is 9,30, and task 'adding' reads each sequence whole: the gradient goes back over all its steps, "
            "and no state is carried. Leave it out; it is for texts, and for tasks that cut endless streams, such as "
            "continual_reber.",
        ),
    ],
)
def test_what_is_refused(values, told):
    with pytest.raises(GateworkError) as caught:
        make_config(values)
    assert isinstance(caught.value, ConfigError)
    assert str(caught.value) == told


def test_forms_of_the_setting():
    for form in ("32,128", " 32 , 128 ", [32, 128], (32, 128)):
        config = make_config({"tbptt": form})
        assert (config.tbptt, config.advance, config.reach) == ((32, 128), 32, 128)
    assert make_config(config.model_dump(mode="json")) == config
    assert (make_config({}).advance, make_config({}).reach) == (64, 64)
