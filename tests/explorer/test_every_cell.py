"""Every cell of the registry, and cells made from cells: the explorer shows what they compute, and nothing breaks."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from gatework.cells import CELLS
from gatework.data.vocabulary import Symbols, Vocabulary
from gatework.explorer import messages
from gatework.explorer.answers import Answers
from gatework.explorer.models import OpenRun
from gatework.explorer.report import record
from gatework.explorer.settings import Settings
from gatework.models.language import LanguageModel
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.text import build_model

TEXT = "ab(c, d)\n  e"
OPTIONS: dict[str, dict[str, Any]] = {name: {} for name in CELLS} | {
    "lstm_projected": {"proj_size": 4},
    "projected": {"cell": "gru", "proj_size": 4},
    "layer norm": {"cell": "gru", "layer_norm": True},
    "zoneout": {"cell": "lstm", "zoneout": "c=0.5,h=0.1"},
    "recurrent dropout": {"cell": "lstm", "recurrent_dropout": 0.3},
    "own": {"cell": "z = sigmoid(W @ x + b)\nh = (1 - z) * h + z * tanh(V @ x + R @ h)"},
    "double": {"cell": "gru_v3", "dtype": "float64"},
}


class Untrained:
    """A model as it begins."""

    def __init__(self, **changes: Any) -> None:
        sizes = {"hidden_size": 8, "embedding_size": 8, "num_layers": 2}
        self.title = "untrained"
        self.config: TrainConfig = make_config(sizes | changes)
        self.vocabulary = Vocabulary.of(TEXT + "xyz", "char")
        self.steps: list[int] = [0]

    def load(self, step: int) -> LanguageModel:
        torch.manual_seed(0)
        return build_model(self.config, len(self.vocabulary), torch.device("cpu")).eval()

    def held_out(self) -> Symbols:
        return TEXT * 5

    def samples(self) -> list[tuple[dict[str, str], str]]:
        return []


@pytest.mark.parametrize("name", OPTIONS)
def test_every_cell_can_be_looked_into(name):
    answers = Answers({"r0": OpenRun("r0", Untrained(**({"cell": name} | OPTIONS[name])))}, Settings())
    run = answers.about().runs[0]
    model = answers.runs["r0"].open().model
    told = answers.trace(messages.TraceRequest(run="r0", text=TEXT))
    rows = torch.cat([torch.tensor([1]), answers.runs["r0"].vocabulary.encode(TEXT).long()])[:, None]
    with torch.no_grad():
        output = model.recurrent(model.embedding(rows))[0][1:, 0]
    assert all(math.isfinite(loss) for loss in told.loss[:-1] if loss is not None)
    states = model.recurrent.cell.states
    for layer, quantities in enumerate(run.quantities):
        for one in quantities:
            values = answers.values(told.trace, messages.Window(layer=layer, name=one.name)).values
            assert values.shape == (len(TEXT), one.size)
            assert one.low is None or one.high is None or (one.low <= values.min() and values.max() <= one.high)
            term = answers.terms(told.trace, messages.Term(layer=layer, name=one.name, unit=0, step=3))
            assert term.value == pytest.approx(float(values[3, 0]))
            figures = answers.units(told.trace, messages.Quantity(layer=layer, name=one.name))
            assert len(figures.half_life) == len(figures.order_by_similarity) == one.size
    assert np.array_equal(answers.values(told.trace, messages.Window(layer=1, name=states[0])).values, output)
    assert {one.name for one in run.quantities[0] if one.role == "state"} == set(states)
    assert set(run.scene) == {"en", "zh-Hans", "zh-Hant"}
    assert all(scene.shapes for scene in run.scene.values())
    flow = answers.gradients(told.trace, messages.At(at=6))
    assert all(len(norms) == 7 and all(map(math.isfinite, norms)) for norms in flow.along.values())
    held = states[0]
    hold = messages.Intervention(layer=0, name=held, value=0.5, units=[1], start=2)
    changed = answers.trace(messages.TraceRequest(run="r0", text=TEXT, interventions=[hold]))
    values = answers.values(changed.trace, messages.Window(layer=0, name=held)).values
    assert values[2:, 1].tolist() == [0.5] * (len(TEXT) - 2)
    answers.find(told.trace, messages.FindRequest(names=list(states), preset="inside_brackets"))
    answers.elsewhere(messages.ElsewhereRequest(run="r0", layer=1, name=states[-1], unit=0))


def test_every_cell_can_be_reported():
    """The names of parts are put into addresses as the page puts them, whatever stands in them."""
    answers = Answers({"r0": OpenRun("r0", Untrained(cell="gru_v3"))}, Settings())
    recorded = record(answers, messages.TraceRequest(run="r0", text=TEXT))
    asked = "values?layer=0&direction=0&name=(1%20-%20z)%20*%20h&from=0&to=12"
    assert any(key.endswith(asked) for key in recorded), list(recorded)
