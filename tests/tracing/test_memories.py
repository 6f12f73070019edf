"""Attention in a cell's equations is seen like everything else: traced, saved, taken apart and differentiated."""

from dataclasses import replace

import pytest
import torch
from tests.tolerances import assert_close
from tests.tracing.attended import CELLS, EXTENTS, ON_THE_REFERENCE, PLACES, ROWS, STEPS, given_for, layer_of
from tests.tracing.test_jacobian import by_autograd
from tests.tracing.test_trace import assert_bits
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from gatework.errors import ConfigError, DataError, SizeError
from gatework.language import FUNCTIONS, Name
from gatework.language.handles import entered, overridden, parted, pushed
from gatework.language.nodes import ONE_NUMBER, walk
from gatework.models.translator import Translator
from gatework.tracing import half_life, half_lives, save_trace, state_jacobian, terms, trace_chunks
from gatework.tracing.adjoints import given_masks, sequence
from gatework.tracing.evaluation import Values

every_cell = pytest.mark.parametrize("name", CELLS)
both_backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def layer_for(name, backend="reference", **options):
    if backend == "cpu" and name in ON_THE_REFERENCE:
        pytest.skip("a state at positions is the reference's")
    return layer_of(CELLS[name], backend=backend, **options)


def lines_of(layer):
    return [line.target for line in layer.cell.step.equations]


# --- traces


@both_backends
@every_cell
def test_a_traced_run_is_the_untraced_one(name, backend):
    layer = layer_for(name, backend, num_layers=1 if name == "covered" else 2)
    given, options = given_for(layer)
    output, final = layer(given, **options)
    trace = gatework.trace(layer, given, parts=True, **options)
    assert_bits(trace.output, output.detach())
    for mine, other in zip(as_tuple(trace.state), as_tuple(final), strict=True):
        assert_bits(mine, other.detach())
    top = f"l{layer.num_layers - 1}"
    for state, part in zip(layer.cell.states, as_tuple(final), strict=True):
        assert_bits(trace[f"{top}.{state}"][-1], part[-1].detach())
    _, _, records = layer.record(given, names=recorded_in(trace), **options)
    for key, value in records[0].items():
        assert_bits(trace[f"l0.{key}"], value.detach())


def recorded_in(trace):
    """The names of the lines in a trace, without those of parts."""
    return [line.target for line in trace.layers[0].step.equations if f"l0.{line.target}" in trace]


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


@both_backends
@every_cell
def test_what_is_at_positions_has_a_value_at_each_and_none_beyond(name, backend):
    layer = layer_for(name, backend)
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    step = layer.cell.step
    held = [one for one in lines_of(layer) if step.is_bare(one)]
    assert "a" in held
    for one in held:
        assert trace[one].shape == (STEPS, ROWS, PLACES)
        for row, count in enumerate(EXTENTS):
            assert trace[one][:, row, :count].any() or not count
            assert trace[one][:, row, count:].eq(0).all()
    # The weights and the sum are those of the scores, worked out by hand.
    bank = options["memories"]["k" if name == "covered" else "m"]
    context = {"on a GRU": "z_", "two": "y"}.get(name, "z")
    weights = trace["gated"] if name == "gated" else trace["a"]
    assert_close(trace[context], torch.einsum("tbl,bld->tbd", weights, bank))
    assert not trace[context][:, 2].any()  # the row without positions


@both_backends
@every_cell
def test_a_row_is_what_it_is_alone(name, backend):
    """With only the positions that it has, so what lies beyond has no influence, be it NaN."""
    layer = layer_for(name, backend)
    given, options = given_for(layer)
    for bank in options["memories"].values():
        for row, count in enumerate(EXTENTS):
            bank[row, count:] = torch.nan
    trace = gatework.trace(layer, given, **options)
    layer.backend = "auto"  # kernels go over no empty memory
    for row, count in enumerate(EXTENTS):
        inputs = tuple(one[:, row : row + 1] for one in as_tuple(given))
        inputs = (inputs[0], *(one[..., :count] for one in inputs[1:]))
        memories = {key: bank[row : row + 1, :count] for key, bank in options["memories"].items()}
        alone = gatework.trace(layer, inputs, memories=memories)
        for key, value in alone.items():
            seen = trace[key][:, row : row + 1]
            assert_close(seen[..., :count] if layer.cell.step.is_bare(key.removeprefix("l0.")) else seen, value)


