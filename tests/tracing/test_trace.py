"""A trace changes not a bit of the run it looks into, and what it keeps is what the equations say."""

import copy
import json
import threading

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.nn.sizes import as_tuple, inputs_for, layer_of
from tests.nn.test_registry_battery import CELLS
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatework
from gatework.errors import DataError, SizeError
from gatework.language import Apply, Name, parse
from gatework.language.handles import parted
from gatework.models.language import LanguageModel
from gatework.nn.layers import wired

STEPS, ROWS = 6, 3

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
both_backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def assert_bits(actual, expected):
    """The same type, shape and bits: even the sign of a zero, even NaN."""
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    kind = {torch.float32: torch.int32, torch.float64: torch.int64}[expected.dtype]
    assert torch.equal(actual.contiguous().view(kind), expected.contiguous().view(kind))


def layer_for(cell, backend, dtype=torch.float32):
    elementwise = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    both = not wired(cell)
    return layer_of(cell, 2, dtype=dtype, bidirectional=both, input_projection=elementwise, backend=backend)


@both_backends
@every_cell
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_a_traced_run_is_the_untraced_one(cell, backend, training):
    layer = layer_for(cell, backend).train(training)
    given = inputs_for(layer, STEPS, ROWS)
    torch.manual_seed(5)
    output, final = layer(given)
    with torch.no_grad():
        torch.manual_seed(5)
        assert_bits(layer(given)[0], output.detach())
    torch.manual_seed(5)
    trace = gatework.trace(layer, given, parts=True)
    assert_bits(trace.output, output.detach())
    for mine, other in zip(as_tuple(trace.state), as_tuple(final), strict=True):
        assert_bits(mine, other.detach())
    # The states are the very ones that the layer gives.
    tops = [one for one in trace.layers if one.number == layer.num_layers - 1]
    assert_bits(torch.cat([trace[f"{one.prefix}.{cell.states[0]}"] for one in tops], -1), trace.output)
    for place, one in enumerate(trace.layers):
        last = 0 if one.direction else -1
        for name, part in zip(cell.states, as_tuple(trace.state), strict=True):
            assert_bits(trace[f"{one.prefix}.{name}"][last], part[place])


@both_backends
@every_cell
def test_parts_add_up_exactly(cell, backend):
    layer = layer_for(cell, backend).eval()
    trace = gatework.trace(layer, inputs_for(layer, STEPS, ROWS), parts=True)
    for one in trace.layers:
        for name in dict.fromkeys(one.parts.values()):
            total, count = added_up(trace, one, name)
            assert count > 1
            assert_bits(total, trace[f"{one.prefix}.{name}"])


def added_up(trace, layer, name):
    """Add up the parts of a quantity as its equation does; give the sum and how many they are."""
    taken = parted(layer.step)
    texts = {line: text for text, line in taken.parts.items()}

    def total(node):
        if isinstance(node, Apply):
            (left, one), (right, other) = map(total, node.arguments)
            return left + right, one + other
        assert isinstance(node, Name)
        return trace[f"{layer.prefix}.{texts.get(node.name, node.name)}"], 1

    return total(next(line.value for line in taken.step.equations if line.target == name))


def test_the_parts_of_the_registry():
    """What the pictures of the essay show: what is kept, and what is written."""
    found = {name: list(parted(cell.step).parts) for name, cell in gatework.CELLS.items()}
    assert found["lstm"] == ["f * c", "i * g"]
    assert found["lstm_1997"] == ["prev(c)", "i * g"]
    assert found["gru"] == ["(1 - z) * n", "z * h"]
    assert found["slstm"] == ["f * c", "i * g", "f * n"]
    assert found["depth_gated"] == ["d * c_below", "f * c", "i * g"]
    assert found["rnn"] == []
    zoned = gatework.zoneout(gatework.CELLS["lstm"], c=0.3)
    assert list(parted(zoned.step).parts) == ["f * c", "i * g", "keep_c * c", "(1 - keep_c) * c_new"]


