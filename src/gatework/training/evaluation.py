"""Measure a run's model on a text, every symbol exactly once."""

from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from torch import Tensor

from gatework.errors import ConfigError, DataError
from gatework.tasks.corpus import read_whole
from gatework.tasks.text import measure
from gatework.training.build import read_text
from gatework.training.restore import Loaded, load_model


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        text: The split, or the file or folder.
        tokens: The number of symbols, each counted once.
        unknown: How many of them the vocabulary lacks; they count as ``<unk>``.
        metrics: ``loss`` in nats per symbol, ``perplexity``, and ``bits_per_byte`` or ``bits_per_character``.
        seconds: How long it took.
    """

    run: str
    step: int
    text: str
    tokens: int
    unknown: int
    metrics: dict[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Give the result as plain data."""
        return asdict(self)


def evaluate(
    run: str,
    *,
    split: str = "valid",
    data: str = "",
    streams: int | None = None,
    step: int | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Measure a run's model on a split of its own text, or on another text.

    Args:
        run: The run directory.
        split: ``train``, ``valid`` or, where the data came with one, ``test``.
        data: A file or folder to measure on instead, read whole, at the run's level and in its encoding.
        streams: Parts of the text read side by side, see :func:`gatework.tasks.text.measure`; 1 reads it in one go,
            slowest and exact.
        step: Which checkpoint; the newest when None.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The metrics.

    Raises:
        RunError: When this is no run, or there is no such checkpoint.
        CheckpointError: When the checkpoint is damaged.
        DataError: When the text is not there or not the one the run was trained on, or has no such split.
    """
    if streams is not None and streams < 1:
        raise ConfigError(f"streams is {streams}: expected 1 or more")
    began = monotonic()
    loaded = load_model(run, step=step, device=device)
    tokens = _other_text(loaded, data) if data else _own_split(loaded, split)
    metric = measure(loaded.model, tokens, loaded.vocabulary, streams=streams)
    unknown = 0 if loaded.vocabulary.unknown is None else int((tokens == loaded.vocabulary.unknown).sum())
    seconds = monotonic() - began
    return Evaluation(run, loaded.step, data or split, metric.tokens, unknown, metric.named(), seconds)


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
