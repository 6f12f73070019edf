"""The model of a run on a table, made ready to forecast: what it reads, what it answers, and how wrong it was."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.options import TableOptions
from gatework.data.table import Table, make_table, split_time
from gatework.data.times import continue_times, tell_calendar
from gatework.errors import ConfigError, DataError
from gatework.models.sequences import SequenceModel
from gatework.models.state import State
from gatework.tasks.generic.ahead import Layout
from gatework.tasks.generic.reading import open_series
from gatework.tasks.task import Batch
from gatework.training.jobs.kind import Restored
from gatework.training.jobs.place import find_data
from gatework.training.jobs.recordings import is_read_as_before

# The most numbers of the layers' output and of answers in memory at once.
_MOST_OUTPUTS = 1 << 25
Source = str | os.PathLike[str] | NDArray[np.float64] | Sequence[Sequence[float]] | None
"""A table: a file, numbers, or None for the table of the run."""


@dataclass(frozen=True)
class Series:
    """One series, ready to be read by the model.

    Args:
        name: Its name; empty if it is the only one.
        rows: The standardised rows ``[n, F]``.
        told: What is known of these rows and of those to come ``[n or more, told]``.
        times: The time stamps ``[n]``; None if there are none.
        earlier: The number of rows that came before these and are not held any more.
    """

    name: str
    rows: NDArray[np.float64]
    told: NDArray[np.float64]
    times: NDArray | None
    earlier: int = 0

    @property
    def count(self) -> int:
        """The number of all rows that came."""
        return self.earlier + len(self.rows)

    def until(self, end: int) -> "Series":
        """Return the series as it was when only its first rows had come."""
        return replace(self, rows=self.rows[:end], times=None if self.times is None else self.times[:end])


class Forecaster:
    """A model that forecasts.

    Args:
        restored: A run of a task that forecasts a table.
    """

    def __init__(self, restored: Restored) -> None:
        job: Any = restored.trained
        self.restored = restored
        self.job = job
        self.model: SequenceModel = restored.model
        self.facts = job.recording.facts
        self.layout = Layout.from_facts(self.facts["layout"])
        self.mean, self.deviation = (np.array(self.facts[name]) for name in ("mean", "deviation"))
        self.target = self.layout.places(self.layout.target)
        self.place = find_data(job.task, job.config.data)
        as_before = is_read_as_before(restored.kept.path)
        self._options = replace(job.config.table_options(), as_before=as_before)
        facts = self._options.facts() | dict(self.facts.get("table", {}))
        self._reading = TableOptions.from_facts(facts)  # as the table of the run was read

    # --- tables

    def series_of(self, table: Source) -> list[Series]:
        """Open a table, read as the table of the run was.

        Args:
            table: The file, or the numbers of a single series ``[n, F]``, with the columns of the run in their order;
                None for the table of the run.

        Returns:
            Its series.

        Raises:
            DataError: If the table cannot be read, lacks a column, or all series are shorter than the context.
        """
        if table is None:
            opened = open_series(self.place, self._options)
        elif isinstance(table, str | os.PathLike):
            opened = open_series(Path(table), self._reading)
        else:
            opened = self._from_numbers(table)
        series = self.prepare(opened)
        context, longest = self.layout.context, max(len(one.rows) for one in series)
        if longest < context:
            raise DataError(
                f"'{opened.source}' has at most {longest:,} rows in a series, and the model was trained to answer "
                f"after {context:,} or more: give a table with more rows."
            )
        return series

    def _from_numbers(self, given: object) -> Table:
        columns = self.layout.columns
        try:
            numbers = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"The table holds something that is no number ({error}).") from error
        if numbers.ndim != 2 or numbers.shape[1] != len(columns) or not len(numbers) or not np.isfinite(numbers).all():
            raise DataError(
                f"The table has the shape {list(numbers.shape)}; expected finite numbers [n, {len(columns)}], the "
                f"columns {', '.join(columns)}."
            )
        return make_table([numbers], columns, [""], source="the given numbers")

    def prepare(self, table: Table) -> list[Series]:
        """Standardise the series of a table.

        Args:
            table: The table.

        Raises:
            DataError: If it lacks a column, or has no dates where the model reads the calendar.
        """
        read, series = table.places(self.layout.columns, "which the model reads"), []
        for number, name in enumerate(table.names):
            times = table.times[number] if table.times else None
            if self.layout.calendar and (times is None or not np.issubdtype(times.dtype, np.datetime64)):
                raise DataError(f"'{table.source}' has no dates, and the model reads the calendar: name their column.")
            rows = (table.sequence(number)[:, read] - self.mean) / self.deviation
            if not np.isfinite(rows).all():
                raise DataError(f"'{table.source}' holds numbers too large to be standardised.")
            series.append(Series(name, rows, self.layout.tell(rows, times), times))
        return series

    def read_ahead(self, path: str | Path | None, series: Sequence[Series]) -> dict[str, NDArray[np.float64]]:
        """Read what is known ahead.

        Args:
            path: A table with the columns that are known ahead, for the rows to come; None if there are none.
            series: The series to forecast.

        Returns:
            The values for each series ``[rows, known]``, in units of the table.

        Raises:
            ConfigError: If a table is given and no column is known ahead.
            DataError: If the table lacks a column, or its series are others.
        """
        known = self.layout.known
        if path is None:
            return {}
        if not known:
            raise ConfigError(f"ahead is '{path}', and the model has no column that is known ahead: leave it out.")
        # Times and names are found anew, for a table of what is to come may do without them.
        options = replace(self._reading, columns=known, target=(), known=(), calendar=False, time="", id="")
        table = open_series(Path(path), options)
        read = table.places(known, "which is known ahead")
        found = {name: table.sequence(number)[:, read] for number, name in enumerate(table.names)}
        if len(series) == 1 and len(found) == 1:
            return {series[0].name: next(iter(found.values()))}
        return found

    def needed(self, horizon: int) -> int:
        """Return how many rows to come must be known for a horizon: whole multiples of the trained one."""
        return -(-horizon // self.layout.gap) * self.layout.gap

    def extend(self, series: Series, horizon: int, known: NDArray[np.float64] | None) -> Series:
        """Add what is known of the rows to come.

        Args:
            series: The series.
            horizon: The number of rows to forecast.
            known: The values of the known columns ``[rows, known]``, in units of the table; None if there are none.

        Raises:
            ConfigError: If values are missing.
        """
        layout, needed = self.layout, self.needed(horizon)
        given = 0 if known is None else len(known)
        if layout.known and given < needed:
            of = f" of series '{series.name}'" if series.name else ""
            raise ConfigError(
                f"{', '.join(layout.known)} must be known for the next {needed:,} rows{of}, and {given:,} are given: "
                "give a table with these columns for the rows to come (--ahead)."
            )
        places = layout.places(layout.known)
        standard = np.zeros((needed, 0))
        if known is not None and layout.known:
            standard = (known[:needed] - self.mean[places]) / self.deviation[places]
        if layout.calendar:
            times, _ = continue_times(series.times, series.count, needed)
            standard = np.concatenate([standard, tell_calendar(times, layout.calendar)], axis=1)
        return replace(series, told=np.concatenate([series.told[: len(series.rows)], standard]))

    def in_units(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn standardised values of the columns that are forecast ``[..., C]`` into units of the table."""
        return standard * self.deviation[self.target] + self.mean[self.target]

    # --- the model

    def begins(self, rows: int) -> int:
        """Return the first row that is read for an answer after so many rows.

        In training, an answer came after C to 2C - 1 rows, where C is the context. So reading begins anew at every
        C-th row, and an answer is given by what has read C rows or more.

        Args:
            rows: The number of rows of the series, C or more.
        """
        return self.layout.context * (rows // self.layout.context - 1)

    def read(self, series: Sequence[Series]) -> tuple[Tensor, State]:
        """Read the last rows of series.

        Args:
            series: The series, each with C rows or more.

        Returns:
            The answers at the end of each ``[B, O]``, and the state there.
        """
        inputs = []
        for one in series:
            begin = self.begins(len(one.rows))
            inputs.append(self.layout.read(one.rows[begin:], one.told[begin:]))
        lengths = torch.tensor([len(rows) for rows in inputs])
        batch = torch.zeros(int(lengths.max()), len(inputs), self.layout.width)
        for column, rows in enumerate(inputs):
            batch[: len(rows), column] = torch.from_numpy(rows).float()
        with torch.no_grad():
            output, state = self.model.read(self.to_model(batch), lengths)
            return self.model.head(output[lengths - 1, torch.arange(len(inputs))]), state

    def to_model(self, numbers: Tensor) -> Tensor:
        """Move numbers to the device and the type of the model."""
        weight = self.model.head.weight
        return numbers.to(weight.device, weight.dtype)

    def go_on(
        self,
        series: Sequence[Series],
        answers: Tensor,
        state: State,
        horizon: int,
        drawn: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Forecast from answers, and beyond the trained horizon from forecasts that are read like rows.

        Args:
            series: The series, extended by what is known of the rows to come.
            answers: The answers at the end of each ``[B, O]``.
            state: The state there.
            horizon: The number of rows.
            drawn: Errors that are added to the answers ``[B, paths, blocks, gap, C]``, so that every path goes another
                way; None for one path without errors.

        Returns:
            Standardised values ``[B, paths, horizon, C]``.

        Raises:
            ConfigError: If the horizon is beyond the trained one, and a column is neither forecast nor known ahead.
        """
        layout, paths = self.layout, 1 if drawn is None else drawn.shape[1]
        blocks = self.needed(horizon) // layout.gap
        if blocks > 1 and not layout.is_recursive:
            others = [name for name in layout.columns if name not in (*layout.target, *layout.known)]
            raise ConfigError(
                f"horizon is {horizon:,}, and the model was trained for {layout.gap:,} rows. Beyond them it would have "
                f"to read {', '.join(others)}, which it does not forecast: take a smaller horizon, forecast these "
                "columns too, or train with a larger gap."
            )
        last = np.stack([one.rows[-1, self.target] for one in series]).repeat(paths, axis=0)  # [B paths, C]
        if paths > 1:
            answers, state = answers.repeat_interleave(paths, dim=0), _repeat(state, paths)
        parts = []
        for block in range(blocks):
            rises = answers.double().cpu().numpy().reshape(len(last), layout.gap, -1)
            values = last[:, None] + rises
            if drawn is not None:
                values = values + drawn[:, :, block].reshape(values.shape)
            parts.append(values)
            if block + 1 < blocks:
                last = values[:, -1]
                answers, state = self._read_on(series, values, block, state)
        found = np.concatenate(parts, axis=1)[:, :horizon]
        return found.reshape(len(series), paths, horizon, -1)

    def _read_on(
        self, series: Sequence[Series], values: NDArray[np.float64], block: int, state: State
    ) -> tuple[Tensor, State]:
        """Read values ``[B paths, gap, C]`` that were forecast, as if they had come."""
        layout, paths = self.layout, len(values) // len(series)
        rows = np.zeros((len(values), layout.gap, len(layout.columns)))
        told = [one.told[len(one.rows) + block * layout.gap :] for one in series]
        rows[..., layout.places(layout.known)] = np.stack(
            [known[: layout.gap, : len(layout.known)] for known in told]
        ).repeat(paths, axis=0)
        rows[..., self.target] = values
        ahead = np.stack([layout.ahead(known, layout.gap) for known in told]).repeat(paths, axis=0)
        inputs = torch.from_numpy(np.concatenate([rows, ahead], axis=2)).float().transpose(0, 1)
        with torch.no_grad():
            output, state = self.model.read(self.to_model(inputs), None, state)
            return self.model.head(output[-1]), state

    # --- errors

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """The errors on the validation part, where nothing was learned ``[n, gap, C]``, standardised."""
        return self.errors_on("valid")

    def errors_on(self, split: str) -> NDArray[np.float64]:
        """Return the errors at every step of a split that is asked.

        Args:
            split: The split.

        Returns:
            What came less what was forecast, standardised ``[n, gap, C]``.
        """
        batch = self.job.held(split)
        size = max(1, _MOST_OUTPUTS // (batch.inputs.shape[0] * max(self.model.head.weight.shape)))
        parts = [self._errors(batch.columns(slice(at, at + size))) for at in range(0, batch.size, size)]
        return np.concatenate(parts).reshape(-1, self.layout.gap, len(self.target))

    def _errors(self, batch: Batch) -> NDArray[np.float64]:
        asked = batch.asked
        with torch.no_grad():
            output, _ = self.model.read(self.to_model(batch.inputs), batch.lengths)
            answers = self.model.head(output[asked.to(output.device)]).double().cpu()
        return (batch.targets[asked].double() - answers).numpy()

    def draw(self, rng: np.random.Generator, size: tuple[int, int, int]) -> NDArray[np.float64]:
        """Draw errors of whole forecasts from those on the validation part, each upwards or downwards.

        Without the signs, errors of a model that is always too low would move all paths away from the forecast, whose
        interval then would not hold it.

        Args:
            rng: The random generator.
            size: The numbers of series, paths and blocks.

        Returns:
            Errors ``[B, paths, blocks, gap, C]``.
        """
        signs = rng.choice((-1.0, 1.0), size=(*size, 1, 1))
        return signs * self.errors[rng.integers(len(self.errors), size=size)]

    def origins(self, series: Sequence[Series], horizon: int, most: int) -> list[tuple[int, int]]:
        """Choose places in the test part from which a whole horizon lies in it, evenly spread.

        Args:
            series: The series of the table of the run.
            horizon: The number of rows.
            most: The most places.

        Returns:
            For each the number of a series, and the number of its rows that have come.
        """
        places = []
        for number, one in enumerate(series):
            _, begin, end = split_time(len(one.rows))
            first = max(begin, self.layout.context)
            # What is known ahead must lie in the table, too.
            stop = end - (self.needed(horizon) if self.layout.told else horizon)
            places += [(number, rows) for rows in range(first, stop + 1)]
        if len(places) <= most:
            return places
        return [places[place] for place in np.linspace(0, len(places) - 1, most).astype(int)]


def _repeat(state: State, times: int) -> State:
    """Repeat the state of each sequence."""
    if isinstance(state, tuple):
        return tuple(part.repeat_interleave(times, dim=1) for part in state)
    return None if state is None else state.repeat_interleave(times, dim=1)
