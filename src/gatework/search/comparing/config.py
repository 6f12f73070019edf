"""The configuration of a comparison, typed and frozen."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from gatework.cells import CELLS, LATENT, Cell, find_cell, is_equations, is_file, is_name, read_equations
from gatework.errors import ConfigError
from gatework.training.config import TrainConfig, make_config, nearest
from gatework.training.jobs.settings import fault_in_words, may_name_files, refused_file
from gatework.training.jobs.table import TABLE_SETTINGS, TableSettings

# Settings that say how a table of one's own is read.
OF_TABLE = ("encoding", *TABLE_SETTINGS)
# Settings that say how the layers of all cells are stacked.
OF_STACK = ("num_layers", "bidirectional", "skip", "tie_layers")
# Settings of translations.
OF_PAIRS = ("attention", "attention_place", "languages", "pieces")
# Settings of a training run that a comparison may fix for all its cells; the task determines the others.
SHARED = (
    *("batch_size", "clip_norm", "forget_bias", "init", "schedule", "shortest_gap", "steps"),
    *("evaluate_every", "data", *OF_TABLE, *OF_STACK, *OF_PAIRS),
)
# Settings of a training run that every trial of a comparison has of its own, or that have no meaning in one.
_OF_TRIALS = ("task", "cell", "gap", "seed", "learning_rate", "hidden_size", "steps", "epochs", "patience")
_PLACES = ("run", "data", "pair", "valid_pair", "test_pair", "start_from", "device", "threads")
_RHYTHMS = ("evaluate_every", "log_every", "checkpoint_every", "keep_checkpoints")
DECIDED = frozenset((*_OF_TRIALS, *_PLACES, *_RHYTHMS))
# Settings that may change when a comparison is resumed.
MAY_CHANGE = frozenset(("run", "workers", "data"))

Count = Annotated[int, Field(ge=1, le=10_000)]
Rate = Annotated[float, Field(gt=0, le=1e4)]
_GAPS = "expected whole numbers, such as 5,20,100"
_RATES = "expected numbers above 0, up to 10,000, such as 0.001,0.01"


class CompareConfig(TableSettings):
    """Configure a comparison completely; the same configuration always gives the same results.

    Cells are given as a sequence of names, files and equations (or as text, separated by commas), or as a mapping from
    labels to cells. The configuration stores that mapping, with equations in place of files.

    Example:
        >>> config = CompareConfig(task="adding", cells="rnn,lstm", gaps=[30, 10])
        >>> config.cells, config.gaps, config.seeds
        ({'rnn': 'rnn', 'lstm': 'lstm'}, (10, 30), 5)
    """

    task: str = Field(description="The task's name.")
    cells: dict[str, str] = Field(min_length=1, description="Cells' names, or .txt files of equations.")
    gaps: tuple[int, ...] = Field(min_length=1, description="The gaps, such as 5,20,100,500.")
    vary: str = Field(
        "", description="One more setting, with values that every cell is tried with, as attention=additive,none."
    )
    seeds: Count = Field(5, description="Runs of each cell at each gap, each from a seed of its own.")
    learning_rates: tuple[Rate, ...] = Field(
        (1e-3, 3e-3, 1e-2, 3e-2),
        min_length=1,
        description="The learning rates that every cell is tried with at every gap.",
    )
    tuning_seeds: Count = Field(1, description="Runs with each learning rate, from which the best one is chosen.")
    steps: int | None = Field(
        None, ge=1, le=10**9, description="The budget of a run, in training steps; by default the task's."
    )
    match: Literal["parameters", "size"] = Field(
        "parameters", description="What cells have in common: the number of parameters, or the hidden size."
    )
    hidden_size: int | None = Field(
        None, ge=1, le=2**24, description="Units of the reference cell; by default the task's."
    )
    num_layers: int | None = Field(
        None, ge=1, le=1024, description="Layers, one above the other; by default the task's."
    )
    bidirectional: bool = Field(False, description="Let layers also read from the end.")
    skip: Literal["in", "out", "both"] | None = Field(
        None, description="Let every layer read the input, the head read every layer, or both (Graves 2013)."
    )
    tie_layers: bool = Field(False, description="Let layers above the first share weights.")
    reference: str = Field(
        "", description="The cell whose parameters are matched; by default lstm where it takes part, else the first."
    )
    evaluate_every: Annotated[int, Field(ge=1, le=10**9)] = Field(
        100, description="Steps between two evaluations on the validation sequences."
    )
    confirm: Count = Field(
        2, description="Evaluations in a row in which the criterion must be met for a run to end before its budget."
    )
    batch_size: int | None = Field(None, ge=1, le=2**20, description="Sequences of a step; by default the task's.")
    clip_norm: float | None = Field(
        None, ge=0, le=1e9, description="Largest norm of the gradient, 0 for no clipping; by default the task's."
    )
    forget_bias: float | None = Field(
        None,
        ge=-100,
        le=100,
        description="Where the forget gate's bias begins, in cells that have one; by default each cell's own.",
    )
    init: Literal["torch", "orthogonal", "chrono"] | None = Field(
        None, description="How weights begin; chrono is torch in cells without a gate that remembers."
    )
    schedule: Literal["constant", "cosine", "zaremba"] | None = Field(
        None, description="How the learning rate goes over the budget."
    )
    shortest_gap: int | None = Field(
        None,
        ge=0,
        le=2**24,
        description="Train on gaps from here to the one measured, one drawn for each step; by default only on that.",
    )
    data: str = Field("", description="The folder of recorded data, for a task that needs one.")
    encoding: str = Field("utf-8", description="The encoding of your own table.")
    attention: str | None = Field(None, description="For translation: the kind of attention of every cell.")
    attention_place: str | None = Field(None, description="For translation: attend inside the cells, or after them.")
    languages: str | None = Field(None, description="For translation: the endings of the files, such as en-de.")
    pieces: int | None = Field(None, ge=257, le=2**24, description="For translation: pieces of words a language.")
    seed: int = Field(0, ge=0, lt=2**63, description="The seed of all that is drawn at random.")
    workers: int | None = Field(None, ge=1, le=4096, description="Processes; by default one for each core.")
    run: str = Field("", pattern=r"^[^\x00]*$", description="The directory; by default runs/compare-<task>.")

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, value: str) -> str:
        return make_config({"task": value}).task  # raises ConfigError, with the nearest name

    @field_validator("cells", mode="before")
    @classmethod
    def _cells_by_label(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = [value] if is_equations(value) else _words(value)
        if isinstance(value, Mapping):
            files = [text for text in value.values() if isinstance(text, str) and is_file(text)]
            if files and not may_name_files(info):
                raise refused_file("A cell", files[0])
            return {label: _read(str(text))[1] for label, text in value.items()}
        if not may_name_files(info):
            raise ValueError("cells are not a mapping; expected their equations, each under its label.")
        return _labelled(value) if isinstance(value, Sequence) else value

    @field_validator("cells")
    @classmethod
    def _cells_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for label, text in value.items():
            if not label or not label.isprintable():
                raise ValueError(f"A cell is called {label!r}; expected a name that can be printed.")
            find_cell(text, name=label)  # raises CellError or EquationError
        return value

    @field_validator("gaps", "learning_rates", mode="before")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept numbers in any order, as a sequence or separated by commas; name the first invalid one."""
        if isinstance(value, str):
            value = [_number(word) for word in _words(value)]
        if isinstance(value, int | float):
            value = [value]
        if not isinstance(value, Sequence):
            return value
        # Checked here: if every number were refused, pydantic would report an empty sequence as well.
        good, expected = (_is_gap, _GAPS) if info.field_name == "gaps" else (_is_rate, _RATES)
        for number in value:
            if not good(number):
                raise ValueError(f"{info.field_name}: {number!r} is given; {expected}.")
        twice = [number for number in value if list(value).count(number) > 1]
        if twice:
            raise ValueError(f"{twice[0]} is given twice; expected every number once.")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _fits_together(self) -> "CompareConfig":
        checked = {name: getattr(self, name) for name in ("data", *OF_TABLE, *OF_STACK, *OF_PAIRS)}
        checked = {name: value for name, value in checked.items() if value is not None}
        for gap in self.gaps:  # the job checks whether the task accepts the gap, the data and the layers
            for label in self.entries:
                make_config({"task": self.task, "gap": gap, **checked, **self.varied(label)})
        if self.reference and self.reference not in self.cells and not is_name(self.reference):
            raise ValueError(
                f"reference is '{self.reference}'; expected one of {', '.join(self.cells)}, or another cell's name. "
                f"{nearest(self.reference, {**self.cells, **CELLS, **LATENT})}"
            )
        return self

    @property
    def reference_cell(self) -> str:
        """The label of the cell whose parameters are matched."""
        return self.reference or ("lstm" if "lstm" in self.cells else next(iter(self.cells)))

    @property
    def directory(self) -> Path:
        """The directory of the comparison."""
        return Path(os.path.expanduser(self.run)) if self.run else Path("runs") / f"compare-{self.task}"

    def find(self, label: str) -> Cell:
        """Return the cell of a label; a reference outside the comparison is found by its name."""
        return find_cell(self.text_of(label), name=label)

    def text_of(self, label: str) -> str:
        """Return the name or the equations of the cell of a label."""
        return {**self.cells, **self.entries}.get(label, label)

    @property
    def entries(self) -> dict[str, str]:
        """What is compared: the cells by label, each with every value of the setting that is varied.

        Example:
            >>> CompareConfig(task="parity", cells="rnn", gaps=[3], vary="num_layers=1,2").entries
            {'rnn num_layers=1': 'rnn', 'rnn num_layers=2': 'rnn'}
        """
        name, values = read_varied(self.vary)
        if not name:
            return dict(self.cells)
        return {f"{label} {name}={value}": cell for label, cell in self.cells.items() for value in values}

    def varied(self, label: str) -> dict[str, Any]:
        """Return the settings that one entry has of its own; none for a reference outside the comparison."""
        name, values = read_varied(self.vary)
        own = [value for value in values for cell in self.cells if label == f"{cell} {name}={value}"]
        return {name: own[0]} if own else {}