def test_parts_of_differences_and_of_sums_with_products():
    step = parse("d = 0.5 * h\nh = (d + x) - d * h", states="h")
    assert dict(parted(step).parts) == {"d + x": "part1", "-(d * h)": "part2"}
    assert dict(parted(parse("h = W @ x + 0.5 * h", states="h")).parts) == {}
    # The same words for two things, and one thing in two places.
    step = parse("f = sigmoid(W @ x)\nc = f * c + x\nh = f * c + f * h", states="h c")
    assert dict(parted(step).of) == {"f * prev(c)": "c", "x": "c", "f * c": "h", "f * h": "h"}
    step = parse("f = sigmoid(W @ x)\nc = f * x + c\nh = f * x + h", states="h c")
    assert dict(parted(step).of) == {"f * x": "c", "prev(c)": "c", "prev(h)": "h"}


def test_only_what_is_asked_for():
    layer = gatework.LSTM(3, 4, num_layers=2)
    given = torch.randn(5, 2, 3)
    everything = gatework.trace(layer, given, parts=True)
    assert list(everything)[:8] == ["l0.i", "l0.f", "l0.g", "l0.o", "l0.c", "l0.h", "l0.f * c", "l0.i * g"]
    assert list(gatework.trace(layer, given, "f * c")) == ["l0.f * c", "l1.f * c"]
    some = gatework.trace(layer, given, ["l1.c", "h", "x"])
    assert list(some) == ["l0.h", "l0.x", "l1.c", "l1.h", "l1.x"]
    assert_bits(some["l0.x"], given)
    assert_bits(some["l1.x"], some["l0.h"])
    for key in some:
        if not key.endswith("x"):
            assert_bits(some[key], everything[key])


def test_one_layer_needs_no_prefix():
    trace = gatework.trace(gatework.GRU(3, 4), torch.randn(5, 2, 3))
    assert_bits(trace["z"], trace["l0.z"])
    assert list(trace) == ["l0.r", "l0.z", "l0.n", "l0.h"]
    assert "z" in trace
    assert "c" not in trace
    assert trace.get("c") is None
    assert len(trace) == 4
    two = gatework.trace(gatework.GRU(3, 4, bidirectional=True), torch.randn(5, 2, 3))
    assert "z" not in two
    with pytest.raises(SizeError, match=r"^The trace has no `z`; it has `l0.r`, `l0.z`, "):
        two["z"]


def test_unknown_names_are_answered_with_what_there_is():
    message = "`q` cannot be traced: the equations have `i`, `f`, `g`, `o`, `c`, `h`, `f * c`, `i * g`, `x`."
    with pytest.raises(SizeError) as caught:
        gatework.trace(gatework.LSTM(3, 4), torch.randn(5, 2, 3), ["i", "q"])
    assert str(caught.value) == message


REFUSED = {
    "q": "`q` cannot be traced: the equations have `r`, `z`, `n`, `h`, `(1 - z) * n`, `z * h`, `x`.",
    "l0.q": "`l0.q` cannot be traced: the equations have `r`, `z`, `n`, `h`, `(1 - z) * n`, `z * h`, `x`.",
    "l5.h": "`l5.h` cannot be traced: there is no layer `l5`; the layers are `l0`, `l1`.",
    "l5.z * h": "`l5.z * h` cannot be traced: there is no layer `l5`; the layers are `l0`, `l1`.",
    3: "names is 3; expected names such as ['c', 'f * c'], one such text, or None for all.",
    ("h", 3): "names is ('h', 3); expected names such as ['c', 'f * c'], one such text, or None for all.",
}


@pytest.mark.parametrize("names", REFUSED, ids=str)
def test_names_that_cannot_be_traced(names):
    with pytest.raises(SizeError) as caught:
        gatework.trace(gatework.GRU(3, 4, num_layers=2), torch.randn(5, 2, 3), names)
    assert str(caught.value) == REFUSED[names]


def test_layers_of_other_equations_are_told_apart():
    """What one layer of a model has, another need not have."""
    with pytest.raises(SizeError, match=r"^`encoder.l0.c` cannot be traced: the equations of `encoder.l0` have `r`, "):
        gatework.trace(Two(), torch.randn(5, 2, 3), "encoder.l0.c")