@every_cell
def test_forms_of_the_input(name):
    layer = layer_for(name, "auto", bidirectional=True)
    turned = layer_for(name, "auto", bidirectional=True, batch_first=True)
    given, options = given_for(layer)
    lengths = [3, 5, 2]
    expected = gatework.trace(layer, given, lengths=lengths, **options)
    swapped = tuple(one.transpose(0, 1) for one in as_tuple(given))
    packed = tuple(pack_padded_sequence(one, torch.tensor(lengths), enforce_sorted=False) for one in as_tuple(given))
    others = [
        gatework.trace(turned, swapped, lengths=lengths, **options),
        gatework.trace(layer, packed if len(packed) > 1 else packed[0], **options),
    ]
    for other in others:
        assert list(other) == list(expected)
        for key in expected:
            assert_close(other[key], expected[key])
        for one, same in zip(other.layers, expected.layers, strict=True):
            for bank in same.banks:
                assert_bits(one.banks[bank], options["memories"][bank])
            assert {place: known.tolist() for place, known in one.extents.items()} == options["memory_lengths"]
            for state in layer.cell.states:
                assert_close(
                    one.last(state, other[f"{one.prefix}.{state}"]),
                    same.last(state, expected[f"{same.prefix}.{state}"]),
                )
    row = 1
    inputs = tuple(one[:, row] for one in as_tuple(given))
    memories = {key: bank[row, : EXTENTS[row]] for key, bank in options["memories"].items()}
    inputs = (inputs[0], *(one[..., : EXTENTS[row]] for one in inputs[1:]))
    alone = gatework.trace(layer, inputs, memories=memories)
    for key, value in alone.items():
        assert_close(value[..., : value.shape[-1]], expected[key][:, row : row + 1, ..., : value.shape[-1]])


def test_vectors_at_positions_where_they_are_asked_for():
    layer = layer_for("window")
    given, options = given_for(layer)
    assert "near" not in gatework.trace(layer, given, **options)  # kernels do not write it, and they run this trace
    trace = gatework.trace(layer, given, ["near", "kappa", "beta"], **options)
    assert trace["near"].shape == (STEPS, ROWS, PLACES, 4)
    places = torch.arange(1, PLACES + 1, dtype=torch.float64)[:, None]
    kappa, beta = trace["kappa"][:, :, None], trace["beta"][:, :, None]
    expected = torch.exp(-beta * (kappa - places) ** 2)
    for row, count in enumerate(EXTENTS):
        assert_close(trace["near"][:, row, :count], expected[:, row, :count])
        assert not trace["near"][:, row, count:].any()


def test_a_line_that_is_one_number_at_positions_is_none_beyond_them():
    cell = gatework.cell("k = 0 * place(m) + 0.5\nh = tanh(W @ x + C @ (k @ m) + R @ h)", memories="m")
    layer = layer_of(cell)
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    for row, count in enumerate(EXTENTS):
        assert trace["k"][:, row, :count].eq(0.5).all()
        assert not trace["k"][:, row, count:].any()


# --- files and chunks


@every_cell
def test_a_trace_saved_and_read_again(name, tmp_path):
    layer = layer_for(name, "auto")
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, lines_of(layer), parts=True, **options)
    trace.save(tmp_path / "trace.safetensors")
    again = gatework.Trace.load(tmp_path / "trace.safetensors")
    assert list(again) == list(trace)
    for key in trace:
        assert_bits(again[key], trace[key])
    told, same = again.layers[0], trace.layers[0]
    assert told.step == same.step
    assert told.step.positions == same.step.positions
    for kind in ("inputs", "before", "fresh", "banks", "extents"):
        assert set(getattr(told, kind)) == set(getattr(same, kind))
        assert all(torch.equal(one, getattr(same, kind)[key]) for key, one in getattr(told, kind).items())
    # What is worked out of the file is what is worked out of the run.
    assert terms(layer, again, "a", 1, 1, 0, position=1) == terms(layer, trace, "a", 1, 1, 0, position=1)


