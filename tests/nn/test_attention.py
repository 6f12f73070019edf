"""Attention beside loops over the papers' equations, beside torch, and under everything that must not matter."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch import nn
from torch.func import functional_call
from torch.nn import functional

import gatework
from gatework.errors import SizeError
from gatework.nn import draw_position
from gatework.nn.scores import KINDS

STEPS, ROWS, POSITIONS, QUERY, MEMORY = 3, 5, 6, 4, 4
LENGTHS = [6, 1, 0, 4, 6]
SMALL = {"components": 2, "filters": 3, "width": 5}  # of the options whose defaults are large
HEADS: dict[str, Any] = {"kind": "dot", "heads": 2, "attention_size": 6}
WITH_STATE = ("window", "location")
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"kind": name, **{key: SMALL[key] for key in SMALL if key in KINDS[name].options}} for name in KINDS},
    "additive, other sizes": {"kind": "additive", "attention_size": 3, "scale": 2.5},
    "additive, as printed": {"kind": "additive", "bias": False},
    "location, smooth": {"kind": "location", "filters": 2, "width": 3, "smooth": True},
    "location, sharp": {"kind": "location", "filters": 2, "width": 3, "scale": 3.0},
}
every_kind = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
every_form = pytest.mark.parametrize("options", [*OPTIONS.values(), HEADS], ids=[*OPTIONS, "dot, heads"])


def module(options, dtype=torch.float64, size=0.7, **more):
    attention = gatework.Attention(query_size=QUERY, memory_size=MEMORY, dtype=dtype, **options, **more)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in attention.parameters():  # biases too, or nothing would be seen of them
            parameter.copy_(torch.randn(parameter.shape) * size)
    return attention


def given(dtype=torch.float64, rows=ROWS, positions=POSITIONS, steps=STEPS):
    torch.manual_seed(1)
    return torch.randn(steps, rows, QUERY).to(dtype), torch.randn(rows, positions, MEMORY).to(dtype)


def ask(attention, query, memory, lengths=None, **more):
    """Context, weights, and the state where there is one; the weights of heads too."""
    need = {"need_weights": True} if attention.heads else {}
    return attention(query, memory, lengths, **need, **more)


def is_stateful(options):
    return options["kind"] in WITH_STATE


# --- beside the equations


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def score(kind, p, q, m, seen):
    """One score of one query q [H] and one vector m [D], as it is printed; `seen` [C] is what the filters give."""
    if kind == "dot":
        return q @ m
    if kind == "general":
        return q @ p["weight_memory"] @ m
    if kind == "concat":
        return p["weight_score"] @ np.tanh(p["weight_joint"] @ np.concatenate([q, m]))
    inner = p["weight_query"] @ q + p["weight_memory"] @ m + p.get("bias_query", 0)
    if kind == "location":
        inner = inner + p["weight_location"] @ seen
    return p["weight_score"] @ np.tanh(inner) + p.get("bias_score", 0)


def filtered(filters, last, position):
    """What filters [C, W], centred on a position, see of the last weights; outside of the memory there is nothing."""
    middle = filters.shape[1] // 2
    places = [position + offset - middle for offset in range(filters.shape[1])]
    return filters @ np.array([last[place] if 0 <= place < len(last) else 0.0 for place in places])


def oracle(attention, query, memory, lengths):
    """Run over rows, steps and positions one by one: context [T, B, D], weights [T, B, L], state [B, ...]."""
    p = {name: value.detach().numpy() for name, value in attention.state_dict().items()}
    kind, query, memory = attention.kind, query.detach().numpy(), memory.detach().numpy()
    contexts, weights = np.zeros((*query.shape[:2], memory.shape[2])), np.zeros((*query.shape[:2], memory.shape[1]))
    states = []
    for row, length in enumerate(lengths):
        kappa = np.zeros(2)
        last = np.eye(memory.shape[1])[0] if length else np.zeros(memory.shape[1])
        for t, q in enumerate(query[:, row]):
            if kind == "window":
                height, sharpness, step = np.exp(p["weight_query"] @ q + p["bias_query"]).reshape(3, 2)
                kappa = kappa + step
                for u in range(length):
                    weights[t, row, u] = sum(height * np.exp(-sharpness * (kappa - (u + 1)) ** 2))
            elif length:
                scores = np.array(
                    [
                        score(kind, p, q, memory[row, u], filtered(p.get("weight_filters", np.zeros((1, 1))), last, u))
                        for u in range(length)
                    ]
                )
                scores = attention.scale * scores
                many = sigmoid(scores) if attention.smooth else np.exp(scores)
                weights[t, row, :length] = many / many.sum()
                last = weights[t, row]
            for u in range(length):
                contexts[t, row] += weights[t, row, u] * memory[row, u]
            if kind == "gated":
                contexts[t, row] *= sigmoid(p["weight_gate"] @ q + p["bias_gate"])
        states.append(kappa if kind == "window" else last)
    return contexts, weights, np.array(states)


@every_kind
@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_every_kind_is_its_papers_equations(options, lengths):
    attention, (query, memory) = module(options), given()
    found = attention(query, memory, lengths)
    expected = oracle(attention, query, memory, lengths or [POSITIONS] * ROWS)
    assert len(found) == (3 if is_stateful(options) else 2)
    for one, other in zip(found, expected, strict=False):
        assert_close(one, torch.from_numpy(other))
    one_step = attention(query[0], memory, lengths)
    expected = oracle(attention, query[:1], memory, lengths or [POSITIONS] * ROWS)
    assert_close(one_step[0], torch.from_numpy(expected[0][0]))
    assert_close(one_step[1], torch.from_numpy(expected[1][0]))


def test_the_oracle_sees_every_tensor():
    """A tensor that the oracle left out would be one whose use nobody checks."""
    for options in OPTIONS.values():
        attention, (query, memory) = module(options), given()
        before = oracle(attention, query, memory, LENGTHS)
        for name, parameter in attention.named_parameters():
            if name == "bias_score" and not attention.smooth:
                continue
            with torch.no_grad():
                parameter.add_(0.3)
            after = oracle(attention, query, memory, LENGTHS)
            assert not np.allclose(before[0], after[0]), (options, name)
            with torch.no_grad():
                parameter.sub_(0.3)


# --- beside torch


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dot_is_torchs_operator_with_scale_1(dtype):
    attention = gatework.Attention("dot", QUERY, dtype=dtype)
    query, memory = (one.requires_grad_() for one in given(dtype))
    lengths = torch.tensor([6, 1, 2, 4, 6])
    mask = (torch.arange(POSITIONS) < lengths[:, None])[:, None]
    context, _ = attention(query, memory, lengths)
    expected = functional.scaled_dot_product_attention(query.transpose(0, 1), memory, memory, mask, scale=1.0)
    assert_close(context, expected.transpose(0, 1))
    direction = torch.randn_like(context)
    found = torch.autograd.grad((context * direction).sum(), [query, memory], retain_graph=True)
    theirs = torch.autograd.grad((expected.transpose(0, 1) * direction).sum(), [query, memory])
    assert_close(found, theirs, "gradients")
    assert not list(attention.parameters())
    scaled = gatework.Attention("dot", QUERY, scale=0.5)(query, memory, lengths)[0]
    expected = functional.scaled_dot_product_attention(query.transpose(0, 1), memory, memory, mask, scale=0.5)
    assert_close(scaled, expected.transpose(0, 1))


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_heads_are_torchs_multi_head_attention(bias, need_weights):
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, dtype=torch.float64)
    ours = gatework.Attention("dot", 8, heads=2, bias=bias, dtype=torch.float64)
    state = dict(zip(("weight_query", "weight_key", "weight_value"), theirs.in_proj_weight.chunk(3), strict=True))
    state["weight_out"] = theirs.out_proj.weight
    if bias:
        nn.init.normal_(theirs.in_proj_bias)
        nn.init.normal_(theirs.out_proj.bias)
        state |= dict(zip(("bias_query", "bias_key", "bias_value"), theirs.in_proj_bias.chunk(3), strict=True))
        state["bias_out"] = theirs.out_proj.bias
    ours.load_state_dict(state)
    query = torch.randn(STEPS, ROWS, 8, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(ROWS, POSITIONS, 8, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([6, 1, 3, 4, 6])
    padding = torch.arange(POSITIONS) >= lengths[:, None]
    asked = query.transpose(0, 1)
    expected, each = theirs(asked, memory, memory, key_padding_mask=padding, average_attn_weights=False)
    context, weights = ours(query, memory, lengths, need_weights=need_weights)
    assert_close(context, expected.transpose(0, 1))
    if need_weights:
        assert_close(weights, each.permute(2, 0, 1, 3))
    else:
        assert weights is None
    direction = torch.randn_like(context)
    wanted = [query, memory]
    found = torch.autograd.grad((context * direction).sum(), [*wanted, ours.weight_key])
    whole = torch.autograd.grad((expected.transpose(0, 1) * direction).sum(), [*wanted, theirs.in_proj_weight])
    assert_close(found, [*whole[:2], whole[2].chunk(3)[1]], "gradients")


def test_heads_of_another_size_than_query_and_memory():
    theirs = nn.MultiheadAttention(6, 3, kdim=5, vdim=5, batch_first=True, dtype=torch.float64)
    ours = gatework.Attention("dot", 6, 5, heads=3, dtype=torch.float64)
    with torch.no_grad():
        for name, theirs_name in (("query", "q"), ("key", "k"), ("value", "v")):
            getattr(ours, f"weight_{name}").copy_(getattr(theirs, f"{theirs_name}_proj_weight"))
        ours.weight_out.copy_(theirs.out_proj.weight[:5])  # the context has the size of the memory
    query, memory = torch.randn(2, ROWS, 6).double(), torch.randn(ROWS, 7, 5).double()
    expected = theirs(query.transpose(0, 1), memory, memory, need_weights=False)[0]
    assert_close(ours(query, memory)[0], expected.transpose(0, 1)[..., :5])


# --- what weights are


@every_form
def test_weights_are_a_mean_over_what_is_there(options):
    attention, (query, memory) = module(options), given()
    _, weights, *_ = ask(attention, query, memory, LENGTHS)
    present = torch.arange(POSITIONS) < torch.tensor(LENGTHS)[:, None]
    lead = (STEPS, ROWS, attention.heads) if attention.heads else (STEPS, ROWS)
    assert weights.shape == (*lead, POSITIONS)
    assert (weights >= 0).all()
    present = present[:, None] if attention.heads else present
    assert (weights[~present.expand_as(weights)] == 0).all()
    if options["kind"] != "window":  # the one kind that does not normalise
        sums = weights.sum(-1)[:, [0, 1, 3, 4]]
        assert_close(sums, torch.ones_like(sums))
    else:
        assert not torch.allclose(weights.sum(-1), torch.ones_like(weights.sum(-1)))


@every_form
def test_positions_change_places_with_their_weights(options):
    attention, (query, memory) = module(options), given()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    context, weights, *_ = ask(attention, query, memory)
    moved, permuted, *_ = ask(attention, query, memory[:, order])
    if is_stateful(options):  # these know of places
        assert not torch.allclose(moved, context)
        return
    assert_close(permuted, weights[..., order])
    assert_close(moved, context)


@every_form
def test_one_position_has_all_the_weight_and_no_score_a_gradient(options):
    attention, (query, memory) = module(options), given(positions=1)
    query.requires_grad_()
    context, weights, *_ = ask(attention, query, memory)
    if options["kind"] == "window":
        return
    assert_same(weights, torch.ones_like(weights))
    if options["kind"] not in ("gated",) and not attention.heads:
        assert_same(context, memory[:, 0].expand_as(context))
    # The gate reads the query too, and has a gradient of its own.
    wanted = [query, *(one for name, one in attention.named_parameters() if name in ("weight_query", "weight_joint"))]
    gradients = torch.autograd.grad((weights * torch.randn_like(weights)).sum(), wanted, allow_unused=True)
    for one, gradient in zip(wanted, gradients, strict=True):
        assert gradient is None or not gradient.any(), one.shape


@every_form
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
def test_a_row_without_positions(options, need_weights):
    """Context and weights are 0, and nothing is 0/0: neither values nor gradients, nor what comes between them."""
    attention, (query, memory) = module(options), given()
    query.requires_grad_()
    memory.requires_grad_()
    more = {"need_weights": need_weights} if attention.heads else {}
    context, weights, *state = attention(query, memory, [0] * ROWS, **more)
    assert_same(context, torch.zeros_like(context))
    assert weights is None or not weights.any()
    total = context.sum() + (0 if weights is None else weights.sum()) + sum(one.sum() for one in state)
    with torch.autograd.detect_anomaly():
        gradients = torch.autograd.grad(total, [query, memory, *attention.parameters()], allow_unused=True)
    moves = {"weight_query", "bias_query"} if options["kind"] == "window" else set()  # kappa goes on
    names = ["query", "memory", *(name for name, _ in attention.named_parameters())]
    for name, gradient in zip(names, gradients, strict=True):
        assert gradient is None or gradient.isfinite().all(), name
        assert gradient is None or name in moves | {"query"} or not gradient.any(), name
    if not moves:
        assert gradients[0] is None or not gradients[0].any()


@every_form
def test_a_memory_without_positions_and_batches_without_rows_or_steps(options):
    attention = module(options)
    for rows, positions, steps in ((2, 0, 3), (0, 4, 3), (2, 4, 0), (0, 0, 0)):
        query, memory = given(rows=rows, positions=positions, steps=steps)
        for lengths in (None, torch.zeros(rows, dtype=torch.int64)):
            context, weights, *_ = ask(attention, query, memory, lengths)
            assert context.shape == (steps, rows, MEMORY)
            assert weights.shape[-1] == positions
            assert positions or not context.any()


@every_form
@pytest.mark.parametrize("need_weights", [False, True])
def test_padding_has_no_influence(options, need_weights):
    """Not a bit of it, whatever stands there and however much: on values, on gradients, in either direction."""
    attention = module(options)
    more = {"need_weights": need_weights} if attention.heads else {}
    outcomes = []
    for padding, extra in ((0.0, 0), (7.0, 0), (math.nan, 0), (math.inf, 0)):
        query, memory = given()
        for row, length in enumerate(LENGTHS):
            memory[row, length:] = padding
        memory = torch.cat([memory, torch.full((ROWS, extra, MEMORY), padding, dtype=memory.dtype)], 1)
        memory.requires_grad_()
        query.requires_grad_()
        context, weights, *_ = attention(query, memory, torch.tensor(LENGTHS), **more)
        total = context.square().sum() + (0 if weights is None else weights.square().sum())
        found = torch.autograd.grad(total, [query, memory, *attention.parameters()], allow_unused=True)
        assert all(not found[1][row, length:].any() for row, length in enumerate(LENGTHS))
        outcomes.append([context, *([] if weights is None else [weights]), *(one for one in found if one is not None)])
    for other in outcomes[1:]:
        assert_same(other, outcomes[0])


@every_form
def test_more_padding_has_no_influence(options):
    attention, (query, memory) = module(options), given()
    context, weights, *_ = ask(attention, query, memory, LENGTHS)
    wider = functional.pad(memory, (0, 0, 0, 3), value=math.nan)
    again, more, *_ = ask(attention, query, wider, LENGTHS)
    assert_close(again, context)
    assert_close(more[..., :POSITIONS], weights)
    assert not more[..., POSITIONS:].any()


@every_form
def test_the_order_of_rows_is_irrelevant(options):
    attention, (query, memory) = module(options), given()
    order = torch.tensor([3, 0, 4, 1, 2])
    found = ask(attention, query, memory, LENGTHS)
    moved = ask(attention, query[:, order], memory[order], torch.tensor(LENGTHS)[order])
    assert_close(moved[0], found[0][:, order])
    assert_close(moved[1], found[1][:, order])
    if is_stateful(options):
        assert_close(moved[2], found[2][order])


@every_form
def test_all_steps_at_once_are_a_loop(options):
    """Luong's form without input feeding: asked after the loop, the memory gives what it gives in it."""
    attention, (query, memory) = module(options), given()
    at_once = ask(attention, query, memory, LENGTHS)
    keys, state, contexts, weights = attention.keys(memory, LENGTHS), None, [], []
    for one in query:
        more = {"state": state} if is_stateful(options) else {}
        context, weight, *left = ask(attention, one, keys, **more)
        contexts.append(context)
        weights.append(weight)
        state = left[0] if left else None
    assert_close(torch.stack(contexts), at_once[0])
    assert_close(torch.stack(weights), at_once[1])
    if is_stateful(options):
        assert_close(state, at_once[2])


