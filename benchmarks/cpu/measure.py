"""How two things are compared: first their numbers, then, only if those agree, their times, turn by turn."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks.cpu.bystanders import Bystanders
from torch import Tensor

Numbers = Mapping[str, Tensor]

# How far two numbers may lie apart, as a share of the largest number of the tensor they belong to. Gradients of a
# weight are sums over all steps and rows, which each side adds up in its own order.
TOLERANCES = {"values": 1e-5, "gradients": 1e-4}
# Some cells are chaotic, such as those with layer norm: over a hundred steps one rounding grows beyond these figures.
# For them a pair brings the same numbers in double precision, and ours may lie a small multiple as far from those as
# the judge's do. Sums that are only taken in another order were seen to lie up to 1.6 times as far.
WITHIN_THE_JUDGES = 4.0
MOST_OF_THE_JUDGES = 1e-2  # a judge that is this far off itself says nothing
GRADIENT = "gradient of "

_SHORTEST_SAMPLE = 2e-3  # seconds: calls that are shorter are timed several at once
_MOST_ROUNDS = 500


@dataclass(frozen=True)
class Contestant:
    """One side of a comparison.

    Args:
        name: What it is.
        call: What is timed.
        numbers: Calls it once and gives everything it computed, by name; gradients have names that begin so.
        around: What the calls of a sample happen in, such as ``torch.inference_mode``. Not timed.
        before: What happens before every timed call, not timed. With it, every call is a sample of its own.
    """

    name: str
    call: Callable[[], object]
    numbers: Callable[[], Numbers]
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class Pair:
    """Two sides, and what is asked of them.

    Args:
        label: The row of the table.
        ours: Our side.
        peer: The side whose time is set beside ours.
        judge: The side whose numbers ours must have, where that is not the peer.
        flops: Operations of one of our calls; 0 where they are not counted.
        peer_flops: Operations of one of the peer's calls, where rates and not times are compared.
        exact: Gives the judge's numbers in double precision, where its own rounding may be large.
    """

    label: str
    ours: Contestant
    peer: Contestant
    judge: Contestant | None = None
    flops: float = 0.0
    peer_flops: float = 0.0
    exact: Callable[[], Numbers] | None = None


@dataclass(frozen=True)
class Effort:
    """How long a pair is measured: at least so many turns, and at least so many seconds."""

    repeats: int = 7
    seconds: float = 1.0


@dataclass(frozen=True)
class Difference:
    """What came of comparing numbers.

    Args:
        agrees: Whether everything was within its tolerance.
        where: The name that lies furthest from it, or what is wrong.
        share: How far, as a share of that tensor's largest number.
        tolerance: How far it may be.
        judge: How far the judge is from its own numbers in double precision, where those had to be asked.
    """

    agrees: bool
    where: str
    share: float
    tolerance: float = 0.0
    judge: float | None = None

    def facts(self) -> dict[str, object]:
        """Give the difference as the file has it."""
        share = self.share if math.isfinite(self.share) else None  # JSON has no infinity
        known: dict[str, object] = {"name": self.where, "share_of_largest": share, "tolerance": self.tolerance}
        return known if self.judge is None else known | {"judge_from_double": self.judge}


@dataclass(frozen=True)
class Times:
    """Seconds of a call, turn by turn."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Give the figure that ratios are made of."""
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        """Give the time of the turn that was disturbed least."""
        return min(self.seconds)


@dataclass(frozen=True)
class Row:
    """What was measured of a pair: times only where the numbers agree.

    Args:
        pair: What was measured.
        difference: What came of comparing numbers; None where nothing could be computed.
        ours: Our times.
        peer: The peer's times.
        failure: Why nothing could be computed.
        others: The share of the processors that other processes had meanwhile; None where it is not known.
    """

    pair: Pair
    difference: Difference | None
    ours: Times | None = None
    peer: Times | None = None
    failure: str = ""
    others: float | None = None

    @property
    def status(self) -> str:
        """Say how far the row came: ``measured``, ``numbers differ`` or ``failed``."""
        if self.difference is None:
            return "failed"
        return "measured" if self.difference.agrees else "numbers differ"


