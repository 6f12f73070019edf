"""The run directory. It holds everything that is known about a run.

    config.json         the settings of the run, with equations of the user's own
    data.json           facts about the data, such as files, numbers of symbols and a fingerprint
    vocabulary.json     the symbol of each number, for a run on text
    metrics.jsonl       one line per report of the training loss or evaluation on held-out data
    checkpoints/step-N  see :mod:`gatework.runs.checkpoint`
    best/step-N         the weights with the lowest held-out loss, in the same form
    samples/step-N.txt  text that the model generated
    loss.png            the curve
    .lock               held while a process writes

A run that was killed and resumed has the same numbers in ``metrics.jsonl`` as a run that never stopped, except for
``seconds`` and ``tokens_per_second``: when a run resumes from a checkpoint, later lines are removed. They were not
flushed to disk, so they may be damaged. Earlier lines were flushed, and a damaged one is an error.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gatework.errors import ConfigError, RunError
from gatework.reading.nested import parse_value
from gatework.runs.checkpoint import list_checkpoints
from gatework.runs.directory import Directory, append_line, split_lines
from gatework.runs.files import digest, flush_folder, saving, write_file, write_json
from gatework.tasks.own import is_task
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.registry import kind_of

WALL_CLOCK = ("seconds", "tokens_per_second", "sequences_per_second")

# Settings that may change when a run is resumed: paths, the frequency of reports, and the length of the run. The text
# is compared by its content.
_PLACES = ("run", "data", "pair", "valid_pair", "test_pair", "pattern", "device", "threads")
_RHYTHMS = ("log_every", "evaluate_every", "evaluate_symbols", "checkpoint_every", "keep_checkpoints")
MAY_CHANGE = frozenset((*_PLACES, *_RHYTHMS, "steps", "epochs", "patience", "start_from"))
# The settings of the first version, which are in the fingerprint of every run. A later setting is left out at its
# default, where it changes nothing. So older runs can still be resumed, and a new setting of one job does not affect
# the runs of others.
_FIRST = frozenset(
    (
        *("task", "data", "pattern", "level", "encoding", "vocabulary_size", "valid_fraction", "cell", "hidden_size"),
        *("num_layers", "embedding_size", "proj_size", "tie_weights", "init", "forget_bias", "layer_norm", "dropout"),
        *("recurrent_dropout", "zoneout", "optimizer", "learning_rate", "weight_decay", "schedule", "decay"),
        *("decay_after", "warmup_steps", "clip_norm", "batch_size", "window", "steps", "epochs", "seed", "run"),
        *("log_every", "evaluate_every", "checkpoint_every", "keep_checkpoints", "threads", "device", "dtype"),
    )
)


@dataclass(frozen=True)
class RunDirectory(Directory):
    """The files of a run.

    Args:
        path: The directory.
    """

    noun: ClassVar = "run"
    denial: ClassVar = "not a run"
    called: ClassVar = "Run directory"
    before_config: ClassVar = frozenset((".lock", "data.json", "vocabulary.json", "checkpoints", "best", "samples"))

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The folder of the checkpoint with the lowest held-out loss."""
        return self.path / "best"

    @property
    def samples(self) -> Path:
        """The folder of samples."""
        return self.path / "samples"

    @property
    def metrics(self) -> Path:
        """The file of metrics."""
        return self.path / "metrics.jsonl"

    @property
    def curve(self) -> Path:
        """The picture of the loss."""
        return self.path / "loss.png"

    def require(self) -> None:
        """Refuse a directory that is not a run.

        Raises:
            RunError: If it is not a run; the message says what it is instead.
        """
        if not self.exists():
            what = "is a file" if self.path.is_file() else "does not exist"
            if self.path.is_dir():
                what = "holds no config.json"
            raise RunError(f"'{self.path}' is not a run: it {what}. Give the directory of a run that `train` made.")

    def read_config(self) -> TrainConfig:
        """Read the settings of the run.

        Raises:
            RunError: If there is no run, or its configuration cannot be read.
        """
        self.require()
        path = self.path / "config.json"
        values = self.read_json(path.name)
        self._require_own_task(values.get("task"))
        try:
            return make_config(values, where=f"'{path}'", files=False)
        except ConfigError as error:
            raise RunError(f"The run's configuration cannot be used: {error}") from error

    def _require_own_task(self, task: Any) -> None:
        """Refuse a run whose task was a person's own, if this task is not known now."""
        if not isinstance(task, str) or is_task(task) or not (self.path / "data.json").is_file():
            return
        if self.read_json("data.json").get("own_task") is True:
            raise RunError(
                f"Run '{self.path}' was trained on task '{task}', which is not one of gatework's: give the task itself "
                f"in Python, as in gatework.load('{self.path}', task=my_task)."
            )

    def read_data(self) -> dict[str, Any]:
        """Read the facts about the data of the run.

        Raises:
            RunError: If there are none.
        """
        data = self.read_json("data.json")
        if not isinstance(data.get("fingerprint"), str):
            raise RunError(f"'{self.path / 'data.json'}' has no fingerprint: it is not what `train` wrote.")
        return data

    def read_start(self) -> str:
        """Return the digest of the weights that the run began with; empty if they were drawn."""
        start = self.read_data().get("start")
        return str(start.get("digest", "")) if isinstance(start, dict) else ""

    def create(self, config: TrainConfig, data: Mapping[str, Any], files: Mapping[str, Any]) -> None:
        """Create the files of a run. ``config.json`` is written last: if it exists, so does the rest."""
        with saving(f"Run directory '{self.path}'"):
            for folder in (self.checkpoints, self.best, self.samples):
                folder.mkdir(exist_ok=True)
            write_json(self.path / "data.json", data)
            for name, content in files.items():
                write_json(self.path / name, content)
            write_json(self.path / "config.json", _told(config))

    def write_config(self, config: TrainConfig) -> None:
        """Replace the settings, after a permitted change."""
        with saving(f"Run directory '{self.path}'"):
            write_json(self.path / "config.json", _told(config))

    def sweep(self) -> None:
        """Remove unfinished files of killed processes."""
        self.sweep_folders(self.path, self.checkpoints, self.best, self.samples)

    def latest(self) -> int | None:
        """Return the step of the newest checkpoint; None if there is none."""
        steps = list_checkpoints(self.checkpoints)
        return steps[-1] if steps else None

    def read_metrics(self, flushed: int | None = None) -> list[dict[str, Any]]:
        """Read the lines of metrics, without an incomplete last line.

        Args:
            flushed: The number of lines that were flushed to disk. Later lines are left out, because a crash may have
                damaged them. None if the number is not known; then all lines are read.

        Raises:
            RunError: If any other line is damaged.
        """
        lines = self.read_lines(self.metrics, lambda line: parse_value(line, self.metrics), "is not JSON", flushed)
        for number, values in enumerate(lines, start=1):
            if not isinstance(values, dict) or not isinstance(values.get("step"), int):
                raise RunError(f"'{self.metrics}' is damaged: line {number} has no step.")
        return lines

    def count_metrics(self) -> int:
        """Count the complete lines of metrics."""
        return len(split_lines(self.metrics, self.noun)) - 1

    def replace_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Replace all lines of metrics."""
        content = b"".join(_line(line) for line in lines)
        if content != b"\n".join(split_lines(self.metrics, self.noun)):
            with saving(f"'{self.metrics}'"):
                write_file(self.metrics, content)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        append_line(self.metrics, _line(line))

    def flush_metrics(self) -> None:
        """Flush all lines to disk, before the checkpoint that follows them is saved."""
        with saving(f"'{self.metrics}'"), self.metrics.open("ab") as file:
            file.flush()
            os.fsync(file.fileno())
            flush_folder(self.path)


def fingerprint(config: TrainConfig, data_fingerprint: str, start: str = "") -> str:
    """Return the fingerprint of everything that determines the course of a run: its fixed settings and its data.

    Args:
        config: The settings.
        data_fingerprint: The fingerprint of the data.
        start: The digest of the weights of another run that it began with; empty if they were drawn.
    """
    default = {k for k, field in TrainConfig.model_fields.items() if getattr(config, k) == field.default} - _FIRST
    fixed = {key: v for key, v in config.model_dump(mode="json").items() if key not in MAY_CHANGE | default}
    return digest(json.dumps([fixed, data_fingerprint, *([start] if start else [])], sort_keys=True).encode())


def check_same(run: RunDirectory, config: TrainConfig, data_fingerprint: str) -> None:
    """Refuse to resume a run with another configuration or other data.

    Raises:
        RunError: If they differ; the message names every differing setting with both values.
    """
    before, now = run.read_config().model_dump(mode="json"), _told(config)
    # The weights that a run began with are in its first checkpoint, so it does not matter whether they are still there.
    compared = [key for key in now if key not in MAY_CHANGE or key == "start_from"]
    differing = [key for key in compared if before[key] != now[key]]
    if differing:
        told = "; ".join(f"{key} is {_short(before[key])} there and {_short(now[key])} now" for key in differing)
        raise RunError(
            f"Run directory '{run.path}' has another configuration: {told}. "
            "Give the same settings, or another directory with --run."
        )
    if run.read_data()["fingerprint"] != data_fingerprint:
        own = kind_of(config.task).data_name(config)
        raise RunError(
            f"Run directory '{run.path}' was trained on other data than '{own}' are now. Give the same data, "
            "or another directory with --run."
        )


def _told(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as plain data, with absolute paths, which are valid in any folder."""
    paths = {name: getattr(config, name) for name in ("data", "start_from")}
    whole = {name: _absolute(path) if path else "" for name, path in paths.items()}
    pairs = {name: [_absolute(path) for path in getattr(config, name)] for name in ("pair", "valid_pair", "test_pair")}
    return config.model_dump(mode="json") | whole | pairs


def _absolute(path: str) -> str:
    return str(Path(os.path.expanduser(path)).absolute())


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _line(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
