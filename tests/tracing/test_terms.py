"""Equations with their numbers: the parts make the whole, in every cell, at every step."""

import pytest
import torch
from tests.nn.sizes import inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from tests.tolerances import assert_close
from torch import nn

import gatework
from gatework.errors import SizeError
from gatework.language import FUNCTIONS
from gatework.models.language import LanguageModel
from gatework.nn.layers import wired
from gatework.tracing import Term, terms

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


@every_cell
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_terms_come_to_what_was_traced(cell, training):
    """Each function of its terms' values is its own value, up to the top, which the run itself computed."""
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    layer = layer_of(cell, 2, bidirectional=not wired(cell), input_projection=elementwise).train(training)
    given, lengths = inputs_for(layer, 5, 3), [5, 3, 4]
    reset = torch.zeros(5, 3, dtype=torch.bool)
    reset[2, 0] = True
    trace = gatework.trace(layer, given, parts=True, lengths=lengths, reset=reset)
    for key in trace:
        for step, row in ((0, 1), (2, 0), (1, 2), (2, 1)):
            unit = trace[key].shape[-1] - 1
            term = terms(layer, trace, key, step, row, unit)
            assert term.value == float(trace[key][step, row, unit])
            checked(term)


def checked(term):
    """Compute a term from its parts, where that is a matter of one unit alone."""
    for part in term.parts:
        checked(part)
    values = [part.value for part in term.parts]
    head = term.text.split("(")[0]
    if not values or head in ("norm", "bernoulli", "period"):
        return
    if head in FUNCTIONS and term.text.endswith(")") and len(values) == FUNCTIONS[head].arity:
        value = FUNCTIONS[head].value
        assert value is not None
        found = value(*values)
    else:
        found = combined(term, values)
    assert_close(torch.tensor(found).double(), torch.tensor(term.value).double())


def combined(term, values):
    """Which of the four operators joins the parts: read off the text, from which the parts are taken out."""
    rest = term.text
    for part in term.parts:
        rest = rest.replace(part.text, "", 1)
    symbols = rest.replace("(", "").replace(")", "").split()
    if symbols == ["-"] and len(values) == 1:
        return -values[0]
    assert len(set(symbols)) == 1, term.text
    found = values[0]
    for value in values[1:]:
        found = {"+": found + value, "-": found - value, "*": found * value}.get(symbols[0], found / (value or 1.0))
    return found


def test_an_equation_with_its_numbers():
    layer = gatework.Recurrent("lstm", 2, 2, dtype=torch.float64)
    given = torch.randn(4, 1, 2, dtype=torch.float64)
    trace = gatework.trace(layer, given)
    weights = layer.named_weights(0)
    term = terms(layer, trace, "f", step=2, row=0, unit=1)
    assert term.text == "sigmoid(W_f @ x + R_f @ h + b_f)"
    (total,) = term.parts
    assert [part.text for part in total.parts] == ["W_f @ x", "R_f @ h", "b_f"]
    expected = [weights["W_f"][1] @ given[2, 0], weights["R_f"][1] @ trace["h"][1, 0], weights["b_f"][1]]
    for part, value in zip(total.parts, expected, strict=True):
        assert part.value == pytest.approx(float(value.detach()), rel=1e-12)
        assert not part.parts
    assert str(term).splitlines()[2].endswith("    W_f @ x")
    assert term.to_dict()["parts"][0]["parts"][2]["text"] == "b_f"
    kept = terms(layer, trace, "c", 2, 0, 1)
    assert [part.text for part in kept.parts] == ["f * c", "i * g"]
    assert [part.text for part in kept.parts[0].parts] == ["f", "c"]
    assert kept.parts[0].parts[1].value == float(trace["c"][1, 0, 1])
    assert isinstance(kept, Term)


def test_of_a_loaded_trace_and_a_model(tmp_path):
    model = LanguageModel(11, "gru", 4, 8).eval()
    trace = gatework.trace(model, torch.randint(11, (6, 2)))
    trace.save(tmp_path / "trace.safetensors")
    loaded = gatework.Trace.load(tmp_path / "trace.safetensors")
    assert terms(model, loaded, "n", 3, 1, 5) == terms(model.recurrent, trace, "l0.n", 3, 1, 5)
    two = nn.ModuleDict({"first": gatework.GRU(3, 4), "second": gatework.GRU(4, 4)}).double()
    two.forward = lambda given: two["second"](two["first"](given)[0])[0]
    trace = gatework.trace(two, torch.randn(5, 2, 3, dtype=torch.float64))
    checked(terms(two, trace, "second.l0.n", 3, 1, 2))


def test_what_cannot_be_written_out():
    layer = gatework.LSTM(3, 4)
    given = torch.randn(5, 2, 3)
    trace = gatework.trace(layer, given, ["c", "x"], lengths=[5, 2])
    with pytest.raises(SizeError, match=r"^The equation of `l0.c` reads `f`, which the trace lacks\. Trace it too"):
        terms(layer, trace, "c", 0, 0, 0)
    with pytest.raises(SizeError, match=r"^unit is 4; `l0.c` has 4, so expected 0 to 3\.$"):
        terms(layer, trace, "c", 0, 0, 4)
    with pytest.raises(SizeError, match=r"^step is 3; row 1 has 2 steps, and what follows is padding\.$"):
        terms(layer, trace, "c", 3, 1, 0)
    with pytest.raises(SizeError, match=r"^`x` is an input: it has no equation"):
        terms(layer, trace, "x", 0, 0, 0)
