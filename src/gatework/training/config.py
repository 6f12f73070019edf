"""The configuration of a training run: one typed, frozen object made from settings by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gatework.errors import ConfigError, FileError
from gatework.errors import nearest as nearest_choice
from gatework.reading import nested
from gatework.training.jobs.registry import TrainConfig as TrainConfig
from gatework.training.jobs.registry import kind_of
from gatework.training.jobs.settings import fault_in_words as fault_in_words
from gatework.training.jobs.settings import may_name_files as may_name_files
from gatework.training.jobs.settings import refused_file as refused_file


def make_config(values: Mapping[str, Any], where: str = "", *, files: bool = True) -> TrainConfig:
    """Check values and build the configuration.

    Args:
        values: Any of the fields of :class:`TrainConfig`, by name; the others have the defaults of the task, or their
            own.
        where: The source of the values, such as the name of a file, for error messages.
        files: Whether ``cell`` may name a file of equations. It may if a person gives it, but not in a run directory.

    Returns:
        The configuration.

    Raises:
        ConfigError: For an unknown key (the message suggests the nearest known one), or a value out of range.

    Example:
        >>> make_config({"hiden_size": 64})
        Traceback (most recent call last):
        gatework.errors.ConfigError: 'hiden_size' is no setting. Did you mean 'hidden_size'?
    """
    place = f"{where}: " if where else ""
    for key in values:
        if key not in TrainConfig.model_fields:
            raise ConfigError(f"{place}'{key}' is no setting. {nearest(key, TrainConfig.model_fields)}")
    try:
        whole = {**_defaults(values, files), **values}
        return TrainConfig.model_validate(whole, context={"files": files})
    except ValidationError as error:
        raise ConfigError(place + " ".join(fault_in_words(dict(fault)) for fault in error.errors())) from error


def _defaults(values: Mapping[str, Any], files: bool) -> Mapping[str, Any]:
    """Return the defaults of the task; none for an unknown task, which the check of the settings refuses later."""
    task = values.get("task", TrainConfig.model_fields["task"].default)
    if not isinstance(task, str):
        return {}
    try:
        kind = kind_of(task)
    except ConfigError:
        return {}
    return kind.defaults({**values, "task": task}, files=files)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Args:
        path: The file. Each line is ``key = value``, where the key is a field of :class:`TrainConfig`.

    Returns:
        The values that the file sets; :func:`make_config` checks them.

    Raises:
        ConfigError: If the file cannot be read, is not TOML, or has an unknown key.
    """
    try:
        values = nested.read_toml(path)
    except FileError as error:
        raise ConfigError(f"Settings file '{path}' {error.reason}; expected a TOML file.") from error
    for key in values:
        if key not in TrainConfig.model_fields:
            known = nearest(key, TrainConfig.model_fields)
            raise ConfigError(f"Settings file '{path}': '{key}' is no setting. {known}")
    return values


def nearest(key: str, known: Mapping[str, Any]) -> str:
    """Suggest the known key that is nearest to an unknown one, or list all known keys."""
    near = nearest_choice(key.replace("-", "_"), known)
    return f"Did you mean '{near}'?" if near else f"Expected one of {', '.join(known)}."
