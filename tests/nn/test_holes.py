"""``mask``: a hidden step counts as deleted, to the bit, in outputs, states and every gradient."""

from itertools import pairwise

import pytest
import torch
from tests.nn.sizes import as_tuple, inputs_for, layer_of
from tests.tolerances import assert_close, assert_same
from torch.nn.utils.rnn import pack_sequence

import gatework
from gatework.errors import SizeError
from gatework.nn.layers import wired

every_cell = pytest.mark.parametrize("cell", gatework.CELLS.values(), ids=gatework.CELLS.keys())
ZONED = gatework.zoneout(gatework.CELLS["lstm"], c=0.5, h=0.1)
STEPS, INPUT_SIZE, HIDDEN_SIZE = 6, 3, 5
# By rows: holes in the middle, at both ends, no step at all, every step, one step.
SHOWN = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0], [0] * 6, [1] * 6, [0, 0, 0, 1, 0, 0]], dtype=torch.bool)
MASK, ROWS = SHOWN.T, len(SHOWN)


def given(fill=float("nan"), dtype=torch.float32):
    """A batch [T, B, I] with a value of choice at hidden steps."""
    torch.manual_seed(1)
    return torch.randn(STEPS, ROWS, INPUT_SIZE, dtype=dtype).masked_fill(~MASK[..., None], fill)


def deleted(sequence, mask=MASK):
    """Delete hidden steps by hand: right-padded rows, and their lengths."""
    lengths = [int(row.sum()) for row in mask.T]
    rows = [sequence[mask[:, row], row] for row in range(mask.shape[1])]
    return torch.nn.utils.rnn.pad_sequence(rows), lengths


def restored(sequence, mask=MASK):
    """Put rows back where they came from, by hand; the rest is zero."""
    whole = sequence.new_zeros(*mask.shape, sequence.shape[-1])
    for row in range(mask.shape[1]):
        shown = mask[:, row].nonzero().flatten()
        whole[shown, row] = sequence[: len(shown), row]
    return whole


def stack(cell="lstm", **options):
    torch.manual_seed(3)
    return gatework.Recurrent(cell, INPUT_SIZE, HIDDEN_SIZE, 2, **options)


def outcome(layer, sequence, state=None, weigh=lambda output: output, **options):
    """Output, final states, and the gradients of the input, the first state and every parameter."""
    sequence = sequence.clone().requires_grad_()
    state = None if state is None else tuple(part.clone().requires_grad_() for part in state)
    torch.manual_seed(7)
    output, final = layer(sequence, state if state is None or len(state) > 1 else state[0], **options)
    output, final = weigh(output), as_tuple(final)
    total = output.square().sum() + sum((part * (1 + place)).sum() for place, part in enumerate(final))
    gradients = torch.autograd.grad(total, [sequence, *(state or ()), *layer.parameters()], allow_unused=True)
    return output, final, gradients[0], tuple(one for one in gradients[1:] if one is not None)


def check_against_deletion(layer, sequence, state=None, mask=MASK):
    output, final, of_input, rest = outcome(layer, sequence, state, mask=mask)
    short, lengths = deleted(sequence, mask)
    plain = outcome(layer, short, state, lengths=lengths)
    assert_same(output, restored(plain[0], mask))
    assert_same(final, plain[1])
    assert_same(of_input, restored(plain[2], mask))
    assert_same(rest, plain[3])
    assert output.isfinite().all()
    assert all(one.isfinite().all() for one in (*final, of_input, *rest))


@every_cell
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_a_hidden_step_is_as_deleted(cell, both, backend):
    if both and wired(cell):
        pytest.skip("reads the layer below, which is not defined for two directions")
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    layer = layer_of(cell, 2, bidirectional=both, input_projection=elementwise, backend=backend)
    sequence = inputs_for(layer, STEPS, ROWS).masked_fill(~MASK[..., None], float("nan"))
    check_against_deletion(layer, sequence)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"learn_initial_state": True, "bidirectional": True},
        {"connection": "highway", "skip": "both", "bidirectional": True},
        {"input_projection": True, "bias": False, "memory": "small"},
        {"proj_size": 2, "bidirectional": True},
    ],
    ids=str,
)
def test_options_and_given_states(options, dtype):
    layer = stack(dtype=dtype, **options)
    sizes = (options.get("proj_size") or HIDDEN_SIZE, HIDDEN_SIZE)
    runs = 4 if layer.bidirectional else 2
    state = tuple(torch.randn(runs, ROWS, size, dtype=dtype) for size in sizes)
    check_against_deletion(layer, given(dtype=dtype), state)
    assert_same(tuple(part[:, 2] for part in layer(given(dtype=dtype), state, mask=MASK)[1]),
                tuple(part[:, 2] for part in state))  # fmt: skip


