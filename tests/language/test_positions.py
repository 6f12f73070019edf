"""What has a value at each position of a memory: its gradient beside torch's autograd, how it is written, misuse."""

from typing import Any

import pytest
import torch
from tests.kernels.cases import MEMORIES
from tests.language.evaluation import evaluate_step
from torch import Tensor

from gatework.cells import CELLS, attend, cell
from gatework.cells.attending import KINDS, MOST_WIDTH
from gatework.errors import EquationError
from gatework.language import Step, derive, parse, show
from gatework.language.derive import differentiate

POSITIONS, SIZE = 3, 4
READS = "h = tanh(W @ x + C @ z + R @ h)"
TEXTS = {
    "shifts": (
        f"a = softmax(shift(m @ h, 2) - shift(prev(a), -1))\nz = weigh(shift(a * a, 1), m)\n{READS}",
        "h a",
        "x",
        "m",
    ),
    "an input": (f"z = weigh(pick * exists(m), tanh(U @ m))\n{READS}", "h", "x pick", "m=pick"),
    "sums": (f"g = match(tanh(U @ m), V @ h)\nz = weigh(g, m) + total(spread(g, h))\n{READS}", "h", "x", "m"),
    "places": (
        "p = weigh(softmax(0.1 * place(m) * (v @ h)), place(m))\nz = total(spread(place(m), h) * m) + P @ p\n" + READS,
        "h",
        "x",
        "m",
    ),
    "blocks": (f"z = total(tanh(block_diagonal(U, 2) @ m + block_upper(V, 2) @ h) * m)\n{READS}", "h", "x", "m"),
}
STEPS = MEMORIES | {kind: attend(CELLS["gru"], kind, width=3).step for kind in KINDS}
STEPS |= {name: parse(text, states, inputs, memories=m) for name, (text, states, inputs, m) in TEXTS.items()}
every_step = pytest.mark.parametrize("name", STEPS)


class Drawn:
    """One sample of a step, [size] each, or [L, size] at positions."""

    def __init__(self, step: Step) -> None:
        self.step, self.generator = step, torch.Generator().manual_seed(0)
        keys = {key for one in step.parameters for key in (one.rows, one.columns) if key}
        self.sizes = dict.fromkeys({*keys, *step.sizes_of.values()}, SIZE) | {"one": 1}

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def like(self, name: str) -> Tensor:
        size = self.sizes[self.step.sizes_of[name]]
        return self.random(*((POSITIONS, size) if name in self.step.positions else (size,)))


@every_step
def test_the_adjoint_is_the_gradient(name):
    """Of every input, state, bank and parameter of one step, evaluated without any kernel."""
    step, drawn = STEPS[name], Drawn(STEPS[name])
    weights = {one.name: drawn.random(*one.shape(drawn.sizes)).requires_grad_() for one in step.parameters}
    given = {one: drawn.like(one).requires_grad_() for one in (*step.inputs, *step.banks)}
    state = {one: drawn.like(one).requires_grad_() for one in step.states}
    masks = {one: (drawn.random(SIZE) > 0).double() for one in step.draws}

    values = evaluate_step(step, SIZE, {**given, **masks}, state, weights)
    arriving = {one: drawn.like(one) for one in step.states}
    total = torch.stack([(values[one] * arriving[one]).sum() for one in step.states]).sum()
    leaves = {**given, **weights, **{f"prev {one}": value for one, value in state.items()}}
    expected = dict(zip(leaves, torch.autograd.grad(total, [*leaves.values()], allow_unused=True), strict=True))

    found = differentiate(step, graded=step.states)
    known = {found.last[one]: value for one, value in state.items()}
    known |= {**given, **masks, **values, **{found.grad[one]: value for one, value in arriving.items()}}
    back = {found.back[one]: torch.zeros_like(arriving[one]) for one in step.states}
    read = {one: known[one].detach() for one in (*found.step.inputs, *found.step.banks)}
    ours = evaluate_step(found.step, SIZE, read, back, {one: value.detach() for one, value in weights.items()})
    for one, theirs in expected.items():
        mine = ours.get(found.back[one[5:]] if one.startswith("prev ") else found.gradients.get(one, ""))
        mine = torch.zeros(()) if mine is None else mine
        theirs = torch.zeros_like(leaves[one]) if theirs is None else theirs
        torch.testing.assert_close(mine.double().broadcast_to(theirs.shape), theirs, rtol=1e-9, atol=1e-11, msg=one)


