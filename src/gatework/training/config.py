"""What a training run is told: one typed, frozen configuration."""

import codecs
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gatework.cells import CELLS, Cell, read_equations
from gatework.cells import cell as equations_cell
from gatework.errors import ConfigError, FileError
from gatework.reading import nested
from gatework.tasks.registry import TASKS

DEFAULT_STEPS = 4000
DEVICE = r"cpu|cuda(:\d+)?|auto"
TEXT = "text"
# What only the language model of a text knows.
TEXT_ONLY = (
    "pattern",
    "level",
    "encoding",
    "vocabulary_size",
    "valid_fraction",
    "tie_weights",
    "init_range",
    "window",
)

_LONGEST_SHOWN = 200  # characters of a value that cannot be used

Fraction = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[int, Field(ge=1, le=2**24)]


class TrainConfig(BaseModel):
    """Everything that decides how a run goes; the same configuration always gives the same run.

    Build it with :func:`make_config`, whose errors are sentences.

    Example:
        >>> TrainConfig(hidden_size=64).cell
        'lstm'
    """

    # Strict: true is not the number 1, and "6" is not 6.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    task: str = Field(TEXT, description="The job: text is a language model; the others, see `gatework tasks`.")
    gap: int | None = Field(None, ge=0, le=2**24, description="How far a task's gap is, or how long its sequences are.")
    shortest_gap: int | None = Field(
        None,
        ge=0,
        le=2**24,
        description="Train on gaps from here to gap, one drawn for each step; by default only gap.",
    )

    data: str = Field(
        "",
        description="A file or a folder; by default the source of Python's own library, or what GATEWORK_DATA holds.",
    )
    pattern: str = Field("", description="Which files of a folder to read, such as *.py; by default *.txt, else all.")
    level: Literal["byte", "char", "word"] = Field("char", description="What the model reads and writes one by one.")
    encoding: str = Field("utf-8", description="The encoding of the text (not used at level byte).")
    vocabulary_size: int | None = Field(
        None, ge=3, le=2**24, description="Keep only so many symbols, the most frequent; the rest become <unk>."
    )
    valid_fraction: float = Field(
        0.1, gt=0, lt=1, description="The part of the text held out, where the data does not come with splits."
    )

    cell: str = Field("lstm", description="A cell's name (see `gatework cells`), or a .txt file of equations.")
    hidden_size: Size = Field(256, description="Units of each layer.")
    num_layers: int = Field(1, ge=1, le=1024, description="Layers, one above the other.")
    embedding_size: Size | None = Field(None, description="Size of a symbol's vector; by default the layer's output.")
    proj_size: int = Field(
        0, ge=0, le=2**24, description="Size of a projected output, smaller than hidden_size; 0: none."
    )
    tie_weights: bool = Field(False, description="Let the embedding and the output layer share one matrix.")
    init: Literal["torch", "orthogonal", "chrono"] = Field("torch", description="How the recurrent weights begin.")
    init_range: float | None = Field(
        None, gt=0, le=100, description="Draw every weight and bias evenly from -range to range, in place of init."
    )
    forget_bias: float | None = Field(
        None, ge=-100, le=100, description="Where the forget gate's bias begins; by default the cell's own choice."
    )
    layer_norm: bool = Field(False, description="Normalise inside the cell (Ba et al. 2016).")

    dropout: Fraction = Field(0.0, description="Dropout on what flows upwards, never in time (Zaremba et al. 2014).")
    recurrent_dropout: Fraction = Field(0.0, description="Dropout on the cell's update (Semeniuta et al. 2016).")
    zoneout: dict[str, Fraction] = Field(
        {}, description="Per state the chance that a unit stays as it was, as in c=0.5,h=0.05 (Krueger et al. 2016)."
    )

    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="The rule that turns gradients into steps.")
    learning_rate: float = Field(3e-3, gt=0, le=1e4, description="The learning rate at its highest.")
    weight_decay: float = Field(0.0, ge=0, le=1e4, description="Pull of the matrices towards zero.")
    schedule: Literal["constant", "cosine", "zaremba"] = Field(
        "cosine", description="How the learning rate goes: constant, cosine to zero, or Zaremba et al.'s decay."
    )
    decay: float = Field(1.2, ge=1, le=1e4, description="With zaremba: what the rate is divided by each epoch.")
    decay_after: int = Field(6, ge=0, description="With zaremba: epochs before the first division.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate first grows to its height.")
    clip_norm: float = Field(1.0, ge=0, le=1e9, description="Largest norm of the whole gradient; 0: no clipping.")
    reduction: Literal["mean", "sum_over_time"] = Field(
        "mean",
        description="The loss of a step: the mean over its symbols, or over its streams of their sums over time.",
    )

    batch_size: int = Field(32, ge=1, le=2**20, description="Streams of text read side by side, over all processes.")
    window: int = Field(64, ge=1, le=2**20, description="Time steps that a gradient flows back through.")
    steps: int | None = Field(None, ge=1, le=10**9, description=f"Training steps in all; by default {DEFAULT_STEPS}.")
    epochs: int | None = Field(None, ge=1, le=10**9, description="Passes over the text, in place of steps.")
    seed: int = Field(0, ge=0, lt=2**63, description="Where all chance begins.")

    run: str = Field("", pattern=r"^[^\x00]*$", description="The run's directory; by default runs/<cell>-<data>.")
    log_every: int = Field(10, ge=1, description="Steps between two lines of training loss.")
    evaluate_every: int = Field(500, ge=1, description="Steps between two looks at the held-out text.")
    checkpoint_every: int = Field(250, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=2, le=10**6, description="How many of the latest checkpoints are kept.")
    threads: int | None = Field(None, ge=1, le=4096, description="CPU threads; by default what torch chooses.")
    device: str = Field("cpu", description="cpu, cuda, cuda:N, or auto.")
    dtype: Literal["float32", "float64", "bfloat16"] = Field("float32", description="The kind of number to compute in.")

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, value: str) -> str:
        if value != TEXT:
            TASKS[value]  # raises ConfigError, with the nearest name
        return value

    @field_validator("cell")
    @classmethod
    def _cell_is_known(cls, value: str, info: ValidationInfo) -> str:
        """Take the text out of a file of equations, so that the run does not depend on the file."""
        if is_file(value):
            if not may_name_files(info):
                raise refused_file("cell", value)
            return read_equations(value)
        if is_equations(value):
            return value
        CELLS[value]  # raises CellError, with the nearest name
        return value

    @field_validator("zoneout", mode="before")
    @classmethod
    def _zoneout_in_words(cls, value: Any) -> Any:
        """Read ``c=0.5,h=0.05``, the way it is written on a command line."""
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(equals and name.strip() for name, equals, _ in pairs):
            raise ValueError(f"zoneout is '{value}': expected rates by state, such as c=0.5,h=0.05")
        try:
            return {name.strip(): float(rate) for name, _, rate in pairs}
        except ValueError as error:
            raise ValueError(f"zoneout is '{value}': expected a number per state, such as c=0.5,h=0.05") from error

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, value: str) -> str:
        if not re.fullmatch(DEVICE, value):
            raise ValueError(f"device is '{value}': expected cpu, cuda, cuda:N or auto")
        return value

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str) -> str:
        try:
            # Four bytes: fewer are no character in utf-32. A codec that gives no text, such as rot13, is refused.
            b"\0\0\0\0".decode(value)
            return codecs.lookup(value).name
        except (LookupError, UnicodeError) as error:
            raise ValueError(f"'{value}' is not the name of a text encoding; try utf-8, latin-1 or utf-16") from error

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainConfig":
        self._fits_task()
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"steps is {self.steps} and epochs is {self.epochs}: expected one of the two")
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size is {self.proj_size} and hidden_size {self.hidden_size}: "
                "expected a projection smaller than hidden_size, or 0 for none"
            )
        if self.tie_weights and self.embedding_size not in (None, self.output_size):
            raise ValueError(
                f"tie_weights needs an embedding of the layer's output size {self.output_size}, and embedding_size is "
                f"{self.embedding_size}: leave embedding_size out, or set it to {self.output_size}"
            )
        if self.init_range is not None and self.init != "torch":
            raise ValueError(f"init is '{self.init}' and init_range {self.init_range:g}: expected one of the two")
        if self.vocabulary_size is not None and self.level == "byte":
            raise ValueError("vocabulary_size has no meaning at level byte, which always has 256 symbols: leave it out")
        return self

    def _fits_task(self) -> None:
        """Refuse what has no meaning in the task."""
        if self.task == TEXT:
            for name in ("gap", "shortest_gap"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} is {getattr(self, name)}, and a text has none: leave it out, or choose a --task"
                    )
            return
        task = TASKS[self.task]
        gap = task.check_gap(self.gap)
        task.check_data(self.data)
        if self.shortest_gap is not None:
            task.check_shortest_gap(self.shortest_gap, gap)
        for name in TEXT_ONLY:
            if getattr(self, name) != TrainConfig.model_fields[name].default:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, and has no meaning in task '{self.task}': leave it out"
                )

    @property
    def output_size(self) -> int:
        """The size of what a layer gives upwards."""
        return self.proj_size or self.hidden_size

    @property
    def input_size(self) -> int:
        """The size of a symbol's vector."""
        return self.output_size if self.embedding_size is None else self.embedding_size

    def total_steps(self, steps_per_epoch: int | None) -> int:
        """Give the number of steps in all, whichever way it is said."""
        if self.epochs is not None and steps_per_epoch is not None:
            return self.epochs * steps_per_epoch
        return DEFAULT_STEPS if self.steps is None else self.steps

    @property
    def directory(self) -> Path:
        """The run's directory."""
        if self.run:
            return Path(os.path.expanduser(self.run))
        return Path("runs") / f"{'own-cell' if is_equations(self.cell) else self.cell}-{self.title}"

    @property
    def title(self) -> str:
        """What to call the data."""
        if self.task != TEXT:
            return self.task if self.gap is None else f"{self.task}-{self.gap}"
        if not self.data:
            return "python"
        # A file's name need not be UTF-8, and a title must be.
        return Path(os.path.expanduser(self.data)).resolve().stem.encode("utf-8", errors="replace").decode("utf-8")