@pytest.mark.parametrize("cell", [ZONED, gatework.recurrent_dropout(gatework.CELLS["gru"], 0.3)], ids=str)
@pytest.mark.parametrize("locked", [False, True], ids=["each", "locked"])
def test_the_same_random_numbers_are_drawn(cell, locked):
    check_against_deletion(stack(cell, dropout=0.5, locked_dropout=locked, bidirectional=True), given())


def test_what_hidden_steps_hold_changes_not_a_bit():
    layer = stack(bidirectional=True)
    first = outcome(layer, given(0.0), mask=MASK)
    for fill in (float("nan"), float("inf"), -1e30):
        other = outcome(layer, given(fill), mask=MASK)
        assert_same(other, first)
    assert not first[2][~MASK].any()
    assert (first[2][MASK] != 0).any(-1).all()


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_each_row_is_as_a_short_sequence_alone(both):
    """The oracle has no lengths: one row after the other, in float64."""
    layer, sequence = stack("gru", bidirectional=both, dtype=torch.float64), given(dtype=torch.float64)
    output, final, of_input, _ = outcome(layer, sequence, mask=MASK)
    for row in range(ROWS):
        shown = MASK[:, row]
        assert not output[~shown, row].any()
        if not shown.any():
            assert not final[0][:, row].any()
            continue
        alone = outcome(layer, sequence[shown, row])
        assert_close(output[shown, row], alone[0])
        assert_close(final[0][:, row], alone[1][0])
        assert_close(of_input[shown, row], alone[2], "gradients")


def test_forms_of_the_input():
    layer, sequence = stack(bidirectional=True), given()
    output, final = layer(sequence, mask=MASK)
    for row in range(ROWS):
        one, last = layer(sequence[:, row], mask=MASK[:, row])
        assert_close(one, output[:, row])
        assert_close(last, tuple(part[:, row] for part in final))
    layer.batch_first = True
    swapped = outcome(layer, sequence.transpose(0, 1), mask=SHOWN, weigh=lambda output: output.transpose(0, 1))
    layer.batch_first = False
    plain = outcome(layer, sequence, mask=MASK)
    assert_same((swapped[:2], swapped[2].transpose(0, 1), swapped[3]), (plain[:2], *plain[2:]))


def test_several_inputs():
    cell = gatework.cell("h = tanh(W @ x + R @ h + b) * sigmoid(w * d)", name="decaying", inputs="x d")
    layer = gatework.Recurrent(cell, (3, 5), 5, num_layers=2)
    torch.manual_seed(0)
    x, d = torch.randn(STEPS, ROWS, 3), torch.randn(STEPS, ROWS, 5)
    (short, lengths), (short_d, _) = deleted(x), deleted(d)
    output, final = layer((x, d.masked_fill(~MASK[..., None], float("nan"))), mask=MASK)
    plain, last = layer((short, short_d), lengths=lengths)
    assert_same((output, final), (restored(plain), last))


