"""Padding, lengths, resets and packed sequences: what counts, counts; what does not, changes not a single bit."""

from itertools import pairwise

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from gatework.errors import SizeError

LENGTHS = [5, 0, 3, 5, 1]
STEPS, ROWS, INPUT_SIZE, HIDDEN_SIZE = 5, len(LENGTHS), 3, 8
CELLS = ["lstm", "gru", "slstm", "clockwork", "depth_gated"]
ZONED = gatework.zoneout(gatework.CELLS["lstm"], c=0.5, h=0.1)


def layer_of(cell="lstm", **options):
    torch.manual_seed(3)
    return gatework.Recurrent(cell, INPUT_SIZE, HIDDEN_SIZE, 2, **options)


def directions(cell):
    return [False] if cell == "depth_gated" else [False, True]


BOTH = [(cell, both) for cell in CELLS for both in directions(cell)]


def padded(padding, extra=0):
    """The same sequences with one or another padding, and more or less of it: [T, B, I]."""
    torch.manual_seed(1)
    given = torch.randn(STEPS, ROWS, INPUT_SIZE)
    for row, length in enumerate(LENGTHS):
        given[length:, row] = padding
    return torch.cat([given, torch.full((extra, ROWS, INPUT_SIZE), padding)])


def outcome(layer, given, **options):
    """Output, final state, gradient of the input and of every parameter."""
    given = given.requires_grad_()
    torch.manual_seed(7)
    output, final = layer(given, lengths=torch.tensor(LENGTHS), **options)
    final = final if isinstance(final, tuple) else (final,)
    total = output.square().sum() + sum(part.sum() for part in final)
    gradients = torch.autograd.grad(total, [given, *layer.parameters()])
    return output, final, gradients


@pytest.mark.parametrize("padding", [float("nan"), float("inf"), -1e30], ids=str)
@pytest.mark.parametrize(("cell", "both"), BOTH)
def test_padding_changes_not_a_bit(cell, both, padding):
    layer = layer_of(cell, bidirectional=both)
    output, final, gradients = outcome(layer, padded(0.0))
    other, other_final, other_gradients = outcome(layer, padded(padding, extra=4))
    assert_same(other[:STEPS], output)
    assert_same(other_final, final)
    assert_same(other_gradients[1:], gradients[1:])
    assert_same(other_gradients[0][:STEPS], gradients[0])
    assert other.isfinite().all()
    for row, length in enumerate(LENGTHS):
        assert not other[length:, row].any()
        assert not other_gradients[0][length:, row].any()
        assert not length or other_gradients[0][:length, row].any()


@pytest.mark.parametrize(
    "cell", [ZONED, gatework.recurrent_dropout(gatework.CELLS["gru"], 0.3)], ids=["zoneout", "dropout"]
)
def test_padding_changes_no_random_number(cell):
    """Masks and dropout are drawn for the steps that count, so the amount of padding draws no further ones."""
    layer = layer_of(cell, dropout=0.5)
    output, final, _ = outcome(layer, padded(0.0))
    other, other_final, _ = outcome(layer, padded(float("nan"), extra=3))
    assert_same(other[:STEPS], output)
    assert_same(other_final, final)
    assert_same(layer.eval()(padded(0.0), lengths=LENGTHS)[0], layer(padded(1.0), lengths=LENGTHS)[0])


def test_lengths_of_other_rows_change_not_a_bit():
    """What counts of a row is as in a run without lengths, whatever the others' lengths."""
    layer = layer_of()
    given = torch.randn(STEPS, ROWS, INPUT_SIZE)
    whole = layer(given)[0]
    for lengths in (LENGTHS, [5, 5, 5, 5, 4], [1, 1, 1, 1, 5]):
        output = layer(given, lengths=lengths)[0]
        for row, length in enumerate(lengths):
            assert_same(output[:length, row], whole[:length, row])


@pytest.mark.parametrize(("cell", "both"), BOTH)
def test_each_row_is_as_alone(cell, both):
    layer = layer_of(cell, bidirectional=both).double()
    given = torch.randn(STEPS, ROWS, INPUT_SIZE, dtype=torch.float64)
    start = layer(torch.randn(2, ROWS, INPUT_SIZE, dtype=torch.float64))[1]
    start = start if isinstance(start, tuple) else (start,)
    output, final = layer(given, start if len(start) > 1 else start[0], lengths=LENGTHS)
    final = final if isinstance(final, tuple) else (final,)
    for row, length in enumerate(LENGTHS):
        state = tuple(part[:, row] for part in start)
        if not length:
            assert_same(tuple(part[:, row] for part in final), state)
            continue
        alone, last = layer(given[:length, row], state if len(state) > 1 else state[0])
        assert_close(output[:length, row], alone)
        assert_close(tuple(part[:, row] for part in final), last if isinstance(last, tuple) else (last,))


