"""What is said of torch's own layers, of their weights and of whole models where a layer of gatework is expected."""

import pytest
import torch
from torch import nn

import gatework
from gatework.errors import CellError, SizeError

INPUT = torch.zeros(5, 2, 3)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = gatework.LSTM(3, 4)
        self.head = nn.Linear(4, 1)


NO_LAYERS = {
    "torch's": (nn.LSTM(3, 4), "A torch.nn.LSTM is run by torch alone, so there is nothing to choose. A gatework.LSTM "
                "takes the same arguments and weights, and can be explained."),
    "model": (Model(), "A Model is a whole model; explain takes one layer, such as gatework.LSTM or gatework.Recurrent."
              " Of this one: explain(model.get_submodule('encoder'), input)."),
    "without layers": (nn.Linear(3, 4), "The Linear holds no layer of gatework; explain takes one layer, such as "
                       "gatework.LSTM or gatework.Recurrent."),
    "name": ("lstm", "A str is no layer; explain takes one layer, such as gatework.LSTM or gatework.Recurrent."),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), NO_LAYERS.values(), ids=NO_LAYERS)
def test_explain_says_what_it_takes(given, message):
    with pytest.raises(SizeError) as caught:
        gatework.explain(given, INPUT)
    assert str(caught.value) == message


def test_a_layer_of_a_model_is_explained_as_the_message_says():
    layer = Model().get_submodule("encoder")
    assert isinstance(layer, gatework.Recurrent)
    assert "backend" in str(gatework.explain(layer, INPUT))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_the_state_of_torchs_layer_is_for_the_layer_of_that_name(name):
    theirs = getattr(nn, name)(3, 4)
    with pytest.raises(RuntimeError, match=rf"state of a torch\.nn\.{name}, .* Load it into a gatework\.{name}, which"):
        gatework.Recurrent(name.lower(), 3, 4).load_state_dict(theirs.state_dict())
    getattr(gatework, name)(3, 4).load_state_dict(theirs.state_dict())


def test_a_lenient_load_stays_lenient():
    missing, unexpected = gatework.Recurrent("lstm", 3, 4).load_state_dict(nn.LSTM(3, 4).state_dict(), strict=False)
    assert (missing, unexpected) == (["bias_l0"], ["bias_ih_l0", "bias_hh_l0"])


@pytest.mark.parametrize("layer", [gatework.LSTM, gatework.LSTMCell])
def test_peepholes_are_named(layer):
    with pytest.raises(CellError) as caught:
        layer(3, 4, peephole=True)
    assert str(caught.value) == "The gates with peepholes are True; expected their names, such as 'ifo' for all three."
