"""Measure a run's model: on a text, every symbol exactly once, or on the sequences of its task."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from torch import Tensor

from gatework.data.corpus import read_whole
from gatework.errors import ConfigError, DataError
from gatework.models.language import measure
from gatework.models.sequences import measure_sequences
from gatework.training.build import read_text
from gatework.training.config import TEXT, make_config
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.restore import Loaded, load_model, load_task, open_run


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        text: The split, or the file or folder.
        tokens: The number of symbols, each counted once; of a task the number of answers.
        unknown: How many of them the vocabulary lacks; they count as ``<unk>``. None of a task's.
        metrics: Of text ``loss`` in nats per symbol, ``perplexity``, and ``bits_per_byte`` or ``bits_per_character``;
            of a task its metrics.
        seconds: How long it took.
        gap: The task's gap; None for text.
        solved: Whether the task's criterion is met; None for text.
        chance: The metrics of whoever guesses without looking, where they are known.
        sequences: The number of a task's sequences; None for text.
        groups: Results by group of sequences, where the task has groups.
        group_names: What the groups are called, where recorded data say so.
    """

    run: str
    step: int
    text: str
    tokens: int
    unknown: int
    metrics: dict[str, float]
    seconds: float
    gap: int | None = None
    solved: bool | None = None
    chance: dict[str, float] = field(default_factory=dict)
    sequences: int | None = None
    groups: dict[int, dict[str, float]] = field(default_factory=dict)
    group_names: dict[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the result as plain data, of text and of a task each with the names that fit it."""
        about = {"run": self.run, "step": self.step}
        if self.gap is None:
            about |= {"text": self.text, "tokens": self.tokens, "unknown": self.unknown}
            return about | {"metrics": self.metrics, "seconds": self.seconds}
        about |= {"split": self.text, "gap": self.gap, "sequences": self.sequences, "answers": self.tokens}
        groups = {
            group: ({"name": self.group_names[group]} if group in self.group_names else {}) | line
            for group, line in self.groups.items()
        }
        found = {"metrics": self.metrics, "solved": self.solved, "chance": self.chance, "groups": groups}
        return about | found | {"seconds": self.seconds}


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
    if open_run(run).read_config().task != TEXT:
        if data or streams is not None:
            given = f"data is '{data}'" if data else f"streams is {streams}"
            raise ConfigError(f"{given}, and run '{run}' was trained on a task, not on text: leave it out")
        return _evaluate_task(run, split, gap, step, device)
    if gap is not None:
        raise ConfigError(f"gap is {gap}, and run '{run}' was trained on text, which has none: leave it out")
    began = monotonic()
    loaded = load_model(run, step=step, device=device)
    tokens = _other_text(loaded, data) if data else _own_split(loaded, split)
    metric = measure(loaded.model, tokens, loaded.vocabulary, streams=streams)
    unknown = 0 if loaded.vocabulary.unknown is None else int((tokens == loaded.vocabulary.unknown).sum())
    seconds = monotonic() - began
    return Evaluation(run, loaded.step, data or split, metric.tokens, unknown, metric.named(), seconds)


def _evaluate_task(run: str, split: str, gap: int | None, step: int | None, device: str) -> Evaluation:
    began = monotonic()
    loaded = load_task(run, step=step, device=device)
    job = loaded.job
    if gap is not None:
        job = SequenceJob(make_config(loaded.config.model_dump() | {"gap": gap}))
        if (job.inputs, job.outputs) != (loaded.job.inputs, loaded.job.outputs):
            raise ConfigError(
                f"gap is {gap}: the model reads {loaded.job.inputs} and gives {loaded.job.outputs} numbers a step, and "
                f"there it would be {job.inputs} and {job.outputs}; train another one for that gap"
            )
    score, groups = measure_sequences(loaded.model, job.held(split), job.task)
    metrics = score.named()
    names = job.recording.facts.get("groups", ()) if job.recording else ()
    return Evaluation(
        run,
        loaded.step,
        split,
        score.asked,
        0,
        metrics,
        monotonic() - began,
        gap=job.gap,
        solved=job.task.success.reached(metrics),
        chance=job.baseline(),
        sequences=score.sequences,
        groups=groups,
        group_names={group: names[group] for group in groups if group < len(names)},
    )


def _other_text(loaded: Loaded, data: str) -> Tensor:
    symbols = read_whole(data, level=loaded.config.level, encoding=loaded.config.encoding)
    return loaded.vocabulary.encode(symbols)


def _own_split(loaded: Loaded, split: str) -> Tensor:
    text = read_text(loaded.config)
    if text.corpus.fingerprint != loaded.directory.read_data()["fingerprint"]:
        raise DataError(
            f"the text of run '{loaded.directory.path}' ('{loaded.config.data or 'the standard library'}') has changed "
            "since it was trained: bring the old text back, or measure on a text of your choice with --data"
        )
    if split not in text.tokens:
        raise DataError(f"the text has no split '{split}': it has {', '.join(text.tokens)}")
    return text.tokens[split]