def test_a_trace_without_its_memory_is_refused(tmp_path):
    layer = layer_for("dot")
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    trace = replace(trace, layers=tuple(replace(told, banks={}) for told in trace.layers))
    trace.save(tmp_path / "trace.safetensors")
    with pytest.raises(DataError, match=r"is damaged: it has no values of '\.banks\.l0\.m'\.$"):
        gatework.Trace.load(tmp_path / "trace.safetensors")


@both_backends
@pytest.mark.parametrize("name", [name for name in CELLS if name != "covered"])  # a chunk takes one tensor
def test_chunks_are_the_whole(name, backend, tmp_path):
    layer = layer_for(name, backend, num_layers=2)
    given, options = given_for(layer)
    whole = gatework.trace(layer, given, parts=True, **options)
    chunks = list(trace_chunks(layer, given, parts=True, chunk=2, **options))
    save_trace(tmp_path / "trace.safetensors", layer, given, parts=True, chunk=2, **options)
    saved = gatework.Trace.load(tmp_path / "trace.safetensors")
    assert list(saved) == list(whole)
    for key in whole:
        joined = torch.cat([one[key] for one in chunks])
        assert_close(joined, whole[key])
        assert_bits(saved[key], joined)
    for told in saved.layers:
        assert_bits(told.banks["m"], options["memories"]["m"])
        assert told.extents["m"].tolist() == EXTENTS


# --- equations


@every_cell
def test_handles_keep_what_names_mean(name):
    step = CELLS[name].step
    names = tuple(lines_of(layer_for(name)))
    changed = [parted(step).step, overridden(step, names).step, pushed(step).step, entered(step).step]
    changed.append(entered(pushed(overridden(parted(step).step, names).step).step).step)
    for one in changed:
        assert one.banks == step.banks
        assert one.places == step.places
        assert {key: one.positions[key] for key in step.positions} == step.positions
        assert one.inputs[: len(step.inputs)] == step.inputs
    taken = overridden(step, names)
    for target in names:
        for given in (taken.chosen[target], taken.value[target]):
            assert taken.step.positions.get(given) == step.positions.get(target)
            assert taken.step.sizes_of[given] == taken.step.sizes_of[target]
            assert (taken.step.sizes_of[given] == ONE_NUMBER) == (step.sizes_of[target] == ONE_NUMBER)
    for state, push in pushed(step).push.items():
        assert pushed(step).step.positions.get(push) == step.positions.get(state)
    for source, given in entered(step).enter.items():
        assert entered(step).step.positions.get(given) == step.positions.get(source)


@every_cell
def test_expressions_come_to_what_was_traced(name):
    """Every line, worked out at all steps and rows in float64 from the values that it reads."""
    layer = layer_for(name)
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, lines_of(layer), **options)
    told = trace.layers[0]
    values = Values(layer.named_weights(0), 4, positions=told.step.positions, masks=given_masks(told))
    for line in told.step.equations:
        for read in [one for one in walk(line.value) if isinstance(one, Name) and one.name not in values.weights]:
            values.names[read] = sequence(trace, told, read)
        expected = sequence(trace, told, Name(line.target))
        found = values(line.value).expand(expected.shape)
        for row, count in enumerate(EXTENTS):
            kept = slice(count if line.target in told.step.positions else None)
            assert_close(found[:, row, kept], expected[:, row, kept])


@every_cell
def test_terms_come_to_what_was_traced(name):
    layer = layer_for(name)
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, lines_of(layer), parts=True, **options)
    step, told = layer.cell.step, trace.layers[0]
    for key, values in trace.items():
        bare = told.parts.get(trace.bare(key), trace.bare(key))
        for time, row in ((0, 0), (2, 1), (3, 0)):
            places = range(EXTENTS[row]) if bare in step.positions else [None]
            for place in places:
                unit = 0 if step.is_bare(bare) else values.shape[-1] - 1
                at = [one for one in (place, None if step.is_bare(bare) else unit) if one is not None]
                term = terms(layer, trace, key, time, row, unit, position=place)
                assert term.value == float(values[(time, row, *at)])
                checked(term)


