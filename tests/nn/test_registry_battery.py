"""One battery for every cell of the registry; nobody writes tests for a single cell."""

import copy

import pytest
import torch
from tests.nn.sizes import as_state, as_tuple, counters, inputs_for, layer_of, sizes_of
from tests.tolerances import assert_close, assert_same

import gatework
from gatework.nn.layers import wired

OPTIONS = {
    "all options": gatework.zoneout(
        gatework.recurrent_dropout(gatework.layer_norm(gatework.peephole(gatework.CELLS["lstm"])), 0.2), c=0.3, h=0.1
    ),
    "projected gru": gatework.project(gatework.CELLS["gru"]),
    "coupled peephole": gatework.coupled(gatework.CELLS["peephole"]),
}
CELLS = {**gatework.CELLS, **OPTIONS}
STEPS, ROWS = 4, 3

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def test_there_are_cells():
    assert len(CELLS) > 28


def two_layers(cell):
    """Two layers, and two directions where the cell can: all there is to get wrong."""
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    return layer_of(cell, 2, bidirectional=not wired(cell), input_projection=elementwise)


@every_cell
def test_gradients(cell):
    """Of the output and the final state, by the input, the state and all parameters, against finite differences."""
    layer = layer_of(cell)
    given = inputs_for(layer, 3, 2).requires_grad_()
    # A state the cell itself came to, so that no normaliser is negative and no counter lies between numbers.
    start = as_tuple(layer(inputs_for(layer, 5, 2, seed=2))[1])
    names = [name for name in cell.states if name not in counters(cell)]
    movable = {
        name: part.detach().requires_grad_() for name, part in zip(cell.states, start, strict=True) if name in names
    }
    fixed = {name: part.detach() for name, part in zip(cell.states, start, strict=True) if name not in names}
    parameters = dict(layer.named_parameters())

    def run(given, *values):
        torch.manual_seed(0)  # the same masks in every run
        state = fixed | dict(zip(movable, values, strict=False))
        weights = dict(zip(parameters, values[len(movable) :], strict=True))
        arguments = (given, as_state(tuple(state[name] for name in cell.states)))
        output, final = torch.func.functional_call(layer, weights, arguments)
        kept = zip(cell.states, as_tuple(final), strict=True)
        return (output, *(part for name, part in kept if name in names))

    assert torch.autograd.gradcheck(run, (given, *movable.values(), *parameters.values()), fast_mode=True)


def delivering(cell):
    """The same cell, which delivers every line that is neither a state nor a mask."""
    other = {*cell.states, *cell.step.draws}
    lines = [line.target for line in cell.step.equations if line.target not in other]
    return gatework.Cell(**cell.facts | {"outputs": lines})


def connected(cell):
    """Three layers, two of which share their weights, and all that connects layers."""
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    wiring = {"skip": "both", "connection": "residual", "tie_layers": True}
    return layer_of(cell, 3, input_projection=elementwise, **wiring)


@every_cell
@pytest.mark.parametrize("make", [lambda cell: layer_of(delivering(cell)), connected], ids=["delivering", "connected"])
def test_kernels_deliver_and_connect_as_the_reference_does(cell, make):
    """Output, last state, what is delivered, and the gradients of all of these by the input and all parameters."""
    layer, found = make(cell), []
    for backend in ("cpu", "reference"):
        layer.backend = backend
        given = inputs_for(layer, STEPS, ROWS).requires_grad_()
        torch.manual_seed(0)  # the same masks
        output, state, records = layer.record(given)
        values = [output, *as_tuple(state), *(one for record in records for one in record.values())]
        total = torch.stack([one.square().sum() for one in values]).sum()
        found.append([*values, *torch.autograd.grad(total, (given, *layer.parameters()))])
    assert len(records[0]) == len(layer.cell.outputs)
    for one, other in zip(*found, strict=True):
        assert_close(one, other)


@every_cell
def test_whole_is_step_by_step(cell):
    layer = layer_of(cell, 2).eval()
    given = inputs_for(layer, STEPS, ROWS)
    output, final = layer(given)
    state, outputs = None, []
    for step in given:
        out, state = layer.step(step, state)
        outputs.append(out)
    assert_close(torch.stack(outputs), output)
    assert_close(as_tuple(state), as_tuple(final))


@every_cell
def test_split_and_carried_is_unsplit(cell):
    layer = layer_of(cell, 2).eval()
    given = inputs_for(layer, STEPS, ROWS)
    output, final = layer(given)
    for cut in range(1, STEPS):
        first, state = layer(given[:cut])
        second, state = layer(given[cut:], state)
        assert_close(torch.cat([first, second]), output)
        assert_close(as_tuple(state), as_tuple(final))


@every_cell
def test_rows_do_not_know_their_place(cell):
    layer = two_layers(cell).eval()
    given = inputs_for(layer, STEPS, ROWS)
    start = as_tuple(layer(given)[1])
    order = torch.tensor([2, 0, 1])
    output, final = layer(given, as_state(start))
    other, last = layer(given[:, order], as_state(tuple(part[:, order] for part in start)))
    assert_close(other, output[:, order])
    assert_close(as_tuple(last), tuple(part[:, order] for part in as_tuple(final)))


