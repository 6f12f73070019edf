"""A program: actions for a whole sequence and actions for every step, on numbered registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gatework.kernels.reference.survey import Kind, ProductStack

Registers = list[Any]
Action = Callable[[Registers], None]
CALL = 0  # the register that holds the :class:`gatework.kernels.call.Call`


class Location(NamedTuple):
    """The location of a value.

    Args:
        kind: The kind of the value.
        register: Its register.
        group: For a part of a group, the group.
        part: The part's number.
        at_positions: Whether it has a value at each position of a memory.
    """

    kind: Kind
    register: int
    group: ProductStack | None = None
    part: int = 0
    at_positions: bool = False


@dataclass
class Program:
    """Actions that run once for a memory, actions that run once for a sequence, and actions that run at every step.

    Args:
        start: The registers before a run: plain numbers, and None for all others.
        fixed: Actions on parameters and memories alone.
        once: Actions for the whole sequence.
        each: Actions for every step.
        sequences: Pairs of registers: a whole sequence [T, B, size], and its value at each step.
        rows: Pairs of registers: a value for each row [B, ...], and its part for the rows of each step.
        places: The location of each named value.
        inputs: The register of each input.
        banks: The register of each bank.
        extents: For each memory, the register of its mask, which is None if all rows have all positions.
        masks: For each name at the positions of a memory, the register of the mask at each step.
        before: The register of each state before the step.
        after: The register of each state after the step.
    """

    start: Registers = field(default_factory=lambda: [None])
    fixed: list[Action] = field(default_factory=list)
    once: list[Action] = field(default_factory=list)
    each: list[Action] = field(default_factory=list)
    sequences: list[tuple[int, int]] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, Location] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    banks: tuple[int, ...] = ()
    extents: tuple[int, ...] = ()
    masks: dict[str, int] = field(default_factory=dict)
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
