"""Sequences one after the other: ``cu_seqlens`` and nested tensors, beside the same sequences padded, with lengths."""

import pytest
import torch
from tests.nn.sizes import as_tuple, inputs_for, layer_of
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.errors import SizeError
from gatework.nn.layers import wired

every_cell = pytest.mark.parametrize("cell", gatework.CELLS.values(), ids=gatework.CELLS.keys())
ZONED = gatework.zoneout(gatework.CELLS["lstm"], c=0.5, h=0.1)
LENGTHS = [3, 6, 0, 1, 6, 0]
SHAPES = {"unequal": LENGTHS, "equal": [4, 4, 4], "one": [5], "with empty ones": [0, 2, 0], "empty": [0, 0], "none": []}
INPUT_SIZE, HIDDEN_SIZE = 3, 5
# Nested tensors say that they are a prototype.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")


def offsets(lengths=LENGTHS, dtype=torch.int32):
    return torch.tensor([0, *torch.tensor(lengths, dtype=torch.int64).cumsum(0).tolist()], dtype=dtype)


def padded(flat, lengths=LENGTHS):
    """Pad by hand, with NaN: [T, B, size]."""
    whole = flat.new_full((max(lengths, default=0), len(lengths), flat.shape[-1]), float("nan"))
    for row, part in enumerate(flat.split(lengths)):
        whole[: len(part), row] = part
    return whole


def joined(whole, lengths=LENGTHS):
    """The opposite of :func:`padded`."""
    parts = [whole[:length, row] for row, length in enumerate(lengths)]
    return torch.cat(parts) if parts else whole.flatten(0, 1)


def jagged(flat, lengths=LENGTHS):
    return torch.nested.nested_tensor_from_jagged(flat, offsets(lengths, torch.int64))


def stack(cell="lstm", **options):
    torch.manual_seed(3)
    return gatework.Recurrent(cell, INPUT_SIZE, HIDDEN_SIZE, 2, **options)


def flat_input(lengths=LENGTHS, dtype=torch.float32):
    torch.manual_seed(1)
    return torch.randn(sum(lengths), INPUT_SIZE, dtype=dtype)


def differentiated(layer, given, output, final, state=()):
    final = as_tuple(final)
    total = output.square().sum() + sum((part * (1 + place)).sum() for place, part in enumerate(final))
    read = [given, *state, *layer.parameters()]
    return output, final, torch.autograd.grad(total, read, allow_unused=True, materialize_grads=True)


def three_ways(layer, flat, lengths=LENGTHS, state=None):
    """Run padded, with cu_seqlens and nested; bring all into the form [N, size]."""
    given = None if state is None else tuple(part.clone().requires_grad_() for part in state)
    state = given if given is None or len(given) > 1 else given[0]
    results = []
    for form in ("padded", "cu_seqlens", "nested"):
        leaf = flat.clone().requires_grad_()
        torch.manual_seed(7)
        if form == "padded":
            output, final = layer(padded(leaf, lengths), state, lengths=lengths)
            output = joined(output, lengths)
        elif form == "cu_seqlens":
            output, final = layer(leaf, state, cu_seqlens=offsets(lengths))
        else:
            output, final = layer(jagged(leaf, lengths), state)
            assert output.is_nested
            output = output.values()
        results.append(differentiated(layer, leaf, output, final, given or ()))
    return results


def check(layer, flat, lengths=LENGTHS, state=None):
    plain, *others = three_ways(layer, flat, lengths, state)
    for output, final, gradients in others:
        assert_close(output, plain[0])
        assert_close(final, plain[1])
        assert_close(gradients, plain[2], "gradients")
    assert_same(*others)


@every_cell
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_the_same_as_with_lengths(cell, both, backend):
    if both and wired(cell):
        pytest.skip("reads the layer below, which is not defined for two directions")
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    layer = layer_of(cell, 2, bidirectional=both, input_projection=elementwise, backend=backend)
    check(layer, inputs_for(layer, 1, sum(LENGTHS))[0])


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_kernels_give_the_same_bits(both):
    """Packed or padded, the kernels compute the same rows in the same order."""
    plain, *others = three_ways(stack(bidirectional=both, backend="cpu"), flat_input())
    for other in others:
        assert_same(other[:2], plain[:2])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "options",
    [
        {"learn_initial_state": True, "bidirectional": True},
        {"connection": "highway", "skip": "both"},
        {"input_projection": True, "bias": False, "memory": "small", "batch_first": True},
        {"backend": "library", "bidirectional": True},
    ],
    ids=str,
)
def test_options_lengths_and_given_states(options, name):
    lengths = SHAPES[name]
    if options.get("backend") == "library" and not sum(lengths):
        pytest.skip("torch's operators take no empty input, in whatever form")
    layer, state = stack(dtype=torch.float64, **options), None
    if not options.get("learn_initial_state"):
        runs = 4 if layer.bidirectional else 2
        state = tuple(torch.randn(runs, len(lengths), HIDDEN_SIZE, dtype=torch.float64) for _ in "hc")
    if layer.batch_first:  # has no meaning for concatenated sequences
        found = layer(flat_input(lengths, torch.float64), state, cu_seqlens=offsets(lengths))
        layer.batch_first = False
        assert_same(layer(flat_input(lengths, torch.float64), state, cu_seqlens=offsets(lengths)), found)
    check(layer, flat_input(lengths, torch.float64), lengths, state)


