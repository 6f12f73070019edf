"""Layers whose cells read a memory: what must hold whatever the numbers are, and what torch does with layers."""

import copy
from typing import Any

import pytest
import torch
from tests.nn.sizes import as_state, as_tuple, sizes_of
from tests.tolerances import assert_all_near, assert_close, assert_same
from torch import Tensor
from torch.func import functional_call

import gatework
from gatework import CELLS, Recurrent, attend
from gatework.cells.attending import KINDS
from gatework.errors import GateworkError, SizeError
from gatework.nn.layers import wired

STEPS, ROWS, POSITIONS, INPUT, HIDDEN, MEMORY = 4, 3, 6, 3, 5, 4
EXTENTS = [6, 0, 2]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_backend = pytest.mark.parametrize("backend", ["cpu", "reference"])


def drawn(layer: Recurrent, size: float = 0.5) -> Recurrent:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * size)
    return layer


def layer_of(kind: str = "additive", name: str = "lstm", **options: Any) -> Recurrent:
    cell = attend(CELLS[name], kind, width=3)
    sizes: dict[str, Any] = {"sizes": dict.fromkeys(cell.own_sizes, 3), "dtype": torch.float64}
    sizes["memory_size"] = HIDDEN if kind == "dot" else MEMORY
    return drawn(Recurrent(cell, INPUT, HIDDEN, **sizes | options))


def given(kind: str = "additive", rows: int = ROWS, positions: int = POSITIONS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    size = HIDDEN if kind == "dot" else MEMORY
    x = torch.randn(STEPS, rows, INPUT, generator=generator, dtype=torch.float64)
    return x, torch.randn(rows, positions, size, generator=generator, dtype=torch.float64)


def gradients(layer: Recurrent, leaves: list[Tensor], *results: Tensor) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    directions = [torch.randn(one.shape, generator=generator).to(one.dtype) for one in results]
    grads = torch.autograd.grad(list(results), [*leaves, *layer.parameters()], directions, allow_unused=True)
    return tuple(
        torch.zeros_like(leaf) if one is None else one
        for one, leaf in zip(grads, [*leaves, *layer.parameters()], strict=True)
    )


# --- what weights are


@every_kind
@every_backend
def test_weights_are_weights(kind, backend):
    """Not negative, 0 where a row has no position, and of the sum 1 but for the Gaussians of a window."""
    if (kind, backend) == ("location", "cpu"):
        backend = "auto"
    layer, (x, m) = layer_of(kind, backend=backend), given(kind)
    a = layer.record(x, names=("a",), memories=m, memory_lengths=EXTENTS)[2][0]["a"]
    assert (a >= 0).all()
    for row, extent in enumerate(EXTENTS):
        assert not a[:, row, extent:].any()
        if extent and kind != "window":
            assert_close(a[:, row].sum(-1), torch.ones(STEPS, dtype=torch.float64))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("window", "location")])
@every_backend
def test_the_order_of_positions_does_not_matter(kind, backend):
    layer, (x, m) = layer_of(kind, backend=backend), given(kind)
    order = torch.randperm(POSITIONS, generator=torch.Generator().manual_seed(0))
    output, _, (record,) = layer.record(x, names=("a",), memories=m)
    other, _, (moved,) = layer.record(x, names=("a",), memories=m[:, order])
    assert_close(other, output)
    assert_close(moved["a"], record["a"][..., order])


@pytest.mark.parametrize("kind", ["window", "location"])
def test_where_places_count_the_order_matters(kind):
    layer, (x, m) = layer_of(kind), given(kind)
    assert not torch.allclose(layer(x, memories=m)[0], layer(x, memories=m.flip(1))[0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("window", "gated")])
def test_one_position_has_the_weight_1(kind):
    """Then no score has a gradient, and nothing that makes scores learns."""
    layer, (x, m) = layer_of(kind), given(kind, positions=1)
    output, _, (record,) = layer.record(x, names=("a",), memories=m)
    assert_same(record["a"], torch.ones_like(record["a"]))
    output.sum().backward()
    of_scores = [
        one for name, one in layer.named_weights(0).items() if name.startswith(("v_", "U_", "V_", "b_a", "F_"))
    ]
    assert of_scores or kind == "dot"
    stored = {name: one for name, one in layer.named_parameters() if name.startswith(("v_a", "U_a", "V_a"))}
    assert all(not one.grad.any() for one in stored.values() if one.grad is not None)


