"""Attention in a cell's equations: beside loops over the papers' equations, and beside the module of the same kind."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.tolerances import assert_close

import gatework
from gatework import CELLS, attend, cell
from gatework.cells.attending import KINDS, MOST_WIDTH
from gatework.errors import CellError

STEPS, ROWS, POSITIONS, INPUT, HIDDEN, UNITS = 4, 4, 5, 3, 4, 3
EXTENTS = [5, 1, 0, 3]
LENGTHS = [4, 2, 3, 0]
WIDTH = 3
ON_KERNELS = tuple(kind for kind in KINDS if kind != "location")
RUNS = [(kind, "reference") for kind in KINDS] + [(kind, "cpu") for kind in ON_KERNELS]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_cell = pytest.mark.parametrize("name", ["lstm", "gru"])


def memory_size(kind: str) -> int:
    """The size of a vector of the memory; `dot` compares it with the state."""
    return HIDDEN if kind == "dot" else 2


def layer_of(name: str, kind: str, backend: str = "auto", **options: Any) -> gatework.Recurrent:
    """A layer with random values everywhere."""
    attending = attend(CELLS[name], kind, width=WIDTH)
    sizes = dict.fromkeys(attending.own_sizes, UNITS)
    given: dict[str, Any] = {"memory_size": memory_size(kind), "sizes": sizes, "dtype": torch.float64} | options
    layer = gatework.Recurrent(attending, INPUT, HIDDEN, backend=backend, **given)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return layer


def given(kind: str, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS, ROWS, INPUT, generator=generator).to(dtype)
    return x, torch.randn(ROWS, POSITIONS, memory_size(kind), generator=generator).to(dtype)


# --- beside the papers' equations


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def weights_of(kind: str, p: dict[str, Any], q: Any, memory: Any, carried: Any) -> tuple[Any, Any]:
    """The weight of each vector of a memory [L, D] for the query q, and what is carried to the next step."""
    if kind == "window":  # Graves 2013, equations 47 to 51
        height, narrow, move = (np.exp(p[f"V_{part}"] @ q + p[f"b_{part}"]) for part in ("alpha", "beta", "kappa"))
        kappa = carried + move
        weights = [sum(height * np.exp(-narrow * (kappa - (place + 1)) ** 2)) for place in range(len(memory))]
        return np.array(weights), kappa
    scores = []
    for place, m in enumerate(memory):
        if kind == "dot":  # Luong et al. 2015, equation 8, like the two below
            scores.append(q @ m)
        elif kind == "general":
            scores.append(m @ p["U_a"] @ q)
        elif kind == "concat":
            scores.append(p["v_a"][0] @ np.tanh(np.hstack([p["V_a"], p["U_a"]]) @ np.concatenate([q, m])))
        else:  # Bahdanau et al. 2015, appendix A.1.2; Chorowski et al. 2015, equations 8 and 9, see the last weights
            inner = p["V_a"] @ q + p["U_a"] @ m + p["b_a"]
            if kind == "location":
                for number in range(WIDTH):
                    seen = place - (number - WIDTH // 2)
                    inner = inner + (p[f"F_{number}"] * carried[seen] if 0 <= seen < len(memory) else 0)
            scores.append(p["v_a"][0] @ np.tanh(inner))
    many = np.exp(scores)
    weights = many / many.sum() if len(memory) else np.zeros(0)
    return weights, weights


def lstm(p: dict[str, Any], x: Any, z: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """One step of an LSTM that reads x and z (Hochreiter & Schmidhuber 1997, Gers et al. 2000)."""
    i, f, g, o = (p[f"W_{k}"] @ x + p[f"C_{k}"] @ z + p[f"R_{k}"] @ h + p[f"b_{k}"] for k in "ifgo")
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(p: dict[str, Any], x: Any, z: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """One step of a GRU that reads x and z, the reset gate after the product (Cho et al. 2014v1 as in cuDNN)."""
    r, u = (sigmoid(p[f"W_{k}"] @ x + p[f"C_{k}"] @ z + p[f"R_{k}"] @ h + p[f"b_{k}"]) for k in "rz")
    n = np.tanh(p["W_n"] @ x + p["C_n"] @ z + p["b_n"] + r * (p["R_n"] @ h + p["c_n"]))
    return (1 - u) * n + u * h, c


def oracle(name: str, kind: str, layer: gatework.Recurrent, x: Any, m: Any, lengths: Any, extents: Any) -> dict:
    """Rows, steps and positions one by one."""
    p = {key: value.detach().numpy() for key, value in layer.named_weights(0).items()}
    x, m = x.numpy(), m.numpy()
    carried_size = UNITS if kind == "window" else POSITIONS
    found = {
        "output": np.zeros((STEPS, ROWS, HIDDEN)),
        "a": np.zeros((STEPS, ROWS, POSITIONS)),
        "z": np.zeros((STEPS, ROWS, m.shape[-1])),
        **{"h": np.zeros((ROWS, HIDDEN)), "c": np.zeros((ROWS, HIDDEN)), "carried": np.zeros((ROWS, carried_size))},
    }
    for row, (length, extent) in enumerate(zip(lengths, extents, strict=True)):
        h, c = np.zeros(HIDDEN), np.zeros(HIDDEN)
        carried = np.zeros(UNITS if kind == "window" else extent)
        for t in range(length):
            weights, carried = weights_of(kind, p, h, m[row, :extent], carried)
            scale = sigmoid(p["f_a"][0] @ h + p["f_b"][0]) if kind == "gated" else 1.0  # Xu et al. 2015, 4.2.1
            z = scale * sum((w * v for w, v in zip(weights, m[row], strict=False)), np.zeros(m.shape[-1]))
            h, c = (lstm if name == "lstm" else gru)(p, x[t, row], z, h, c)
            found["output"][t, row], found["a"][t, row, :extent], found["z"][t, row] = h, weights, z
        found["h"][row], found["c"][row], found["carried"][row, : len(carried)] = h, c, carried
    return {key: torch.from_numpy(value) for key, value in found.items()}


@every_cell
@pytest.mark.parametrize(("kind", "backend"), RUNS)
def test_every_kind_is_its_papers_equations(name, kind, backend):
    layer, (x, m) = layer_of(name, kind, backend), given(kind)
    context = "z" if name == "lstm" else "z_"
    for lengths, extents in (([STEPS] * ROWS, [POSITIONS] * ROWS), (LENGTHS, EXTENTS)):
        whole: dict[str, Any] = {} if lengths[-1] else {"lengths": lengths, "memory_lengths": extents}
        output, state, (record,) = layer.record(x, names=("a", context), memories=m, **whole)
        true = oracle(name, kind, layer, x, m, lengths, extents)
        states = dict(zip(layer.cell.states, state if isinstance(state, tuple) else (state,), strict=True))
        assert_close(output, true["output"])
        assert_close(record["a"], true["a"])
        assert_close(record[context], true["z"])
        assert_close(states["h"][0], true["h"])
        if name == "lstm":
            assert_close(states["c"][0], true["c"])
        if kind in ("window", "location"):
            assert_close(states["kappa" if kind == "window" else "a"][0], true["carried"])


@every_cell
@every_kind
def test_the_oracle_sees_every_parameter(name, kind):
    """One that it left out would be one whose use nobody checks."""
    layer, (x, m) = layer_of(name, kind), given(kind)
    before = oracle(name, kind, layer, x, m, LENGTHS, EXTENTS)["output"]
    for key, value in layer.named_weights(0).items():
        with torch.no_grad():
            value.add_(0.3)
        assert not torch.allclose(before, oracle(name, kind, layer, x, m, LENGTHS, EXTENTS)["output"]), key
        with torch.no_grad():
            value.sub_(0.3)


# --- beside the module, stepped by hand


def module_of(kind: str, p: dict[str, torch.Tensor]) -> tuple[gatework.Attention, dict[str, torch.Tensor]]:
    """The module of a kind, and its tensors made of those of a layer."""
    sizes: dict[str, Any] = {"attention_size": UNITS, "dtype": torch.float64}
    if kind in ("dot", "general", "window"):
        del sizes["attention_size"]
    sizes |= {"window": {"components": UNITS}, "location": {"filters": WIDTH, "width": WIDTH}}.get(kind, {})
    if kind == "concat":
        sizes["attention_size"] = HIDDEN
        held = {"weight_joint": torch.cat([p["V_a"], p["U_a"]], 1), "weight_score": p["v_a"][0]}
    elif kind == "window":
        held = {
            "weight_query": torch.cat([p[f"V_{part}"] for part in ("alpha", "beta", "kappa")]),
            "bias_query": torch.cat([p[f"b_{part}"] for part in ("alpha", "beta", "kappa")]),
        }
    elif kind in ("dot", "general"):
        held = {} if kind == "dot" else {"weight_memory": p["U_a"].T}
    else:
        held = {"weight_query": p["V_a"], "weight_memory": p["U_a"]}
        held |= {"bias_query": p["b_a"], "weight_score": p["v_a"][0]}
    if kind == "gated":
        held |= {"weight_gate": p["f_a"][0], "bias_gate": p["f_b"][0]}
    if kind == "location":  # a filter that sees one place each; torch's convolutions count places the other way round
        held["weight_filters"] = torch.eye(WIDTH, dtype=torch.float64)
        held["weight_location"] = torch.stack([p[f"F_{number}"] for number in reversed(range(WIDTH))], 1)
    return gatework.Attention(kind, HIDDEN, memory_size(kind), **sizes), held


def by_hand(kind: str, p: dict[str, torch.Tensor], x: torch.Tensor, m: torch.Tensor) -> tuple[Any, Any]:
    """An LSTM's outputs and the weights, from the module in a loop."""
    attention, held = module_of(kind, p)
    h, c = x.new_zeros(ROWS, HIDDEN), x.new_zeros(ROWS, HIDDEN)
    last = {"state": x.new_zeros(ROWS, UNITS if kind == "window" else POSITIONS)} if attention.stateful else {}
    outputs, weights = [], []
    for now in x:
        z, a, *more = torch.func.functional_call(attention, held, (h, m, EXTENTS), last)
        last = {"state": more[0]} if more else {}
        parts = (now @ p[f"W_{k}"].T + z @ p[f"C_{k}"].T + h @ p[f"R_{k}"].T + p[f"b_{k}"] for k in "ifgo")
        i, f, g, o = parts
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
        weights.append(a)
    return torch.stack(outputs), torch.stack(weights)


