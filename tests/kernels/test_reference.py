"""The reference against the plain meaning of the equations, one sample and one step at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from tests.language.cells_from_grammar import cells
from tests.language.evaluation import evaluate_step
from tests.tolerances import assert_close, assert_same
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gatework.cells import CELLS, layer_norm, peephole, project, recurrent_dropout, zoneout
from gatework.errors import ConfigError
from gatework.kernels import BACKENDS, Weights, run
from gatework.kernels.reference import arithmetic
from gatework.kernels.reference.memories import POSITIONAL
from gatework.language import Step, derive, parse, without

STEPS = {name: cell.step for name, cell in CELLS.items()} | {
    "options": zoneout(layer_norm(peephole(CELLS["lstm"])), c=0.3, h=0.1).step,
    "projected gru": project(recurrent_dropout(CELLS["gru"], 0.3), 3).step,
    "no layer below": without(CELLS["depth_gated"].step, ["c_below"]),
    "mixed inputs": parse("h = h / 2 + W @ x + V @ (x * 2) + 1 + b - tanh(d) * mean(d)", "h", ("x", "d")),
    "constant": parse("k = 2 * sigmoid(w) + 1\nh = h + k * x\ns = 3\nq = w", "h s q"),
    "no recurrence": parse("z = W @ x + b\nh = tanh(z)\nc = z + h + c * 0", "h c"),
    "product twice": parse("h = tanh(R @ h + x) * sigmoid(R @ h + b)", "h"),
    "bias twice": parse("h = tanh(W @ x + b + b + W @ x + R @ h)", "h"),
    "numbers to start from": parse("h = tanh(R @ h + 1) * sigmoid(S @ h + b) + x / 2", "h"),
    "numbers and inputs to start from": parse("h = tanh(R @ h + 1) * sigmoid(S @ h + x)", "h"),
    "swap": parse("a = prev(b)\nb = prev(a) + x", "a b"),
    "two products": parse("h = tanh(W @ x + R @ h + S @ h + S @ (2 * h) + b)", "h"),
    "structures": parse(
        "h = tanh(block_diagonal(R, 2) @ h + block_upper(S, 4) @ h + D @ h + block_diagonal(W, 2) @ x "
        "+ block_diagonal(V, 2) @ x + block_upper(U, 4) @ x + period(4) / 9 + E @ x)",
        "h",
    ),
    "numbers": parse(
        "h = maximum(0.1, h) + where(1, x, 2) + minimum(x, 0.5) + greater(x, 0) + exp(1) + sqrt(4) * x", "h"
    ),
}
STEPS_TAKEN, ROWS = 4, 3


@dataclass
class Case:
    """Everything a run needs, drawn at random in float64."""

    step: Step
    seed: int = 0
    size: int = 8
    weights: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        sizes = {"hidden_size": self.size, "input_size": 6, "proj_size": 5}
        sizes |= {f"input_size_{name}": 4 for name in self.step.inputs}
        self.sizes = sizes
        self.weights = {p.name: self.random(*p.shape(sizes)) for p in self.step.parameters}
        self.inputs = tuple(self.random(STEPS_TAKEN, ROWS, self.width(name)) for name in self.step.inputs)
        self.state = tuple(self.random(ROWS, self.width(name)) for name in self.step.states)
        self.masks = {name: (self.random(STEPS_TAKEN, ROWS, self.size) > 0).double() for name in self.step.draws}

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def width(self, name: str) -> int:
        return self.sizes[self.step.sizes_of[name]]

    def expected(self, times: range, masks: dict[str, Tensor], row: int, state: dict[str, Tensor]) -> Iterator[tuple]:
        """Yield (time, all values) for one row, a step after the other."""
        for time in times:
            given = dict(zip(self.step.inputs, (tensor[time, row] for tensor in self.inputs), strict=True))
            given |= {name: mask[time, row] for name, mask in masks.items()}
            values = evaluate_step(self.step, self.size, given, state, self.weights)
            state = {name: values[name].expand(self.width(name)) for name in self.step.states}
            yield time, values

    def row_state(self, row: int) -> dict[str, Tensor]:
        return {name: tensor[row] for name, tensor in zip(self.step.states, self.state, strict=True)}

    def check(self, reverse: bool, drawn: bool) -> None:
        """Compare every named quantity of every step and row, and the final states."""
        names = tuple(equation.target for equation in self.step.equations)
        rates = {name: torch.full_like(self.masks[name], rate) for name, rate in self.step.draws.items()}
        draws = self.masks if drawn else None
        result = run(self.step, self.weights, self.inputs, self.state, reverse=reverse, draws=draws, record=names)
        times = range(STEPS_TAKEN - 1, -1, -1) if reverse else range(STEPS_TAKEN)
        for row in range(ROWS):
            values = {}
            for time, values in self.expected(times, self.masks if drawn else rates, row, self.row_state(row)):
                for name in names:
                    assert_close(result.recorded[name][time, row], values[name].expand(self.width(name)))
                assert_same(result.output[time, row], result.recorded[self.step.states[0]][time, row])
            last = tuple(values[name].expand(self.width(name)) for name in self.step.states)
            assert_close(tuple(state[row] for state in result.state), last)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", STEPS)
def test_every_quantity_is_what_the_equations_say(name, reverse):
    Case(STEPS[name]).check(reverse, drawn=False)


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if step.draws])
def test_drawn_masks_are_used_as_given(name):
    Case(STEPS[name]).check(reverse=False, drawn=True)


@given(cells())
@settings(max_examples=60)
def test_any_cell_is_computed_as_its_equations_say(drawn):
    text, states = drawn
    Case(parse(text, states)).check(reverse=False, drawn=False)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm", "options", "constant"])
def test_rows_end_at_their_length(name, reverse):
    """Row by row the same as a run of that many steps; zeros beyond, and the state is left alone."""
    case = Case(STEPS[name])
    lengths = torch.tensor([4, 0, 2])
    result = run(case.step, case.weights, case.inputs, case.state, lengths=lengths, reverse=reverse, record=("h",))
    for row, length in enumerate(lengths.tolist()):
        inputs = tuple(tensor[:length, row : row + 1] for tensor in case.inputs)
        state = tuple(tensor[row : row + 1] for tensor in case.state)
        alone = run(case.step, case.weights, inputs, state, reverse=reverse)
        assert_close(result.output[:length, row], alone.output[:, 0])
        assert not result.output[length:, row].any()
        assert not result.recorded["h"][length:, row].any()
        assert_close(tuple(one[row] for one in result.state), tuple(one[0] for one in alone.state))


FRAGILE = {  # what is infinite, or has no gradient, where the input and the state are zero
    "known beforehand": ("h = tanh(R @ h + 1 / (W @ x) + b)", "h"),
    "a root": ("q = W @ x\nh = tanh(sqrt(q * q) + R @ h + b)", "h"),
    "of the state": ("h = tanh(log(abs(h + W @ x)))", "h"),
    "a state apart": ("n = n + 1\ns = sqrt(x * x) + s / (1 + n * n)\nh = tanh(W @ s + R @ h)", "h s n"),
    "blocks": ("h = tanh(log(abs(block_diagonal(W, 2) @ x + block_upper(V, 2) @ x)) + block_diagonal(R, 2) @ h)", "h"),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", FRAGILE)
def test_padding_is_never_computed(name, reverse, dtype):
    """Zeros in padding must not meet what is infinite there: neither in a gradient nor in a gradient of one."""
    case = Case(parse(*FRAGILE[name]))
    lengths, restart = torch.tensor([2, 4, 0]), torch.zeros(STEPS_TAKEN, ROWS, dtype=torch.bool)
    restart[1, 0] = restart[2, 1] = restart[3, 0] = True  # the last lies in padding
    leaves = [one.to(dtype).requires_grad_() for one in (*case.inputs, *case.weights.values(), *case.state)]
    count = len(case.inputs)
    weights = dict(zip(case.weights, leaves[count:], strict=False))
    initial = tuple(torch.full_like(one, 0.5, dtype=dtype) for one in case.state)
    result = run(
        case.step, weights, tuple(leaves[:count]), tuple(leaves[count + len(weights) :]),
        lengths=lengths, restart=restart, initial=initial, reverse=reverse, backend="reference",
    )  # fmt: skip
    assert not result.output[2:, 0].any()
    assert not result.output[:, 2].any()
    assert_same(tuple(one[2] for one in result.state), tuple(one[2] for one in leaves[count + len(weights) :]))
    first = torch.autograd.grad(result.output.square().sum(), leaves, create_graph=True, allow_unused=True)
    assert all(one.isfinite().all() for one in first if one is not None)
    total = torch.stack([one.square().sum() for one in first if one is not None]).sum()
    second = torch.autograd.grad(total, leaves, allow_unused=True)
    assert all(one.isfinite().all() for one in second if one is not None)


@pytest.mark.parametrize("learned", [False, True], ids=["zeros", "initial"])
@pytest.mark.parametrize("name", ["lstm", "clockwork"])
def test_rows_start_anew(name, learned):
    """A restart cuts a run in two, of which the second starts from the initial state."""
    case = Case(STEPS[name])
    restart = torch.zeros(STEPS_TAKEN, ROWS, dtype=torch.bool)
    restart[0, 0] = restart[2, 1] = True
    initial = tuple(torch.full_like(state, 0.5) for state in case.state) if learned else None
    result = run(case.step, case.weights, case.inputs, case.state, restart=restart, initial=initial)
    fresh = initial or tuple(torch.zeros_like(state) for state in case.state)
    plain = run(case.step, case.weights, case.inputs, case.state)
    anew = run(case.step, case.weights, case.inputs, fresh)
    late = run(case.step, case.weights, tuple(tensor[2:] for tensor in case.inputs), fresh)
    assert_close(result.output[:, 0], anew.output[:, 0])
    assert_close(result.output[:2, 1], plain.output[:2, 1])
    assert_close(result.output[2:, 1], late.output[:, 1])
    assert_close(result.output[:, 2], plain.output[:, 2])
    assert_close(result.state[0][1], late.state[0][1])


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("clockwork", "numbers")])
def test_the_adjoint_run_backward_is_the_gradient(name):
    """Forward once, keeping every quantity; the adjoint over it from the last step to the first; against autograd."""
    case = Case(STEPS[name])
    leaves = {**case.weights, **dict(zip(case.step.inputs, case.inputs, strict=True))}
    state = tuple(tensor.requires_grad_() for tensor in case.state)
    for tensor in leaves.values():
        tensor.requires_grad_()
    targets = tuple(equation.target for equation in case.step.equations)
    result = run(case.step, case.weights, case.inputs, state, record=targets, draws=case.masks)
    arriving = case.random(*result.output.shape)
    everything = {**leaves, **{f"prev {name}": one for name, one in zip(case.step.states, state, strict=True)}}
    found = torch.autograd.grad((result.output * arriving).sum(), list(everything.values()), allow_unused=True)

    adjoint = derive(case.step)
    kept = {
        **result.recorded,
        **dict(zip(case.step.inputs, case.inputs, strict=True)),
        f"grad_{case.step.states[0]}": arriving,
    }
    for name, first in zip(case.step.states, state, strict=True):
        kept[f"{name}_prev"] = torch.cat([first[None], result.recorded[name][:-1]])
    kept = {name: tensor.detach() for name, tensor in kept.items()}
    back = tuple(torch.zeros_like(one) for one in state)
    weights = {name: tensor.detach() for name, tensor in case.weights.items()}
    given_to_it = tuple(kept[name] for name in adjoint.inputs)
    ours = run(adjoint, weights, given_to_it, back, reverse=True, record=adjoint.outputs)
    for (name, leaf), theirs in zip(everything.items(), found, strict=True):
        if name.startswith("prev "):
            mine = ours.state[case.step.states.index(name[5:])]
        else:
            mine = ours.recorded.get(f"d_{name}", torch.zeros(()))
            # A matrix's gradient is summed over the batch already, as it is one product; a vector's is not.
            mine = mine if name in case.step.inputs else mine.sum(0) if leaf.dim() == 2 else mine.sum((0, 1))
        assert_close(mine.expand_as(leaf), torch.zeros_like(leaf) if theirs is None else theirs, "gradients")


class Products(TorchDispatchMode):
    """Counts the matrix products that are computed, and what is put side by side for them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = dict.fromkeys(("mm", "addmm", "bmm", "cat"), 0)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in self.counts:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "once", "each"),
    [
        ("lstm", 1, 1),
        ("peephole", 1, 1),
        ("gru", 1, 1),
        ("gru_v3", 1, 2),
        ("mgu", 1, 2),
        ("fgr", 1, 4),  # one for each state that matrices read
        ("lstm_layer_norm", 1, 1),
        ("lstm_multiplicative", 1, 2),
        ("clockwork", 1, 1),
        ("slstm", 1, 1),
        ("indrnn", 1, 0),
        ("mut1", 1, 2),
        ("no recurrence", 1, 0),
    ],
)
def test_products_are_computed_together(name, once, each):
    """All matrices on one operand make one product; what reads no state is computed once for all steps."""
    case = Case(STEPS[name])
    with Products() as products, torch.no_grad():
        run(case.step, case.weights, case.inputs, case.state, backend="reference")
    counts = products.counts
    assert counts["mm"] + counts["addmm"] + counts["bmm"] == once + each * STEPS_TAKEN