def test_a_decoder_after_its_loop_is_one_that_asks_at_each_step():
    torch.manual_seed(0)
    decoder, attention = (
        gatework.LSTM(3, 8, dtype=torch.float64),
        gatework.Attention("general", 8, 6, dtype=torch.float64),
    )
    words, memory = torch.randn(7, 2, 3).double(), torch.randn(2, 5, 6).double()
    outputs, _ = decoder(words)
    context, _ = attention(outputs, memory, [5, 3])
    keys, state, contexts = attention.keys(memory, [5, 3]), None, []
    for word in words:
        output, state = decoder.step(word, state)
        contexts.append(attention(output, keys)[0])
    assert_close(torch.stack(contexts), context)


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in WITH_STATE])
def test_large_scores_do_not_overflow(kind):
    """The largest score over positions that exist is subtracted, and no other: padding would have a larger one."""
    attention = module({"kind": kind}, dtype=torch.float32)
    query, memory = given(torch.float32)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.mul_(300)
    found = attention(300 * query, memory, LENGTHS)
    assert all(one.isfinite().all() for one in found)
    low, high = torch.tensor([[-1.0, 0, 0, 0]]), torch.tensor([[[900.0, 0, 0, 0], [901, 0, 0, 0], [-900, 0, 0, 0]]])
    _, weights = gatework.Attention("dot", 4)(low, high, [2])
    assert_close(weights, torch.tensor([[sigmoid(1.0), sigmoid(-1.0), 0.0]], dtype=torch.float32))


