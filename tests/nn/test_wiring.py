"""What connects the layers of a stack: skips, residual and highway connections, tied weights, maps to states below."""

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch.nn import functional

import gatework
from gatework import Recurrent
from gatework.errors import SizeError
from gatework.kernels import MEMORY

STEPS, ROWS = 5, 3
GRID = gatework.cell(
    """
    i = sigmoid(V_i @ p_below + R_i @ h + b_i)
    f = sigmoid(V_f @ p_below + R_f @ h + b_f)
    o = sigmoid(V_o @ p_below + R_o @ h + b_o)
    g = tanh(V_g @ p_below + R_g @ h + b_g)
    c = f * c + i * g
    h = tanh(o * c)                                  # time
    j = sigmoid(U_j @ p_below + S_j @ h + d_j)
    k = sigmoid(U_k @ p_below + S_k @ h + d_k)
    q = sigmoid(U_q @ p_below + S_q @ h + d_q)
    n = tanh(U_n @ p_below + S_n @ h + d_n)
    m = k * m_below + j * n
    p = tanh(q * m)                                  # depth, which reads the new h
    """,
    name="grid",
    states="p h c m",
    inputs="p_below m_below",
)


def layers_of(stack: Recurrent) -> list[Recurrent]:
    """Make one layer of each of a stack's layers, with the same weights."""
    singles = []
    for number, layer in enumerate(stack.layers):
        single = Recurrent(stack.cell, layer.size("x"), layer.hidden_size, dtype=torch.float64)
        for key, value in stack.named_weights(number).items():
            single.named_weights(0)[key].data.copy_(value)
        singles.append(single)
    return singles


def stack_of(**options) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent("gru", 4, 6, 3, dtype=torch.float64, **options)


def given() -> torch.Tensor:
    return torch.randn(STEPS, ROWS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("skip", ["in", "out", "both"])
def test_skips_are_joined_inputs_and_outputs(skip):
    stack, x = stack_of(skip=skip), given()
    outputs: list[torch.Tensor] = []
    for number, layer in enumerate(layers_of(stack)):
        below = outputs[-1] if number else x
        read = torch.cat([below, x], -1) if number and skip != "out" else below
        outputs.append(layer(read)[0])
    expected = outputs[-1] if skip == "in" else torch.cat(outputs, -1)
    assert stack.output_size == expected.shape[-1]
    assert_close(stack(x)[0], expected)


def test_residual_connections_add_what_a_layer_reads():
    stack, x = stack_of(connection="residual"), given()
    for number, layer in enumerate(layers_of(stack)):
        x = layer(x)[0] + (x if number else 0)
    assert_close(stack(given())[0], x)


def test_highway_connections_mix_by_a_gate():
    stack, x = stack_of(connection="highway"), given()
    assert (stack.bias_gate_l1 == -1).all()
    for number, layer in enumerate(layers_of(stack)):
        out = layer(x)[0]
        if number:
            gate = torch.sigmoid(
                functional.linear(x, getattr(stack, f"weight_gate_l{number}"), getattr(stack, f"bias_gate_l{number}"))
            )
            out = gate * out + (1 - gate) * x
        x = out
    assert_close(stack(given())[0], x)


@pytest.mark.parametrize("options", [{"skip": "both"}, {"connection": "residual"}, {"connection": "highway"}], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_connections_are_right(options, bidirectional):
    torch.manual_seed(0)
    stack = Recurrent("lstm", 2, 3, 2, bidirectional=bidirectional, dtype=torch.float64, **options)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*stack.named_parameters(), strict=True)

    def run(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        held = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(stack, held, (x,), {"lengths": [3, 2]})[0]

    assert torch.autograd.gradcheck(run, (x, *parameters))


@pytest.mark.parametrize("options", [{"skip": "both"}, {"connection": "highway"}, {"tie_layers": True}], ids=str)
def test_steps_are_the_sequence(options):
    stack, x = stack_of(**options).eval(), given()
    state, outputs = None, []
    for one in x:
        output, state = stack.step(one, state)
        outputs.append(output)
    assert_close(torch.stack(outputs), stack(x)[0])


def test_tied_layers_are_layers_with_the_same_weights():
    tied, free = stack_of(tie_layers=True), stack_of()
    for number in range(3):
        for key, value in tied.named_weights(number).items():
            free.named_weights(number)[key].data.copy_(value)
    assert {name[-1] for name, _ in tied.named_parameters()} == {"0", "1"}
    assert_same(tied(given())[0], free(given())[0])
    for stack in (tied, free):
        stack(given())[0].sum().backward()
    assert_close(tied.weight_hh_l1.grad, free.weight_hh_l1.grad + free.weight_hh_l2.grad)
    assert_close(tied.stream(ROWS).step(given()[0]), tied(given()[:1])[0][0])


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "connection": "highway"},
        {"cell": "gru", "connection": "highway", "skip": "in"},
        {"cell": "gru", "connection": "highway", "bidirectional": True},
        {"cell": GRID, "connection": "highway", "below_projection": True},
        {"cell": "h = relu(x + u * h + b)", "input_projection": True, "bidirectional": True},
    ],
    ids=str,
)
def test_tied_layers_share_their_learned_maps(options):
    """A free stack with the same values gives the same bits, and the gradients of its layers add up to those."""
    torch.manual_seed(0)
    tied, free = (
        Recurrent(input_size=4, hidden_size=6, num_layers=4, tie_layers=tie, dtype=torch.float64, **options)
        for tie in (True, False)
    )
    held = dict(tied.named_parameters())
    for name, parameter in free.named_parameters():
        parameter.data.copy_(held[_shared(name, held)])
    assert {"weight_gate_l2", "weight_in_l2"}.isdisjoint(held)
    x = given()
    assert_same(tied(x)[0], free(x)[0])
    found, parts = (_grads(stack, x) for stack in (tied, free))
    for name, grad in found.items():
        assert_close(grad, torch.stack([part for one, part in parts.items() if _shared(one, held) == name]).sum(0))


