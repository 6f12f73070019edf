"""The model of sequence tasks: where a learned map stands before its layers, and where nothing has changed."""

import pytest
import torch
from torch import nn

from gatework.cells import CELLS
from gatework.errors import SizeError
from gatework.models.sequences import SequenceModel, needs_projection
from gatework.nn import Recurrent

# Equations of a user's own: which of them read x elementwise is nowhere written but in them.
OWN = (
    "h = tanh(W @ x + R @ h + b)",
    "n = tanh(x + R @ h + b)\nh = 0.5 * h + 0.5 * n",
    "z = sigmoid(W @ x)\nh = z * h + (1 - z) * x",
)


def fits(cell, input_size, hidden_size, num_layers, proj_size):
    """Tell by building it whether a layer can do without a map."""
    try:
        Recurrent(cell, input_size, hidden_size, num_layers, proj_size=proj_size)
    except SizeError as error:
        return "(input_projection=True)" not in str(error)
    return True


@pytest.mark.parametrize("cell", [*CELLS, *OWN])
@pytest.mark.parametrize(
    ("inputs", "num_layers", "proj_size"), [(2, 1, 0), (8, 1, 0), (8, 2, 0), (2, 1, 4), (8, 1, 4), (8, 2, 4)]
)
def test_a_map_stands_where_layers_cannot_be_built_without(cell, inputs, num_layers, proj_size):
    proj_size = proj_size or (4 if cell == "lstm_projected" else 0)
    needed = not fits(cell, inputs, 8, num_layers, proj_size)
    assert needs_projection(cell, inputs, 8, num_layers, proj_size) is needed
    model = SequenceModel(inputs, 3, cell, 8, num_layers, proj_size=proj_size)
    assert model.recurrent.input_projection is needed
    assert model(torch.randn(5, 2, inputs))[0].shape == (5, 2, 3)


@pytest.mark.parametrize(("cell", "inputs"), [("lstm", 2), ("depth_gated", 2), ("mut1", 8)])
def test_models_without_a_map_are_drawn_as_their_parts_are(cell, inputs):
    torch.manual_seed(3)
    drawn = SequenceModel(inputs, 1, cell, 8, 2).state_dict()
    torch.manual_seed(3)
    layers, head = Recurrent(cell, inputs, 8, 2), nn.Linear(8, 1)
    expected = {f"recurrent.{name}": value for name, value in layers.state_dict().items()}
    expected |= {f"head.{name}": value for name, value in head.state_dict().items()}
    assert drawn.keys() == expected.keys()
    assert all(torch.equal(drawn[name], value) for name, value in expected.items())


def test_a_map_stands_after_the_symbols_and_before_the_layers():
    model = SequenceModel(5, 2, "mut1", 8, symbols=True, embedding_size=3)
    assert model.recurrent.weight_in_l0.shape == (8, 3)
    assert SequenceModel(5, 2, "mut1", 8, symbols=True).recurrent.weight_in_l0.shape == (8, 5)
    assert model(torch.tensor([[1], [4]]))[0].shape == (2, 1, 2)


def test_what_is_said_of_the_map_wins():
    assert SequenceModel(2, 1, "lstm", 8, input_projection=True).recurrent.input_projection
    with pytest.raises(SizeError, match="uses it elementwise"):
        SequenceModel(2, 1, "mut1", 8, input_projection=False)