def test_sigmoids_that_all_underflow_still_have_a_sum():
    attention = gatework.Attention("location", 1, smooth=True, filters=1, width=1)
    with torch.no_grad():
        attention.weight_score.fill_(0)
        attention.bias_score.fill_(-1000)
    _, weights, _ = attention(torch.ones(1, 1), torch.ones(1, 4, 1))
    assert_close(weights, torch.full((1, 4), 0.25))


# --- gradients


@every_form
@pytest.mark.parametrize("lengths", [None, [3, 0]])
def test_gradients(options, lengths):
    """Of everything that is given and learned, once and twice."""
    attention = module(options)
    query, memory = given(rows=2, positions=3, steps=2)
    state = attention(query, memory, lengths)[2] if is_stateful(options) else None
    names = [name for name, _ in attention.named_parameters()]

    def run(query, memory, state, *weights):
        more = {"need_weights": True} if attention.heads else {}
        more |= {} if state is None else {"state": state}
        return functional_call(attention, dict(zip(names, weights, strict=True)), (query, memory, lengths), more)

    held = None if state is None else state.detach().requires_grad_()
    leaves: Any = (query.requires_grad_(), memory.requires_grad_(), held, *attention.parameters())
    assert torch.autograd.gradcheck(run, leaves)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


def test_gradients_of_the_fused_heads():
    attention, (query, memory) = module(HEADS), given(rows=2, positions=3, steps=2)
    call = lambda query, memory: attention(query, memory, [3, 0])[0]  # noqa: E731
    assert torch.autograd.gradcheck(call, (query.requires_grad_(), memory.requires_grad_()))