def test_an_input_that_is_no_tensor_is_refused():
    layer, given = gatework.GRU(3, 4), torch.randn(5, 2, 3).numpy()
    message = (
        "The input is of the type ndarray; expected a tensor [T, B, size] or a PackedSequence. torch.as_tensor() makes "
        "one of numbers, and of an array."
    )
    for ask in (gatework.trace, gatework.gradient_flow):
        with pytest.raises(SizeError) as caught:
            ask(layer, given)
        assert str(caught.value) == message
    assert layer._inside is None


def test_the_form_of_the_input_does_not_matter():
    torch.manual_seed(0)
    layer = gatework.LSTM(3, 8, num_layers=2, bidirectional=True)
    other = gatework.LSTM(3, 8, num_layers=2, bidirectional=True, batch_first=True)
    other.load_state_dict(layer.state_dict())
    lengths = torch.tensor([3, 6, 1])
    given = torch.randn(STEPS, ROWS, 3)
    expected = gatework.trace(layer, given, lengths=lengths, parts=True)
    for row, length in enumerate(lengths.tolist()):
        alone = gatework.trace(layer, given[:length, row], parts=True)
        for key in expected:
            assert not expected[key][length:, row].any()
            assert_bits(expected[key][:length, row : row + 1], alone[key])
    turned = gatework.trace(other, given.transpose(0, 1), lengths=lengths, parts=True)
    packed = pack_padded_sequence(given, lengths, enforce_sorted=False)
    packed_trace = gatework.trace(layer, packed, parts=True)
    for found in (turned, packed_trace):
        assert list(found) == list(expected)
        for key in expected:
            assert_bits(found[key], expected[key])
        for mine, theirs in zip(found.layers, expected.layers, strict=True):
            for name, state in theirs.before.items():
                assert_bits(mine.before[name], state)
    assert_bits(pad_packed_sequence(packed_trace.output)[0], expected.output)


def test_resets_are_kept_in_mind():
    layer = gatework.GRU(3, 4)
    reset = torch.zeros(STEPS, ROWS, dtype=torch.bool)
    reset[3, 1] = True
    given = torch.randn(STEPS, ROWS, 3)
    trace = gatework.trace(layer, given, reset=reset)
    assert trace.layers[0].restart is not None
    assert trace.layers[0].restart.equal(reset)
    assert_bits(trace["h"][3:, 1:2], gatework.trace(layer, given[3:, 1:2])["h"])


def test_other_types_and_devices():
    layer = gatework.Recurrent("lstm", 3, 4, dtype=torch.bfloat16)
    given = torch.randn(5, 2, 3).bfloat16()
    trace = gatework.trace(layer, given, parts=True)
    assert torch.equal(trace.output, layer(given)[0])
    assert torch.equal(trace["f * c"] + trace["i * g"], trace["c"])
    layer, given = gatework.Recurrent("lstm", 3, 4), torch.randn(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gatework.trace(layer, given).output, layer(given)[0])
    nowhere = gatework.Recurrent("lstm", 3, 4, bidirectional=True, device="meta")
    with gatework.clamp(nowhere, f=1.0, units=[1]):
        trace = gatework.trace(nowhere, torch.randn(5, 2, 3, device="meta"), parts=True)
    assert {value.device.type for value in trace.values()} == {"meta"}


class Two(nn.Module):
    """A model with two stacks of layers, one of which may run twice."""

    def __init__(self, times=1):
        super().__init__()
        self.encoder, self.decoder, self.times = gatework.GRU(3, 4), gatework.LSTM(4, 5), times

    def forward(self, given):
        coded = self.encoder(given)[0]
        for _ in range(self.times - 1):
            coded = coded + self.encoder(given)[0]
        return self.decoder(coded)[0].sum(-1)


