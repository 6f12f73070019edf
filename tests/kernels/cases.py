"""One run of a step with everything that a backend is given, drawn at random, and all that comes out of it by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from tests.kernels.test_reference import STEPS
from torch import Tensor
from torch.utils import deterministic

from gatework.cells import CELLS, attend, layer_norm, peephole, project, recurrent_dropout, zoneout
from gatework.kernels import Weights, run
from gatework.kernels.cpu import memory
from gatework.language import Step, parse

OPTIONS_CELL = zoneout(recurrent_dropout(layer_norm(peephole(CELLS["lstm"])), 0.2), c=0.3, h=0.1)
OPTIONS = {
    "all options": OPTIONS_CELL.step,
    "zoneout gru": zoneout(CELLS["gru"], h=0.4).step,
    "projected peephole": project(peephole(CELLS["lstm"]), 3).step,
    "heads": parse("h = tanh(block_diagonal(R, 3) @ h + block_diagonal(W, 3) @ x + block_upper(S, 3) @ h + b)"),
    "reductions after": parse(
        "d = tanh(W @ x)\ne = d * mean(d) + norm(x)\nh = tanh(R @ h + V @ e + norm(h) * mean(h))"
    ),
}
STEPS = STEPS | OPTIONS
READS = "h = tanh(W @ x + C @ z + R @ h + b)"
MEMORIES = {
    "additive": attend(CELLS["lstm"]).step,
    "gated gru": attend(CELLS["gru"], "gated").step,
    "window": attend(CELLS["rnn"], "window").step,
    "projected": attend(project(peephole(CELLS["lstm"]), 3), "general").step,
    "all options and a memory": attend(OPTIONS_CELL, "dot").step,
    # A bank beside the memory with one number at each position, one with a vector, and a memory of its own.
    "several banks": parse(
        "a = softmax(s + m @ (V @ h) + v @ tanh(k + U @ m + K @ n0))\nz = a @ k\n"
        "e = softmax(n @ tanh(n0))\nn0 = tanh(P @ (e @ n) + Q @ x + n0)\n" + READS,
        "h n0",
        memories="m=k=s n",
    ),
    # Numbers at positions that meet vectors, what is constant, and what is read by several lines.
    "numbers at positions": parse(
        "e = exp(-0.1 * place(m)) * exists(m)\ng = sigmoid(m @ h) + e * (v @ x)\n"
        "z = total(spread(g, h) * tanh(m + q)) + weigh(e, m)\nu = greater(g, 0.5) * g\n"
        "h = tanh(R @ z + W @ x + T @ total(u))",
        "h",
        memories="m",
    ),
    # What memories alone decide is one number at each position, and nothing else of the memory is read.
    "constant numbers": parse(
        "a = softmax((v @ m) * (w @ h))\nz = total(spread(a * (v @ m), q)) + weigh(a, place(m)) * u\n" + READS,
        "h",
        memories="m",
    ),
    # The gradients of numbers at positions, summed and spread without any vector among them.
    "sums of numbers": parse(
        "a = softmax(v @ m + w @ h)\nb = softmax(sin(a - b0) * (u @ h))\n"
        "h = tanh(V @ total(b) + U @ weigh(a, b) + W @ x + R @ h)",
        "h",
        memories="m",
    ),
    # One number of a row, known before the loop, meets positions.
    "numbers of rows": parse(
        "n = (w @ x) * (w @ x)\nz = weigh(n - sin(m @ q), m) + weigh(sigmoid(w @ x) * (m @ h), m)\n" + READS,
        "h",
        memories="m",
    ),
    "a memory alone": parse("z = total(tanh(U @ m))\n" + READS, "h", memories="m"),
}
MEMORY_OF_TORCH: Any = deterministic
PADDED = 1000.0  # what inputs hold beyond a row's end: finite, and wrong wherever it is seen


@dataclass
class Case:
    """What a run is given. Numbers are drawn in float32, so that every type is given the same ones.

    Args:
        step: The equations.
        steps: T.
        rows: B.
        hidden_size: H, made a multiple of what the step asks for.
        seed: What the numbers are drawn from.
        lengths: How many steps of each row count; None for all.
        restart: Whether rows start anew here and there, and at the first step.
        learned: Whether they start anew from states that are given.
        reverse: Whether time runs backwards.
        drawn: Whether masks are drawn.
        strided: Whether no tensor that is given is contiguous.
        shifted: Whether every tensor that is given begins one number after where memory is aligned.
        record: Further names that are wanted.
        memory: What the forward pass saves for the backward pass.
        packed: Whether sequences are given without their padding; lengths must not rise.
        other_sizes: Sizes by name that are not to follow from H.
        positions: L of every memory.
        extents: How many positions of each row of a memory count; None for all. What lies beyond is NaN.
    """

    step: Step
    steps: int = 5
    rows: int = 3
    hidden_size: int = 9
    seed: int = 0
    lengths: list[int] | None = None
    restart: bool = False
    learned: bool = False
    reverse: bool = False
    drawn: bool = False
    strided: bool = False
    shifted: bool = False
    record: tuple[str, ...] = ()
    memory: str = "fast"
    packed: bool = False
    other_sizes: dict[str, int] = field(default_factory=dict)
    positions: int = 6
    extents: list[int] | None = None

    def fitting(self, key: str, least: int) -> int:
        """Give the least size, from one on, that the step's blocks divide."""
        unit = self.step.multiples.get(key, 1)
        return -(-least // unit) * unit

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        step = self.step
        size = self.fitting("hidden_size", self.hidden_size)
        self.sizes = {
            "hidden_size": size,
            "input_size": self.fitting("input_size", size + 3),
            "proj_size": self.fitting("proj_size", size // 2 + 1),
        }
        self.sizes |= {f"input_size_{name}": size + 1 for name in step.inputs}
        self.sizes |= {"one": 1, "memory_size": size // 2 + 2} | {f"memory_size_{name}": size for name in step.banks}
        self.sizes |= {f"size_{entry.partition('=')[0]}": 3 for entry in step.sized} | self.other_sizes
        weights = {p.name: self.random(*p.shape(self.sizes)) for p in step.parameters}
        self.weights = {
            name: one * (0.6 * one.shape[-1] ** -0.5 if one.dim() == 2 else 0.4) for name, one in weights.items()
        }
        shape = (self.steps, self.rows)
        self.inputs = {name: self.random(*shape, self.width(name)) for name in step.inputs}
        self.banks = {name: self.bank(name) for name in step.banks}
        if self.lengths is not None:
            ended = torch.arange(self.steps)[:, None] >= torch.tensor(self.lengths)
            self.inputs = {name: one.masked_fill(ended[..., None], PADDED) for name, one in self.inputs.items()}
        self.masks = {name: (self.random(*shape, size) > 0).float() for name in step.draws} if self.drawn else {}
        self.state = self.plausible()
        self.initial = self.plausible() if self.learned else {}
        self.anew = torch.rand(shape, generator=self.generator) < 0.3 if self.restart else None
        if self.anew is not None:
            self.anew[0, 0] = self.anew[-1, -1] = True
            if self.lengths is not None:
                self.anew &= torch.arange(self.steps)[:, None] < torch.tensor(self.lengths)
        wanted = {"output": (*shape, self.width(step.states[0]))}
        wanted |= {f"state {name}": (self.rows, self.width(name)) for name in step.states}
        wanted |= {f"recorded {name}": (*shape, self.width(name)) for name in self.record}
        self.arriving = {name: self.random(*one) for name, one in wanted.items()}

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)

    def width(self, name: str) -> int:
        return self.positions if self.step.is_bare(name) else self.sizes[self.step.sizes_of[name]]

    def bank(self, name: str) -> Tensor:
        size = () if self.step.is_bare(name) else (self.width(name),)
        drawn = self.random(self.rows, self.positions, *size)
        if self.extents is None:
            return drawn
        return drawn.masked_fill(self.beyond.view(self.rows, self.positions, *(1 for _ in size)), torch.nan)

    @property
    def beyond(self) -> Tensor:
        """Say which positions rows do not have, bool [B, L]."""
        return torch.arange(self.positions) >= torch.tensor(self.extents)[:, None]

    def plausible(self) -> dict[str, Tensor]:
        """Draw states that the cell itself comes to, so that no normaliser is negative and no counter is broken."""
        states = tuple(torch.zeros(self.rows, self.width(name)).double() for name in self.step.states)
        inputs = tuple(self.random(3, self.rows, self.width(name)).double() for name in self.step.inputs)
        weights = {name: one.double() for name, one in self.weights.items()}
        banks = {"banks": tuple(one.double() for one in self.banks.values()), "extents": self.ends}
        found = run(self.step, weights, inputs, states, backend="reference", **banks).state
        return {name: one.float() for name, one in zip(self.step.states, found, strict=True)}

    @property
    def ends(self) -> tuple[Tensor | None, ...]:
        extents = None if self.extents is None else torch.tensor(self.extents)
        return tuple(extents for _ in self.step.places)

    @property
    def names(self) -> tuple[str, ...]:
        """Name everything that may have a gradient."""
        groups = (self.inputs, self.banks, self.weights, {f"first {name}": None for name in self.state})
        return tuple(name for group in (*groups, {f"initial {name}": None for name in self.initial}) for name in group)

    def leaf(self, tensor: Tensor, dtype: torch.dtype, needed: bool) -> Tensor:
        tensor = tensor.to(dtype, copy=True)
        if self.strided:
            room = torch.full((*tensor.shape, 2), float("nan"), dtype=dtype)
            room[..., 1] = tensor
            tensor = room[..., 1]
            assert not tensor.is_contiguous() or tensor.numel() < 2
        if self.shifted:
            room = torch.full((tensor.numel() + 1,), float("nan"), dtype=dtype)
            room[1:] = tensor.flatten()
            tensor = room[1:].view(tensor.shape)
        return tensor.requires_grad_(needed)

    def without_padding(self, sequence: Tensor) -> Tensor:
        """Pack a sequence [T, B, size]: [N, size]."""
        return sequence.flatten(0, 1).index_select(0, self.counted)

    def with_padding(self, rows: Tensor) -> Tensor:
        """Undo :meth:`without_padding`, with zeros for padding."""
        whole = rows.new_zeros(self.steps * self.rows, rows.shape[1])
        return whole.index_copy(0, self.counted, rows).unflatten(0, (self.steps, self.rows))

    @property
    def counted(self) -> Tensor:
        """Give the places in [T * B] that are no padding."""
        return (torch.arange(self.steps)[:, None] < torch.tensor(self.lengths)).flatten().nonzero().squeeze(1)

    def run(self, backend: str, dtype: torch.dtype, needed: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Run, and give all that comes out: the results, then the gradient of what is needed, None meaning all."""
        needed = self.names if needed is None else needed
        given_once = {**self.inputs, **self.banks, **self.weights}
        leaves = {name: self.leaf(one, dtype, name in needed) for name, one in given_once.items()}
        for kind, states in (("first", self.state), ("initial", self.initial)):
            leaves |= {
                f"{kind} {name}": self.leaf(one, dtype, f"{kind} {name}" in needed) for name, one in states.items()
            }
        given = self.without_padding if self.packed else _as_it_is
        back = self.with_padding if self.packed else _as_it_is
        result = run(
            self.step,
            Weights.of({name: leaves[name] for name in self.weights}),
            tuple(given(leaves[name]) for name in self.step.inputs),
            tuple(leaves[f"first {name}"] for name in self.step.states),
            lengths=None if self.lengths is None else torch.tensor(self.lengths),
            restart=self.anew,
            initial=tuple(leaves[f"initial {name}"] for name in self.step.states) if self.learned else None,
            reverse=self.reverse,
            draws={name: given(mask.to(dtype)) for name, mask in self.masks.items()} if self.drawn else None,
            record=self.record,
            backend=backend,
            memory=self.memory,
            banks=tuple(leaves[name] for name in self.banks),
            extents=self.ends,
        )
        found = {"output": back(result.output)}
        found |= {f"state {name}": one for name, one in zip(self.step.states, result.state, strict=True)}
        found |= {f"recorded {name}": back(one) for name, one in result.recorded.items()}
        asked = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
        if asked:
            ends = [name for name, one in found.items() if one.requires_grad]
            grads = torch.autograd.grad(
                [found[name] for name in ends],
                list(asked.values()),
                [self.arriving[name].to(dtype) for name in ends],
                allow_unused=True,
            )
            pairs = zip(asked.items(), grads, strict=True)
            found |= {f"grad {name}": torch.zeros_like(leaf) if grad is None else grad for (name, leaf), grad in pairs}
        return {name: one.detach() for name, one in found.items()}


def _as_it_is(sequence: Tensor) -> Tensor:
    return sequence


@contextmanager
def memory_full_of_nan() -> Iterator[None]:
    """Fill all memory that is handed out empty with NaN: torch's, and what the kernels use again."""
    before = torch.are_deterministic_algorithms_enabled(), MEMORY_OF_TORCH.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    MEMORY_OF_TORCH.fill_uninitialized_memory = True
    for block in [block for blocks in memory._freed.values() for block in blocks]:
        block.bytes.fill(255)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        MEMORY_OF_TORCH.fill_uninitialized_memory = before[1]
