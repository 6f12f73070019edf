"""A program: what to do once for a whole sequence, and what to do at every step, on numbered registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gatework.kernels.reference.survey import Group, Kind

Registers = list[Any]
Action = Callable[[Registers], None]
CALL = 0  # the register that holds the :class:`gatework.kernels.call.Call`


class Place(NamedTuple):
    """Where a value lies: its kind, its register and, of a group's part, the group and which part it is."""

    kind: Kind
    register: int
    group: Group | None = None
    part: int = 0


@dataclass
class Program:
    """What to do once, and at every step.

    Args:
        start: The registers before a run: plain numbers, and None for all else.
        once: Actions for the whole sequence.
        each: Actions for every step.
        sequences: Pairs of registers: the whole sequence [T, B, size], and where each step finds its part.
        places: Where each named value lies.
        inputs: The register of each input.
        before: The register of each state before the step.
        after: The register of each state after the step.
    """

    start: Registers = field(default_factory=lambda: [None])
    once: list[Action] = field(default_factory=list)
    each: list[Action] = field(default_factory=list)
    sequences: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