def is_equations(cell: str) -> bool:
    """Tell equations from a cell's name or a file's."""
    return "=" in cell


def may_name_files(info: ValidationInfo) -> bool:
    """Tell whether the settings may name files that are read at once: only where a person gives them."""
    return bool((info.context or {}).get("files", True))


def refused_file(name: str, value: str) -> ConfigError:
    """Refuse the name of a file in settings that no person gave."""
    return ConfigError(
        f"{name} is '{value}': expected a cell's name or its equations. What a directory holds never names a file of "
        "equations: it could be anyone's"
    )


def make_config(values: Mapping[str, Any], where: str = "", *, files: bool = True) -> TrainConfig:
    """Check values and build the configuration.

    Args:
        values: Any of the fields of :class:`TrainConfig`, by name; the others keep their task's defaults, or their own.
        where: Where the values come from, such as a file's name, for the error's sentence.
        files: Whether ``cell`` may name a file of equations, which is read: so where a person gives it, and not where
            it stands in a run directory.

    Returns:
        The configuration.

    Raises:
        ConfigError: For an unknown key, with the nearest one that exists, or a value out of range.

    Example:
        >>> make_config({"hiden_size": 64})
        Traceback (most recent call last):
        gatework.errors.ConfigError: 'hiden_size' is no setting; did you mean 'hidden_size'?
    """
    place = f"{where}: " if where else ""
    for key in values:
        if key not in TrainConfig.model_fields:
            raise ConfigError(f"{place}'{key}' is no setting; {nearest(key, TrainConfig.model_fields)}")
    try:
        whole = {**_task_defaults(values, files), **values}
        return TrainConfig.model_validate(whole, context={"files": files})
    except ValidationError as error:
        raise ConfigError(place + "; ".join(fault_in_words(dict(fault)) for fault in error.errors())) from error


