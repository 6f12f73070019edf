"""The settings that say how a table of one's own is read; training and comparisons share them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gatework.data.options import Missing, TableOptions
from gatework.errors import ConfigError

# A name between commas; one that holds a comma stands in quotes.
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"][^,]*?))\s*(?:,|$)')
# The names of delimiters that a shell makes hard to type.
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}
_DECIMALS = {"point": ".", "comma": ","}
# Settings that hold names from the table.
_NAMES = ("columns", "target", "time", "id")
_NOT_DELIMITERS = '"\r\n\0'


class TableSettings(BaseModel):
    """The settings of a table of one's own. What is left empty is decided from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    headings: ClassVar[Mapping[str, str]] = {"columns": "Data"}

    columns: tuple[str, ...] = Field(
        (), description="Columns of your own table to read, such as a,b; by default all columns of numbers."
    )
    target: tuple[str, ...] = Field((), description="The column with the label, or the columns to forecast.")
    time: str = Field("", description="The column with the time stamps.")
    id: str = Field("", description="The column that tells sequences or series apart.")
    delimiter: str = Field("", description="What stands between two fields: a character, or tab.")
    decimal: Literal["auto", "point", "comma"] = Field("auto", description="What stands before decimals.")
    missing: Missing = Field("refuse", description="What to do about holes in your own table.")
    dates: Literal["auto", "day-first", "month-first"] = Field(
        "auto", description="Whether 03/04/2021 begins with the day or with the month."
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether the first line of your own table names the columns."
    )
    known: tuple[str, ...] = Field((), description="Columns whose values are known ahead, for a forecast.")
    calendar: bool = Field(False, description="Let a forecast read hour, weekday and time of the year of what comes.")
    context: int = Field(
        0,
        ge=0,
        le=2**20,
        description="Rows that a forecast reads before its first answer; 0: as many as suit.",
    )

    @field_validator("columns", "target", "known", mode="before")
    @classmethod
    def _names_in_words(cls, value: Any) -> Any:
        """Read ``a,b``, the form used on the command line, or a list, the form of TOML and JSON."""
        if isinstance(value, str):
            value = split_names(value)
        return tuple(value) if isinstance(value, list) else value

    @field_validator("decimal", mode="before")
    @classmethod
    def _decimal_in_words(cls, value: Any) -> Any:
        """Take the sign itself for its name."""
        return next((name for name, sign in _DECIMALS.items() if value == sign), value)

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_one_character(cls, value: str) -> str:
        value = _DELIMITERS.get(value.lower(), value)
        if len(value) > 1 or not value.isascii() or (value and value in _NOT_DELIMITERS):
            raise ValueError(f"delimiter is {value!r}; expected one character, such as ';', or tab.")
        return value

    def table_options(self) -> TableOptions:
        """Return how the table is read."""
        told = {name: getattr(self, name) for name in TABLE_SETTINGS}
        told = {name: "" if value == "auto" and name not in _NAMES else value for name, value in told.items()}
        told["decimal"] = _DECIMALS.get(told["decimal"], "")
        encoding = getattr(self, "encoding", "utf-8")
        return TableOptions.from_facts(told | {"encoding": "" if encoding == "utf-8" else encoding})


TABLE_SETTINGS = tuple(TableSettings.model_fields)
"""The names of the settings of a table."""


def split_names(text: str) -> list[str]:
    """Split names of columns at commas; a name with a comma in it stands in quotes.

    Args:
        text: The names.

    Returns:
        The names.

    Raises:
        ValueError: If quotes do not end.

    Example:
        >>> split_names('a, b,"c, d"')
        ['a', 'b', 'c, d']
    """
    names, place = [], 0
    while place < len(text):
        match = _NAME.match(text, place)
        if match is None:
            raise ValueError(f"'{text}' is no list of names; expected names such as a,b or \"a, b\",c.")
        names.append((match[1] or "").replace('""', '"') if match[2] is None else match[2])
        place = match.end()
    return names


OF_FORECASTS = ("known", "calendar", "context")
"""The settings of a table that only forecasts have."""


def refuse_forecast_settings(settings: BaseModel, task: str) -> None:
    """Refuse settings of a forecast for another task.

    Args:
        settings: The settings.
        task: The name of the task.

    Raises:
        ConfigError: If one is given; the message names it.
    """
    _refuse(settings, OF_FORECASTS, f"task '{task}' forecasts no table", "--task forecast")


def refuse_table_settings(settings: BaseModel, task: str) -> None:
    """Refuse settings of a table for a task that does not read a table of one's own.

    Args:
        settings: The settings.
        task: The name of the task.

    Raises:
        ConfigError: If one is given; the message names it.
    """
    reads = "--task classify, tag, regress or forecast"
    _refuse(settings, (*TABLE_SETTINGS, "encoding"), f"task '{task}' reads no table of your own", reads)


def _refuse(settings: BaseModel, names: Iterable[str], why: str, instead: str) -> None:
    """Refuse settings that differ from their defaults."""
    for name in names:
        value = getattr(settings, name)
        if value != type(settings).model_fields[name].default:
            shown = ",".join(value) if isinstance(value, tuple) else value
            raise ConfigError(f"{name} is '{shown}', and {why}. Leave it out, or choose {instead}.")


assert get_args(Missing)[0] == TableSettings.model_fields["missing"].default
