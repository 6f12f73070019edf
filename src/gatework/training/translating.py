"""Translate sentences with the model of a run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gatework.errors import ConfigError, RunError
from gatework.training.evaluation import check_beams
from gatework.training.jobs.kind import Translation as Translation
from gatework.training.jobs.kind import Wish
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import Step, open_run, reopen

_BEAMS = 5


@dataclass(frozen=True)
class Translations:
    """The translations of sentences.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        beams: The number of beams of the searches.
        lines: The translation of each sentence.
    """

    run: str
    step: int
    beams: int
    lines: tuple[Translation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the translations as plain data."""
        return asdict(self)


def translate(
    run: str,
    sentences: Sequence[str],
    *,
    beams: int = _BEAMS,
    penalty: float = 1.0,
    step: Step = None,
    device: str = "cpu",
) -> Translations:
    """Translate sentences with the model of a run of task ``translation``. The data of the run are not needed.

    Args:
        run: The run directory.
        sentences: The sentences, one a text without line ends. An empty one has an empty translation.
        beams: The number of beams of a search; 1 takes the most probable symbol at every step.
        penalty: The exponent of the length penalty of :func:`gatework.beam_search`; larger ones prefer longer texts.
        step: The step of the checkpoint; ``best`` for the lowest held-out loss; ``last`` or None for the newest.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.

    Returns:
        The translations, in the order of the sentences.

    Raises:
        RunError: If the directory is not a run that translates, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
        ConfigError: If an option is out of range.
        DataError: If something is not a sentence.
    """
    wish = make_wish(beams, penalty)
    config = open_run(run).read_config()
    kind = kind_of(config.task)
    if not kind.translates(config):
        raise RunError(
            f"Run '{run}' was trained on task '{config.task}'; expected a run of task translation. `gatework evaluate` "
            "measures it."
        )
    restored = reopen(run, step=step, device=device)
    return Translations(run, restored.step, beams, tuple(kind.translate(restored, sentences, wish)))


def make_wish(beams: int, penalty: float) -> Wish:
    """Check how translations are searched for.

    Args:
        beams: The number of beams.
        penalty: The exponent of the length penalty.

    Raises:
        ConfigError: If one is out of range.
    """
    if not 0 <= penalty < float("inf"):
        raise ConfigError(f"penalty is {penalty}; expected 0 (none) or a number above it.")
    return Wish(check_beams(beams) or 1, penalty)
