"""The drop-in layers against torch's: values and every gradient over the options, state dicts both ways, errors."""

import copy
from itertools import product

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

import gatework

KINDS = ["LSTM", "GRU", "RNN"]
CHOICES = {
    "bias": (True, False),
    "batch_first": (False, True),
    "bidirectional": (False, True),
    "num_layers": (1, 2),
}
OPTIONS = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
MATRIX = [
    *(("LSTM", options | {"proj_size": size}) for options in OPTIONS for size in (0, 2)),
    *(("GRU", options) for options in OPTIONS),
    *(("RNN", options | {"nonlinearity": name}) for options in OPTIONS for name in ("tanh", "relu")),
]
INPUT_SIZE, HIDDEN_SIZE = 3, 4

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def name_of(value):
    return "-".join(f"{k}={v}" for k, v in value.items() if v) if isinstance(value, dict) else value


def pair(kind, dtype=torch.float64, **options):
    """Torch's layer and ours, with the same weights."""
    torch.manual_seed(5)
    theirs = getattr(nn, kind)(INPUT_SIZE, HIDDEN_SIZE, dtype=dtype, **options)
    ours = getattr(gatework, kind)(INPUT_SIZE, HIDDEN_SIZE, dtype=dtype, **options)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def state_for(layer, batch=(), scale=1.0):
    runs = layer.num_layers * (2 if layer.bidirectional else 1)
    dtype = layer.weight_ih_l0.dtype
    sizes = [getattr(layer, "proj_size", 0) or HIDDEN_SIZE, HIDDEN_SIZE]
    parts = [torch.randn(runs, *batch, size, dtype=dtype).mul(scale).requires_grad_() for size in sizes]
    return tuple(parts) if type(layer).__name__ == "LSTM" else parts[0]


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def compare(theirs, ours, given, leaf, state):
    """Compare output, final state and all gradients on what ``given`` makes; return our output."""
    results = []
    for layer in (theirs, ours):
        made = given()
        output, final = layer(made, state) if state is not None else layer(made)
        data = output.data if isinstance(output, nn.utils.rnn.PackedSequence) else output
        total = (data * torch.linspace(-1, 1, data.numel(), dtype=data.dtype).view_as(data)).sum()
        total = total + sum((part * part).sum() for part in as_tuple(final))
        leaves = [leaf, *(as_tuple(state) if state is not None else ()), *layer.parameters()]
        results.append((data, as_tuple(final), torch.autograd.grad(total, leaves), output))
    (their_data, their_final, their_gradients, _), (data, final, gradients, output) = results
    assert_close(data, their_data)
    assert_close(final, their_final)
    assert_close(gradients, their_gradients, "gradients")
    return output


@pytest.mark.parametrize(("kind", "options"), MATRIX, ids=name_of)
def test_values_and_gradients(kind, options):
    theirs, ours = pair(kind, **options)
    steps, rows = 4, 3
    shape = (rows, steps) if options["batch_first"] else (steps, rows)
    given = torch.randn(*shape, INPUT_SIZE, dtype=torch.float64, requires_grad=True)
    compare(theirs, ours, lambda: given, given, None)
    compare(theirs, ours, lambda: given, given, state_for(theirs, (rows,)))
    alone = torch.randn(steps, INPUT_SIZE, dtype=torch.float64, requires_grad=True)
    compare(theirs, ours, lambda: alone, alone, None)
    compare(theirs, ours, lambda: alone, alone, state_for(theirs))


