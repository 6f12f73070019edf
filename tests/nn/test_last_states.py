"""The last states of both directions, beside torch's own layers, and a model of sequences that answers from them."""

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch.nn.utils.rnn import pack_sequence

import gatework
from gatework.errors import SizeError
from gatework.models import sequences
from gatework.models.sequences import SequenceModel, measure_sequences
from gatework.nn import last_states
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch

LENGTHS = [5, 2, 4, 1]


def pair(make="LSTM", **options):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, make)(3, 4, 2, **options).double()
    ours = getattr(gatework, make)(3, 4, 2, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("make", ["LSTM", "GRU", "RNN"])
def test_as_torchs_final_states(make, both):
    theirs, ours = pair(make, bidirectional=both)
    rows = [torch.randn(length, 3, dtype=torch.float64) for length in LENGTHS]
    whole = torch.nn.utils.rnn.pad_sequence(rows)
    found = last_states(ours, ours(whole, lengths=LENGTHS)[1])
    for row, one in enumerate(rows):
        output, state = theirs(one)
        h = state[0] if make == "LSTM" else state
        assert_close(found[row], torch.cat([h[-2], h[-1]]) if both else h[-1])
        assert_close(found[row], torch.cat([output[-1, :4], output[0, 4:]]) if both else output[-1])
        assert_close(last_states(ours, ours(one)[1]), found[row])
    assert_close(last_states(ours, ours(pack_sequence(rows, enforce_sorted=False))[1]), found)


def test_layers_of_different_sizes_and_projections():
    layer = gatework.Recurrent("lstm", 3, [5, 6], bidirectional=True)
    output, state = layer(torch.randn(4, 2, 3))
    assert_same(last_states(layer, state), torch.cat([output[-1, :, :6], output[0, :, 6:]], -1))
    layer = gatework.LSTM(3, 6, proj_size=2, bidirectional=True)
    output, state = layer(torch.randn(4, 2, 3))
    assert_same(last_states(layer, state), torch.cat([output[-1, :, :2], output[0, :, 2:]], -1))


@pytest.mark.parametrize("state", [None, torch.zeros(1, 2, 4), (), (torch.zeros(3, 2, 4),) * 2], ids=str)
def test_states_of_others_are_refused(state):
    with pytest.raises(SizeError, match="does not have the 1 layers in 2 directions of this layer"):
        last_states(gatework.LSTM(3, 4, bidirectional=True), state)


# --- a model that is asked at the end


def batch_of(lengths, steps):
    torch.manual_seed(1)
    targets = torch.full((steps, len(lengths)), -100)
    targets[torch.tensor(lengths) - 1, torch.arange(len(lengths))] = torch.arange(len(lengths)) % 3
    return Batch(torch.randn(steps, len(lengths), 3), targets, torch.tensor(lengths))


@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["lengths", "whole"])
def test_a_model_answers_from_both_last_states(lengths):
    torch.manual_seed(0)
    model = SequenceModel(3, 3, "lstm", 4, 2, bidirectional=True, asked_last=True)
    batch = batch_of(lengths or [5] * 4, 5)
    scores, _ = model(batch.inputs, batch.lengths if lengths else None)
    for row, length in enumerate(lengths or [5] * 4):
        output, _ = model.recurrent(batch.inputs[:length, row])
        expected = model.head(torch.cat([output[-1, :4], output[0, 4:]]))
        assert_close(scores[length - 1, row], expected)
        assert_close(scores[: length - 1, row], model.head(output[:-1]))
    total, asked, _ = model.loss(batch, "choice")
    ends = scores[batch.lengths - 1, torch.arange(4)] if batch.lengths is not None else scores[-1]
    assert asked == 4
    assert_close(total, torch.nn.functional.cross_entropy(ends, torch.arange(4) % 3, reduction="sum"))
    (gradient,) = torch.autograd.grad(total, model.recurrent.weight_hh_l1_reverse)
    assert gradient.any()  # at the last step alone, this matrix would meet a state of zeros, and have no gradient


def test_without_it_the_reverse_direction_has_read_one_step():
    torch.manual_seed(0)
    model, batch = SequenceModel(3, 3, "lstm", 4, bidirectional=True), batch_of(LENGTHS, 5)
    (gradient,) = torch.autograd.grad(model.loss(batch, "choice")[0], model.recurrent.weight_hh_l0_reverse)
    assert not gradient.any()


def test_one_direction_is_as_before():
    torch.manual_seed(0)
    model, batch = SequenceModel(3, 3, "gru", 4), batch_of(LENGTHS, 5)
    before = model(batch.inputs, batch.lengths)
    model.asked_last = True
    assert_same(model(batch.inputs, batch.lengths), before)


def test_both_directions_are_measured_on_whole_sequences(monkeypatch):
    """Part by part, a state of the reverse direction would be carried from what comes before."""
    torch.manual_seed(0)
    task, model = TASKS["adding"], SequenceModel(2, 1, "lstm", 4, bidirectional=True)
    batch = Batch(torch.randn(9, 3, 2), torch.randn(9, 3, 1))
    expected = measure_sequences(model, batch, task)
    monkeypatch.setattr(sequences, "_PART", 4)
    assert measure_sequences(model, batch, task) == expected


def test_connections_are_refused():
    with pytest.raises(SizeError, match="asked_last is True for layers of two directions with skip or connection"):
        SequenceModel(3, 3, "lstm", 4, 2, bidirectional=True, asked_last=True, connection="residual")
    assert SequenceModel(3, 3, "lstm", 4, 2, bidirectional=True, skip="out").head.in_features == 16