@every_step
def test_steps_and_adjoints_are_read_as_they_are_printed(name):
    step = STEPS[name]
    named: dict[str, Any] = {"memories": step.memories, "sized": step.sized}
    assert parse(show(step), step.states, step.inputs, **named) == step
    adjoint = derive(step)
    assert parse(show(adjoint), adjoint.states, adjoint.inputs, adjoint.outputs, memories=adjoint.memories) == adjoint


@pytest.mark.parametrize("width", [1, 11, MOST_WIDTH])
def test_the_widest_location_attention_is_a_text_that_can_be_read(width):
    wide = attend(CELLS["lstm"], "location", width=width)
    assert cell(wide.equations, states=wide.states, memories="m", sizes=wide.own_sizes).step == wide.step
    adjoint = derive(wide.step)
    assert parse(show(adjoint), adjoint.states, adjoint.inputs, adjoint.outputs, memories=adjoint.memories) == adjoint


def test_the_adjoint_of_attention():
    """A vector that enters at every position gets the total of what comes back."""
    step = parse(f"a = softmax(v @ tanh(U @ m + V @ h))\nz = a @ m\n{READS}", memories="m")
    assert show(derive(step)).splitlines()[2:10] == [
        "d_z = C.T @ d_h_1",
        "d_a = m @ d_z",
        "d_a_1 = a * (d_a - total(d_a * a))",
        "again = U @ m",
        "again_ = V @ h_prev",
        "again__ = tanh(again + again_)",
        "d_a_2 = v.T @ d_a_1 * (1 - again__ * again__)",
        "d_a_3 = total(d_a_2)",
    ]


def test_positions_are_indexed_in_latex():
    assert attend(CELLS["rnn"]).latex().splitlines()[1:4] == [
        r"\mathit{score}_{t,l} &= v_a \tanh(U_a m_l + V_a h_{t-1} + b_a) \\",
        r"a_{t,l} &= \mathrm{softmax}_l(\mathit{score}_{t,l}) \\",
        r"z_t &= \sum_l a_{t,l}\, m_l \\",
    ]


# --- misuse: the text, its memories, and what the message begins with; the line and column of the caret, 0 for none