@pytest.mark.parametrize("learned", [False, True], ids=["zeros", "learned"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_start_at_a_hidden_step_belongs_to_the_next_step(both, learned, batch_first):
    """Every sequence of a row is run alone, without its hidden steps; some begin or end with them, or have no other."""
    layer = stack(bidirectional=both, learn_initial_state=learned, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    layer.batch_first = batch_first
    generator = torch.Generator().manual_seed(0)
    steps, rows = 12, 40
    mask = torch.rand(steps, rows, generator=generator) < 0.6
    reset = torch.rand(steps, rows, generator=generator) < 0.3
    reset[0] = True  # no state is given, so that a run alone is the oracle for the first sequence too
    sequence = torch.randn(steps, rows, INPUT_SIZE, dtype=torch.float64, generator=generator)
    swap = (lambda tensor: tensor.transpose(0, 1)) if batch_first else (lambda tensor: tensor)
    output = swap(layer(swap(sequence), mask=swap(mask), reset=swap(reset))[0])
    layer.batch_first = False
    seen = 0
    for row in range(rows):
        starts = [*reset[:, row].nonzero().flatten().tolist(), steps]
        for start, end in pairwise(starts):
            shown = mask[start:end, row]
            seen += int(not shown[0] and bool(shown.any()))
            assert not output[start:end, row][~shown].any()
            if shown.any():
                assert_close(output[start:end, row][shown], layer(sequence[start:end, row][shown])[0])
    assert seen > 20


def test_resets_and_holes_are_deletion_to_the_bit():
    layer, sequence = stack(bidirectional=True), given()
    reset = torch.zeros_like(MASK)
    reset[2, 0] = reset[4, 1] = reset[3, 3] = True  # all at steps that count
    short, lengths = deleted(sequence)
    short_reset, _ = deleted(reset[..., None])
    output, final = layer(sequence, mask=MASK, reset=reset)
    plain, last = layer(short, lengths=lengths, reset=short_reset[..., 0])
    assert_same((output, final), (restored(plain), last))


def test_records_are_zero_at_hidden_steps():
    layer = stack(bidirectional=True)
    short, lengths = deleted(given())
    _, _, records = layer.record(given(), names=("f", "c"), mask=MASK)
    _, _, plain = layer.record(short, names=("f", "c"), lengths=lengths)
    for one, other in zip(records, plain, strict=True):
        assert_same([one["f"], one["c"]], [restored(other["f"]), restored(other["c"])])


def test_nothing_hidden_and_everything_hidden():
    layer, sequence = stack(bidirectional=True), given(0.0)
    state = tuple(torch.randn(4, ROWS, HIDDEN_SIZE) for _ in "hc")
    assert_same(layer(sequence, state, mask=torch.ones_like(MASK)), layer(sequence, state))
    output, final = layer(given(), state, mask=torch.zeros_like(MASK))
    assert_same(output, torch.zeros(STEPS, ROWS, 2 * HIDDEN_SIZE))
    assert_same(final, state)
    for steps, rows in ((0, 2), (3, 0), (0, 0)):
        output, _ = layer(torch.zeros(steps, rows, INPUT_SIZE), mask=torch.zeros(steps, rows, dtype=torch.bool))
        assert output.shape == (steps, rows, 2 * HIDDEN_SIZE)


def test_the_mask_may_change_before_the_backward_pass():
    layer, mask = stack(), MASK.clone()
    sequence = given(0.0).requires_grad_()
    output, _ = layer(sequence, mask=mask)
    mask.fill_(True)
    (gradient,) = torch.autograd.grad(output.square().sum(), sequence)
    assert_same(gradient, torch.autograd.grad(layer(sequence, mask=MASK)[0].square().sum(), sequence)[0])


@pytest.mark.parametrize("make", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_layers_in_place_of_torchs(make):
    torch.manual_seed(0)
    layer = make(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True)
    theirs = getattr(torch.nn, make.__name__)(INPUT_SIZE, HIDDEN_SIZE, 2, bidirectional=True)
    theirs.load_state_dict(layer.state_dict())
    output, _ = layer(given(), mask=MASK)
    for row in MASK.any(0).nonzero().flatten():
        assert_close(output[MASK[:, row], row], theirs(given()[MASK[:, row], row])[0])


# --- graphs


class Masked(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, mask, reset):
        return self.layer(x, mask=mask, reset=reset)[0]


OTHERS = [MASK, torch.ones_like(MASK), torch.zeros_like(MASK), ~MASK]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_one_graph_serves_all_masks():
    model = Masked(stack(bidirectional=True))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    reset = torch.rand(STEPS, ROWS) < 0.3
    for mask in OTHERS:
        x = given(0.0).masked_fill(~mask[..., None], float("nan")).requires_grad_()
        found, expected = compiled(x, mask, reset), model(x, mask, reset)
        assert_close(found, expected)
        gradient, plain = (
            torch.autograd.grad(one.square().sum(), [x, *model.parameters()]) for one in (found, expected)
        )
        assert_close(gradient, plain, "gradients")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_an_exported_graph_leaves_the_number_of_steps_open():
    model, steps = Masked(stack()), torch.export.Dim("steps", min=2)
    x, reset = given(), torch.rand(STEPS, ROWS) < 0.3
    graph = torch.export.export(model, (x, MASK, reset), dynamic_shapes=({0: steps},) * 3).module()
    twice = [torch.cat([one, one]) for one in (x, MASK, reset)]
    assert_close(graph(*twice), model(*twice))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_graph_serves_all_masks():
    model = Masked(stack())
    traced = torch.jit.trace(model, (given(), MASK, torch.zeros_like(MASK)))
    for mask in OTHERS:
        shown = mask & MASK
        assert_close(traced(given(), shown, ~MASK), model(given(), shown, ~MASK))  # pyrefly: ignore [not-callable]


# --- errors

ERRORS = [
    ({"mask": MASK, "lengths": [6] * ROWS}, "lengths were given beside a mask, which already says which steps of a "),
    ({"mask": MASK.float()}, r"mask has the type torch\.float32; expected torch\.bool, True where a step counts\."),
    ({"mask": SHOWN}, r"mask has the shape \(5, 6\); expected \[T, B\] = \(6, 5\), as the input has\."),
    ({"mask": MASK.tolist()}, r"mask is a list; expected a tensor of torch\.bool, of shape \[T, B\] = \(6, 5\)\."),
]


@pytest.mark.parametrize(("options", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_errors(options, message):
    with pytest.raises(SizeError, match=message):
        stack()(given(), **options)


def test_packed_sequences_and_traces_take_no_mask():
    packed = pack_sequence([torch.zeros(2, INPUT_SIZE)])
    with pytest.raises(SizeError, match="A mask was given beside a packed sequence, which has no place for hidden"):
        stack()(packed, mask=torch.ones(2, 1, dtype=torch.bool))
    model = Masked(stack())
    with pytest.raises(SizeError, match=r"A layer was given a mask while gatework\.tracing looked inside"):
        gatework.trace(model, (given(), MASK, torch.zeros_like(MASK)))
