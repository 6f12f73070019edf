"""What a target of the campaign is given, and what it gives back."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """What a target has done.

    Args:
        name: The target.
        tried: How often it did what it is named after.
        findings: What went wrong, one text for each.
        facts: Further counts by name.
    """

    name: str
    tried: int = 0
    findings: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)

    def count(self, fact: str) -> None:
        """Count one more of something."""
        self.facts[fact] = self.facts.get(fact, 0) + 1


@dataclass(frozen=True)
class Budget:
    """How far a target may go.

    Args:
        seconds: For how long; the try under way is finished.
        seed: What is drawn from.
        folder: Where it may write.
        most: The most tries; None for as many as there is time for.
    """

    seconds: float
    seed: int
    folder: Path
    most: int | None = None

    def tries(self, tally: Tally):
        """Go on while there is time, each try with a generator of its own."""
        end = time.monotonic() + self.seconds
        while (self.most is None or tally.tried < self.most) and (tally.tried == 0 or time.monotonic() < end):
            yield random.Random(f"{self.seed} {tally.name} {tally.tried}")
            tally.tried += 1