@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_and_packing_agree(batch_first):
    layer = layer_of(bidirectional=True, batch_first=batch_first)
    lengths = [3, 5, 1, 5]
    given = torch.randn(4, STEPS, INPUT_SIZE) if batch_first else torch.randn(STEPS, 4, INPUT_SIZE)
    start = tuple(torch.randn(4, 4, HIDDEN_SIZE) for _ in range(2))
    output, final = layer(given, start, lengths=lengths)
    packed = pack_padded_sequence(given, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False)
    out, last = layer(packed, start)
    expected = pack_padded_sequence(output, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False)
    assert_close(out.data, expected.data)
    assert_close(last, final)


def test_no_row_has_a_step():
    layer = layer_of(bidirectional=True)
    start = tuple(torch.randn(4, ROWS, HIDDEN_SIZE) for _ in range(2))
    output, final = layer(padded(float("nan")), start, lengths=[0] * ROWS)
    assert_same(output, torch.zeros(STEPS, ROWS, 2 * HIDDEN_SIZE))
    assert_same(final, start)
    output, final = layer(torch.zeros(0, ROWS, INPUT_SIZE), start)
    assert output.shape == (0, ROWS, 2 * HIDDEN_SIZE)
    assert_same(final, start)


@pytest.mark.parametrize("form", [torch.tensor(LENGTHS), torch.tensor(LENGTHS, dtype=torch.int32), tuple(LENGTHS)])
def test_lengths_in_several_forms(form):
    layer = layer_of()
    assert_same(layer(padded(0.0), lengths=form)[0], layer(padded(0.0), lengths=LENGTHS)[0])


