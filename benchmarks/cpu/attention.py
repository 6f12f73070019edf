"""Tables of what a layer's ways cost: attention inside the equations, connected stacks, and memory that is saved."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from benchmarks.cpu.contestants import (
    Network,
    Shape,
    in_double,
    over_sequence,
    random_input,
    random_state,
    twin_of,
)
from benchmarks.cpu.measure import Pair
from benchmarks.cpu.plan import MODES, Plan, Table, label_of, recurrent
from benchmarks.cpu.targets import Target
from torch import Tensor, nn

import gatework

POSITIONS = 20  # L
KINDS = ("additive", "dot", "general", "concat", "gated", "window")  # those that kernels run
COMPONENTS = 10  # of a window


def _attending(plan: Plan, kind: str, units: int) -> gatework.Recurrent:
    cell = gatework.attend(gatework.CELLS["lstm"], kind)
    sizes = {"kappa": COMPONENTS} if kind == "window" else {}
    return recurrent(plan, cell, units, memory_size=units, sizes=sizes)


def _memory(shape: Shape) -> Tensor:
    rows, _, units = shape
    return torch.randn(rows, POSITIONS, units, generator=torch.Generator().manual_seed(3))


def _beside(name: str, layer: nn.Module, shape: Shape, dtype: torch.dtype = torch.float32) -> Network:
    """Make the network of an attending layer."""
    given, memory = random_input(shape, shape[2]).to(dtype), _memory(shape).to(dtype)
    return Network(name, layer, lambda: layer(given, memories=memory), {"input": given, "memory": memory})


class _Outside(nn.Module):
    """A plain LSTM, and the same attention once for all of its outputs: what costs the least without input feeding."""

    def __init__(self, plan: Plan, kind: str, units: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"components": COMPONENTS} if kind == "window" else {}
        self.lstm = recurrent(plan, "lstm", units)
        self.attention = gatework.Attention(kind, units, units, **options)

    def forward(self, given: Tensor, memory: Tensor) -> tuple[Tensor, Any]:
        output, state = self.lstm(given)
        context = self.attention(output, memory)[0]
        return context, state


class _Loop(nn.Module):
    """The loop that one writes by hand: torch's cell, and attention to keys that are mapped once."""

    def __init__(self, kind: str, units: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"components": COMPONENTS} if kind == "window" else {}
        self.cell, self.attention = nn.LSTMCell(2 * units, units), gatework.Attention(kind, units, units, **options)

    def forward(self, given: Tensor, memory: Tensor) -> tuple[Tensor, Any]:
        keys, outputs, held = self.attention.keys(memory), [], None
        state = (given.new_zeros(given.shape[1], given.shape[2]),) * 2
        for one in given:
            extra = {"state": held} if self.attention.stateful else {}
            context, _, *after = self.attention(state[0], keys, **extra)
            held = after[0] if after else None
            state = self.cell(torch.cat([one, context], -1), state)
            outputs.append(state[0])
        return torch.stack(outputs), state


def _attention_pair(plan: Plan, kind: str, mode: str, shape: Shape, peer: str) -> Pair:
    units = shape[2]
    judge = _attending(replace(plan, backend="reference"), kind, units)
    ours = twin_of(judge, _attending(plan, kind, units))
    module = _Outside(plan, kind, units) if peer == "outside" else _Loop(kind, units)
    given, memory = random_input(shape, units), _memory(shape)
    theirs = Network(peer, module, lambda: module(given, memory), {"input": given, "memory": memory})
    exact = copy.deepcopy(judge).double()
    return Pair(
        f"{kind} {label_of(shape)}",
        MODES[mode](_beside("inside", ours, shape)),
        MODES[mode](theirs),
        judge=MODES[mode](_beside("the reference", judge, shape)),
        exact=lambda: MODES[mode](_beside("in double", exact, shape, torch.float64)).numbers(),
    )


def attention(plan: Plan) -> list[Table]:
    """Make the tables of attention inside the equations."""
    shape = plan.sizes.attention
    rows, steps, units = shape
    small = (max(1, rows // 16), steps, max(1, units // 4))
    where = f"{POSITIONS} positions"
    cheap, fast = Target("times the time", most=1.5), Target(least=5)
    return [
        *(
            Table(
                f"attention inside an LSTM against an LSTM and attention once outside, {where}",
                mode,
                cheap,
                {kind: partial(_attention_pair, plan, kind, mode, shape, "outside") for kind in KINDS},
            )
            for mode in MODES
        ),
        Table(
            f"attention inside an LSTM against a loop of torch.nn.LSTMCell and attention, {where}",
            "training",
            fast,
            {
                label_of(one): partial(_attention_pair, plan, "additive", "training", one, "loop")
                for one in (small, shape)
            },
        ),
    ]


_STACKS: Mapping[str, dict[str, Any]] = {
    'skip="in"': {"skip": "in"},
    'skip="out"': {"skip": "out"},
    'skip="both"': {"skip": "both"},
    'connection="residual"': {"connection": "residual"},
    'connection="highway"': {"connection": "highway"},
    "tie_layers": {"tie_layers": True},
    'memory="small"': {"memory": "small"},
    'memory="sqrt"': {"memory": "sqrt"},
}


def _stack_pair(plan: Plan, option: str, mode: str, shape: Shape) -> Pair:
    make: Callable[..., gatework.Recurrent] = partial(recurrent, plan, "lstm", shape[2], num_layers=2)
    judge = recurrent(replace(plan, backend="reference"), "lstm", shape[2], num_layers=2, **_STACKS[option])
    ours, given = twin_of(judge, make(**_STACKS[option])), random_input(shape, shape[2])
    state = tuple(torch.cat([part, part]) for part in random_state(shape, 2))
    return Pair(
        option,
        MODES[mode](over_sequence("with it", ours, given, state)),
        MODES[mode](over_sequence("plain", make(), given, state)),
        judge=MODES[mode](over_sequence("the reference", judge, given, state)),
        exact=lambda: MODES[mode](in_double(judge, given, state)).numbers(),
    )


def stacks(plan: Plan) -> list[Table]:
    """Make the tables of what two layers cost that are connected otherwise, or save less."""
    shape = plan.sizes.options
    return [
        Table(
            f"two layers of an LSTM against two plain ones, {label_of(shape)}",
            mode,
            Target("times the time", most=1.5),
            {option: partial(_stack_pair, plan, option, mode, shape) for option in _STACKS},
        )
        for mode in MODES
    ]