def test_a_model_with_layers_inside():
    model, given = Two(), torch.randn(5, 2, 3)
    trace = gatework.trace(model, given)
    assert list(trace)[:5] == ["encoder.l0.r", "encoder.l0.z", "encoder.l0.n", "encoder.l0.h", "decoder.l0.i"]
    assert_bits(trace.output, model(given).detach())
    assert_bits(trace["encoder.l0.h"], model.encoder(given)[0].detach())
    assert trace.bare("decoder.l0.i") == "i"
    assert trace.layer("decoder.l0.i").module == "decoder"
    with pytest.raises(SizeError, match=r"^The layer `encoder` was run more than once in one run of the model"):
        gatework.trace(Two(times=2), given)
    with pytest.raises(SizeError, match=r"^The model Linear holds no gatework layer"):
        gatework.trace(nn.Linear(3, 4), given)


def test_a_language_model():
    model = LanguageModel(11, "lstm", 4, 8, num_layers=2).eval()
    tokens = torch.randint(11, (7, 2))
    scores, state = model(tokens)
    trace = gatework.trace(model, tokens, ["c"])
    assert list(trace) == ["l0.c", "l1.c"]
    assert_bits(trace.output[0], scores.detach())
    again = gatework.trace(model, tokens, ["c"], state=state)
    assert_bits(again.output[0], model(tokens, state)[0].detach())


def test_nothing_stays_behind():
    """Neither after a trace, nor after one that failed; and a layer in a trace can still be copied."""
    layer, given = gatework.Recurrent("lstm", 3, 4), torch.randn(5, 2, 3)
    gatework.trace(layer, given)
    with pytest.raises(SizeError):
        gatework.trace(layer, torch.randn(5, 2, 7))
    assert layer._inside is None
    assert copy.deepcopy(layer)(given)[0].shape == (5, 2, 4)


def test_another_thread_sees_nothing_of_it():
    layer, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
    expected = layer(given)[0].detach()
    found = []
    with gatework.clamp(layer, f=0.0):
        thread = threading.Thread(target=lambda: found.append(layer(given)[0].detach()))
        thread.start()
        thread.join()
        assert not torch.equal(layer(given)[0], expected)
    assert_bits(found[0], expected)


def test_threads_do_not_disturb_one_another():
    """Some trace, some hold, some only run, all at once and on one layer; each gets what it would get alone."""
    layer = gatework.LSTM(3, 8)
    inputs = [torch.randn(5, 2, 3) for _ in range(6)]
    plain = [layer(given)[0].detach() for given in inputs]
    held = []
    for given in inputs:
        with gatework.clamp(layer, f=0.5):
            held.append(layer(given)[0].detach())
    wrong, done = [], []

    def work(number):
        for _ in range(30):
            for place, given in enumerate(inputs):
                if number % 3 == 0:
                    found, expected = gatework.trace(layer, given, "c").output, plain[place]
                elif number % 3 == 1:
                    with gatework.clamp(layer, f=0.5):
                        found, expected = layer(given)[0], held[place]
                else:
                    found, expected = layer(given)[0], plain[place]
                if not torch.equal(found, expected):
                    wrong.append((number, place))
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sorted(done) == list(range(6))
    assert layer._inside is None


def test_what_is_one_number_is_given_as_that_number():
    """A kernel has no room for what does not change; the trace has."""
    cell = gatework.cell("k = bernoulli(0.25)\nq = 4 * k\na = tanh(W @ x)\nh = k * h + a * q + 2", states="h")
    layer = gatework.Recurrent(cell, 3, 4, backend="cpu").eval()
    given = torch.randn(5, 2, 3)
    trace = gatework.trace(layer, given, parts=True)
    assert list(trace) == ["l0.q", "l0.a", "l0.h", "l0.k * h", "l0.a * q", "l0.2"]
    assert trace["q"].eq(1).all()
    assert trace["2"].eq(2).all()
    assert gatework.trace(layer, given, "k")["k"].eq(0.25).all()
    torch.manual_seed(0)
    drawn = gatework.trace(layer.train(), given)
    assert list(drawn) == ["l0.k", "l0.q", "l0.a", "l0.h"]
    assert drawn["q"].unique().tolist() == [0, 4]