@every_cell
def test_shapes(cell):
    layer = two_layers(cell)
    sizes = sizes_of(cell)
    directions = 2 if layer.bidirectional else 1
    output_size = sizes["proj_size"] or sizes["hidden_size"]
    for steps, rows in ((1, 1), (1, ROWS), (STEPS, 1)):
        output, final = layer(inputs_for(layer, steps, rows))
        assert output.shape == (steps, rows, directions * output_size)
        for name, part in zip(layer.cell.states, as_tuple(final), strict=True):
            assert part.shape == (2 * directions, rows, layer.layers[0].size(name))
        assert output.isfinite().all()
    assert_same(output[-1, :, :output_size], as_tuple(final)[0][-directions])


@every_cell
def test_the_other_direction_is_the_sequence_turned_round(cell):
    if wired(cell):
        with pytest.raises(gatework.errors.SizeError, match="not defined for two directions"):
            layer_of(cell, 2, bidirectional=True)
        return
    layer = layer_of(cell, 1, bidirectional=True).eval()
    turned = layer_of(cell, 1).eval()
    turned.load_state_dict(
        {key.removesuffix("_reverse"): v for key, v in layer.state_dict().items() if "_reverse" in key}
    )
    given = inputs_for(layer, STEPS, ROWS)
    output, final = layer(given)
    other, last = turned(given.flip(0))
    assert_close(output[..., other.shape[-1] :], other.flip(0))
    assert_close(tuple(part[1:] for part in as_tuple(final)), as_tuple(last))


@every_cell
def test_padding_does_nothing(cell):
    layer = two_layers(cell).eval()
    given = inputs_for(layer, STEPS, ROWS)
    lengths = [STEPS, 0, 2]
    output, final = layer(given, lengths=lengths)
    spoilt = given.clone()
    for row, length in enumerate(lengths):
        spoilt[length:, row] = float("nan")
        if length:
            alone, last = layer(given[:length, row])
            assert_close(output[:length, row], alone)
            assert_close(tuple(part[:, row] for part in as_tuple(final)), as_tuple(last))
    other, other_final = layer(spoilt, lengths=lengths)
    assert_same(other, output)
    assert_same(as_tuple(other_final), as_tuple(final))


@every_cell
def test_every_parameter_is_learned(cell):
    """A gradient that is a number and not zero reaches each of them."""
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    layer = layer_of(cell, 2, input_projection=elementwise, learn_initial_state=True)
    layer(inputs_for(layer, 6, ROWS))[0].square().sum().backward()
    unlearned = [
        name
        for name, p in layer.named_parameters()
        if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()
    ]
    assert not unlearned


@every_cell
def test_state_dict_round_trip(cell):
    layer, other = layer_of(cell, 2).eval(), layer_of(cell, 2).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(layer.state_dict(), strict=True)
    given = inputs_for(layer, STEPS, ROWS)
    assert_same(other(given)[0], layer(given)[0])
    assert_same(copy.deepcopy(layer)(given)[0], layer(given)[0])


@every_cell
def test_parameters_are_those_of_the_cell(cell):
    """What a single layer stores is what the cell's table says, under the same names."""
    layer = layer_of(gatework.CELLS["lstm"] if wired(cell) else cell)
    found = {name: tuple(weight.shape) for name, weight in layer.named_weights(0).items()}
    sizes = sizes_of(layer.cell)
    expected = layer.cell.parameters(sizes["input_size"], sizes["hidden_size"], sizes["proj_size"] or None)
    assert found == expected
    assert sum(p.numel() for p in layer.parameters()) == sum(torch.Size(shape).numel() for shape in expected.values())


@every_cell
def test_types(cell):
    """float32 and bfloat16 give the type they were given, and about what float64 gives."""
    layer = layer_of(cell).eval()
    given = inputs_for(layer, STEPS, ROWS)
    expected = layer(given)[0]
    for dtype in (torch.float32, torch.bfloat16):
        output, final = copy.deepcopy(layer).to(dtype)(given.to(dtype))
        assert {output.dtype, *(part.dtype for part in as_tuple(final))} == {dtype}
        if dtype == torch.float32:
            assert_close(output, expected.float())
        else:
            assert output.isfinite().all()


@every_cell
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_huge_inputs_give_numbers(cell, backend):
    """A gate may close to the last digit; neither a number nor its gradient is then lost."""
    layer = layer_of(cell, dtype=torch.float32, backend=backend)
    given = (1000 * inputs_for(layer, 20, 3)).requires_grad_()
    output, state = layer(given)
    (output / 1000).square().sum().backward()
    results = [output, *as_tuple(state), given.grad, *(one.grad for one in layer.parameters())]
    assert all(one.isfinite().all() for one in results if one is not None)


def test_an_slstm_begins_with_what_it_writes():
    """Whatever the first input gate is, the normaliser takes it out again: h = o * g."""
    layer = layer_of(gatework.CELLS["slstm"], dtype=torch.float64)
    found = gatework.trace(layer, 3000 * inputs_for(layer, 2, 3))
    assert found["z_i"][0].min() < -1000  # too small for an exponential
    assert_close(found["h"][0], (found["o"] * found["g"])[0])
    assert_same(found["n"][0], torch.ones_like(found["n"][0]))
    assert (found["n"][1] >= 1).all()
