"""The settings that all jobs share. The settings of one kind of job are in its own module."""

import codecs
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gatework.cells import find_cell, is_equations, is_file, read_equations
from gatework.errors import ConfigError, sentences
from gatework.reading.nested import expectation

DEFAULT_STEPS = 4000
DEVICE = r"cpu|cuda(:\d+)?|mps|auto"

_MOST_STEPS = 2**20  # that a gradient goes back over
_LONGEST_SHOWN = 200  # the most characters of an invalid value in a message

Fraction = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[int, Field(ge=1, le=2**24)]


class Settings(BaseModel):
    """The settings of every job; the settings of one kind of job are a class that inherits from this one.

    :class:`gatework.TrainConfig` has the settings of all kinds of jobs.
    """

    # Strict: true is not the number 1, and "6" is not 6.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    # The headings of the list of settings, and the first field below each.
    headings: ClassVar[Mapping[str, str]] = {
        "task": "Task",
        "data": "Data",
        "cell": "Model",
        "dropout": "Regularisation",
        "optimizer": "Training",
        "run": "Run",
    }

    task: str = Field(description="The job: text is a language model; the others, see `gatework tasks`.")
    gap: int | None = Field(None, ge=0, le=2**24, description="The length of a task's gap, or of its sequences.")
    data: str = Field(
        "",
        description="A file or a folder; by default the source of Python's own library, or what GATEWORK_DATA holds.",
    )
    encoding: str = Field("utf-8", description="The encoding of a text (not used at level byte), or of a table.")
    cell: str = Field("lstm", description="A cell's name (see `gatework cells`), or a .txt file of equations.")
    hidden_size: Size = Field(256, description="Units of each layer.")
    num_layers: int = Field(1, ge=1, le=1024, description="Layers, one above the other.")
    embedding_size: Size | None = Field(None, description="Size of a symbol's vector; by default the layer's output.")
    proj_size: int = Field(
        0, ge=0, le=2**24, description="Size of a projected output, smaller than hidden_size; 0: none."
    )
    bidirectional: bool = Field(False, description="Let layers also read from the end.")
    skip: Literal["in", "out", "both"] | None = Field(
        None, description="Let every layer read the input, the head read every layer, or both (Graves 2013)."
    )
    tie_layers: bool = Field(False, description="Let layers above the first share weights.")
    init: Literal["torch", "orthogonal", "chrono"] = Field(
        "torch", description="How the recurrent weights are initialised."
    )
    forget_bias: float | None = Field(
        None,
        ge=-100,
        le=100,
        description="The first value of the forget gate's bias; by default the cell's own choice.",
    )
    layer_norm: bool = Field(False, description="Normalise inside the cell (Ba et al. 2016).")

    start_from: str = Field(
        "",
        pattern=r"^[^\x00]*$",
        description="Begin with the weights of another run, as far as they fit; by default they are drawn.",
    )

    dropout: Fraction = Field(0.0, description="Dropout between layers, never in time (Zaremba et al. 2014).")
    locked_dropout: bool = Field(
        False, description="One dropout mask for a whole sequence or window, not one a step (Gal & Ghahramani 2016)."
    )
    recurrent_dropout: Fraction = Field(0.0, description="Dropout on the cell's update (Semeniuta et al. 2016).")
    zoneout: dict[str, Fraction] = Field(
        {},
        description="Per state the probability that a unit keeps its value, as in c=0.5,h=0.05 (Krueger et al. 2016).",
    )

    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="The rule that turns gradients into steps.")
    learning_rate: float = Field(3e-3, gt=0, le=1e4, description="The highest learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1e4, description="Weight decay of the matrices; biases have none.")
    weight_decay_on: Literal["matrices", "hidden", "all"] = Field(
        "matrices", description="What has weight decay: matrices, hidden (matrices but the embedding), or all."
    )
    schedule: Literal["constant", "cosine", "zaremba"] = Field(
        "cosine", description="The learning rate over time: constant, cosine to zero, or Zaremba et al.'s decay."
    )
    decay: float = Field(1.2, ge=1, le=1e4, description="With zaremba: what the rate is divided by each epoch.")
    decay_after: int = Field(6, ge=0, description="With zaremba: epochs before the first division.")
    warmup_steps: int = Field(
        0, ge=0, description="Steps over which the learning rate first rises to its highest value."
    )
    clip_norm: float = Field(1.0, ge=0, le=1e9, description="Largest norm of the whole gradient; 0: no clipping.")
    reduction: Literal["mean", "sum_over_time"] = Field(
        "mean",
        description="The loss of a step: the mean over its symbols, or over its streams of their sums over time.",
    )

    tbptt: tuple[int, int] | None = Field(
        None,
        description="With k1,k2, read k1 new steps and go back over k2 (Williams & Peng 1990); by default windows.",
    )
    batch_size: int = Field(
        32, ge=1, le=2**20, description="Sequences or streams of text in a batch, over all processes."
    )
    steps: int | None = Field(None, ge=1, le=10**9, description=f"Training steps in all; by default {DEFAULT_STEPS}.")
    epochs: int | None = Field(None, ge=1, le=10**9, description="Passes over the training data, in place of steps.")
    patience: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="Stop after so many evaluations without a lower held-out loss; by default never.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the random generators.")

    run: str = Field("", pattern=r"^[^\x00]*$", description="The run's directory; by default runs/<cell>-<data>.")
    log_every: int = Field(10, ge=1, description="Steps between two lines of training loss.")
    evaluate_every: int = Field(500, ge=1, description="Steps between two evaluations on held-out data.")
    checkpoint_every: int = Field(250, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=2, le=10**6, description="How many of the latest checkpoints are kept.")
    threads: int | None = Field(None, ge=1, le=4096, description="CPU threads; by default what torch chooses.")
    device: str = Field("cpu", description="cpu, cuda, cuda:N, mps, or auto: cuda, else cpu.")
    dtype: Literal["float32", "float64", "bfloat16"] = Field("float32", description="The type of number to compute in.")

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str) -> str:
        try:
            # Four bytes, because a character of utf-32 has four. Codecs that do not decode to text are refused.
            b"\0\0\0\0".decode(value)
            return codecs.lookup(value).name
        except (LookupError, UnicodeError) as error:
            raise ValueError(f"'{value}' is not the name of a text encoding. Try utf-8, latin-1 or utf-16.") from error

    @field_validator("cell")
    @classmethod
    def _cell_is_known(cls, value: str, info: ValidationInfo) -> str:
        """Replace the name of a file of equations by its text, so that the run does not depend on the file."""
        if is_file(value):
            if not may_name_files(info):
                raise refused_file("cell", value)
            return read_equations(value)
        if is_equations(value):
            return value
        find_cell(value)  # raises CellError, with the nearest name
        return value

    @field_validator("zoneout", mode="before")
    @classmethod
    def _zoneout_in_words(cls, value: Any) -> Any:
        """Parse ``c=0.5,h=0.05``, the form used on the command line."""
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(equals and name.strip() for name, equals, _ in pairs):
            raise ValueError(f"zoneout is '{value}'; expected rates by state, such as c=0.5,h=0.05.")
        try:
            return {name.strip(): float(rate) for name, _, rate in pairs}
        except ValueError as error:
            raise ValueError(f"zoneout is '{value}'; expected a number per state, such as c=0.5,h=0.05.") from error

    @field_validator("tbptt", mode="before")
    @classmethod
    def _tbptt_in_words(cls, value: Any) -> Any:
        """Parse ``32,128``, the form of the command line, or a list, the form of TOML and JSON."""
        if value is None:
            return None
        numbers: list[Any] = list(value) if isinstance(value, list | tuple) else str(value).split(",")
        numbers = [int(one) if isinstance(one, str) and one.strip().isdecimal() else one for one in numbers]
        if len(numbers) != 2 or any(type(one) is not int for one in numbers):
            raise ValueError(f"tbptt is {value!r}; expected two whole numbers k1,k2, such as 32,128.")
        if not 1 <= numbers[0] <= numbers[1] <= _MOST_STEPS:
            raise ValueError(f"tbptt is {value!r}; expected 1 <= k1 <= k2 <= {_MOST_STEPS:,}, such as 32,128.")
        return tuple(numbers)

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, value: str) -> str:
        if not re.fullmatch(DEVICE, value):
            raise ValueError(f"device is '{value}'; expected cpu, cuda, cuda:N, mps or auto.")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"steps is {self.steps} and epochs is {self.epochs}; expected one of the two.")
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size is {self.proj_size} and hidden_size {self.hidden_size}; "
                "expected a projection smaller than hidden_size, or 0 for none."
            )
        if self.skip is not None and self.num_layers < 2:
            raise ValueError(f"skip is '{self.skip}' and num_layers is 1; expected 2 or more layers.")
        if self.tie_layers and self.num_layers < 3:
            raise ValueError(
                f"tie_layers is true and num_layers is {self.num_layers}; expected 3 or more, as the first layer has "
                "weights of its own."
            )
        if self.device == "mps" and self.dtype == "float64":
            raise ValueError(
                "device is 'mps' and dtype is float64, which Apple's GPUs do not have; expected dtype float32, or "
                "device cpu."
            )
        if self.locked_dropout and not self.dropout:
            raise ValueError("locked_dropout is true and dropout is 0. Give the rate with dropout, such as 0.3.")
        return self

    def check(self) -> None:
        """Refuse settings of one kind of job that do not fit together; there are none in this class.

        Raises:
            ValueError: If settings do not fit; the message names them and what was expected.
        """

    @property
    def title(self) -> str:
        """The short name of the data."""
        return self.task

    @property
    def directory(self) -> Path:
        """The run directory."""
        if self.run:
            return Path(os.path.expanduser(self.run))
        return Path("runs") / f"{'own-cell' if is_equations(self.cell) else self.cell}-{self.title}"

    @property
    def layer_size(self) -> int:
        """The size of a layer's output in one direction."""
        return self.proj_size or self.hidden_size

    @property
    def output_size(self) -> int:
        """The size of the output of all layers, which the head reads."""
        size = self.layer_size * (2 if self.bidirectional else 1)
        return size * self.num_layers if self.skip in ("out", "both") else size

    @property
    def wiring(self) -> dict[str, Any]:
        """The options of the layers that say what they read and share, as :class:`gatework.Recurrent` takes them."""
        return {"bidirectional": self.bidirectional, "skip": self.skip, "tie_layers": self.tie_layers}

    def total_steps(self, steps_per_epoch: int | None) -> int:
        """Return the number of all steps, whether it is given in steps or in epochs."""
        if self.epochs is not None and steps_per_epoch is not None:
            return self.epochs * steps_per_epoch
        return DEFAULT_STEPS if self.steps is None else self.steps


