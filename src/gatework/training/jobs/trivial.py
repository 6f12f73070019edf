"""The trivial predictors that a model of a sequence task is held against."""

from collections.abc import Mapping
from typing import cast

from gatework.tasks.asking import guess
from gatework.tasks.recorded.forecasting import persist
from gatework.tasks.task import Recording, Split, Task


def measure_predictors(
    task: Task, recording: Recording | None, gap: int, split: Split
) -> Mapping[str, Mapping[str, float]]:
    """Return the metrics of trivial predictors on a split.

    Args:
        task: The task.
        recording: Its recorded sequences; None if they are drawn.
        gap: The gap.
        split: The split.

    Returns:
        The metrics of each predictor, by its name: ``persistence``, ``seasonal`` and ``mean`` for forecasts, the
        ``most frequent class`` for classes, the ``mean`` for numbers, and otherwise ``guessing``. Empty if none is
        known for the split.

    Example:
        >>> from gatework.tasks.registry import TASKS
        >>> measure_predictors(TASKS["parity"], None, 10, "valid")["guessing"]["accuracy"]
        0.5
    """
    if recording is None:
        chance = dict(task.chance(gap))
        return {"guessing": chance} if chance else {}
    if "trivial" in recording.facts:
        return recording.facts["trivial"][split]
    held = recording.splits[split]
    skill = {} if held.baseline is None else {"skill": 0.0}
    if task.kind == "choice":
        return {"most frequent class": guess(recording.splits["train"], held, recording.outputs) | skill}
    if task.kind == "number" and held.baseline == 0:
        return {"mean": persist(held) | skill}
    chance = recording.facts.get("chance", {})
    return {"guessing": cast(Mapping[str, float], chance)} if chance and split == "test" else {}