@every_kind
@pytest.mark.parametrize("empty", [True, False], ids=["L = 0", "lengths of 0"])
def test_a_memory_without_positions_gives_nothing(kind, empty):
    """The cell runs as if the sum were 0, and what reads it learns nothing."""
    layer, (x, m) = layer_of(kind, "gru"), given(kind, positions=0 if empty else POSITIONS)
    m.requires_grad_()
    output, _, (record,) = layer.record(x, names=("z_",), memories=m, memory_lengths=[0] * ROWS)
    assert not record["z_"].any()
    found = gradients(layer, [m], output)
    assert all(one.isfinite().all() for one in found)
    assert not found[0].any()
    plain = Recurrent("gru", INPUT, HIDDEN, dtype=torch.float64)
    held = layer.named_weights(0)
    with torch.no_grad():
        for name, one in plain.named_weights(0).items():
            one.copy_(held[name])
    assert_close(output, plain(x)[0])


@every_kind
@every_backend
@pytest.mark.parametrize("what", [float("nan"), float("inf"), 1e300])
def test_what_a_row_does_not_have_changes_no_bit(kind, backend, what):
    backend = "auto" if (kind, backend) == ("location", "cpu") else backend
    layer, (x, m) = layer_of(kind, backend=backend), given(kind)
    results = []
    for filling in (0.0, what):
        beyond = torch.arange(POSITIONS) >= torch.tensor(EXTENTS)[:, None]
        memory = m.masked_fill(beyond[..., None], filling).requires_grad_()
        output, state = layer(x, memories=memory, memory_lengths=EXTENTS)
        results.append((output, *state, *gradients(layer, [memory], output)))
    assert_same(results[1], results[0])


def test_rows_do_not_know_their_place():
    layer, (x, m) = layer_of(num_layers=2, bidirectional=True), given()
    order = torch.tensor([2, 0, 1])
    lengths, extents = torch.tensor([4, 2, 3]), torch.tensor(EXTENTS)
    output, state = layer(x, memories=m, memory_lengths=extents, lengths=lengths)
    moved = {"memories": m[order], "memory_lengths": extents[order], "lengths": lengths[order]}
    other, last = layer(x[:, order], **moved)
    assert_close(other, output[:, order])
    assert_close(last, tuple(one[:, order] for one in state))


def test_the_number_of_positions_may_change_from_batch_to_batch():
    layer = layer_of()
    for positions in (6, 1, 13, 0, 6):
        x, m = given(positions=positions)
        whole = torch.cat([m, torch.full((ROWS, 2, MEMORY), float("nan"), dtype=torch.float64)], 1)
        padded = layer(x, memories=whole, memory_lengths=[positions] * ROWS)[0]
        assert_close(layer(x, memories=m)[0], padded)


# --- every cell, every option


OPTIONS = {
    "all options": gatework.zoneout(
        gatework.recurrent_dropout(gatework.layer_norm(gatework.peephole(CELLS["lstm"])), 0.2), c=0.3, h=0.1
    ),
    "projected gru": gatework.project(CELLS["gru"]),
    "coupled peephole": gatework.coupled(CELLS["peephole"]),
    "typed": gatework.cell("f = sigmoid(W @ x + R @ h + b)\nh = f * prev(h) + tanh(V @ x)"),
    "blocks": gatework.cell("h = tanh(W @ x + block_diagonal(R, 2) @ h + b)"),
}
EVERY = {**CELLS, **OPTIONS}


def run_all(layer: Recurrent, backend: str, numbers: dict[str, Tensor], call: dict[str, Any]) -> dict[str, Tensor]:
    """Outputs, last states and every gradient, in the layer's own type."""
    layer.backend = backend
    dtype = next(layer.parameters()).dtype
    leaves = {name: one.to(dtype, copy=True).requires_grad_() for name, one in numbers.items()}
    torch.manual_seed(3)  # the same masks in every run
    state = as_state(tuple(one for name, one in leaves.items() if name.startswith("first ")))
    output, last = layer(leaves["x"], state, memories=leaves["memory"], **call)
    results = {"output": output, **{f"last {number}": one for number, one in enumerate(as_tuple(last))}}
    grads = gradients(layer, list(leaves.values()), *results.values())
    names = [*leaves, *(name for name, _ in layer.named_parameters())]
    return {name: one.detach() for name, one in results.items()} | {
        f"grad {name}": one for name, one in zip(names, grads, strict=True)
    }