@every_kind
def test_every_kind_is_the_module_in_a_loop(kind):
    """Forward, and the gradients of the input, the memory and every parameter."""
    layer, (x, m) = layer_of("lstm", kind), [one.requires_grad_() for one in given(kind)]
    p = layer.named_weights(0)
    output, _, (record,) = layer.record(x, names=("a",), memories=m, memory_lengths=EXTENTS)
    expected, weights = by_hand(kind, p, x, m)
    assert_close(output, expected)
    assert_close(record["a"], weights)
    directions = torch.randn(2, *output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    leaves = [x, m, *layer.parameters()]
    sums = [(one * directions[0]).sum() + other.square().sum() for one, other in ((output, record["a"]),)]
    sums += [(expected * directions[0]).sum() + weights.square().sum()]
    found, true = (torch.autograd.grad(one, leaves) for one in sums)
    assert_close(found, true, "gradients")


# --- what runs it


@every_cell
@every_kind
def test_kernels_run_every_kind_without_a_state_at_positions(name, kind):
    layer, (x, m) = layer_of(name, kind), given(kind)
    told = gatework.explain(layer, x, m).parts[0].account
    assert told.backend == ("cpu" if kind in ON_KERNELS else "reference")
    if kind not in ON_KERNELS:
        assert told.reason == "`a` has a number for each position of a memory, from step to step"
        with pytest.raises(gatework.errors.ConfigError, match="`a` has a number for each position of a memory"):
            layer_of(name, kind, "cpu")(x, memories=m)
        return
    output, _ = layer(x.requires_grad_(), memories=m)
    assert type(output.grad_fn).__name__ == "FusedBackward"  # the backward pass is the kernels' too


# --- the cell that comes out


def test_names_that_are_taken_give_way():
    crowded = "a = tanh(U_a @ x + score)\nscore = sigmoid(C_h @ x + z)\nz = 0.5 * z\nh = tanh(W_h @ a + score)"
    found = attend(cell(crowded, states="h score z"), "additive")
    assert len({line.target for line in found.step.equations}) == len(found.step.equations) == 7
    assert cell(found.equations, states=found.states, memories="m", sizes=found.own_sizes).step == found.step


def test_matrices_of_the_sum_are_called_after_those_of_the_input():
    assert {one.name for one in attend(cell("h = tanh(W @ x + R @ h)")).step.parameters} >= {"W", "C"}
    assert {one.name for one in attend(cell("h = tanh(Win @ x + R @ h)")).step.parameters} >= {"Win", "C_Win"}
    shared = attend(cell("g = sigmoid(W @ x)\nh = tanh(W @ x + g * h)"), "dot")  # one matrix, read twice
    assert [one.name for one in shared.step.parameters] == ["W", "C"]


def test_two_memories():
    both = attend(attend(CELLS["gru"], memory="seen"), "general", memory="heard")
    assert both.memories == ("seen", "heard")
    layer = gatework.Recurrent(both, 3, 4, memory_size={"seen": 2, "heard": 5}, dtype=torch.float64)
    x, seen, heard = (torch.randn(shape, dtype=torch.float64) for shape in ((4, 2, 3), (2, 6, 2), (2, 3, 5)))
    found = layer(x, memories={"seen": seen, "heard": heard}, memory_lengths={"heard": [1, 3]})[0]
    other = heard.clone()
    other[0, 1:] = float("nan")
    assert torch.equal(found, layer(x, memories={"seen": seen, "heard": other}, memory_lengths={"heard": [1, 3]})[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "aditive"}, "There is no kind of attention 'aditive'. .* Did you mean `additive`"),
        ({"kind": "Dot"}, "There is no kind of attention 'Dot'"),
        ({"width": 4}, "width is 4; expected an odd whole number of positions from 1 to"),
        ({"width": MOST_WIDTH + 2}, f"width is {MOST_WIDTH + 2}; expected an odd whole number"),
        ({"width": True}, "width is True"),
        ({"width": 3.0}, "width is 3.0"),
        ({"memory": "h"}, "The memory cannot be named 'h': expected a name that the cell `lstm` does not have"),
        ({"memory": "W_i"}, "The memory cannot be named 'W_i'"),
        ({"kind": ["dot"]}, "There is no kind of attention \\['dot'\\]"),
        ({"memory": ""}, "The memory cannot be named ''"),
        ({"memory": "a b"}, "The memory cannot be named 'a b'"),
        ({"memory": "m=k"}, "The memory cannot be named 'm=k'"),
        ({"memory": 3}, "The memory cannot be named 3"),
        ({"memory": "tanh"}, "`tanh` cannot be one of the memories"),
        ({"memory": "lambda"}, "`lambda` is a word of Python"),
    ],
)
def test_misuse_is_told_in_a_sentence(options, message):
    with pytest.raises(gatework.errors.GateworkError, match=message) as caught:
        attend(CELLS["lstm"], **options)
    assert str(caught.value).splitlines()[0].endswith((".", "?"))


def test_a_cell_without_a_matrix_on_its_input_cannot_attend():
    with pytest.raises(CellError, match="no matrix reads its input `x`, so the sum of the positions has nowhere to"):
        attend(cell("h = tanh(x + R @ h)"))
