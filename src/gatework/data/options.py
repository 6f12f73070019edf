"""How a table of one's own is read: what a person says about it, and what was decided from the file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Missing = Literal["refuse", "drop", "previous", "interpolate", "mean"]
"""What happens to holes: they are refused, their rows are dropped, or they are filled."""


@dataclass(frozen=True)
class TableOptions:
    """How a table is read. What is empty is decided from the file.

    Args:
        columns: The columns that are read as numbers.
        target: The columns to predict: the label of a sequence or of a step, or the columns to forecast.
        time: The column of the time stamps.
        id: The column that tells sequences or series apart.
        delimiter: The character between two fields.
        decimal: The character before the decimals of a number: ``.`` or ``,``.
        encoding: The encoding of the text.
        missing: What happens to holes; empty for ``refuse``.
        dates: Whether a date such as 03/04/2021 begins with the day or with the month.
        header: Whether the first line names the columns: ``yes`` or ``no``.
        as_before: Whether the columns are found as by the first versions, by what their first fields hold; for runs
            that were begun so.
        known: For a forecast: the columns whose values are known ahead.
        calendar: For a forecast: whether the hour, the weekday and the time of the year of the rows to come are read.
        context: For a forecast: the number of rows that are read before the first answer; 0 chooses it.

    Example:
        >>> options = TableOptions(columns=("a", "b"), decimal=",")
        >>> TableOptions.from_facts(options.facts()) == options
        True
    """

    columns: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    time: str = ""
    id: str = ""
    delimiter: str = ""
    decimal: str = ""
    encoding: str = ""
    missing: str = ""
    dates: str = ""
    header: str = ""
    as_before: bool = False
    known: tuple[str, ...] = ()
    calendar: bool = False
    context: int = 0

    def facts(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "TableOptions":
        """Make options from the facts of a run, so that another file is read as the table of the run was.

        Args:
            facts: The entry ``table`` of the facts of a run. Entries that are no options are ignored.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for name in known & facts.keys():
            values[name] = tuple(facts[name]) if isinstance(facts[name], list) else facts[name]
        return cls(**values)


NO_OPTIONS = TableOptions()
"""Everything is decided from the file."""