def stack_of(name: str, kind: str, number: int) -> tuple[Recurrent, dict[str, Tensor], dict[str, Any]]:
    """A stack with options that change from cell to cell, its numbers, and how it is called."""
    memory = "bank" if name in ("slstm", "lstm_multiplicative") else "m"
    cell = attend(EVERY[name], kind, memory)
    sizes = sizes_of(cell)
    fixed = {"hidden_size": sizes["hidden_size"], "proj_size": sizes["proj_size"], "input_size": sizes["input_size"]}
    size = fixed.get(cell.step.sizes_of[memory], 7)
    flags: dict[str, Any] = {"bidirectional": number % 3 == 0 and not wired(cell), "num_layers": 1 + number % 2}
    flags |= {"learn_initial_state": number % 5 == 0, "memory": ("fast", "small")[number % 2]}
    flags["input_projection"] = cell.step.sizes_of[cell.inputs[0]] == "hidden_size"
    own = dict.fromkeys(cell.own_sizes, 3)
    spread = 0.4 if kind != "window" else 0.15  # its exponentials of what ReLUs let grow would be infinite
    layer = drawn(Recurrent(cell, memory_size=size, sizes=own, dtype=torch.float64, **sizes, **flags), spread)
    layer.train(number % 4 != 1)
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(STEPS, ROWS, sizes["input_size"], generator=generator, dtype=torch.float64)
    m = torch.randn(ROWS, POSITIONS, size, generator=generator, dtype=torch.float64)
    call: dict[str, Any] = {"memory_lengths": EXTENTS} if number % 3 else {}
    call |= {"lengths": [4, 0, 2]} if number % 4 else {"reset": torch.rand(STEPS, ROWS, generator=generator) < 0.3}
    with torch.no_grad():  # a state that the cell itself came to
        state = as_tuple(layer(x[:3], memories=m)[1])
    return layer, {"x": x, "memory": m, **{f"first {place}": one for place, one in enumerate(state)}}, call


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", ["additive", "window"])
def test_every_cell_attends_alike_on_both_backends(name, kind):
    number = list(EVERY).index(name) + 3 * (kind == "window")
    layer, numbers, call = stack_of(name, kind, number)
    expected = run_all(layer, "reference", numbers, call)
    for dtype in (torch.float64, torch.float32)[: 2 - number % 2]:
        found = run_all(layer.to(dtype), "cpu", numbers, call)
        if not layer.cell.step.draws or not layer.training or dtype == torch.float64:  # masks depend on the type
            assert_all_near(found, expected, dtype)


@pytest.mark.parametrize("kind", ["gated", "general", "concat", "dot"])
@pytest.mark.parametrize("name", [*OPTIONS, "gru", "depth_gated"])
def test_the_other_kinds_run_alike_on_both_backends(name, kind):
    layer, numbers, call = stack_of(name, kind, list(EVERY).index(name))
    assert_all_near(run_all(layer, "cpu", numbers, call), run_all(layer, "reference", numbers, call), torch.float64)


@pytest.mark.parametrize("name", ["lstm", "typed", "blocks", "coupled peephole", "slstm"])
@pytest.mark.parametrize("kind", ["additive", "window", "location"])
def test_whole_is_step_by_step(name, kind):
    memory = "bank" if name == "slstm" else "m"
    cell = attend(EVERY[name], kind, memory, width=3)
    sizes = sizes_of(cell)
    own = dict.fromkeys(cell.own_sizes, 3)
    layer = drawn(Recurrent(cell, memory_size=MEMORY, sizes=own, dtype=torch.float64, num_layers=2, **sizes)).eval()
    x = torch.randn(STEPS, ROWS, sizes["input_size"], dtype=torch.float64)
    read: dict[str, Any] = {"memories": given()[1], "memory_lengths": EXTENTS}
    if kind == "location":  # states of both layers hold a number for each position
        layer = drawn(Recurrent(cell, memory_size=MEMORY, sizes=own, dtype=torch.float64, **sizes)).eval()
    output, last = layer(x, **read)
    state, outputs = None, []
    for now in x:
        one, state = layer.step(now, state, **read)
        outputs.append(one)
    assert_close(torch.stack(outputs), output)
    assert_close(as_tuple(state), as_tuple(last))
    first, state = layer(x[:2], **read)
    second, state = layer(x[2:], state, **read)
    assert_close(torch.cat([first, second]), output)
    assert_close(as_tuple(state), as_tuple(last))