def test_stacked_weights_are_not_copied():
    """Where a layer's tensor holds the matrices in the order of their use nothing is put together anew."""
    case = Case(STEPS["lstm"])
    stacks = [tuple(f"{kind}_{gate}" for gate in "ifgo") for kind in "WRb"]
    weights = Weights((names, torch.cat([case.weights[name] for name in names])) for names in stacks)
    with Products() as products, torch.no_grad():
        result = run(case.step, weights, case.inputs, case.state, backend="reference")
    assert products.counts["cat"] == 0
    assert_close(result.output, run(case.step, case.weights, case.inputs, case.state).output)


def test_weights_stand_for_their_rows():
    stack = torch.arange(12.0).view(6, 2)
    alone = torch.ones(2, 2)
    weights = Weights([(("a", "b", "c"), stack), (("d",), alone)])
    assert weights.names() == ("a", "b", "c", "d")
    assert weights.shape("b") == (2, 2)
    assert weights["d"] is alone
    assert weights.stacked(("a", "b", "c")) is stack
    assert weights.stacked(("b", "c")).data_ptr() == stack[2:].data_ptr()
    assert_same(weights.stacked(("b", "a", "d")), torch.cat([stack[2:4], stack[:2], alone]))


def test_below_the_blocks_nothing_is_read():
    case = Case(STEPS["clockwork"])
    expected = run(case.step, case.weights, case.inputs, case.state).output
    below = torch.ones(8, 8).tril(-1) > 0  # eight blocks of one unit
    spoilt = case.weights | {"R_h": case.weights["R_h"].masked_fill(below, float("nan")).requires_grad_()}
    result = run(case.step, spoilt, case.inputs, case.state).output
    assert_same(result, expected)
    (gradient,) = torch.autograd.grad(result.sum(), spoilt["R_h"])
    assert not gradient[below].any()
    assert gradient[~below].isfinite().all()