def checked(term):
    """Compute a term from its parts, where that is a matter of one unit at one position."""
    for part in term.parts:
        checked(part)
    values = [part.value for part in term.parts]
    head = term.text.split("(")[0]
    if not values or head in ("softmax", "spread", "where"):
        return
    if head in FUNCTIONS and term.text.endswith(")") and len(values) == FUNCTIONS[head].arity:
        value = FUNCTIONS[head].value
        assert value is not None
        assert term.value == pytest.approx(value(*values))
    elif " @ " in term.text and all(part.text.endswith("]") for part in term.parts):
        assert term.value == pytest.approx(sum(values))
    elif len(values) == 2 and term.text == f"{term.parts[0].text} * {term.parts[1].text}":
        assert term.value == pytest.approx(values[0] * values[1])
    elif term.text == " + ".join(part.text for part in term.parts):
        assert term.value == pytest.approx(sum(values))


def test_terms_of_a_sum_over_positions():
    layer = layer_for("additive")
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    term = terms(layer, trace, "z", 3, 1, 4)
    assert term.text == "a @ m"
    assert [part.text for part in term.parts] == ["a[0] * m[0]", "a[1] * m[1]"]  # the positions that the row has
    expected = trace["a"][3, 1] * options["memories"]["m"][1, :, 4]
    assert [part.value for part in term.parts] == pytest.approx(expected[:2].tolist())
    # A score is what its products come to, and a weight is one of all scores.
    term = terms(layer, trace, "score", 3, 1, 0, position=1)
    assert term.parts == ()
    weight = terms(layer, trace, "a", 3, 1, 0, position=1)
    assert [(part.text, part.value) for part in weight.parts] == [("score", float(trace["score"][3, 1, 1]))]
    assert terms(layer, trace, "z", 0, 2, 0).parts == ()  # a row without positions


def test_terms_of_what_there_is_not():
    layer = layer_for("window")
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    faults = {
        "`l0.a` has a value at each position of the memory `m`. Name one, as in position=0.": ("a", 0, 0, 0, None),
        "position is 4; `l0.a` has 4, so expected 0 to 3.": ("a", 0, 0, 0, 4),
        "position is 2; row 1 has 2 positions, and what follows is padding.": ("a", 0, 1, 0, 2),
        "position is 0; `l0.h` has no value at each position of a memory.": ("h", 0, 0, 0, 0),
        "unit is 1; `l0.a` has 1, so expected 0 to 0.": ("a", 0, 0, 1, 0),
        "The equation of `l0.a` reads `near`, which the trace lacks. Trace it too: name it.": ("a", 0, 0, 0, 0),
    }
    for message, asked in faults.items():
        with pytest.raises(SizeError) as caught:
            terms(layer, trace, *asked)
        assert str(caught.value) == message


# --- derivatives


@every_cell
def test_the_jacobian_is_autograds(name):
    """The derivative of every state by the same one held at an earlier step."""
    layer = layer_for(name)
    given, options = given_for(layer)
    for state in layer.cell.states:
        found = state_jacobian(layer, given, of=state, at=3, **options)
        for since in (0, 2, 3):
            assert_close(found.whole[since], by_autograd(layer, given, state, 3, since, **options), "gradients")
        assert_close(found.direct + found.rest, found.whole)
        if state in layer.cell.step.positions:
            for row, count in enumerate(EXTENTS):
                assert not found.whole[:, row, count:].any()
                assert not found.whole[:, row, :, count:].any()


def test_the_direct_part_keeps_what_is_read_fixed():
    """Of an LSTM it is the product of forget gates; of what adds weights up, how much of them stays."""
    layer = layer_for("additive")
    given, options = given_for(layer)
    forget = gatework.trace(layer, given, ["f"], **options)["f"]
    found = state_jacobian(layer, given, of="c", **options)
    assert_close(found.direct[0], torch.diag_embed(forget[1:].prod(0)))
    assert found.rest[0].abs().amax() > 0
    covered = layer_for("covered")
    given, options = given_for(covered)
    found = state_jacobian(covered, given, of="seen", **options)
    for row, count in enumerate(EXTENTS):
        expected = torch.zeros(PLACES, PLACES, dtype=torch.float64)
        expected[:count, :count] = 0.75 ** (STEPS - 1) * torch.eye(count)
        assert_close(found.direct[0, row], expected)