NONSENSE = [
    ("h = tanh(W @ x + m @ h)", "m", "The output `h` has a value at each position of `m`; the first state", 1, 0),
    ("h = tanh(W @ m + x)", "m", "The output `h` has a value at each position of `m`; the first state", 1, 0),
    ("h = tanh(x + place(m))", "m", "The output `h` has a value at each position of `m`", 1, 0),
    ("a = softmax(h)\nh = tanh(a + x)", "", "`softmax` reads the positions of a memory, and this cell has none.", 1, 4),
    ("a = softmax(h)\nh = tanh(a + x)", "m", "The argument of `softmax` needs a value at each position of a", 1, 4),
    ("h = tanh(x + total(2))", "m", "The argument of `total` needs a value at each position of a memory", 1, 13),
    ("h = tanh(x + weigh(h, m))", "m", "The first argument of `weigh` needs a value at each position", 1, 13),
    ("h = tanh(x + total(match(m, m)))", "m", "The second argument of `match` needs one value for all posi", 1, 19),
    ("h = tanh(x + total(spread(h, m)))", "m", "The first argument of `spread` needs a value at each posit", 1, 19),
    ("h = tanh(x + total(spread(m @ h, 2)))", "m", "`spread` needs a vector, not a plain number.", 1, 19),
    ("a = softmax(m @ h)\nh = tanh(a @ n + x)", "m n", "The positions of `m` meet those of `n` here", 2, 9),
    ("h = tanh(x + total(m @ h + n @ h))", "m n", "The positions of `m` meet those of `n` here", 1, 19),
    ("h = tanh(x + C @ total(m))", "m n", "The memory `n` is never read. Use it, or leave it out", 0, 0),
    ("h = tanh(x + C @ total(m))", "m=k", "The memory `k` is never read. Use it, or leave it out", 0, 0),
    ("h = tanh(x + C @ total(shift(m, 1.5)))", "m", "`shift` takes a whole number of positions from -1024", 1, 23),
    ("h = tanh(x + C @ total(shift(m, 1025)))", "m", "`shift` takes a whole number of positions from -102", 1, 23),
    ("h = tanh(x + C @ total(shift(m, h)))", "m", "`shift` takes a whole number of positions from -1024 t", 1, 23),
    ("h = tanh(x + C @ total(shift(m)))", "m", "`shift` takes 2 arguments, not 1.", 1, 23),
    ("h = tanh(x + m.T @ h)", "m", "`m` is no matrix: its product takes no `.T` and no blocks.", 1, 13),
    ("h = tanh(x + block_diagonal(m, 2) @ h)", "m", "`m` is no matrix: its product takes no `.T` and no bl", 1, 28),
    ("h = tanh(x + outer(m, h))", "m", "A matrix from `outer` can only be added to another.", 1, 4),
    ("h = tanh(x + softmax(m @ h) @ m)", "m", "Left of `@` stands the name of a matrix", 1, 13),
    ("softmax = m @ h\nh = tanh(x + softmax @ m)", "m", "`softmax` is a function of the language and cannot na", 1, 0),
    ("h = tanh(W @ x + weigh(m, m))", "m", "`m` is a vector, and meets what has one number at each posi", 0, 0),
    ("h = tanh(x + C @ total(m) + prev(m))", "m", "`prev(m)` needs a state; the states are h.", 1, 33),
    ("m = tanh(x)\nh = tanh(x + m)", "m", "`m` is both a memory and given an equation; name one of them di", 0, 0),
    ("h = tanh(x + C @ total(m))", "m x", "`x` is both a memory and an input; name one of them differe", 0, 0),
    ("h = tanh(x + C @ total(m))", "m m", "The memories m m name one thing twice.", 0, 0),
    ("h = tanh(x + C @ total(m))", "m=m", "The memories m m name one thing twice.", 0, 0),
    ("h = tanh(x + C @ total(m))", "m=", "`` cannot be one of the memories: a name is letters, digits", 0, 0),
    ("h = tanh(x + C @ total(m))", "=m", "`` cannot be one of the memories", 0, 0),
    ("h = tanh(x + C @ total(m))", "total", "`total` cannot be one of the memories", 0, 0),
    ("h = tanh(x + C @ total(m))", "é", "`é` cannot be one of the memories", 0, 0),
    ("h = tanh(x + C @ total(m))", 3, "memories is 3; expected names, as words in a string or a", 0, 0),
    ("h = tanh(x + C @ total(m))", [3], "`3` cannot be one of the memories", 0, 0),
    (
        "n = 0.5 * n + m\nh = tanh(x + C @ total(n))",
        "m",
        "The state `n` has a vector at each position of `m`; from",
        0,
        0,
    ),
    ("h = tanh(x + C @ total(pick * m))", "m=pick", "`m` is a vector, and meets what has one number at each po", 0, 0),
]


@pytest.mark.parametrize(("text", "memories", "message", "line", "column"), NONSENSE)
def test_misuse_has_a_sentence_and_a_caret(text, memories, message, line, column):
    inputs = "x pick" if memories == "m=pick" else "x"
    with pytest.raises(EquationError) as caught:
        parse(text, None, inputs, memories=memories)
    told = str(caught.value)
    assert told.startswith(message)
    assert told.splitlines()[0].endswith((".", "?"))
    lines = text.splitlines()
    if line:
        head, caret = told.splitlines()[1:]
        assert head == f"  line {line}: {lines[line - 1]}"
        assert caret.index("^") - len(f"  line {line}: ") == column
    else:
        assert "\n" not in told


def test_weights_that_have_no_name_are_told_apart_from_matrices():
    with pytest.raises(EquationError, match=r"two matrices\. Weights need a name too: `a = softmax\(score\)`, then"):
        parse("h = tanh(x + softmax(m @ h) @ m)", memories="m")


@pytest.mark.parametrize("name", ["m" * 40, "d_m", "a_prev", "_", "T", "one", "m_bank1", "positions_m", "again"])
def test_a_memory_may_have_any_name(name):
    """Names that derived equations make up give way."""
    wanted = attend(CELLS["gru"], memory=name)
    adjoint = derive(wanted.step)
    assert parse(show(adjoint), adjoint.states, adjoint.inputs, adjoint.outputs, memories=adjoint.memories) == adjoint
    assert name in adjoint.banks