def test_a_function_can_be_given_by_its_definition(monkeypatch):
    """A row that torch does not have is computed from what the table says it is."""
    text = "h = tanh(norm(W @ x) + norm(norm(R @ h) + b))"
    case = Case(parse(text, "h"))
    expected = run(case.step, case.weights, case.inputs, case.state).output
    monkeypatch.delitem(arithmetic._KNOWN, "norm")
    arithmetic.function.cache_clear()
    try:
        defined = run(parse(text, "h"), case.weights, case.inputs, case.state).output
    finally:
        arithmetic.function.cache_clear()
    assert_close(defined, expected)


@pytest.mark.parametrize("name", ["lstm", "constant", "no recurrence"])
def test_no_steps_leave_the_state(name):
    case = Case(STEPS[name])
    inputs = tuple(tensor[:0] for tensor in case.inputs)
    result = run(case.step, case.weights, inputs, case.state, record=("c",) if "c" in case.step.sizes_of else ())
    assert result.output.shape == (0, ROWS, 8)
    assert all(tensor.shape[:2] == (0, ROWS) for tensor in result.recorded.values())
    assert_same(result.state, case.state)


def test_no_rows():
    case = Case(STEPS["lstm"])
    result = run(case.step, case.weights, (case.inputs[0][:, :0],), tuple(state[:0] for state in case.state))
    assert result.output.shape == (STEPS_TAKEN, 0, 8)


def test_unknown_backend_lists_the_known_ones():
    case = Case(STEPS["lstm"])
    with pytest.raises(ConfigError, match=r"no backend 'fast'\. Choose auto or one of cpu, library, reference"):
        run(case.step, case.weights, case.inputs, case.state, backend="fast")


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_can_be_named(backend):
    case = Case(STEPS["lstm"])
    named = run(case.step, case.weights, case.inputs, case.state, backend=backend)
    assert_close(named.output, run(case.step, case.weights, case.inputs, case.state, backend="reference").output)


@pytest.mark.parametrize("by", [-7, -3, -2, 0, 1, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_shift_by_more_than_there_are_positions_leaves_nothing(by, count):
    bank = torch.randn(2, count, 4)
    expected = torch.zeros_like(bank)
    for place in range(count):
        if 0 <= place - by < count:
            expected[:, place] = bank[:, place - by]
    assert torch.equal(POSITIONAL["shift"](bank, by, None), expected)