# --- types, modes and graphs


@every_form
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("need_weights", [False, True])
def test_types_of_few_digits(options, dtype, need_weights):
    low, (query, memory) = module(options, dtype, size=0.2), given(dtype)
    more = {"need_weights": need_weights} if low.heads else {}
    found = low(query, memory, LENGTHS, **more)
    exact = module(options, dtype, size=0.2).double()
    expected = exact(query.double(), memory.double(), LENGTHS, **more)
    assert found[0].dtype == dtype
    assert_close(found[0].bfloat16(), expected[0].bfloat16())
    if found[1] is not None:
        assert found[1].dtype == torch.float32
        assert_close(found[1].bfloat16(), expected[1].bfloat16())
        if options["kind"] != "window":
            sums = found[1].sum(-1)[:, [0, 1, 3, 4]]
            assert_close(sums, torch.ones_like(sums))
    total = found[0].float().sum()
    gradients = torch.autograd.grad(total, [*low.parameters()], allow_unused=True) if low.state_dict() else []
    assert all(one is None or one.isfinite().all() for one in gradients)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_are_in_float32(dtype):
    """In the type itself a sum of 4,096 equal parts would stall, and a place beyond 256 would not move."""
    attention = gatework.Attention("dot", 2, dtype=dtype)
    memory = torch.ones(1, 4096, 2, dtype=dtype)
    context, weights = attention(torch.zeros(1, 2, dtype=dtype), memory)
    assert_same(context, torch.ones(1, 2, dtype=dtype))
    assert weights.sum().item() == 1
    window = gatework.Attention("window", 2, components=1, dtype=dtype)
    state = torch.full((1, 1), 4000.0)
    with torch.no_grad():
        window.weight_query.zero_()
        window.bias_query.fill_(-3)
    _, _, after = window(torch.zeros(1, 2, dtype=dtype), memory, state=state)
    assert_close(after, state + math.exp(-3))