def _task_defaults(values: Mapping[str, Any], files: bool) -> Mapping[str, Any]:
    """Give what suits the task, where the values name one that there is."""
    name = values.get("task", TEXT)
    if not isinstance(name, str) or name not in TASKS:
        return {}
    task = TASKS[name]
    cell = _find_cell(values.get("cell", TrainConfig.model_fields["cell"].default), files)
    # How a task would have a gate begin says nothing to a cell that has none.
    gateless = cell is None or not cell.remember
    lengths = ("steps", "epochs")  # they say the same thing, so that either of them stands for both
    said = any(values.get(name) is not None for name in lengths)
    left_out = {*(lengths if said else ()), *(("init", "forget_bias") if gateless else ())}
    found = {name: value for name, value in task.defaults.items() if name not in left_out}
    units = {"hidden_size": TrainConfig.model_fields["hidden_size"].default, **found, **values}["hidden_size"]
    if cell is not None and isinstance(units, int) and (size := own_projection(cell, units)):
        found["proj_size"] = size
    return found


def own_projection(cell: Cell, hidden_size: int) -> int:
    """Give the size of a cell's output on a sequence task, where nobody says it.

    Args:
        cell: The cell.
        hidden_size: Its units.

    Returns:
        Half of the units where the equations project the output and leave its size open; else 0, for no projection.

    Example:
        >>> own_projection(CELLS["lstm_projected"], 32), own_projection(CELLS["lstm"], 32)
        (16, 0)
    """
    return hidden_size // 2 if "proj_size" in cell.step.size_keys and cell.proj_size is None else 0