def make_compare_config(values: Mapping[str, Any], where: str = "", *, files: bool = True) -> CompareConfig:
    """Check values and build the configuration.

    Args:
        values: Any of the fields of :class:`CompareConfig`, by name; the others keep their defaults.
        where: The source of the values, such as the name of a file, for error messages.
        files: Whether cells may name files of equations. They may if a person gives them, but not in the directory of
            a comparison.

    Returns:
        The configuration.

    Raises:
        ConfigError: For an unknown key or an invalid value.

    Example:
        >>> make_compare_config({"task": "adding", "cells": "rnn", "gaps": "5,x"})
        Traceback (most recent call last):
        gatework.errors.ConfigError: 'x' is no number; expected numbers with commas between, such as 5,20,100.
    """
    place = f"{where}: " if where else ""
    for key in values:
        if key not in CompareConfig.model_fields:
            raise ConfigError(f"{place}'{key}' is no setting. {nearest(key, CompareConfig.model_fields)}")
    try:
        return CompareConfig.model_validate(dict(values), context={"files": files})
    except ValidationError as error:
        raise ConfigError(place + " ".join(fault_in_words(dict(fault)) for fault in error.errors())) from error


def read_varied(text: str) -> tuple[str, tuple[Any, ...]]:
    """Take the setting that is varied and its values apart.

    Args:
        text: The setting, such as ``attention=additive,none``.

    Returns:
        Its name and its values; empty if nothing is varied.

    Raises:
        ConfigError: If it is no setting, or one that a comparison decides.

    Example:
        >>> read_varied("dropout=0,0.3")
        ('dropout', (0, 0.3))
    """
    name, _, rest = text.partition("=")
    name, words = name.strip().replace("-", "_"), _words(rest)
    if not text:
        return "", ()
    if not words or len(set(words)) < len(words):
        raise ConfigError(
            f"vary is '{text}'; expected a setting and different values, such as attention=additive,none."
        )
    if name not in TrainConfig.model_fields:
        raise ConfigError(f"vary is '{text}', and '{name}' is no setting. {nearest(name, TrainConfig.model_fields)}")
    if name in DECIDED:
        raise ConfigError(f"vary is '{text}', and a comparison decides {name} itself. Choose another setting.")
    return name, tuple(_value(word) for word in words)


def _value(word: str) -> Any:
    """Read a value as it is written on the command line."""
    if word in ("true", "false"):
        return word == "true"
    try:
        return _number(word)
    except ValueError:
        return word


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _number(word: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    raise ValueError(f"'{word}' is no number; expected numbers with commas between, such as 5,20,100.")


def _is_gap(number: Any) -> bool:
    return type(number) is int


def _is_rate(number: Any) -> bool:
    return type(number) in (int, float) and 0 < number <= 1e4


def _labelled(given: Sequence[Any]) -> Any:
    """Label every cell with its name, or with the name of its file."""
    by_label: dict[str, str] = {}
    for word in given:
        if not isinstance(word, str):
            return given
        label, text = _read(word)
        if label in by_label:
            raise ValueError(
                f"Two cells are called '{label}'; expected each once. Give a file another name, or a mapping from "
                "names."
            )
        by_label[label] = text
    return by_label


def _read(word: str) -> tuple[str, str]:
    """Return a cell's label and text. A file is read now, so that later changes to it do not matter."""
    if is_file(word):
        return Path(word).stem, read_equations(word)
    return ("own-cell" if is_equations(word) else word), word