@every_backend
def test_forms_of_a_batch(backend):
    """Packed, batch first, without a batch, and one after the other give what a padded batch gives."""
    layer, (x, m) = layer_of(backend=backend, bidirectional=True), given()
    lengths, read = [2, 4, 3], {"memories": m, "memory_lengths": EXTENTS}
    output, state = layer(x, lengths=lengths, **read)
    first = copy.deepcopy(layer)
    first.batch_first = True
    assert_close(first(x.transpose(0, 1), lengths=lengths, **read)[0].transpose(0, 1), output)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    found, last = layer(packed, **read)
    assert_close(torch.nn.utils.rnn.pad_packed_sequence(found)[0], output)
    assert_close(last, state)
    rows = torch.cat([x[:length, row] for row, length in enumerate(lengths)])
    found, last = layer(rows, cu_seqlens=torch.tensor([0, 2, 6, 9]), **read)
    assert_close(found, torch.cat([output[:length, row] for row, length in enumerate(lengths)]))
    assert_close(last, state)
    alone, last = layer(x[:3, 2], memories=m[2], memory_lengths=EXTENTS[2:])
    assert_close(alone, output[:3, 2])
    assert_close(last, tuple(one[:, 2] for one in state))


@every_backend
@pytest.mark.parametrize("before", [True, False], ids=["first without gradients", "with gradients"])
def test_remembered_memories_are_memories(backend, before):
    """What is computed of them once has the gradients of what is computed at every step."""
    layer, (x, m) = layer_of(num_layers=2), given()
    for each in (backend, "auto"):
        layer.backend = each
        leaf = m.clone().requires_grad_()
        expected, last = layer(x, memories=leaf, memory_lengths=EXTENTS)
        remembered, state, outputs = layer.remember(leaf, EXTENTS), None, []
        if before:
            with torch.no_grad():
                layer.step(x[0], memories=remembered)
        for now in x:
            one, state = layer.step(now, state, memories=remembered)
            outputs.append(one)
        assert_close(torch.stack(outputs), expected)
        assert_close(state, last)
        found = gradients(layer, [leaf], torch.stack(outputs))
        assert_close(found, gradients(layer, [leaf], expected), "gradients")
        assert_close(layer(x, memories=remembered)[0], expected)


def test_remembered_memories_that_do_not_fit_are_refused():
    layer, (x, m) = layer_of(), given()
    remembered = layer.remember(m)
    with pytest.raises(SizeError, match="remembered by another layer"):
        layer_of().step(x[0], memories=remembered)
    with pytest.raises(SizeError, match="memory_lengths were given beside remembered memories"):
        layer.step(x[0], memories=remembered, memory_lengths=EXTENTS)
    with pytest.raises(SizeError, match="The remembered memories have 3 rows and the batch 2"):
        layer.step(x[0, :2], memories=remembered)


# --- what is given