@pytest.mark.parametrize("sort", [True, False], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("with_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize(("kind", "options"), MATRIX, ids=name_of)
def test_packed_sequences(kind, options, with_state, sort):
    theirs, ours = pair(kind, **options)
    lengths = [5, 3, 3, 1] if sort else [3, 1, 5, 3]
    leaf = torch.randn(5, 4, INPUT_SIZE, dtype=torch.float64, requires_grad=True)

    def packed():
        return pack_padded_sequence(leaf, torch.tensor(lengths), enforce_sorted=sort)

    output = compare(theirs, ours, packed, leaf, state_for(theirs, (4,)) if with_state else None)
    expected = packed()
    assert isinstance(output, nn.utils.rnn.PackedSequence)
    assert_same(output.batch_sizes, expected.batch_sizes)
    for name in ("sorted_indices", "unsorted_indices"):
        assert (getattr(output, name) is None) == sort
        if not sort:
            assert_same(getattr(output, name), getattr(expected, name))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_rows_of_one_length(kind):
    theirs, ours = pair(kind, bidirectional=True)
    packed = pack_sequence([torch.randn(3, INPUT_SIZE, dtype=torch.float64) for _ in range(4)])
    assert_close(ours(packed)[0].data, theirs(packed)[0].data)


@pytest.mark.parametrize(("kind", "options"), MATRIX, ids=name_of)
def test_same_seed_same_weights_and_state_dicts_both_ways(kind, options):
    made = []
    for module in (nn, gatework):
        torch.manual_seed(11)
        made.append(getattr(module, kind)(INPUT_SIZE, HIDDEN_SIZE, **options))
    theirs, ours = made
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert_same(found[key], value)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [[p.shape for p in run] for run in ours.all_weights] == [
        [p.shape for p in run] for run in theirs.all_weights
    ]
    other = getattr(gatework, kind)(INPUT_SIZE, HIDDEN_SIZE, **options)
    assert not torch.equal(other.weight_ih_l0, ours.weight_ih_l0)
    theirs.load_state_dict(other.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same(ours.weight_ih_l0, other.weight_ih_l0)


ATTRIBUTES = ["mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]


@pytest.mark.parametrize("kind", KINDS)
def test_positional_arguments_and_attributes(kind):
    middle = ("relu",) if kind == "RNN" else ()
    projected = (2,) if kind == "LSTM" else ()
    positional = (3, 5, 2, *middle, False, True, 0.25, True, *projected)
    theirs = getattr(nn, kind)(*positional, device="cpu", dtype=torch.float64)
    # torch's GRU and RNN take device and type as keywords only in practice; where positions exist they agree.
    places = ("cpu", torch.float64)
    ours = getattr(gatework, kind)(*positional, *places)
    for name in [*ATTRIBUTES, *(["nonlinearity"] if kind == "RNN" else []), *(["proj_size"] if projected else [])]:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.weight_ih_l0.dtype == torch.float64
    assert ours.flatten_parameters() is None
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_between_layers_as_torchs(kind):
    """The same masks from the same seed: only outputs between layers are zeroed, and only in training."""
    theirs, ours = pair(kind, num_layers=3, dropout=0.5)
    given = torch.randn(6, 3, INPUT_SIZE, dtype=torch.float64)
    results = []
    for layer in (theirs, ours):
        torch.manual_seed(2)
        results.append(layer(given))
    assert_close(as_tuple(results[1][1]), as_tuple(results[0][1]))
    assert_close(results[1][0], results[0][0])
    assert_close(ours.eval()(given)[0], theirs.eval()(given)[0])
    assert not torch.equal(ours(given)[0], results[1][0])
    with pytest.warns(UserWarning, match="dropout option adds dropout"):
        getattr(gatework, kind)(3, 4, dropout=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_everything(kind):
    _, ours = pair(kind, num_layers=2, dropout=1.0)
    first, second = (ours(torch.randn(4, 2, INPUT_SIZE, dtype=torch.float64))[0] for _ in range(2))
    assert_same(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_independent(kind):
    _, ours = pair(kind)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.weight_ih_l0.add_(1)
    assert not torch.equal(other.weight_ih_l0, ours.weight_ih_l0)
    assert repr(other) == repr(ours)


CONSTRUCTION = [
    ((10, 0, 1), {}, ValueError, "hidden_size must be greater than zero"),
    ((10, -3), {}, ValueError, "hidden_size must be greater than zero"),
    ((10, 10, 0), {}, ValueError, "num_layers must be greater than zero"),
    ((0, 5), {}, ValueError, "input_size must be greater than zero"),
    ((-1, 5), {}, ValueError, "input_size must be greater than zero"),
    ((3.0, 5), {}, TypeError, "input_size should be of type int, got: float"),
    (("10", 5), {}, TypeError, "input_size should be of type int, got: str"),
    ((3, 5.0), {}, TypeError, "hidden_size should be of type int, got: float"),
    ((3, 5), {"bias": 0}, TypeError, "bias should be of type bool, got: int"),
    ((3, 5), {"bias": "True"}, TypeError, "bias should be of type bool, got: str"),
    ((3, 5), {"batch_first": 1}, TypeError, "batch_first should be of type bool, got: int"),
    ((3, 5), {"batch_first": "False"}, TypeError, "batch_first should be of type bool, got: str"),
    ((3, 5), {"dropout": -0.1}, ValueError, "dropout should be a number in range"),
    ((3, 5), {"dropout": 1.5}, ValueError, "dropout should be a number in range"),
    ((3, 5), {"dropout": True}, ValueError, "dropout should be a number in range"),
]
ONLY = {
    "LSTM": [
        ((3, 5), {"proj_size": -1}, ValueError, "proj_size should be a positive integer or zero"),
        ((3, 5), {"proj_size": 5}, ValueError, "proj_size has to be smaller than hidden_size"),
    ],
    "GRU": [((3, 5), {"proj_size": 0}, ValueError, "proj_size argument is only supported for LSTM, not RNN or GRU")],
    "RNN": [
        ((3, 5), {"proj_size": 2}, ValueError, "proj_size argument is only supported for LSTM, not RNN or GRU"),
        ((3, 5), {"nonlinearity": "gelu"}, ValueError, "Unknown nonlinearity 'gelu'. Select from 'tanh' or 'relu'"),
    ],
}


@pytest.mark.parametrize("module", [nn, gatework], ids=["torch", "gatework"])
@pytest.mark.parametrize("kind", KINDS)
def test_construction_errors(kind, module):
    """The table holds for torch too, so that it cannot drift from what torch does."""
    for arguments, keywords, error, message in [*CONSTRUCTION, *ONLY[kind]]:
        with pytest.raises(error, match=message):
            getattr(module, kind)(*arguments, **keywords)


@pytest.mark.parametrize("module", [nn, gatework], ids=["torch", "gatework"])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_errors(kind, module):
    layer = getattr(module, kind)(3, 5, num_layers=2)
    part = "hidden[0]" if kind == "LSTM" else "hidden"

    def state(*shape):
        return (torch.zeros(shape),) * 2 if kind == "LSTM" else torch.zeros(shape)

    ranks = r"\(2-D, 2-D\) tensors" if kind == "LSTM" else "2-D tensor"
    other_ranks = r"\(3-D, 3-D\) tensors" if kind == "LSTM" else "3-D tensor"
    what = "hx and cx" if kind == "LSTM" else "hx"
    table = [
        (
            (torch.zeros(2, 4, 3, dtype=torch.float64),),
            ValueError,
            r"RNN input dtype \(torch.float64\) does not match weight",
        ),
        ((torch.zeros(3),), ValueError, f"{kind}: Expected input to be 2D or 3D, got 1D"),
        ((torch.zeros(2, 2, 2, 3),), ValueError, f"{kind}: Expected input to be 2D or 3D, got 4D"),
        ((torch.zeros(2, 4, 4),), RuntimeError, r"input.size\(-1\) must be equal to input_size. Expected 3, got 4"),
        (
            (torch.zeros(2, 4, 3), state(2, 5)),
            RuntimeError,
            f"batched 3-D input, {what} should also be 3-D but got {ranks}",
        ),
        (
            (torch.zeros(2, 3), state(2, 1, 5)),
            RuntimeError,
            f"2-D input, {what} should also be 2-D but got {other_ranks}",
        ),
        ((torch.zeros(2, 4, 3), state(1, 4, 5)), RuntimeError, "size (2, 4, 5), got [1, 4, 5]"),
        ((torch.zeros(2, 4, 3), state(2, 2, 5)), RuntimeError, f"Expected {part} size (2, 4, 5), got [2, 2, 5]"),
        ((torch.zeros(2, 4, 3), state(2, 4, 6)), RuntimeError, f"Expected {part} size (2, 4, 5), got [2, 4, 6]"),
        ((torch.zeros(0, 4, 3),), RuntimeError, "Expected sequence length to be larger than 0 in RNN"),
    ]
    for given, error, message in table:
        # torch's RNN and GRU say `hidden size`, its LSTM `hidden[0] size`.
        escaped = message.replace("(2, 4, 5), got [", r"\(2, 4, 5\), got \[").replace("hidden[0]", r"hidden\[0\]")
        with pytest.raises(error, match=escaped):
            layer(*given)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_input_of_another_size_is_refused(kind):
    """torch's LSTM reads beyond its memory here unless a state is given."""
    with pytest.raises(RuntimeError, match="Expected 3, got 4"):
        getattr(gatework, kind)(3, 5)(pack_sequence([torch.zeros(2, 4)]))