def _find_cell(given: Any, files: bool) -> Cell | None:
    """Find a cell, in whichever way it is given; None where there is none."""
    if not isinstance(given, str) or (is_file(given) and not files):
        return None
    text = read_equations(given) if is_file(given) else given
    return equations_cell(text) if is_equations(text) else CELLS.get(text)


def is_file(given: str) -> bool:
    """Tell the name of a file of equations from a cell's name and from equations."""
    return "\n" not in given and (given.endswith(".txt") or ("/" in given and "=" not in given))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Args:
        path: The file: one ``key = value`` per line, the keys being fields of :class:`TrainConfig`.

    Returns:
        The values that the file sets; :func:`make_config` checks them.

    Raises:
        ConfigError: When the file cannot be read, is not TOML, or has an unknown key.
    """
    try:
        values = nested.read_toml(path)
    except FileError as error:
        raise ConfigError(f"settings file '{path}' {error.reason}: expected a TOML file") from error
    for key in values:
        if key not in TrainConfig.model_fields:
            known = nearest(key, TrainConfig.model_fields)
            raise ConfigError(f"settings file '{path}': '{key}' is no setting; {known}")
    return values


def nearest(key: str, known: Mapping[str, Any]) -> str:
    """Say which known key an unknown one may have meant, or list them all."""
    close = get_close_matches(key.replace("-", "_"), known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"expected one of {', '.join(known)}"


def fault_in_words(fault: Mapping[str, Any]) -> str:
    """Say what pydantic found wrong with a setting.

    Args:
        fault: One of its error's entries.

    Returns:
        A clause; one of our own is passed on as it is.
    """
    name = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not name or fault["type"] == "value_error":  # ours, and whole
        return message
    if fault["type"] == "missing":
        return f"{name} is missing"
    given = repr(fault["input"])
    shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}…"
    return f"{name} is {shown}: {message[0].lower()}{message[1:]}"