def test_a_reset_cuts_what_is_carried():
    layer = layer_for("location")
    given, options = given_for(layer)
    reset = torch.zeros(STEPS, ROWS, dtype=torch.bool)
    reset[2, 0] = True
    for state in layer.cell.states:
        found = state_jacobian(layer, given, of=state, reset=reset, **options)
        plain = state_jacobian(layer, given, of=state, **options)
        assert not found.whole[:2, 0].any()
        assert_close(found.whole[:, 1:], plain.whole[:, 1:])
        assert_close(found.whole[2:, 0], state_jacobian(layer, given[2:], of=state, **options).whole[:, 0])


def test_half_lives():
    assert half_life(CELLS["additive"], 1.0) == half_life("lstm", 1.0)
    assert half_life(CELLS["covered"], of="seen") == pytest.approx(torch.tensor(0.5).log() / torch.tensor(0.75).log())
    assert half_life(CELLS["window"], of="kappa") == torch.inf
    assert half_life(CELLS["location"], of="a") == 0  # its own line reads no weight of the step before
    layer = layer_for("covered")
    given, options = given_for(layer, [3, 2, 0])
    trace = gatework.trace(layer, given, **options)
    found = half_lives(layer, trace, "seen")
    assert_close(found[:3], torch.full((3,), half_life(CELLS["covered"], of="seen"), dtype=torch.float64))
    assert found[3].isnan()  # no row has a fourth position
    lstm = layer_for("additive")
    given, options = given_for(lstm)
    with gatework.clamp(lstm, f=0.5):
        trace = gatework.trace(lstm, given, **options)
    assert_close(half_lives(lstm, trace, "c"), torch.ones(4, dtype=torch.float64))


def test_models_hand_memories_on():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = layer_for("dot")

        def forward(self, given, memories, memory_lengths):
            return self.inner(given, memories=memories, memory_lengths=memory_lengths)[0]

    model = Decoder()
    given, options = given_for(model.inner)
    trace = gatework.trace(model, given, "a", **options)
    assert_bits(trace["a"], gatework.trace(model.inner, given, "a", **options)["a"])
    with pytest.raises(SizeError, match=r"reads the memories m, and m was not given\. Give a tensor \[B, L, size\]"):
        gatework.trace(model.inner, given)
    with pytest.raises(SizeError, match="`m` cannot be traced: the equations have `score`, `a`, `z`, "):
        gatework.trace(model.inner, given, "m", **options)


# --- what if


@every_cell
def test_every_quantity_can_be_held_at_its_own_values(name):
    """What a run computed, given to it from outside, changes not a bit of it."""
    layer = layer_for(name, bidirectional=True)
    given, options = given_for(layer)
    free = gatework.trace(layer, given, lines_of(layer), **options)
    for one in free.layers:
        values = {line: free[f"{one.prefix}.{line}"] for line in lines_of(layer)}
        with gatework.clamp(layer, values, direction=one.direction):
            held = gatework.trace(layer, given, lines_of(layer), **options)
        for key in free:
            assert_bits(held[key], free[key])


@pytest.mark.parametrize("name", ["additive", "dot", "location", "covered"])
def test_a_one_hot_gives_a_positions_vector_bit_by_bit(name):
    layer = layer_for(name, "auto", dtype=torch.float32)
    given, options = given_for(layer)
    options["memory_lengths"] = {"m": [4, 2, 3]}
    chosen = torch.tensor([[0, 1, 2], [3, 0, 0], [1, 1, 1], [2, 0, 2], [0, 1, 0]])  # [T, B]
    with gatework.clamp(layer, a=torch.nn.functional.one_hot(chosen, PLACES)):
        trace = gatework.trace(layer, given, **options)
    bank = options["memories"]["k" if name == "covered" else "m"]
    expected = bank[torch.arange(ROWS), chosen]
    assert_bits(trace["z"], expected)
    # What follows is what follows from that context.
    with gatework.clamp(layer, z=expected, a=trace["a"]):
        assert_bits(gatework.trace(layer, given, **options).output, trace.output)


def test_what_is_held_beyond_the_positions_of_a_row_has_no_influence():
    layer = layer_for("additive")
    given, options = given_for(layer)
    with gatework.clamp(layer, a=torch.tensor([0.0, 0.0, 1.0, 0.0])):  # rows have 4, 2 and 0 positions
        trace = gatework.trace(layer, given, **options)
    assert_bits(trace["z"][:, 0], options["memories"]["m"][0, 2].expand(STEPS, -1))
    assert not trace["z"][:, 1:].any()
    assert not trace["a"][:, 1:].any()


