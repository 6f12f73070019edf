"""The held-out loss over a run: where it was lowest, and whether training should stop."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

# The loss of evaluations of one model differs by chance; a rise below this share of the lowest loss is no rise.
_NOTABLE = 0.01
# The number of evaluations in a row above the lowest loss after which a person is told.
_LONG = 5


@dataclass
class Watch:
    """The lowest held-out loss of a run so far.

    Everything here follows from the lines of metrics, so a run that resumes continues the same count.

    Args:
        patience: The number of evaluations without a lower loss after which training stops; None for never.
        step: The step of the lowest loss; 0 before the first evaluation.
        lowest: The lowest loss.
        last: The loss of the last evaluation.
        waited: The number of evaluations since the lowest loss.
        above: The number of evaluations in a row that were notably above the lowest loss.
        told: Whether a long rise has been reported.

    Example:
        >>> watch = Watch(patience=2)
        >>> [watch.take(step, loss) for step, loss in ((10, 2.0), (20, 1.5), (30, 1.6), (40, 1.7))]
        [True, True, False, False]
        >>> watch.step, watch.exhausted
        (20, True)
    """

    patience: int | None = None
    step: int = 0
    lowest: float = inf
    last: float = inf
    waited: int = 0
    above: int = 0
    told: bool = False

    def read(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take the evaluations among lines of metrics."""
        for line in lines:
            if isinstance(line.get("valid_loss"), int | float):
                self.take(line["step"], line["valid_loss"])
                self.told = self.told or self.above >= _LONG

    def take(self, step: int, loss: float) -> bool:
        """Take the result of an evaluation, and tell whether it is the lowest so far.

        Args:
            step: The step.
            loss: The held-out loss.
        """
        self.last = loss
        if loss < self.lowest:
            self.step, self.lowest, self.waited, self.above = step, loss, 0, 0
            return True
        self.waited += 1
        self.above = self.above + 1 if self.has_risen else 0
        return False

    @property
    def exhausted(self) -> bool:
        """Whether the loss has not fallen for so many evaluations that training stops."""
        return self.patience is not None and self.waited >= self.patience

    @property
    def has_risen(self) -> bool:
        """Whether the last loss is notably above the lowest one."""
        return self.last - self.lowest > _NOTABLE * abs(self.lowest)

    def warn(self) -> str:
        """Return a sentence when the loss has been above its lowest value for long, once in a run; otherwise empty."""
        if self.told or self.above < _LONG:
            return ""
        self.told = True
        return (
            f"the held-out loss was lowest at step {self.step:,} ({self.lowest:.4g}) and has been higher for {_LONG} "
            f"evaluations ({self.last:.4g} now): --patience {_LONG} would stop a run here"
        )

    def conclusion(self, run: str, step: int, *, early: bool) -> list[str]:
        """Describe the end of a run in sentences: why it stopped before its last step, and where the loss was lowest.

        Args:
            run: The run directory, for commands.
            step: The step at which the run has stopped.
            early: Whether that was before its last step.
        """
        said = []
        if early:
            said.append(
                f"Training stopped after step {step:,}, because the held-out loss had not fallen for {self.waited} "
                "evaluations. A larger --patience goes on from here."
            )
        if self.step and self.has_risen:
            said.append(
                f"The held-out loss was lowest at step {self.step:,} ({self.lowest:.4g}; {self.last:.4g} now). The "
                f"weights of that step are kept: `gatework evaluate {run} --checkpoint best` uses them."
            )
        return said