@every_form
@pytest.mark.filterwarnings("ignore:.*autocast.*")
def test_autocast(options):
    """Maps in bfloat16, sums in float32, gradients in the weights' type, and inputs of either type."""
    attention, (query, memory) = module(options, torch.float32, size=0.2), given(torch.float32)
    query.requires_grad_()
    expected = ask(attention, query, memory, LENGTHS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ask(attention, query, memory, LENGTHS)
        mixed = ask(attention, query.bfloat16(), memory, LENGTHS)
    assert found[0].dtype == found[1].dtype == torch.float32
    assert_close(found[0].bfloat16(), expected[0].bfloat16())
    assert mixed[0].isfinite().all()
    found[0].sum().backward()
    assert all(one.grad is None or one.grad.dtype == torch.float32 for one in attention.parameters())
    if options["kind"] != "window":
        sums = found[1].sum(-1)[:, [0, 1, 3, 4]]
        assert_close(sums, torch.ones_like(sums))


@every_form
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_one_graph(options, need_weights):
    """Compiled without a break, with keys and lengths in it; one graph serves other lengths."""
    attention, (query, memory) = module(options), given()
    more = {"need_weights": need_weights} if attention.heads else {}

    def call(query, memory, lengths):
        keys = attention.keys(memory, lengths)
        return attention(query, keys, **more)[:2] + attention(query[0], keys, **more)[:1]

    torch.compiler.reset()
    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    for lengths in (torch.tensor(LENGTHS), torch.tensor([2, 6, 1, 0, 3])):
        found, expected = compiled(query, memory, lengths), call(query, memory, lengths)
        for one, other in zip(found, expected, strict=True):
            assert other is None or torch.allclose(one, other, rtol=1e-10, atol=1e-12)
    with pytest.raises(RuntimeError, match="0 to the number of positions in the memory"):
        compiled(query, memory, torch.tensor([7, 6, 1, 0, 3]))


@every_form
def test_other_devices_are_respected(options):
    """On the meta device nothing is computed, but every tensor must be made where the weights are."""
    attention = gatework.Attention(query_size=QUERY, memory_size=MEMORY, device="meta", **options)
    query, memory = (one.to("meta", torch.float32) for one in given())
    context, weights, *_ = ask(attention, query, memory, LENGTHS)
    assert context.device.type == weights.device.type == "meta"


def test_names_of_tensors_are_stable():
    """A state that was saved must load tomorrow."""
    names = {kind: sorted(module(options).state_dict()) for kind, options in OPTIONS.items()}
    additive = ["bias_query", "weight_memory", "weight_query", "weight_score"]
    location = sorted([*additive, "weight_filters", "weight_location"])
    assert names == {
        "additive": additive,
        "dot": [],
        "general": ["weight_memory"],
        "concat": ["weight_joint", "weight_score"],
        "gated": sorted([*additive, "weight_gate", "bias_gate"]),
        "window": ["bias_query", "weight_query"],
        "location": location,
        "additive, other sizes": additive,
        "additive, as printed": additive[1:],
        "location, smooth": sorted([*location, "bias_score"]),
        "location, sharp": location,
    }
    ends = ("query", "key", "value", "out")
    assert set(module(HEADS).state_dict()) == {f"{kind}_{end}" for kind in ("weight", "bias") for end in ends}


@every_form
def test_initial_values(options):
    sizes: dict[str, Any] = {**options, "query_size": 64, "attention_size": None}
    attention = gatework.Attention(**sizes)
    before = {name: one.clone() for name, one in attention.named_parameters()}
    attention.reset_parameters()
    for name, parameter in attention.named_parameters():
        if name.startswith("bias"):
            assert not parameter.any(), name
        else:
            bound = parameter.shape[-1] ** -0.5
            assert 0.3 * bound < parameter.abs().max() <= bound, name
            assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ({"kind": "general"}, "general, 8, 6"),
        ({"kind": "additive", "attention_size": 3, "bias": False}, "additive, 8, 6, attention_size=3, bias=False"),
        ({"kind": "dot", "heads": 2, "dropout": 0.1}, "dot, 8, 6, heads=2, dropout=0.1"),
        ({"kind": "location", "smooth": True, "width": 3}, "location, 8, 6, width=3, smooth=True"),
    ],
    ids=str,
)
def test_what_differs_from_the_defaults_is_printed(options, printed):
    assert repr(gatework.Attention(query_size=8, memory_size=6, **options)) == f"Attention({printed})"


