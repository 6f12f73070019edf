"""The number of verbs in sentences that people wrote."""

from typing import Any

from evidence.work.training import trained
from gatework.models.sequences import measure_sequences
from gatework.tasks.task import Batch
from gatework.training.jobs.sequence import SequenceJob


def measure_agreement(cell: str, seed: int) -> dict[str, Any]:
    """Train on real sentences with the task's own settings, and count what is right by number of attractors.

    Args:
        cell: The cell.
        seed: Where chance begins.

    Returns:
        ``accuracy`` over all and ``by_attractors``, ``sentences`` of each number of attractors, and ``chance``, the
        accuracy of always answering what is commonest; and ``commonest``, the same where it may be another answer for
        each number of attractors.
    """
    trainer, _ = trained({"task": "agreement", "cell": cell, "seed": seed}, to_success=False)
    job: Any = trainer.job
    assert isinstance(job, SequenceJob)
    model: Any = trainer.model
    score, groups = measure_sequences(model, job.held("test"), job.task)
    return {
        "accuracy": score.named()["accuracy"],
        "by_attractors": {str(group): metrics["accuracy"] for group, metrics in groups.items()},
        "sentences": {str(group): int(metrics["sequences"]) for group, metrics in groups.items()},
        "chance": job.baseline()["accuracy"],
        "commonest": _commonest(job.held("train"), job.held("test")),
    }


def _commonest(learned: Batch, asked: Batch) -> dict[str, float]:
    """Give by number of attractors what whoever knows only that number gets right."""
    assert learned.groups is not None
    assert asked.groups is not None
    found = {}
    for group in asked.groups.unique().tolist():
        # What is not asked is negative, so that the largest of a sequence is its one answer.
        before = learned.targets[:, learned.groups == group].amax(dim=0)
        now = asked.targets[:, asked.groups == group].amax(dim=0)
        found[str(group)] = float((now == before.mode().values).double().mean())
    return found