def test_positions_rows_and_steps():
    layer = layer_for("general")
    given, options = given_for(layer)
    free = gatework.trace(layer, given, **options)
    with gatework.clamp(layer, a=0.5, units=[1, 3], rows=[0], start=2, stop=4):
        trace = gatework.trace(layer, given, **options)
    assert trace["a"][2:4, 0, [1, 3]].eq(0.5).all()
    assert_close(trace["z"][2, 0], torch.einsum("l,ld->d", trace["a"][2, 0], options["memories"]["m"][0]))
    assert_bits(trace["a"][2, 0, [0, 2]], free["a"][2, 0, [0, 2]])
    assert_bits(trace["a"][:, 1:], free["a"][:, 1:])
    assert_bits(trace["a"][:2], free["a"][:2])
    window = layer_for("window")
    given, options = given_for(window)
    with gatework.clamp(window, near=torch.ones(PLACES, 1), units=[2]):
        trace = gatework.trace(window, given, ["near"], **options)
    assert trace["near"][:, 0, :, 2].eq(1).all()
    assert not trace["near"][:, 1, 2:].any()


def test_gradients_of_what_is_held():
    """A value gets the gradient that the sum over positions gives it, and nothing behind it gets any."""
    layer = layer_for("additive")
    given, options = given_for(layer)
    bank = options["memories"]["m"].requires_grad_()
    weights = torch.softmax(torch.randn(STEPS, ROWS, PLACES, dtype=torch.float64), -1).requires_grad_()
    with gatework.clamp(layer, a=weights):
        loss = layer(given, **options)[0].square().sum()
    found = torch.autograd.grad(loss, [weights, bank])
    there = (torch.arange(PLACES) < torch.tensor(EXTENTS)[:, None])[None]
    context = torch.einsum("tbl,bld->tbd", weights.masked_fill(~there, 0), bank.masked_fill(~there[0, ..., None], 0))
    with gatework.clamp(layer, z=context):
        loss = layer(given, **options)[0].square().sum()
    for mine, other in zip(found, torch.autograd.grad(loss, [weights, bank]), strict=True):
        assert_close(mine, other, "gradients")
    with gatework.clamp(layer, a=weights.detach()):
        layer(given, **options)[0].square().sum().backward()
    blocked = {"U_a", "V_a", "v_a", "b_a"}
    for key, value in layer.named_parameters():
        names = [one for one in blocked if key.startswith(one)]
        if names:
            assert value.grad is None or not value.grad.any()


def test_forms_of_the_input_of_a_clamped_run():
    layer, turned = layer_for("additive", "auto"), layer_for("additive", "auto", batch_first=True)
    given, options = given_for(layer)
    lengths = [3, 5, 2]
    value = torch.softmax(torch.randn(STEPS, ROWS, PLACES, dtype=torch.float64), -1)
    with gatework.clamp(layer, a=value, start=1):
        expected = gatework.trace(layer, given, lengths=lengths, **options)
        packed = pack_padded_sequence(given, torch.tensor(lengths), enforce_sorted=False)
        other = gatework.trace(layer, packed, **options)
    with gatework.clamp(turned, a=value, start=1):
        third = gatework.trace(turned, given.transpose(0, 1), lengths=lengths, **options)
    for key in expected:
        assert_close(other[key], expected[key])
        assert_close(third[key], expected[key])


def test_values_that_do_not_fit():
    layer = layer_for("window")
    given, options = given_for(layer)
    faults = [
        ({"a": torch.ones(5)}, None, "The value of `a` has the shape (5,); expected a number, or a shape that "
         "broadcasts to [T, B, L] = (5, 3, 4)."),
        ({"near": torch.ones(5)}, None, "The value of `near` has the shape (5,); expected a number, or a shape that "
         "broadcasts to [T, B, L, units] = (5, 3, 4, 4)."),
        ({"a": 1.0}, [4], "units of `a` names 4; expected numbers from 0 to 3."),
    ]  # fmt: skip
    for values, units, message in faults:
        with gatework.clamp(layer, values, units=units), pytest.raises(SizeError) as caught:
            layer(given, **options)
        assert str(caught.value) == message
    with (
        pytest.raises(SizeError, match="`m` cannot be held: the equations have `alpha`, "),
        gatework.clamp(layer, m=0.0),
    ):
        pass
    layer.backend = "cpu"
    with gatework.clamp(layer, a=1.0), pytest.raises(ConfigError, match="backend='cpu' cannot run this: "):
        layer(given, **options)
    with gatework.clamp(layer, z=1.0):  # what has one vector is held by the kernels
        layer(given, **options)