def compare(ours: Numbers, theirs: Numbers) -> Difference:
    """Compare everything two sides computed.

    Args:
        ours: Our numbers, by name.
        theirs: The numbers they have to be.

    Returns:
        The largest difference for its tolerance. Infinities, numbers that are none, a name or a shape that only one
        side has never agree, and neither does a comparison of nothing but zeros.
    """
    if wrong := _incomparable(ours, theirs):
        return Difference(False, wrong, math.inf)
    found = [_judged(name, _share(ours[name], theirs[name])) for name in theirs]
    return max(found, key=lambda one: one.share / one.tolerance)


def compare_exactly(ours: Numbers, theirs: Numbers, exact: Numbers) -> Difference:
    """Compare ours with the numbers in double precision, beside how far the judge's are from them.

    Args:
        ours: Our numbers, by name.
        theirs: The judge's.
        exact: The judge's in double precision.

    Returns:
        As :func:`compare`; a tolerance is wider where the judge's own distance is larger than it.
    """
    if wrong := _incomparable(ours, exact) or _incomparable(theirs, exact):
        return Difference(False, wrong, math.inf)
    found = [_judged(name, _share(ours[name], exact[name]), _share(theirs[name], exact[name])) for name in exact]
    return max(found, key=lambda one: one.share / one.tolerance)


def _judged(name: str, share: float, judge: float | None = None) -> Difference:
    tolerance = TOLERANCES["gradients" if name.startswith(GRADIENT) else "values"]
    if judge is not None and judge <= MOST_OF_THE_JUDGES:
        tolerance = max(tolerance, WITHIN_THE_JUDGES * judge)
    return Difference(share <= tolerance, name, share, tolerance, judge)


def _incomparable(ours: Numbers, theirs: Numbers) -> str:
    """Say why numbers cannot be compared; nothing where they can."""
    if unmatched := sorted(set(ours) ^ set(theirs)):
        return f"only one side has {', '.join(unmatched)}"
    for name, expected in theirs.items():
        if ours[name].shape != expected.shape:
            return f"{name} is {tuple(ours[name].shape)} beside {tuple(expected.shape)}"
        if not (bool(ours[name].isfinite().all()) and bool(expected.isfinite().all())):
            return f"{name} is not finite"
    return (
        "" if any(bool(expected.any()) for expected in theirs.values()) else "all numbers are zero, or there are none"
    )


def _share(ours: Tensor, theirs: Tensor) -> float:
    """Give the largest difference as a share of the largest number."""
    largest = float(theirs.double().abs().max())
    apart = float((ours.double() - theirs.double()).abs().max())
    return apart / largest if largest else math.inf if apart else 0.0


def measure(pair: Pair, effort: Effort) -> Row:
    """Compare a pair's numbers, and take its times if they agree.

    Args:
        pair: What to measure.
        effort: How long.

    Returns:
        The row of the table; without times where the numbers differ.
    """
    ours, theirs = pair.ours.numbers(), (pair.judge or pair.peer).numbers()
    difference = compare(ours, theirs)
    if not difference.agrees and pair.exact is not None:
        difference = compare_exactly(ours, theirs, pair.exact())
    if not difference.agrees:
        return Row(pair, difference)
    samples: tuple[list[float], list[float]] = ([], [])
    sides = ((pair.ours, samples[0]), (pair.peer, samples[1]))
    calls = [_calls(side) for side, _ in sides]
    bystanders = Bystanders()
    spent = 0.0
    while len(samples[0]) < effort.repeats or (spent < effort.seconds and len(samples[0]) < _MOST_ROUNDS):
        for (side, kept), count in zip(sides, calls, strict=True):
            seconds = _sample(side, count)
            kept.append(seconds / count)
            spent += seconds
    return Row(pair, difference, Times(tuple(samples[0])), Times(tuple(samples[1])), others=bystanders.share())


def _calls(side: Contestant) -> int:
    """Warm a side up, and decide how many of its calls make a sample."""
    _sample(side, 1)
    if side.before is not None:
        return 1
    return max(1, math.ceil(_SHORTEST_SAMPLE / _sample(side, 1)))


def _sample(side: Contestant, calls: int) -> float:
    """Time some calls together, in seconds."""
    if side.before is not None:
        side.before()
    call = side.call
    with side.around():
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start
