"""What a claim is: words, a measurement, and a judgement that reads nothing but the figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evidence.figures import Figure, Figures

Word = Literal["holds", "holds with a condition", "does not hold"]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What figures say of a claim.

    Args:
        word: Whether it holds.
        sentence: Why, in the figures' own numbers; where there is a condition, which.
    """

    word: Word
    sentence: str


@dataclass(frozen=True)
class Context:
    """Where and with what a claim is measured.

    Args:
        folder: Where it may keep files; what it finds there is from a run of the same measurement that was stopped.
        data: The folder of recorded data; None where there is none.
        workers: How many processes may run side by side.
        tell: Takes a line about how far it has come.
    """

    folder: Path
    data: Path | None
    workers: int
    tell: Tell


@dataclass(frozen=True)
class Measured:
    """What measuring a claim gave.

    Args:
        figures: The figures, in the order in which they are shown.
        settings: With what they were measured, as plain data by name.
        picture: A PNG picture, where there is one.
        seconds: Processor time, all processes together.
        remarks: What else is worth knowing, such as what could not be measured.
    """

    figures: Sequence[Figure]
    settings: Mapping[str, Any]
    seconds: float
    picture: bytes | None = None
    remarks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim.

    Args:
        id: How it is called in commands and files.
        title: How its section is called.
        claim: What is claimed, in our own words.
        whose: Whose claim it is.
        commands: What anybody can type to see it; the first stands in the page's table.
        measure: Measures it.
        judge: Judges figures. It gets nothing else, so that no verdict can be typed in.
        shown: The figures that stand in the page's table, by name; the section has all.
        cost: Processor seconds it takes, about: for the estimate before a run.
        bounds: What the measurement does not show.
        published: Figures that others published, each with its source.
        data: The folder of recorded data that it needs; empty for none.
    """

    id: str
    title: str
    claim: str
    whose: str
    commands: Sequence[str]
    measure: Callable[[Context], Measured]
    judge: Callable[[Figures], Verdict]
    shown: Sequence[str]
    cost: float
    bounds: str
    published: Sequence[str] = field(default_factory=tuple)
    data: str = ""