# --- where the gradient goes


def by_steps(layer, given, options, direction):
    """The gradients of the last output by what each step reads of the states and memories, step by step by autograd."""
    states = layer.cell.states
    state = tuple(torch.zeros_like(one[0]) for one in as_tuple(layer(given, **options)[1]))
    read: list[dict[str, torch.Tensor]] = []
    output = torch.zeros(())
    for time in range(STEPS):
        copies = {key: bank.clone().requires_grad_() for key, bank in options["memories"].items()}
        added = {key: torch.zeros_like(one).requires_grad_() for key, one in zip(states, state, strict=True)}
        read.append({**added, **copies})
        begun = tuple((one + added[key])[None] for key, one in zip(states, state, strict=True))
        output, final = layer.step(
            tuple(one[time] for one in as_tuple(given)),
            begun if len(begun) > 1 else begun[0],
            memories=copies,
            memory_lengths=options["memory_lengths"],
        )
        state = tuple(one[0] for one in as_tuple(final))
    wanted = [one for named in read for one in named.values()]
    found = torch.autograd.grad((output @ direction).sum(), wanted, allow_unused=True)
    gradients = iter(torch.zeros_like(one) if own is None else own for own, one in zip(found, wanted, strict=True))
    stepwise = [{key: next(gradients) for key in named} for named in read]
    return {key: torch.stack([named[key] for named in stepwise]) for key in read[0]}


@every_cell
def test_the_gradient_that_goes_to_the_memory_is_autograds(name):
    layer = layer_for(name)
    given, options = given_for(layer)
    flow = gatework.gradient_flow(layer, given, **options)
    direction = torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = by_steps(layer, given, options, direction / direction.norm())
    total = torch.stack([one.flatten(2).square().sum(-1) for one in found.values()]).sum(0)
    banks = layer.cell.step.banks
    for key in banks:
        norms = found[key].flatten(2).norm(dim=-1)
        assert norms[:, :2].any()
        assert_close(flow[key], norms, "gradients")
        assert_close(flow.at_positions[f"l0.{key}"], found[key].norm(dim=-1), "gradients")
        assert_close(flow.shares[f"l0.{key}"], torch.where(total > 0, norms.square() / total, 0), "gradients")
        for row, count in enumerate(EXTENTS):
            assert not flow.at_positions[f"l0.{key}"][:, row, count:].any()
        # The sum over the steps is the gradient of the memory.
        bank = options["memories"][key].clone().requires_grad_()
        output = layer(given, **{**options, "memories": {**options["memories"], key: bank}})[0]
        (whole,) = torch.autograd.grad((output[-1] @ (direction / direction.norm())).sum(), bank)
        assert_close(found[key].sum(0), whole, "gradients")
    assert list(flow.shares) == list(flow.at_positions) == [f"l0.{key}" for key in banks]


@every_cell
def test_the_flow_through_states_is_that_of_holding_each(name):
    layer = layer_for(name)
    given, options = given_for(layer)
    trace = gatework.trace(layer, given, **options)
    flow = gatework.gradient_flow(layer, given, **options)
    direction = torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for state in layer.cell.states:
        for time in (1, STEPS - 1):
            value = trace[state].clone().requires_grad_()
            with gatework.clamp(layer, {state: value}, start=time, stop=time + 1):
                loss = (layer(given, **options)[0][-1] @ (direction / direction.norm())).sum()
            (gradient,) = torch.autograd.grad(loss, value)
            assert_close(flow[state][time], gradient[time].flatten(1).norm(dim=-1), "gradients")