@every_form
def test_dropout_zeroes_weights_before_the_sum_and_in_training_alone(options):
    attention, (query, memory) = module(options, dropout=0.5), given()
    plain = module(options)
    expected = ask(plain, query, memory, LENGTHS)
    assert_same(ask(attention.eval(), query, memory, LENGTHS)[0], expected[0])
    attention.train()
    torch.manual_seed(0)
    dropped = ask(attention, query, memory, LENGTHS)
    assert not torch.allclose(dropped[0], expected[0])
    assert_same(dropped[1], expected[1])
    if options["kind"] not in ("gated",) and not attention.heads:
        torch.manual_seed(0)
        kept = functional.dropout(expected[1].transpose(0, 1).contiguous(), 0.5)
        assert_close(dropped[0], (kept @ memory).transpose(0, 1))
    if attention.heads:
        assert not torch.allclose(attention(query, memory, LENGTHS)[0], expected[0])


# --- keys, reading, hard attention


@every_form
def test_keys_stand_for_the_memory_they_were_made_of(options):
    attention, (query, memory) = module(options), given()
    expected = ask(attention, query, memory, LENGTHS)
    keys = attention.keys(memory, LENGTHS)
    assert_same(ask(attention, query, keys), expected)
    rows = torch.tensor([4, 0, 0, 3])
    chosen = ask(attention, query[:, rows], keys.select(rows))
    assert_close(chosen[0], expected[0][:, rows])
    assert_close(chosen[1], expected[1][:, rows])