def test_each_sequence_is_as_alone():
    """The oracle is torch's own layer, one sequence after the other."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True).double()
    ours = gatework.LSTM(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True).double()
    ours.load_state_dict(theirs.state_dict())
    flat, state = flat_input(dtype=torch.float64), tuple(torch.randn(4, 6, HIDDEN_SIZE).double() for _ in "hc")
    output, final = ours(flat, state, cu_seqlens=offsets())
    for row, (mine, part) in enumerate(zip(output.split(LENGTHS), flat.split(LENGTHS), strict=True)):
        before = tuple(one[:, row] for one in state)
        expected, last = theirs(part, before) if len(part) else (mine, before)
        assert_close(mine, expected)
        assert_close(tuple(one[:, row] for one in final), last)


@pytest.mark.parametrize("locked", [False, True], ids=["each", "locked"])
def test_dropout_and_masks_in_training(locked):
    """Random numbers are drawn in the order of a packed sequence."""
    layer, flat = stack(ZONED, dropout=0.5, locked_dropout=locked), flat_input([4, 2, 1])
    packed = torch.nn.utils.rnn.pack_sequence(list(flat.split([4, 2, 1])))
    torch.manual_seed(0)
    expected, last = layer(packed)
    torch.manual_seed(0)
    output, final = layer(flat, cu_seqlens=offsets([4, 2, 1]))
    again = torch.nn.utils.rnn.pack_sequence(list(output.split([4, 2, 1])))
    assert_same((again.data, *final), (expected.data, *last))


def test_several_inputs():
    cell = gatework.cell("h = tanh(W @ x + R @ h + b) * sigmoid(w * d)", name="decaying", inputs="x d")
    layer = gatework.Recurrent(cell, (3, 5), 5, num_layers=2)
    x, d = torch.randn(sum(LENGTHS), 3), torch.randn(sum(LENGTHS), 5)
    expected, last = layer((padded(x), padded(d)), lengths=LENGTHS)
    output, final = layer((x, d), cu_seqlens=offsets())
    assert_close((output, final), (joined(expected), last))
    output, final = layer((jagged(x), jagged(d)))
    assert_close((output.values(), final), (joined(expected), last))
    with pytest.raises(SizeError, match="Some of the inputs are nested tensors and others are not"):
        layer((jagged(x), d))
    with pytest.raises(SizeError, match="The nested inputs have sequences of different lengths"):
        layer((jagged(x), jagged(d, LENGTHS[::-1])))


def test_nested_output_fits_its_input():
    """Its sequences are those of the input, so the two can be added, and another layer reads it."""
    layer = gatework.GRU(INPUT_SIZE, INPUT_SIZE)
    given = torch.nested.nested_tensor([torch.randn(n, INPUT_SIZE) for n in (2, 5, 1)], layout=torch.jagged)
    output, _ = layer(given)
    whole = (output + given).unbind()
    assert [tuple(one.shape) for one in whole] == [(2, 3), (5, 3), (1, 3)]
    assert_close(whole[1], layer(given.unbind()[1][:, None])[0][:, 0] + given.unbind()[1])
    assert layer(layer(given)[0])[0].shape == given.shape


def test_records_have_the_form_of_the_input():
    layer, flat = stack(bidirectional=True), flat_input()
    _, _, expected = layer.record(padded(flat), names=("f",), lengths=LENGTHS)
    _, _, records = layer.record(flat, names=("f",), cu_seqlens=offsets())
    _, _, nested = layer.record(jagged(flat), names=("f",))
    for one, other, third in zip(records, expected, nested, strict=True):
        assert_close(one["f"], joined(other["f"]))
        assert_same(third["f"].values(), one["f"])


@pytest.mark.parametrize("form", [offsets(dtype=torch.int64), offsets().tolist(), tuple(offsets().tolist())])
def test_offsets_in_several_forms(form):
    layer = stack()
    assert_same(layer(flat_input(), cu_seqlens=form)[0], layer(flat_input(), cu_seqlens=offsets())[0])


def test_the_offsets_may_change_before_the_backward_pass():
    layer, cuts, flat = stack(), offsets(), flat_input().requires_grad_()
    output, _ = layer(flat, cu_seqlens=cuts)
    cuts.zero_()
    (gradient,) = torch.autograd.grad(output.square().sum(), flat)
    (expected,) = torch.autograd.grad(layer(flat, cu_seqlens=offsets())[0].square().sum(), flat)
    assert_same(gradient, expected)


def test_explained():
    parts = gatework.explain(stack(), jagged(flat_input()))
    assert (parts.steps, parts.rows) == (max(LENGTHS), len(LENGTHS))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_graphs_are_refused_and_may_be_left():
    layer, flat, cuts = stack(), flat_input(), offsets()
    call = lambda flat, cuts: layer(flat, cu_seqlens=cuts)[0]  # noqa: E731
    torch._dynamo.reset()
    with pytest.raises(SizeError, match="Give a padded tensor with lengths, or keep the layer out of the graph"):
        torch.compile(call, backend="aot_eager")(flat, cuts)
    torch._dynamo.reset()
    disabled = torch.compiler.disable(layer)
    outside = lambda flat, cuts: 2 * disabled(flat, cu_seqlens=cuts)[0]  # noqa: E731
    assert_close(torch.compile(outside, backend="aot_eager")(flat, cuts), 2 * call(flat, cuts))


# --- errors

FLAT = torch.zeros(4, INPUT_SIZE)
ERRORS = [
    ([1, 4], r"cu_seqlens\[0\] is 1; expected 0, the first row of the first sequence\."),
    ([0, 3, 2, 4], r"cu_seqlens\[2\] is 2, after 3; expected numbers that never fall"),
    ([0, 2, 5], r"cu_seqlens\[-1\] is 5; expected 4, the number of rows of the input\."),
    ([0, 2, 3], r"cu_seqlens\[-1\] is 3; expected 4, the number of rows of the input\."),
    ([], "cu_seqlens have the type torch.float32; expected torch.int32 or torch.int64"),
    (torch.zeros(0, dtype=torch.int32), r"cu_seqlens have the shape \(0,\); expected \[B \+ 1\]"),
    (torch.zeros(2, 2, dtype=torch.int64), r"cu_seqlens have the shape \(2, 2\); expected \[B \+ 1\]"),
    (torch.tensor([0.0, 4.0]), "cu_seqlens have the type torch.float32; expected torch.int32 or torch.int64"),
    ("ab", "cu_seqlens are 'ab'; expected a tensor"),
]


@pytest.mark.parametrize(("cuts", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_errors(cuts, message):
    with pytest.raises(SizeError, match=message):
        stack()(FLAT, cu_seqlens=cuts)


def test_errors_of_the_other_arguments():
    layer, cuts = stack(), [0, 4]
    with pytest.raises(SizeError, match=r"an input of the shape \(4, 1, 3\); expected \[N, size\]"):
        layer(FLAT[:, None], cu_seqlens=cuts)
    with pytest.raises(SizeError, match="an input of the type PackedSequence"):
        layer(torch.nn.utils.rnn.pack_sequence([FLAT]), cu_seqlens=cuts)
    with pytest.raises(SizeError, match=r"The input `x` has the shape \(4, 2\); expected"):
        layer(FLAT[:, :2], cu_seqlens=cuts)
    with pytest.raises(SizeError, match=r"The state `h` has the shape \(2, 5\); expected \(2, 1, 5\)"):
        layer(FLAT, (torch.zeros(2, 5), torch.zeros(2, 5)), cu_seqlens=cuts)
    for name, value in (("lengths", [4]), ("reset", torch.zeros(4).bool()), ("mask", torch.ones(4).bool())):
        with pytest.raises(SizeError, match=f"`{name}` was given beside concatenated sequences"):
            layer(FLAT, cu_seqlens=cuts, **{name: value})
    with pytest.raises(RuntimeError, match=r"Expected hidden size \(1, 1, 5\), got \[1, 2, 5\]"):
        gatework.GRU(3, 5)(FLAT, torch.zeros(1, 2, 5), cu_seqlens=cuts)


def test_errors_of_nested_tensors():
    layer = stack()
    with pytest.raises(SizeError, match="cu_seqlens were given beside a nested tensor"):
        layer(jagged(flat_input()), cu_seqlens=offsets())
    with pytest.raises(SizeError, match=r"A nested tensor of the layout torch\.strided with 3 axes was given"):
        layer(torch.nested.nested_tensor([FLAT, FLAT[:2]]))
    with pytest.raises(SizeError, match=r"A nested tensor of the layout torch\.jagged with 3 axes was given"):
        layer(jagged(flat_input()).transpose(1, 2))
    narrow = torch.nested.narrow(
        torch.zeros(2, 4, INPUT_SIZE), 1, torch.tensor([0, 1]), torch.tensor([2, 3]), layout=torch.jagged
    )
    with pytest.raises(SizeError, match="A nested tensor with gaps between its sequences was given"):
        layer(narrow)
    assert layer(narrow.contiguous())[0].is_nested
    with pytest.raises(SizeError, match=r"A layer was given concatenated sequences while gatework\.tracing looked"):
        gatework.trace(layer, jagged(flat_input()))