def _grads(stack: Recurrent, x: torch.Tensor) -> dict[str, torch.Tensor]:
    names, parameters = zip(*stack.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(stack(x)[0].square().sum(), parameters), strict=True))


def _shared(name: str, held: dict) -> str:
    """Name the parameter of a tied stack that stands for one of a free stack: of its own, the second or first layer."""
    stem, layer = name.split("_l")
    number, *reverse = layer.split("_")
    return next(one for n in (number, 1, 0) if (one := "_".join([f"{stem}_l{n}", *reverse])) in held)


@pytest.mark.parametrize("tie_layers", [False, True])
@pytest.mark.parametrize("memory", MEMORY)
def test_the_grid_of_time_and_depth_runs_on_the_kernels(tie_layers, memory):
    torch.manual_seed(0)
    grid = Recurrent(GRID, 4, 6, 3, below_projection=True, tie_layers=tie_layers, memory=memory, dtype=torch.float64)
    assert {part.account.backend for part in gatework.explain(grid, given()).parts} == {"cpu"}
    results = []
    for backend in ("cpu", "reference"):
        grid.backend = backend
        grid.zero_grad()
        x = given().requires_grad_()
        output, state = grid(x)
        (output.square().sum() + sum(one.sum() for one in state)).backward()
        results.append([output.detach(), x.grad, *(one.grad for one in grid.parameters())])
    for one, other in zip(*results, strict=True):
        assert_close(one, other)