def listed(model: type[Settings]) -> dict[str, str]:
    """List settings for display: under headings, those of one kind of job after those that all jobs share.

    Args:
        model: The settings.

    Returns:
        The heading of each setting, by name, in order.

    Example:
        >>> names = list(listed(Settings))
        >>> names[:2], listed(Settings)["seed"]
        (['task', 'gap'], 'Training')
    """
    heading_of: dict[str, str] = {}
    for part in reversed(model.__mro__):
        heading = ""
        for name in vars(part).get("__annotations__", {}) if issubclass(part, BaseModel) else ():
            if name in model.model_fields:
                heading = vars(part).get("headings", {}).get(name, heading)
                heading_of.setdefault(name, heading)
    order = list(dict.fromkeys(Settings.headings.values()))
    return dict(sorted(heading_of.items(), key=lambda item: order.index(item[1])))


def may_name_files(info: ValidationInfo) -> bool:
    """Tell whether settings may name files to read: only if a person gives them."""
    return bool((info.context or {}).get("files", True))


def refused_file(name: str, value: str) -> ConfigError:
    """Return the error for a file named in settings that no person gave."""
    return ConfigError(
        f"{name} is '{value}'; expected a cell's name or its equations. What a directory holds never names a file of "
        "equations: it could be anyone's."
    )


def fault_in_words(fault: Mapping[str, Any]) -> str:
    """Describe an error that pydantic reports about a setting.

    Args:
        fault: One entry of the error.

    Returns:
        A sentence. The message of one of this package's own checks is returned unchanged.
    """
    name = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not name or fault["type"] == "value_error":  # it comes from this package, and is complete
        return message
    if fault["type"] == "missing":
        return f"{name} is missing."
    given = repr(fault["input"])
    shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}…"
    return sentences(f"{name} is {shown}; {expectation(message)}")
