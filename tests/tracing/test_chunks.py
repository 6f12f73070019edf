"""A trace in chunks is the trace of the whole, in memory and in a file."""

import pytest
import torch
from tests.nn.sizes import inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from tests.tolerances import assert_close
from tests.tracing.test_trace import assert_bits
from torch import nn

import gatework
from gatework.errors import DataError, SizeError
from gatework.models.language import LanguageModel
from gatework.tracing import save_trace, trace_chunks

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def layer_for(cell, backend):
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    return layer_of(cell, 2, dtype=torch.float32, input_projection=elementwise, backend=backend).eval()


@every_cell
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_chunks_are_slices_of_the_whole(cell, backend):
    layer = layer_for(cell, backend)
    given = inputs_for(layer, 11, 2)
    whole = gatework.trace(layer, given, parts=True)
    done = 0
    for found in trace_chunks(layer, given, parts=True, chunk=4):
        count = len(found.output)
        assert list(found) == list(whole)
        for key in whole:
            # A product for another number of steps is another product for torch, and may be rounded otherwise.
            same = assert_bits if backend == "cpu" else assert_close
            same(found[key], whole[key][done : done + count])
        done += count
    assert done == 11


def test_resets_and_a_state_go_along():
    layer = gatework.LSTM(3, 4, num_layers=2, batch_first=True)
    given, reset = torch.randn(2, 9, 3), torch.rand(2, 9) < 0.4
    state = (torch.randn(2, 2, 4), torch.randn(2, 2, 4))
    whole = gatework.trace(layer, given, ["c"], state=state, reset=reset)
    found = list(trace_chunks(layer, given, ["c"], state=state, reset=reset, chunk=4))
    assert_bits(torch.cat([one["l1.c"] for one in found]), whole["l1.c"])
    assert_bits(torch.cat([one.output for one in found], 1), whole.output)
    for mine, other in zip(found[-1].state, whole.state, strict=True):
        assert_bits(mine, other)


def test_a_language_model_goes_on_from_its_state():
    model = LanguageModel(11, "gru", 4, 8).eval()
    tokens = torch.randint(11, (10, 2))
    whole = gatework.trace(model, tokens)
    found = list(trace_chunks(model, tokens, chunk=3))
    assert_bits(torch.cat([one["h"] for one in found]), whole["h"])
    assert_close(torch.cat([one.output[0] for one in found]), whole.output[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_file_of_chunks_is_the_file_of_the_whole(tmp_path, batch_first):
    layer = gatework.LSTM(3, 4, num_layers=2, batch_first=batch_first)
    given, reset = torch.randn(9, 9, 3), torch.rand(9, 9) < 0.3
    whole = gatework.trace(layer, given, parts=True, reset=reset)
    path = tmp_path / "trace.safetensors"
    save_trace(path, layer, given, parts=True, reset=reset, chunk=4)
    found = gatework.Trace.load(path)
    assert list(found) == list(whole)
    for key in whole:
        assert_bits(found[key], whole[key])
    assert_bits(found.output, whole.output.transpose(0, 1) if batch_first else whole.output)
    for mine, other in zip(found.layers, whole.layers, strict=True):
        assert mine.restart is not None
        assert mine.restart.equal(reset if not batch_first else reset.T)
        assert mine.step == other.step
        for kind in ("inputs", "before", "fresh"):
            for name, value in getattr(other, kind).items():
                assert_bits(getattr(mine, kind)[name], value)
    assert [one.name for one in tmp_path.iterdir()] == ["trace.safetensors"]


class Stateless(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = gatework.GRU(3, 4)

    def forward(self, given, state=None):
        return self.layer(given, state)[0]


def test_what_cannot_be_cut(tmp_path):
    given = torch.zeros(5, 2, 3)
    with pytest.raises(SizeError, match=r"^The layer is bidirectional: its second direction begins at the end"):
        trace_chunks(gatework.GRU(3, 4, bidirectional=True), given)
    with pytest.raises(SizeError, match=r"^chunk is 0; expected a number of steps, at least 1\.$"):
        trace_chunks(gatework.GRU(3, 4), given, chunk=0)
    with pytest.raises(SizeError, match=r"^The input is a tensor of the shape \(0, 2, 3\)"):
        trace_chunks(gatework.GRU(3, 4), given[:0])
    with pytest.raises(SizeError, match=r"^The model Stateless returned a Tensor"):
        save_trace(tmp_path / "trace.safetensors", Stateless(), given, chunk=2)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="cannot be written"):
        save_trace(tmp_path / "no" / "trace.safetensors", gatework.GRU(3, 4), given)