def test_the_grid_is_its_equations():
    """The first layer reads maps of the input; each other layer reads p and m of the layer below, at this step."""
    torch.manual_seed(0)
    grid, x = Recurrent(GRID, 4, 6, 2, below_projection=True, dtype=torch.float64), given()
    p = functional.linear(x, grid.weight_in_l0, grid.bias_in_l0)
    m = functional.linear(x, grid.weight_m_below_l0, grid.bias_m_below_l0)
    for number in range(2):
        w = grid.named_weights(number)
        h = c = torch.zeros(ROWS, 6, dtype=torch.float64)
        ps, ms = [], []
        for p_below, m_below in zip(p, m, strict=True):
            i, f, o = (torch.sigmoid(p_below @ w[f"V_{a}"].T + h @ w[f"R_{a}"].T + w[f"b_{a}"]) for a in "ifo")
            c = f * c + i * torch.tanh(p_below @ w["V_g"].T + h @ w["R_g"].T + w["b_g"])
            h = torch.tanh(o * c)
            j, k, q = (torch.sigmoid(p_below @ w[f"U_{a}"].T + h @ w[f"S_{a}"].T + w[f"d_{a}"]) for a in "jkq")
            ms.append(k * m_below + j * torch.tanh(p_below @ w["U_n"].T + h @ w["S_n"].T + w["d_n"]))
            ps.append(torch.tanh(q * ms[-1]))
        p, m = torch.stack(ps), torch.stack(ms)
    assert_close(grid(x)[0], p)


def test_maps_stand_for_states_below_beside_an_input():
    torch.manual_seed(0)
    stack, x = Recurrent("depth_gated", 4, 6, 2, below_projection=True, dtype=torch.float64), given()
    plain = Recurrent("depth_gated", 4, 6, 2, dtype=torch.float64)
    assert stack.weight_c_below_l0.shape == (6, 4)
    assert stack(x)[0].shape == plain(x)[0].shape == (STEPS, ROWS, 6)
    stack(x)[0].sum().backward()
    assert float(stack.weight_c_below_l0.grad.abs().sum()) > 0


def test_what_is_left_out_below_may_leave_a_constant():
    """Without h_below the first layer multiplies V by sigmoid(0), which is a half."""
    step = gatework.cell("h = x + V @ sigmoid(h_below)", states="h", inputs="x h_below")
    layer, x = Recurrent(step, 2, 2, dtype=torch.float64), torch.randn(3, 1, 2, dtype=torch.float64)
    for backend in ("cpu", "reference"):
        layer.backend = backend
        assert_close(layer(x)[0], x + layer.named_weights(0)["V"].sum(1) / 2)


def test_the_options_are_printed():
    layer = stack_of(skip="in", tie_layers=True)
    assert repr(layer) == "Recurrent(gru, 4, 6, num_layers=3, skip='in', tie_layers=True)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": "up"}, "skip is 'up'; expected one of in, out, both, or None."),
        ({"connection": "residul"}, "connection is 'residul'; expected one of residual, highway, or None."),
        ({"tie_layers": 1}, "tie_layers is 1; expected True or False."),
        ({"hidden_size": [6, 5], "tie_layers": True}, None),
        (
            {"hidden_size": [6, 5, 4], "tie_layers": True},
            "tie_layers is True, so that layers share one set of weights; layer 2",
        ),
        ({"hidden_size": [6, 5], "connection": "residual"}, "connection='residual' joins the input of a layer with"),
        (
            {"below_projection": True},
            "below_projection is True, and maps the input to states of a layer below; the cell `gru`",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    options = {"hidden_size": 6, "num_layers": 3} | options
    if isinstance(options["hidden_size"], list):
        options["num_layers"] = len(options["hidden_size"])
    if message is None:
        Recurrent("gru", 4, **options)
        return
    with pytest.raises(SizeError, match=message.replace("(", r"\(")):
        Recurrent("gru", 4, **options)


def test_a_cell_without_an_input_of_its_own_cannot_read_it_in_every_layer():
    with pytest.raises(SizeError, match="skip='in' joins the input to what each layer reads; the cell `grid` has no"):
        Recurrent(GRID, 4, 6, 2, below_projection=True, skip="in")


def test_what_a_layer_reads_and_its_output_have_one_size():
    """The first input may be another state of the layer below than its output, of another size."""
    step = gatework.cell("c = c + tanh(c_below)\nh = tanh(V @ c + U @ h)", states="h c", inputs="c_below", sizes="c")
    with pytest.raises(SizeError, match=r"connection='residual' joins .* the sizes 2 and 5 in layer 1"):
        Recurrent(step, 3, 5, 2, below_projection=True, sizes={"c": 2}, connection="residual")