def test_saved_and_loaded(tmp_path):
    layer = gatework.LSTM(3, 4, num_layers=2, bidirectional=True)
    reset = torch.rand(5, 2) < 0.3
    trace = gatework.trace(layer, torch.randn(5, 2, 3), parts=True, reset=reset)
    trace.save(tmp_path / "trace.safetensors")
    found = gatework.Trace.load(tmp_path / "trace.safetensors")
    assert list(found) == list(trace)
    for key in trace:
        assert_bits(found[key], trace[key])
    assert_bits(found.output, trace.output)
    for mine, other in zip(found.layers, trace.layers, strict=True):
        assert (mine.prefix, mine.cell, mine.step, mine.parts) == (other.prefix, other.cell, other.step, other.parts)
        assert mine.comments["f"] == "forget gate"
        assert mine.restart is not None
        assert other.restart is not None
        assert mine.restart.equal(other.restart)
        for kind in ("inputs", "before", "fresh"):
            for name, value in getattr(other, kind).items():
                assert_bits(getattr(mine, kind)[name], value)


def test_what_a_cell_delivers_and_its_own_sizes_are_saved_too(tmp_path):
    """Nothing reads q, so that the equations alone would be refused."""
    step = gatework.cell("u = V @ x\nq = R @ h\nh = tanh(W @ u + U @ h)", states="h", outputs="q", sizes="u q")
    trace = gatework.trace(gatework.Recurrent(step, 3, 4, sizes={"u": 2, "q": 5}), torch.randn(4, 2, 3))
    trace.save(tmp_path / "trace.safetensors")
    found = gatework.Trace.load(tmp_path / "trace.safetensors")
    assert found.layers[0].step == trace.layers[0].step
    assert_bits(found["q"], trace["q"])


def test_files_that_are_no_traces(tmp_path):
    missing, other = tmp_path / "missing.safetensors", tmp_path / "other.safetensors"
    with pytest.raises(DataError, match="cannot be read"):
        gatework.Trace.load(missing)
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="cannot be read"):
        gatework.Trace.load(other)
    with pytest.raises(DataError, match="cannot be written"):
        gatework.trace(gatework.GRU(2, 3), torch.zeros(2, 1, 2)).save(tmp_path / "no" / "folder")


def test_forged_traces_are_refused(tmp_path):
    """What a file of safetensors says of a trace has a form, and every quantity that it names is there."""
    path = tmp_path / "trace.safetensors"
    gatework.trace(gatework.GRU(2, 3), torch.zeros(4, 1, 2)).save(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    facts = json.loads(metadata["trace"])
    layer = facts["layers"][0]
    forged = [
        None,
        [],
        {},
        {"keys": [], "layers": [1]},
        facts | {"more": 1},
        facts | {"keys": [*facts["keys"], "gone"]},
    ]
    forged += [facts | {"layers": [layer | {name: value}]} for name in layer for value in (None, 10**30, [[]])]
    older = {"delivered", "sized", "memories"}  # a file of an older version has none of these
    forged += [facts | {"layers": [{key: layer[key] for key in layer if key != name}]} for name in {*layer} - older]
    forged += [facts | {"layers": [layer | {"memories": ["m"]}]}]
    for told in forged:
        save_file(tensors, path, metadata | {"trace": json.dumps(told)})
        with pytest.raises(DataError, match=r"trace\.safetensors'"):
            gatework.Trace.load(path)
    for told in ("", "[" * 100_000, "{}" * 2):
        save_file(tensors, path, metadata | {"trace": told})
        with pytest.raises(DataError, match=r"The trace cannot be read: '.*trace\.safetensors', trace is "):
            gatework.Trace.load(path)
    save_file(tensors, path, {"format": metadata["format"]})
    with pytest.raises(DataError, match="The trace cannot be read"):
        gatework.Trace.load(path)


@pytest.mark.parametrize("lengths", [[3, 1], [1, 3], [1, 0]])
def test_a_constant_is_zero_in_padding_as_everything_is(lengths):
    layer = gatework.Recurrent(gatework.cell("k = 1\nh = tanh(W @ x + R @ h + k)"), 3, 4)
    trace = gatework.trace(layer, torch.randn(3, 2, 3), lengths=torch.tensor(lengths))
    taken = torch.arange(3)[:, None] < torch.tensor(lengths)
    assert torch.equal(trace["k"], taken[..., None].expand(3, 2, 4).float())
