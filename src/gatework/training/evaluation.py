"""Measure the model of a run, as its job defines."""

from dataclasses import replace
from time import monotonic

from gatework.errors import ConfigError
from gatework.tasks.task import Task
from gatework.training.jobs.evaluation import Evaluation as Evaluation
from gatework.training.jobs.evaluation import Question as Question
from gatework.training.jobs.evaluation import Search as Search
from gatework.training.jobs.registry import kind_of, knowing_own
from gatework.training.jobs.translation_data import MOST_BEAMS
from gatework.training.restore import Step, open_run, restore


def evaluate(
    run: str,
    *,
    split: str = "valid",
    data: str = "",
    streams: int | None = None,
    gap: int | None = None,
    symbols: int | None = None,
    beams: int | None = None,
    search: Search | None = None,
    draws: int | None = None,
    step: Step = None,
    device: str = "cpu",
    task: Task | None = None,
) -> Evaluation:
    """Measure the model of a run on a split of its data, on another text, or at another gap.

    Args:
        run: The run directory.
        split: ``train``, ``valid`` or, if the data have one, ``test``.
        data: For a run on text: a file or folder to measure on instead. It is read as a whole, with the level and the
            encoding of the run. For a run on translation: two files, as ``a.en,a.de``.
        streams: The number of parts of the text to read in parallel; see :func:`gatework.models.language.measure`. With
            1, the text is read in one pass, which is slowest but exact.
        gap: For a run on a task: another gap than in training.
        symbols: For a run on text: the most symbols to measure, evenly chosen over the text; 0 for all, None for the
            run's own setting ``evaluate_symbols``.
        beams: For a run on translation: the number of beams of the searches; None for the run's own setting. For a run
            on speech: those of a search beside the most probable path; None for none.
        search: For a run on speech: what the search knows.
        draws: For a model with latent variables: the number of draws of an importance-weighted estimate, the metric
            ``estimate``; None for none. The bound, which is the ``loss``, is averaged over the same draws.
        step: The step of the checkpoint; ``best`` for the lowest held-out loss; ``last`` or None for the newest.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
        task: For a run on a task of your own: the task.

    Returns:
        The metrics.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
        ConfigError: If an option is out of range, or has no meaning for this run.
        DataError: If the data are missing, differ from those of the training, or have no such split.
    """
    began = monotonic()
    question = make_question(split, data, streams, gap, symbols, beams, search, draws)
    with knowing_own(task):
        kind = kind_of(open_run(run).read_config().task)
        kind.check_question(run, question)
        measured = kind.evaluate(restore(run, step=step, device=device), question)
    return replace(measured, seconds=monotonic() - began)


def make_question(
    split: str,
    data: str,
    streams: int | None,
    gap: int | None,
    symbols: int | None,
    beams: int | None,
    search: Search | None,
    draws: int | None,
) -> Question:
    """Refuse options that are out of range; return them as a question. They are those of :func:`evaluate`.

    Raises:
        ConfigError: If one is out of range.
    """
    checked = check_symbols(symbols), check_beams(beams), search, check_draws(draws)
    return Question(split, data, check_streams(streams), gap, *checked)


def check_streams(streams: int | None) -> int | None:
    """Refuse a number of streams below 1; return any other.

    Raises:
        ConfigError: If there are too few.
    """
    if streams is not None and streams < 1:
        raise ConfigError(f"streams is {streams}; expected 1 or more.")
    return streams


def check_beams(beams: int | None) -> int | None:
    """Refuse a number of beams that no search has; return any other.

    Raises:
        ConfigError: If it is out of range.
    """
    if beams is not None and not 1 <= beams <= MOST_BEAMS:
        raise ConfigError(f"beams is {beams}; expected 1 (greedy) to {MOST_BEAMS:,}.")
    return beams


def check_symbols(symbols: int | None) -> int | None:
    """Refuse a negative number of symbols; return any other.

    Raises:
        ConfigError: If it is negative.
    """
    if symbols is not None and symbols < 0:
        raise ConfigError(f"symbols is {symbols}; expected a number of symbols, or 0 for all.")
    return symbols


def check_draws(draws: int | None) -> int | None:
    """Refuse a number of draws below 1; return any other.

    Raises:
        ConfigError: If there are too few.
    """
    if draws is not None and draws < 1:
        raise ConfigError(f"draws is {draws}; expected 1 or more.")
    return draws