def test_several_memories_by_name_and_a_bank_of_numbers():
    """`s` has one number at each position, and is given as [B, L]."""
    text = "a = softmax(s + m @ (V @ h))\nz = a @ k\ne = softmax(n @ h)\nh = tanh(W @ x + C @ z + E @ (e @ n) + R @ h)"
    cell = gatework.cell(text, memories="m=k=s n")
    sizes = {"m": MEMORY, "k": 2}
    layer = drawn(Recurrent(cell, INPUT, HIDDEN, memory_size=sizes, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    shapes = {"m": (ROWS, 6, MEMORY), "k": (ROWS, 6, 2), "s": (ROWS, 6), "n": (ROWS, 2, HIDDEN)}
    banks = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    x, results = given()[0], []
    for backend in ("reference", "cpu"):
        layer.backend = backend
        leaves = {name: one.clone().requires_grad_() for name, one in banks.items()}
        output, _ = layer(x, memories=leaves, memory_lengths={"n": [2, 0, 1], "m": EXTENTS})
        results.append((output, *gradients(layer, list(leaves.values()), output)))
    assert_close(results[1], results[0], "gradients")
    p = layer.named_weights(0)
    h = x.new_zeros(HIDDEN)
    for now in x[:, 2]:  # the last row by hand: two positions of m, one of n
        m, k, s, n = (banks[name][2] for name in ("m", "k", "s", "n"))
        a = torch.softmax(s[:2] + m[:2] @ (p["V"] @ h), 0)
        h = torch.tanh(p["W"] @ now + p["C"] @ (a @ k[:2]) + p["E"] @ n[0] + p["R"] @ h)
    assert_close(results[0][0][-1, 2], h)
    assert layer.cell.sizes(INPUT, HIDDEN, memory_size=sizes)["memory_size_k"] == 2
    with pytest.raises(SizeError, match=r"memory_size names s, which the cell `cell` uses as one number at each pos"):
        Recurrent(cell, INPUT, HIDDEN, memory_size={"m": 4, "k": 2, "s": 1})
    for wrong in (banks["s"][..., None], banks["s"][0], banks["s"][:2]):
        with pytest.raises(SizeError, match=r"The memory `s` has the shape .*; expected \[3, L\]\."):
            layer(x, memories={**banks, "s": wrong})
    with pytest.raises(SizeError, match="The memory `k` has 5 positions and `m` 6; expected equally many"):
        layer(x, memories={**banks, "k": banks["k"][:, :5]})
    alone = {name: one[2] for name, one in banks.items()}
    lengths = {"n": [1], "m": EXTENTS[2:]}
    assert_close(layer(x[:, 2], memories=alone, memory_lengths=lengths)[0], results[0][0][:, 2])


def test_an_input_has_a_number_for_each_position():
    """Hard attention: a one-hot chooses a vector at every step, bit by bit."""
    cell = gatework.cell("z = pick @ m\nh = tanh(C @ z + R @ h)", inputs="pick", memories="m=pick")
    layer = drawn(Recurrent(cell, 1, HIDDEN, memory_size=MEMORY, dtype=torch.float64))
    m, chosen = given()[1], torch.tensor([[0, 5, 1], [2, 2, 0], [1, 0, 3], [4, 1, 5]])
    pick = torch.nn.functional.one_hot(chosen, POSITIONS).double()
    z = layer.record(pick, names=("z",), memories=m)[2][0]["z"]
    assert_same(z, m[torch.arange(ROWS), chosen])
    with pytest.raises(SizeError, match=r"The input `pick` has the shape \(4, 3, 5\); expected \[T, B, 6\]"):
        layer(pick[..., :5], memories=m)
    with pytest.raises(SizeError, match="`pick` has a number for each position of the memory `m`, which is a NoneTyp"):
        layer(pick)


def test_a_learned_state_at_positions_is_one_number_for_all():
    """Every row and position starts from it, and its gradient is the sum of theirs."""
    layer, (x, m) = layer_of("location", learn_initial_state=True), given("location")
    start = tuple(getattr(layer, f"initial_{name}_l0").detach() for name in layer.cell.states)
    widths = (HIDDEN, HIDDEN, POSITIONS)
    state = tuple(one.expand(1, ROWS, width).clone() for one, width in zip(start, widths, strict=True))
    leaves = [one.requires_grad_() for one in state]
    expected, last = layer(x, tuple(leaves), memories=m, memory_lengths=EXTENTS)
    output, final = layer(x, memories=m, memory_lengths=EXTENTS)
    assert_close(output, expected)
    assert_close(final, last)
    of_states = torch.autograd.grad(expected.square().sum(), leaves)
    found = torch.autograd.grad(output.square().sum(), [getattr(layer, f"initial_{n}_l0") for n in layer.cell.states])
    assert_close(found[2], of_states[2].sum().reshape(1), "gradients")
    assert_close(found[0], of_states[0].sum((0, 1)), "gradients")


def test_what_is_given_stays_as_it_is_until_the_backward_pass():
    layer, (x, m) = layer_of(), given()
    for backend in ("cpu", "reference"):
        layer.backend = backend
        memory = m.clone()
        output, _ = layer(x, memories=memory)
        memory.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            output.sum().backward()
        extents = torch.tensor(EXTENTS)
        output, _ = layer(x, memories=m, memory_lengths=extents)
        expected = gradients(layer, [], layer(x, memories=m, memory_lengths=EXTENTS)[0])
        extents.zero_()
        assert_same(gradients(layer, [], output), expected)


@every_backend
def test_a_frozen_memory_has_no_gradient_and_changes_no_other(backend):
    layer, (x, m) = layer_of(backend=backend), given()
    whole = gradients(layer, [moving := m.clone().requires_grad_()], layer(x, memories=moving)[0])
    assert_same(gradients(layer, [], layer(x, memories=m)[0]), whole[1:])
    assert m.grad is None
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    (alone,) = torch.autograd.grad(layer(x, memories=moving)[0].sum(), moving)
    assert alone.any()


@every_backend
def test_gradients_of_a_shared_memory_add_up(backend):
    lower, upper = layer_of(backend=backend), layer_of("gated", "gru", backend=backend)
    x, m = given()
    each = []
    for layer in (lower, upper):
        leaf = m.clone().requires_grad_()
        each.append(torch.autograd.grad(layer(x, memories=leaf)[0].square().sum(), leaf)[0])
    shared = m.clone().requires_grad_()
    total = [layer(x, memories=shared)[0].square().sum() for layer in (lower, upper)]
    assert_close(torch.autograd.grad(total, shared)[0], each[0] + each[1], "gradients")
    stack = layer_of(num_layers=2, backend=backend)
    assert_close(stack(x, memories=m)[0], _one_above_the_other(stack, x, m))


def _one_above_the_other(stack: Recurrent, x: Tensor, m: Tensor) -> Tensor:
    for number in range(2):
        one = Recurrent(stack.cell, x.shape[-1], HIDDEN, memory_size=MEMORY, sizes=stack.sizes, dtype=torch.float64)
        held = {f"{name}_l0": value for name, value in stack.named_weights(number).items()}
        x = functional_call(one, _as_stored(one, held), (x,), {"memories": m})[0]
    return x


def _as_stored(layer: Recurrent, named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put tensors by the names of the equations together as a layer stores them."""
    found = copy.deepcopy(layer)
    with torch.no_grad():
        for name, value in found.named_weights(0).items():
            value.copy_(named[f"{name}_l0"])
    return found.state_dict()


def test_layers_that_differ_in_one_option_keep_apart():
    """Kernels, plans and compiled graphs are kept by cell: none is taken for another's."""
    x, m = given()
    found = {}
    options: dict[str, Any]
    for options in (
        {},
        {"kind": "gated"},
        {"sizes": {"b_a": 4}},
        {"kind": "general"},
        {"bias": False, "sizes": {}},
        {},
    ):
        layer = layer_of(**options)
        layer.backend = "cpu"
        output = layer(x, memories=m)[0]
        layer.backend = "reference"
        assert_close(output, layer(x, memories=m)[0])
        found[str(options)] = output
    assert len({one.sum().item() for one in found.values()}) == len(found) == 5


# --- what torch does with layers


@every_kind
def test_first_and_second_derivatives(kind):
    layer = layer_of(kind, "gru")
    x, m = (one[:2, :2].clone().requires_grad_() for one in given(kind))
    m = given(kind, rows=2, positions=3)[1].requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, m: Tensor, *weights: Tensor) -> Tensor:
        held = dict(zip(names, weights, strict=True))
        return functional_call(layer, held, (x,), {"memories": m, "memory_lengths": [3, 2]})[0]

    leaves = (x, m, *layer.parameters())
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


@every_kind
def test_transforms_of_functions(kind):
    layer, (x, m) = layer_of(kind), given(kind)
    many = torch.stack([m, m + 1, m * 2])

    def run(m: Tensor) -> Tensor:
        return layer(x, memories=m, memory_lengths=EXTENTS)[0]

    assert_close(torch.func.vmap(run)(many), torch.stack([run(one) for one in many]))
    jacobian = torch.func.jacrev(run)(m)
    assert_close(torch.func.jacfwd(run)(m), jacobian, "gradients")
    leaf = m.clone().requires_grad_()
    output = run(leaf)
    directions = torch.randn(2, *output.shape, dtype=torch.float64)
    (found,) = torch.autograd.grad(output, leaf, directions, is_grads_batched=True)
    assert_close(found, torch.einsum("ktbh,tbhrld->krld", directions, jacobian), "gradients")


def test_copies_and_state_dicts():
    layer, (x, m) = layer_of(num_layers=2), given()
    other = layer_of(num_layers=2)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(layer.state_dict(), strict=True)
    expected = layer(x, memories=m)[0]
    assert_same(other(x, memories=m)[0], expected)
    assert_same(copy.deepcopy(layer)(x, memories=m)[0], expected)


class Reader(torch.nn.Module):
    """A model that holds a layer, as torch.export wants it."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, m: Tensor, extents: Tensor) -> Tensor:
        return self.layer(x, memories=m, memory_lengths=extents)[0]


@pytest.mark.parametrize("kind", ["additive", "window", "location"])
def test_compiled_and_exported(kind):
    """The reference is compiled, with its gradients; lengths are data."""
    layer, (x, m) = layer_of(kind), given(kind)
    extents, leaf = torch.tensor(EXTENTS), m.clone().requires_grad_()
    torch._dynamo.reset()
    compiled = torch.compile(Reader(layer), fullgraph=True, backend="aot_eager")
    for one in (extents, torch.tensor([1, 6, 5])):
        expected = layer(x, memories=leaf, memory_lengths=one)[0]
        output = compiled(x, leaf, one)
        assert_close(output, expected)
        assert_close(gradients(layer, [leaf], output), gradients(layer, [leaf], expected), "gradients")
    program = torch.export.export(Reader(layer), (x, m, extents)).module()
    assert_close(program(x, m, torch.tensor([1, 6, 5])), layer(x, memories=m, memory_lengths=[1, 6, 5])[0])


@every_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_of_few_digits(kind, dtype):
    """On the reference, near what float64 gives, and with finite gradients."""
    layer, (x, m) = layer_of(kind), given(kind)
    expected = layer(x, memories=m, memory_lengths=EXTENTS)[0]
    small = copy.deepcopy(layer).to(dtype)
    leaf = m.to(dtype).requires_grad_()
    output = small(x.to(dtype), memories=leaf, memory_lengths=EXTENTS)[0]
    assert output.dtype == dtype
    assert (output.double() - expected).abs().max() < 8 * torch.finfo(dtype).eps
    assert all(one.isfinite().all() for one in gradients(small, [leaf], output))
    told = gatework.explain(small, x.to(dtype), m.to(dtype)).parts[0].account
    assert told.backend == "reference"


def test_autocast():
    """Takes memories of either type, as it takes inputs."""
    layer, (x, m) = layer_of(dtype=torch.float32), given()
    expected = layer(x.float(), memories=m.float())[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for memory in (m.float(), m.bfloat16()):
            found = layer(x.float(), memories=memory)[0]
            assert (found.float() - expected).abs().max() < 0.05


@every_kind
@pytest.mark.parametrize(("steps", "rows"), [(0, ROWS), (STEPS, 0)])
def test_empty_batches(kind, steps, rows):
    layer, (x, m) = layer_of(kind), given(kind)
    output, state = layer(x[:steps, :rows], memories=m[:rows])
    assert output.shape == (steps, rows, HIDDEN)
    assert state[0].shape == (1, rows, HIDDEN)


def test_explain_tells_of_a_memory():
    layer, (x, m) = layer_of(), given()
    assert [one.account.backend for one in gatework.explain(layer, x, m).parts] == ["cpu"]
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    assert not gatework.explain(layer, x, m).differentiated
    assert gatework.explain(layer, x, m.requires_grad_()).differentiated
    with pytest.raises(SizeError, match="reads the memories m, and m was not given"):
        gatework.explain(layer, x)
    empty = gatework.explain(layer, x, m[:, :0]).parts[0].account
    assert (empty.backend, empty.reason) == ("reference", "a memory is empty: there is nothing to go over")
    located = layer_of("location")
    assert gatework.explain(located, x, m).parts[0].account.backend == "reference"


# --- misuse


MISUSE: dict[str, tuple[Any, str]] = {
    "no memory": ({}, "reads the memories m, and m was not given. Give a tensor"),
    "a word": ({"memories": "m"}, "The memory `m` is a str; expected a tensor [3, L, 4]."),
    "a list": ({"memories": [given()[1]]}, "The memory `m` is a list; expected a tensor [3, L, 4]."),
    "one row": ({"memories": given()[1][0]}, "The memory `m` has the shape (6, 4); expected [3, L, 4]."),
    "fewer rows": ({"memories": given()[1][:2]}, "The memory `m` has the shape (2, 6, 4); expected [3, L, 4]."),
    "another size": ({"memories": given()[1][..., :3]}, "The memory `m` has the shape (3, 6, 3); expected [3, L, 4]."),
    "another type": ({"memories": given()[1].float()}, "has the type torch.float32 and the layer torch.float64. Conv"),
    "whole numbers": ({"memories": given()[1].long()}, "has the type torch.int64 and the layer torch.float64. Conver"),
    "elsewhere": ({"memories": given()[1].to("meta")}, "is on meta and the input on cpu. Move one with .to()."),
    "another name": ({"memories": {"q": given()[1]}}, "memories names q; the cell `lstm+attend(additive)` has the me"),
    "a name beside": ({"memories": {"m": given()[1], "q": 3}}, "memories names q;"),
    "lengths too long": ({"memory_lengths": [3, 4, 7]}, "The length of row 2 of the memory `m` is 7; expected 0 to 6"),
    "lengths below 0": ({"memory_lengths": [3, 4, -1]}, "The length of row 2 of the memory `m` is -1; expected 0 to 6"),
    "few lengths": ({"memory_lengths": [3, 4]}, "are of shape (2,) and type torch.int64; expected a whole number for"),
    "one length": ({"memory_lengths": 3}, "are of shape () and type torch.int64; expected a whole number for each of"),
    "parts of positions": ({"memory_lengths": [1.5, 2, 3]}, "type torch.float32; expected a whole number for each of"),
    "lengths of letters": ({"memory_lengths": "abc"}, "are abc; expected a whole number for each of the 3 rows."),
    "a mask": ({"memory_lengths": torch.ones(3, 6, dtype=torch.bool)}, "of shape (3, 6) and type torch.bool; expecte"),
    "lengths of another": ({"memory_lengths": {"q": [1, 2, 3]}}, "memory_lengths names q; the cell"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_told_in_a_sentence(name):
    options, message = MISUSE[name]
    call = {"memories": given()[1]} | options if options and "memories" not in options else options
    with pytest.raises(GateworkError) as caught:
        layer_of()(given()[0], **call)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (None, "has the memory `m` and needs the size of its vectors, such as memory_size=64."),
        (0, "memory_size is 0; expected a whole number of at least 1."),
        ("4", "memory_size is '4'; expected a whole number of at least 1."),
        (True, "memory_size is True; expected a whole number of at least 1."),
        ({"q": 4}, "memory_size names q; the memories of the cell `lstm+attend(additive)` are m."),
    ],
)
def test_sizes_of_memories_that_cannot_be(size, message):
    with pytest.raises(SizeError) as caught:
        Recurrent(attend(CELLS["lstm"]), INPUT, HIDDEN, memory_size=size)
    assert message in str(caught.value)


def test_a_size_that_a_bias_names_is_not_lost_with_the_bias():
    for cell in (attend(CELLS["lstm"]), gatework.cell("h = tanh(V @ tanh(W @ x + b_a) + R @ h)", sizes="b_a")):
        size = MEMORY if cell.memories else None
        with pytest.raises(SizeError, match=r"bias=False leaves out `b_a`, by which the cell .* names the size 3 of `"):
            Recurrent(cell, INPUT, HIDDEN, memory_size=size, sizes={"b_a": 3}, bias=False)
        Recurrent(cell, INPUT, HIDDEN, memory_size=size, bias=False)


def test_a_memory_that_the_first_layer_would_lose_is_told():
    cell = gatework.cell("z = h_below * total(m)\nh = tanh(W @ x + z + R @ h)", inputs="x h_below", memories="m")
    with pytest.raises(SizeError, match="reads the memory `m` only beside what a layer leaves out: states of the lay"):
        Recurrent(cell, INPUT, HIDDEN, 2, memory_size=HIDDEN)
    layer = Recurrent(cell, INPUT, HIDDEN, 2, memory_size=HIDDEN, below_projection=True, dtype=torch.float64)
    x, m = given("dot")
    assert layer(x, memories=m)[0].shape == (STEPS, ROWS, HIDDEN)


def test_a_cell_without_a_memory_takes_none():
    with pytest.raises(SizeError, match=r"memory_size is 4, and the cell `lstm` has no memory\. Leave it out\."):
        Recurrent("lstm", INPUT, HIDDEN, memory_size=4)
    layer = Recurrent("lstm", INPUT, HIDDEN, dtype=torch.float64)
    x, m = given()
    with pytest.raises(SizeError, match=r"memories were given, and the cell `lstm` has no memory\. Leave"):
        layer(x, memories=m)
    with pytest.raises(SizeError, match="memory_lengths were given, and the cell `lstm` has no memory"):
        layer(x, memory_lengths=[1, 2, 3])


def test_a_stream_takes_no_memory():
    with pytest.raises(SizeError, match=r"reads a memory, which a stream does not take\. Use layer\.step"):
        layer_of().stream(2)


def test_a_memory_cannot_be_recorded():
    layer, (x, m) = layer_of(), given()
    with pytest.raises(SizeError, match=r"`m` cannot be recorded: the cell .* has the quantities x, h, c, score, a, z"):
        layer.record(x, memories=m, names=("m",))


def test_banks_with_the_same_positions_share_their_lengths():
    """Lengths go by the first bank's name, as one list too; those of another bank are refused, not ignored."""
    cell = gatework.cell("a = softmax(k @ h)\nh = tanh(W @ x + C @ (a @ m))", states="h", memories="m=k")
    layer = gatework.Recurrent(cell, 2, 3, memory_size={"m": 4, "k": 3})
    banks = {"m": torch.randn(2, 5, 4), "k": torch.randn(2, 5, 3)}
    given = torch.randn(6, 2, 2)
    output, _ = layer(given, memories=banks, memory_lengths=[5, 2])
    assert torch.equal(output, layer(given, memories=banks, memory_lengths={"m": [5, 2]})[0])
    assert not torch.equal(output, layer(given, memories=banks)[0])
    with pytest.raises(SizeError, match="memory_lengths names k"):
        layer(given, memories=banks, memory_lengths={"k": [5, 2]})


def test_what_is_remembered_follows_the_parameters():
    layer = gatework.Recurrent(gatework.attend(gatework.CELLS["gru"]), 2, 3, memory_size=4)
    memory, given = torch.randn(2, 5, 4), torch.randn(2, 2)
    remembered = layer.remember(memory)
    before, _ = layer.step(given, memories=remembered)
    with torch.no_grad():
        layer.U_a_l0.mul_(-3)
    after, _ = layer.step(given, memories=remembered)
    assert torch.equal(after, layer.step(given, memories=memory)[0])
    assert not torch.equal(after, before)