@pytest.mark.parametrize("learned", [False, True], ids=["zeros", "learned"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_reset_starts_a_new_sequence(batch_first, both, learned):
    """A row with resets is the concatenation of runs over its parts, in both directions."""
    layer = layer_of(bidirectional=both, batch_first=batch_first, learn_initial_state=learned).double()
    if learned:
        for name, parameter in layer.named_parameters():
            if name.startswith("initial"):
                torch.nn.init.normal_(parameter)
    cuts = [[0, 2, 5], [0, 5], [0, 1, 3, 4, 5]]
    given = torch.randn(5, 3, INPUT_SIZE, dtype=torch.float64)
    reset = torch.zeros(5, 3, dtype=torch.bool)
    for row, cut in enumerate(cuts):
        reset[cut[:-1], row] = True
    shaped = (lambda tensor: tensor.transpose(0, 1)) if batch_first else (lambda tensor: tensor)
    output, final = layer(shaped(given), tuple(torch.randn(4 if both else 2, 3, HIDDEN_SIZE).double() for _ in "hc"),
                          reset=shaped(reset))  # fmt: skip
    # Two layers, each of which starts anew: the reference for the whole stack is a run over each part alone.
    for row, cut in enumerate(cuts):
        for start, end in pairwise(cut):
            alone, last = layer(given[start:end, row])
            if both and end == 5:
                # Backward, a given state starts the last part; only earlier parts start from the initial state.
                continue
            assert_close(shaped(output)[start:end, row], alone)
            if end == 5:
                assert_close(tuple(part[:, row] for part in final), last)


def test_reset_is_blind_to_what_was_before():
    """Not even NaN reaches beyond a reset, and no gradient reaches back across it."""
    layer = layer_of()
    given = torch.randn(STEPS, 1, INPUT_SIZE, requires_grad=True)
    reset = torch.zeros(STEPS, 1, dtype=torch.bool)
    reset[2] = True
    output = layer(given, reset=reset)[0]
    assert_close(output[2:], layer(given[2:])[0])
    (gradient,) = torch.autograd.grad(output[2:].sum(), given)
    assert not gradient[:2].any()
    spoilt = torch.cat([torch.full((2, 1, INPUT_SIZE), float("nan")), given[2:]])
    assert_same(layer(spoilt, reset=reset)[0][2:], output[2:])


def test_reset_in_padding_does_nothing():
    layer = layer_of(bidirectional=True)
    reset = torch.zeros(STEPS, ROWS, dtype=torch.bool)
    reset[2, 0] = True
    plain = layer(padded(0.0), lengths=LENGTHS, reset=reset)
    for row, length in enumerate(LENGTHS):
        reset[length:, row] = True
    other = layer(padded(0.0), lengths=LENGTHS, reset=reset)
    assert_same(other[0], plain[0])
    assert_same(other[1], plain[1])


@pytest.mark.parametrize("sort", [True, False])
def test_reset_of_packed_sequences_is_in_the_users_order(sort):
    layer = layer_of(bidirectional=True)
    lengths = [5, 4, 2] if sort else [2, 5, 4]
    given = torch.randn(STEPS, 3, INPUT_SIZE)
    reset = torch.zeros(STEPS, 3, dtype=torch.bool)
    reset[1, 1] = reset[3, lengths.index(4)] = True
    output = layer(given, lengths=lengths, reset=reset)[0]
    packed = layer(pack_padded_sequence(given, torch.tensor(lengths), enforce_sorted=sort), reset=reset)[0]
    assert_close(packed.data, pack_padded_sequence(output, torch.tensor(lengths), enforce_sorted=sort).data)


def test_reset_of_a_single_sequence():
    layer = layer_of()
    given = torch.randn(STEPS, INPUT_SIZE)
    reset = torch.tensor([False, False, True, False, False])
    assert_close(layer(given, reset=reset)[0], torch.cat([layer(given[:2])[0], layer(given[2:])[0]]))


def test_records_have_the_form_of_the_input():
    layer = layer_of(batch_first=True, bidirectional=True)
    given = padded(float("nan"), extra=2).transpose(0, 1)
    output, final, records = layer.record(given, names=("f", "c", "x"), lengths=LENGTHS)
    assert len(records) == 4
    for record in records:
        assert list(record) == ["f", "c", "x"]
        assert record["f"].shape == (ROWS, STEPS + 2, HIDDEN_SIZE)
        for row, length in enumerate(LENGTHS):
            assert (record["f"][row, :length] > 0).all()
            assert not record["f"][row, length:].any()
    assert_same(records[0]["c"][0, 4], final[1][0, 0])
    assert_same(layer(given, lengths=LENGTHS)[0], output)


ERRORS = [
    ({"lengths": [5, 5]}, r"lengths have the shape \(2,\); expected one for each of the 5 rows"),
    ({"lengths": [5, 5, 5, 5, 6]}, r"lengths\[4\] is 6; expected 0 to 5"),
    ({"lengths": [5, -1, 5, 5, 5]}, r"lengths\[1\] is -1; expected 0 to 5"),
    ({"lengths": torch.full((5,), 2.0)}, "lengths have the type torch.float32; expected whole numbers"),
    ({"lengths": torch.ones(5, dtype=torch.bool)}, "lengths have the type torch.bool; expected whole numbers"),
    ({"reset": torch.zeros(STEPS, ROWS)}, "reset has the type torch.float32; expected torch.bool"),
    ({"reset": torch.zeros(STEPS, 2, dtype=torch.bool)}, r"reset has the shape \(5, 2\); expected \[T, B\] = \(5, 5\)"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_errors(options, message):
    with pytest.raises(SizeError, match=message):
        layer_of()(padded(0.0), **options)


def test_errors_of_packed_and_single_sequences():
    packed = pack_padded_sequence(torch.zeros(2, 1, INPUT_SIZE), torch.tensor([2]))
    with pytest.raises(SizeError, match="lengths were given beside a packed sequence"):
        layer_of()(packed, lengths=[2])
    with pytest.raises(SizeError, match=r"expected \[T\] = \(2,\)"):
        layer_of()(torch.zeros(2, INPUT_SIZE), reset=torch.zeros(2, 1, dtype=torch.bool))
    with pytest.raises(SizeError, match=r"expected \[B, T\] = \(1, 2\)"):
        layer_of(batch_first=True)(torch.zeros(1, 2, INPUT_SIZE), reset=torch.zeros(2, 1, dtype=torch.bool))


def test_lengths_and_resets_that_are_no_tensors_are_refused():
    layer, input = layer_of("gru"), torch.zeros(2, 1, INPUT_SIZE)
    for lengths in ("ab", [[1], [2, 3]]):
        with pytest.raises(SizeError, match="expected a tensor or a list of whole numbers"):
            layer(input, lengths=lengths)
    with pytest.raises(SizeError, match=r"reset is a list; expected a tensor of torch\.bool"):
        layer(input, reset=[[True], [False]])


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize(("steps", "lengths"), [(0, None), (4, [0, 0]), (0, [0, 0])])
def test_gradients_of_a_batch_without_steps_are_zeros(steps, lengths, backend):
    layer = gatework.Recurrent("lstm", 3, 4, num_layers=2, learn_initial_state=True, backend=backend)
    with torch.no_grad():
        layer.weight_hh_l1.fill_(torch.nan)  # not even a NaN is read
    output, (h, _) = layer(torch.randn(steps, 2, 3), lengths=lengths)
    assert output.shape == (steps, 2, 4)
    (output.sum() + h.sum()).backward()
    for name, one in layer.named_parameters():
        expected = torch.zeros_like(one) + (2.0 if name.startswith("initial_h") else 0.0)  # the states are h itself
        assert_same(one.grad, expected)
    layer.zero_grad()
    layer(torch.randn(steps, 2, 3), lengths=lengths)[0].sum().backward()
    for one in layer.parameters():
        assert_same(one.grad, torch.zeros_like(one))