def test_keys_hold_the_product_that_does_not_depend_on_the_query(monkeypatch):
    """A decoder's loop maps the memory once."""
    mapped = []
    linear = functional.linear
    monkeypatch.setattr(functional, "linear", lambda *given: mapped.append(given[0].shape) or linear(*given))
    for options in OPTIONS.values():
        attention, (query, memory) = module(options), given()
        keys = attention.keys(memory)
        before = len(mapped)
        for one in query:
            attention(one, keys)
        assert memory.shape not in mapped[before:]


@every_form
def test_weights_of_ones_own_are_read_as_the_modules(options):
    attention, (query, memory) = module(options), given()
    more = {"query": query} if options["kind"] == "gated" else {}
    context, weights, *_ = ask(attention, query, memory, LENGTHS)
    assert_close(attention.read(weights, memory, LENGTHS, **more), context)
    first = {"query": query[0]} if options["kind"] == "gated" else {}
    assert_close(attention.read(weights[0], attention.keys(memory, LENGTHS), **first), context[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "gated"])
def test_a_one_hot_gives_that_positions_vector_bit_by_bit(kind, dtype):
    attention, (query, memory) = module(OPTIONS[kind], dtype, size=0.2), given(dtype)
    lengths = [6, 1, 2, 4, 6]
    _, weights, *_ = attention(query, memory, lengths)
    chosen = draw_position(weights, torch.Generator().manual_seed(3))
    context = attention.read(chosen, memory, lengths)
    places = chosen.argmax(-1)
    expected = torch.stack([memory[torch.arange(ROWS), one] for one in places])
    assert_same(context, expected)
    assert_same(attention.read(functional.one_hot(places, POSITIONS), memory, lengths), expected)


def test_positions_are_drawn_with_the_probabilities_of_their_weights():
    weights = torch.tensor([0.0, 0.5, 0.0, 0.125, 0.375, 0.0])
    many = draw_position(weights.expand(40_000, 6), torch.Generator().manual_seed(0))
    assert (many.sum(-1) == 1).all()
    shares = many.mean(0)
    assert not shares[weights == 0].any()
    # Five deviations of a share of 40,000 draws.
    assert ((shares - weights).abs() <= 5 * (weights * (1 - weights) / 40_000).sqrt()).all()
    scaled = draw_position(3 * weights.expand(40_000, 6), torch.Generator().manual_seed(0))
    assert_same(scaled, many)