def test_shares_of_stacks_lengths_and_of_nothing():
    layer = layer_for("additive", bidirectional=True, num_layers=2)
    given, options = given_for(layer)
    flow = gatework.gradient_flow(layer, given, lengths=[5, 3, 4], **options)
    assert list(flow.shares) == ["l0.m", "l0_reverse.m", "l1.m", "l1_reverse.m"]
    for share in flow.shares.values():
        assert share.shape == (STEPS, ROWS)
        assert share.ge(0).all()
        assert share.le(1).all()
        assert not share[:, 2].any()  # a row without positions
        assert not share[3:, 1].any()  # padding
    flow = gatework.gradient_flow(layer, given, loss=lambda output: 0 * output.sum(), **options)
    assert not any(share.any() for share in flow.shares.values())
    plain = gatework.gradient_flow(gatework.LSTM(3, 4), torch.randn(5, 2, 3))
    assert (dict(plain.shares), dict(plain.at_positions)) == ({}, {})
    # With all of the weight on the state, nothing goes to the memory.
    with torch.no_grad():
        for key, value in layer.named_parameters():
            if key.startswith("C_"):
                value.zero_()
    flow = gatework.gradient_flow(layer, given, **options)
    assert not any(flow[key].any() for key in flow.shares)


def test_a_model_whose_stacks_have_other_steps():
    """Of an encoder and a decoder, the step of the loss is one of the decoder, whose output it is taken of."""
    model = Translator((7, 9), "gru", 4, 5).double().eval()
    given = (torch.randint(7, (6, 2)), torch.tensor([6, 4]), torch.randint(9, (4, 2)))
    flow = gatework.gradient_flow(model, given)
    assert flow.at.tolist() == [3, 3]
    assert flow["encoder.l0.h"].shape == (6, 2)
    assert flow["recurrent.l0.m"].shape == (4, 2)
    assert flow["encoder.l0.x"][:4].all()  # through the memory, and from the state that the decoder starts from
    trace = gatework.trace(model, given, ["a"])
    assert_close(trace["recurrent.l0.a"].sum(-1), torch.ones(4, 2, dtype=torch.float64))
    assert not trace["recurrent.l0.a"][:, 1, 4:].any()
    with gatework.clamp(model.recurrent, a=torch.eye(6)[0]):
        assert gatework.trace(model, given, ["a"])["recurrent.l0.a"][..., 0].eq(1).all()

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = gatework.GRU(3, 4)

        def forward(self, given):
            return self.inner(given)[0].mean(0, keepdim=True)

    with pytest.raises(SizeError, match=r"they are not the same steps\. Give a loss\.$"):
        gatework.gradient_flow(Pooled(), torch.randn(5, 2, 3))


@every_cell
def test_batches_without_rows_and_memories_without_positions(name):
    layer = layer_for(name)
    given, options = given_for(layer)
    empty = tuple(one[:, :0] for one in as_tuple(given))
    none = {
        "memories": {key: bank[:0] for key, bank in options["memories"].items()},
        "memory_lengths": {key: [] for key in options["memory_lengths"]},
    }
    assert gatework.trace(layer, empty, **none)["a"].shape == (STEPS, 0, PLACES)
    assert gatework.gradient_flow(layer, empty, **none).shares[f"l0.{layer.cell.step.banks[0]}"].shape == (STEPS, 0)
    assert state_jacobian(layer, empty, of="h", **none).whole.shape == (STEPS, 0, 4, 4)
    bare = tuple(one if one.shape[-1] == 3 else one[..., :0] for one in as_tuple(given))
    gone = {"memories": {key: bank[:, :0] for key, bank in options["memories"].items()}}
    assert gatework.trace(layer, bare, **gone)["a"].shape == (STEPS, ROWS, 0)
    assert not any(share.any() for share in gatework.gradient_flow(layer, bare, **gone).shares.values())
    with gatework.clamp(layer, a=1.0):
        assert gatework.trace(layer, bare, **gone)["a"].shape == (STEPS, ROWS, 0)


def test_a_trace_holds_what_the_cell_delivers_at_positions():
    cell = gatework.cell("k = tanh(U @ m)\nh = tanh(x + total(k))", states="h", outputs="k", memories="m")
    layer = gatework.Recurrent(cell, 4, 4, memory_size=3)
    memory = torch.randn(2, 5, 3)
    kept = gatework.trace(layer, torch.randn(6, 2, 4), memories=memory)
    assert kept["k"].shape == (6, 2, 5, 4)
    assert torch.equal(kept["k"][0], layer.record(torch.zeros(1, 2, 4), memories=memory)[2][0]["k"][0])
