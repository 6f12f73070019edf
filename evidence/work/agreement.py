"""The number of verbs in sentences that people wrote."""

from typing import Any

from evidence.work.training import trained
from gatework.tasks.sequences import measure_sequences
from gatework.training.sequence_job import SequenceJob


def measure_agreement(cell: str, seed: int) -> dict[str, Any]:
    """Train on real sentences with the task's own settings, and count what is right by number of attractors.

    Args:
        cell: The cell.
        seed: Where chance begins.

    Returns:
        ``accuracy`` over all and ``by_attractors``, ``sentences`` of each number of attractors, and ``chance``, the
        accuracy of always answering what is commonest.
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
        "chance": job.chance()["accuracy"],
    }