def test_a_generator_draws_the_same_positions_again():
    weights = torch.rand(7, 5, 9)
    one, two, other = (draw_position(weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert_same(one, two)
    assert not torch.equal(one, other)
    state = torch.get_rng_state()
    draw_position(weights, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone


def test_rows_without_positions_draw_none():
    weights = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert_same(draw_position(weights, torch.Generator()), weights)
    assert draw_position(torch.zeros(3, 0), torch.Generator()).shape == (3, 0)


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
def test_positions_are_not_drawn_from_nonsense(wrong):
    with pytest.raises(SizeError, match="negative, infinite or NaN"):
        draw_position(torch.tensor([0.5, wrong]), torch.Generator())


# --- the options of Chorowski et al. and what Graves's window does


def test_a_window_stops_where_an_empty_position_behind_the_last_has_the_most_weight():
    """Graves's heuristic, in the way the guide tells: a vector of zeros behind the memory changes no context."""
    attention, (query, memory) = module(OPTIONS["window"]), given(steps=40)
    behind = functional.pad(memory, (0, 0, 0, 1))
    context, weights, kappa = attention(query, memory)
    again, wider, _ = attention(query, behind)
    assert_close(again, context)
    assert_close(wider[..., :-1], weights)
    assert (wider.argmax(-1) == POSITIONS)[:-1].any()
    assert (kappa > 0).all()


def test_sharp_and_smooth_weights():
    """A larger scale raises the largest weight; sigmoids spread the weights where many scores are large."""
    query, memory = given()
    largest = []
    for scale in (0.5, 1.0, 4.0):
        attention = module(OPTIONS["additive"])
        attention.scale = scale
        largest.append(attention(query, memory)[1].amax(-1).mean().item())
    assert largest == sorted(largest)


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "aditive"}, "There is no attention of the kind 'aditive'. Did you mean 'additive'? The kinds are: "),
        ({"kind": "dot", "memory_size": 5}, "query_size is 4 and memory_size 5; 'dot' needs them to be the same"),
        ({"kind": "dot", "attention_size": 5}, "attention_size is 5; 'dot' compares the vectors themselves"),
        ({"kind": "dot", "heads": 3}, "attention_size is 4, which cannot be shared among 3 heads"),
        ({"kind": "dot", "heads": 0}, "heads is 0; expected a whole number of at least 1."),
        ({"kind": "general", "heads": 2}, "heads is 2; attention of the kind 'general' has no such option."),
        (
            {"kind": "additive", "components": 3},
            "components is 3; attention of the kind 'additive' has no such option.",
        ),
        ({"kind": "window", "scale": 2.0}, "scale is 2.0; attention of the kind 'window' has no such option."),
        ({"kind": "additive", "smooth": True}, "smooth is True; attention of the kind 'additive' has no such option."),
        ({"kind": "location", "width": 4}, "width is 4; expected an odd number, so that a filter has a middle."),
        ({"kind": "additive", "scale": 0}, "scale is 0; expected a number above 0."),
        ({"kind": "additive", "scale": math.nan}, "scale is nan; expected a number above 0."),
        ({"kind": "additive", "dropout": 1.5}, "dropout is 1.5; expected a probability, from 0 to 1."),
        ({"kind": "additive", "bias": 1}, "bias is 1; expected True or False."),
        ({"kind": "additive", "memory_size": 2.5}, "memory_size is 2.5; expected a whole number of at least 1."),
        ({"kind": "additive", "query_size": 0}, "query_size is 0; expected a whole number of at least 1."),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(options, message):
    given: dict[str, Any] = {"query_size": 4, **options}
    with pytest.raises(SizeError) as caught:
        gatework.Attention(**given)
    assert message in str(caught.value)


def refused(call):
    with pytest.raises(SizeError) as caught:
        call()
    return str(caught.value)


def test_shapes_that_do_not_fit_are_refused():
    attention, (query, memory) = module(OPTIONS["additive"]), given()
    packed = nn.utils.rnn.pack_sequence([memory[0]])
    expectations = {
        "query has the shape (3, 5, 3); expected [B, 4], or [T, B, 4]": lambda: attention(query[..., :3], memory),
        "query has 4 rows and memory 5; expected as many.": lambda: attention(query[:, :4], memory),
        "query is a list; expected a tensor [B, 4]": lambda: attention([1.0], memory),
        "memory has the shape (5, 4); expected [B, L, 4], the batch first.": lambda: attention(query, memory[:, 0]),
        "memory is a PackedSequence; expected a tensor": lambda: attention(query, packed),
        "memory has the type torch.float32 and the module torch.float64": lambda: attention(query, memory.float()),
        "query has the type torch.float32 and the module torch.float64": lambda: attention(query.float(), memory),
        "lengths[1] is 7; expected 0 to 6, the number of positions in the memory.": lambda: attention(
            query, memory, [1, 7, 1, 1, 1]
        ),
        "lengths have the shape (2,); expected one for each of the 5 rows": lambda: attention(query, memory, [1, 1]),
        "lengths were given beside keys, which know their own.": lambda: attention(
            query, attention.keys(memory), LENGTHS
        ),
        "state is given; attention of the kind 'additive' has none. These have: 'window', 'location'.": lambda: (
            attention(query, memory, state=query[0])
        ),
        "weights are (5, 5); expected the shape (5, 6), or (T, *(5, 6)).": lambda: attention.read(
            torch.zeros(5, 5), memory
        ),
        "query is missing; the gate of a 'gated' attention reads it.": lambda: module(OPTIONS["gated"]).read(
            torch.zeros(5, 6), memory
        ),
        "state is (5, 3); expected the shape [B, K] = (5, 2).": lambda: module(OPTIONS["window"])(
            query, memory, state=torch.zeros(5, 3)
        ),
        "state is (5, 3); expected the shape [B, L] = (5, 6).": lambda: module(OPTIONS["location"])(
            query, memory, state=torch.zeros(5, 3)
        ),
        "These keys hold values of the shape (2, 3); expected (4,). Make them with this module's `keys`.": lambda: (
            attention(query, module(HEADS).keys(memory))
        ),
        "memory has the type torch.int64; expected a floating type.": lambda: module(OPTIONS["dot"])(
            query.long(), memory.long()
        ),
        "query has the type torch.float32 and memory torch.float64.": lambda: module(OPTIONS["dot"])(
            query.float(), memory
        ),
        "query has the shape (5, 4) and weights (3, 5, 6); expected as many steps and rows": lambda: module(
            OPTIONS["gated"]
        ).read(torch.zeros(3, 5, 6), memory, query=query[0]),
    }
    for message, call in expectations.items():
        assert message in refused(call)


def test_the_module_is_found_without_a_layer():
    """`import gatework` is quick, and the name is looked up when it is first used."""
    program = "import sys, gatework; assert 'torch' not in sys.modules; print(gatework.Attention('dot', 3))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout == "Attention(dot, 3, 3)\n"
