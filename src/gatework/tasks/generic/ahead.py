"""What a model that forecasts reads at each row: the row, and what is known ahead of the rows to come."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gatework.data.table import Table
from gatework.data.times import find_cycles, tell_calendar
from gatework.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Layout:
    """The columns of a table of series, and what each is for.

    Args:
        columns: All columns that are read.
        target: Those that are forecast.
        known: Those whose values are known ahead.
        calendar: What the calendar tells about the rows to come; some of :data:`gatework.data.times.CYCLES`.
        gap: The number of rows to forecast.
        context: The number of rows that are read before the first answer.
    """

    columns: tuple[str, ...]
    target: tuple[str, ...]
    known: tuple[str, ...]
    calendar: tuple[str, ...]
    gap: int
    context: int

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Layout":
        """Make a layout from the entry ``layout`` of the facts of a run."""
        names = {name: tuple(facts[name]) for name in ("columns", "target", "known", "calendar")}
        return cls(**names, gap=facts["gap"], context=facts["context"])

    def facts(self) -> dict[str, Any]:
        """Return the layout as plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def places(self, names: Sequence[str]) -> list[int]:
        """Return where columns stand in a row."""
        return [self.columns.index(name) for name in names]

    @property
    def told(self) -> int:
        """The number of values that are known of each row to come."""
        return len(self.known) + 2 * len(self.calendar)

    @property
    def width(self) -> int:
        """The number of values that the model reads at each row."""
        return len(self.columns) + self.gap * self.told

    @property
    def is_recursive(self) -> bool:
        """Whether all columns are forecast or known ahead, so that the forecast can be read like rows."""
        return set(self.columns) == {*self.target, *self.known}

    def tell(self, rows: NDArray[np.float64], times: NDArray | None) -> NDArray[np.float64]:
        """Return what is known ahead of each row.

        Args:
            rows: The standardised rows ``[n, F]``; only the columns that are known count.
            times: Their time stamps ``[n]``; needed only for the calendar.

        Returns:
            The values ``[n, told]``.
        """
        known = rows[:, self.places(self.known)]
        if not self.calendar:
            return known
        assert times is not None
        return np.concatenate([known, tell_calendar(times, self.calendar)], axis=1)

    def read(self, rows: NDArray[np.float64], told: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model reads at each row.

        Args:
            rows: The standardised rows ``[n, F]``.
            told: What is known of the same rows, and of those to come ``[n or more, told]``. Where a row to come is
                missing, zeros stand for it.

        Returns:
            The inputs ``[n, width]``: the row, and what is known of the next ``gap`` rows, one after the other.
        """
        if not self.told:
            return rows
        return np.concatenate([rows, self.ahead(told, len(rows))], axis=1)

    def ahead(self, told: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """Return what is known ahead at each of some rows.

        Args:
            told: What is known of these rows and of those to come ``[count or more, told]``.
            count: The number of rows.

        Returns:
            What is known of the next ``gap`` rows, one after the other ``[count, gap x told]``.
        """
        if not self.told:
            return np.zeros((count, 0))
        missing = max(0, count + self.gap - len(told))
        padded = np.concatenate([told, np.zeros((missing, self.told))])[1:]
        return sliding_window_view(padded, self.gap, axis=0)[:count].transpose(0, 2, 1).reshape(count, -1)


def choose_columns(table: Table, target: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Choose what is forecast, and what is known ahead.

    Args:
        table: The table.
        target: The columns to forecast; empty for all that are not known ahead.
        known: The columns that are known ahead.

    Returns:
        The columns to forecast and those that are known ahead, each in the order of the table.

    Raises:
        DataError: If there is no such column, one is both, or nothing is left to forecast.
    """
    for setting, names in (("target", target), ("known", known)):
        for name in names:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise DataError(
                    f"'{table.source}' has no column of numbers '{name}', which {setting} names.{hint} Its columns are "
                    f"{', '.join(table.columns)}."
                )
            if name in target and name in known:
                raise DataError(
                    f"The column '{name}' is to be forecast and is known ahead: name it in target or in known, not in "
                    "both."
                )
    ahead = tuple(name for name in table.columns if name in known)
    chosen = tuple(name for name in table.columns if (name in target if target else name not in known))
    if not chosen:
        raise DataError(f"'{table.source}': all columns are known ahead, and none is left to forecast.")
    return chosen, ahead


def choose_calendar(table: Table, learned: Sequence[int]) -> tuple[str, ...]:
    """Choose what the calendar can tell about a table.

    Args:
        table: The table.
        learned: The number of rows of each series in the training part.

    Returns:
        Some of :data:`gatework.data.times.CYCLES`.

    Raises:
        DataError: If the table has no dates, or they are too few to have seen a day, a week or a year twice.
    """
    dated = [times for times in table.times if times is not None and np.issubdtype(times.dtype, np.datetime64)]
    if len(dated) < table.size:
        raise DataError(
            f"calendar is true, and '{table.source}' has no dates: name their column with --time, or leave calendar "
            "out."
        )
    longest = max(range(table.size), key=lambda number: learned[number])
    times = table.times[longest]
    assert times is not None
    cycles = find_cycles(times[: learned[longest]]) if learned[longest] > 1 else ()
    if not cycles:
        raise DataError(
            f"calendar is true, and the training part of '{table.source}' does not hold two days, weeks or years of "
            "rows finer than that: leave calendar out."
        )
    return cycles
