"""Measure a run's model, on what its job measures it on."""

from dataclasses import replace
from time import monotonic

from gatework.errors import ConfigError
from gatework.training.jobs.evaluation import Evaluation as Evaluation
from gatework.training.jobs.evaluation import Question
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import open_run, restore


def evaluate(
    run: str,
    *,
    split: str = "valid",
    data: str = "",
    streams: int | None = None,
    gap: int | None = None,
    step: int | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Measure a run's model on a split of its own data, on another text, or over another gap.

    Args:
        run: The run directory.
        split: ``train``, ``valid`` or ``test``, where the data have one.
        data: Of a run on text, a file or folder to measure on instead, read whole, at the run's level and in its
            encoding.
        streams: Parts of the text read side by side, see :func:`gatework.models.language.measure`; 1 reads it in one
            go, slowest and exact.
        gap: Of a run on a task, another gap than it was trained on.
        step: Which checkpoint; the newest when None.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The metrics.

    Raises:
        RunError: When this is no run, or there is no such checkpoint.
        CheckpointError: When the checkpoint is damaged.
        ConfigError: When an option is out of range, or has no meaning for this run.
        DataError: When the data are not there or not those the run was trained on, or have no such split.
    """
    if streams is not None and streams < 1:
        raise ConfigError(f"streams is {streams}: expected 1 or more")
    began, question = monotonic(), Question(split, data, streams, gap)
    kind = kind_of(open_run(run).read_config().task)
    kind.check_question(run, question)
    measured = kind.evaluate(restore(run, step=step, device=device), question)
    return replace(measured, seconds=monotonic() - began)
