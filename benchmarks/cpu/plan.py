"""What a run is: its shapes, its threads, and the tables and layers that are made for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from benchmarks.cpu.contestants import Network, Shape, inference, training
from benchmarks.cpu.measure import Contestant, Pair
from benchmarks.cpu.targets import Target

import gatework


@dataclass(frozen=True)
class Sizes:
    """The shapes (B, T, H) of the tables."""

    shapes: tuple[Shape, ...]
    cells: tuple[Shape, ...]
    share: Shape
    options: Shape
    attention: Shape
    ragged: Shape  # T is the longest; the shortest is a tenth
    streaming: tuple[int, ...]
    memory: Shape
    peak_rounds: int


FULL = Sizes(
    shapes=(
        (1, 256, 128),
        (1, 256, 512),
        (16, 128, 128),
        (32, 128, 256),
        (32, 128, 512),
        (64, 64, 1024),
        (128, 100, 128),
    ),
    cells=((16, 128, 128), (32, 128, 256)),
    share=(32, 128, 512),
    options=(32, 128, 256),
    attention=(64, 20, 256),
    ragged=(32, 1000, 128),
    streaming=(128, 512),
    memory=(32, 128, 512),
    peak_rounds=100_000_000,
)
QUICK = Sizes(
    shapes=((1, 12, 16), (5, 9, 32)),
    cells=((3, 8, 16),),
    share=(4, 12, 64),
    options=(3, 8, 16),
    attention=(4, 5, 16),
    ragged=(5, 40, 16),
    streaming=(16,),
    memory=(8, 32, 128),
    peak_rounds=200_000,
)


@dataclass(frozen=True)
class Plan:
    """What holds for every table of a run."""

    sizes: Sizes
    threads: int
    backend: str


@dataclass(frozen=True)
class Table:
    """One table.

    Args:
        title: What stands against what.
        mode: ``inference``, ``training`` or ``streaming``.
        target: What is asked for.
        entries: For each row its label, and what makes the pair when its turn comes.
        missing: Why the peer cannot be imported; empty where it can.
        remarks: What the reader must know beside the rows.
    """

    title: str
    mode: str
    target: Target
    entries: Mapping[str, Callable[[], Pair]]
    missing: str = ""
    remarks: tuple[str, ...] = ()


MODES: Mapping[str, Callable[[Network], Contestant]] = {"inference": inference, "training": training}


def label_of(shape: Shape) -> str:
    """Write a shape as tables show it."""
    return "×".join(map(str, shape))


def lstm_flops(shape: Shape, mode: str) -> float:
    """Count the operations of an LSTM whose input is as wide as its state; training is three times inference."""
    rows, steps, units = shape
    return 2.0 * steps * rows * 4 * units * (units + units) * (3 if mode == "training" else 1)


def recurrent(plan: Plan, cell: gatework.Cell | str, units: int, **options: Any) -> gatework.Recurrent:
    """Make one of our layers with random weights, the same every time."""
    torch.manual_seed(0)
    return gatework.Recurrent(cell, units, units, **options, backend=plan.backend)


def drop_in(plan: Plan, name: str, units: int, **options: Any) -> gatework.Recurrent:
    """Make the layer that stands in for torch's of that name, with random weights, the same every time."""
    torch.manual_seed(0)
    kind = getattr(gatework, name)
    return kind(units, units, **options, backend=plan.backend)
