"""Forecast a table with the model of a run: values in the table's own units, with intervals that were measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.times import continue_times, write_times
from gatework.errors import ConfigError, RunError
from gatework.runs.seeds import mixed_seed
from gatework.training.config import TrainConfig
from gatework.training.forecaster import Forecaster, Series, Source
from gatework.training.intervals import LEVELS, find_widths, measure_coverage
from gatework.training.jobs.evaluation import Question
from gatework.training.jobs.kind import Restored
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import Step, open_run, restore

# Paths beyond the trained horizon; and the places and the paths with which their coverage is measured.
_PATHS, _PLACES, _FEWER_PATHS = 500, 40, 100
# The longest horizon, in rows.
MOST_HORIZON = 100_000


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Args:
        name: The name of the series; empty if it is the only one.
        times: The time stamps of the rows to come ``[H]``, or the numbers of the rows.
        point: The forecast ``[H, C]``, in units of the table.
        lower: The lower bounds of the intervals at each level ``[H, C]``.
        upper: The upper bounds.
        past: The rows that came before ``[n, C]``.
        past_times: Their time stamps ``[n]``, or the numbers of the rows.
    """

    name: str
    times: NDArray
    point: NDArray[np.float64]
    lower: Mapping[float, NDArray[np.float64]]
    upper: Mapping[float, NDArray[np.float64]]
    past: NDArray[np.float64]
    past_times: NDArray


@dataclass(frozen=True)
class Forecast:
    """A forecast, with all that is known about its worth.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        columns: The columns that are forecast.
        horizon: The number of rows.
        trained: The number of rows for which the model was trained; beyond it, forecasts are read like rows.
        series: The forecast of each series.
        left_out: The names of series that are too short for a forecast.
        continued: How the time stamps go on, in words.
        how: How the intervals were found, in words.
        coverage: The share of values of the test part that lay in their intervals, at each level and step ahead
            ``[H]``; empty if the test part is too short to measure it.
        measured: The number of forecasts of the test part with which the coverage was measured.
        metrics: The metrics of the model on the test part, in units of the standard deviation.
        trivial: Those of the predictors that learn nothing.
        verdict: A sentence on which is better.
        units: The units of columns, if the table names them.
    """

    run: str
    step: int
    columns: tuple[str, ...]
    horizon: int
    trained: int
    series: tuple[SeriesForecast, ...]
    left_out: tuple[str, ...]
    continued: str
    how: str
    coverage: Mapping[float, NDArray[np.float64]] = field(default_factory=dict)
    measured: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    trivial: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    verdict: str = ""
    units: Mapping[str, str] = field(default_factory=dict)

    def name(self, column: str) -> str:
        """Return the name of a column, with its unit if it is known."""
        return f"{column} in {self.units[column]}" if self.units.get(column) else column

    def __getitem__(self, name: str) -> SeriesForecast:
        """Return the forecast of a series.

        Raises:
            KeyError: If there is no such series.
        """
        found = next((one for one in self.series if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in self.series)
            raise KeyError(f"There is no series '{name}'; expected one of {names}.")
        return found

    @property
    def _only(self) -> SeriesForecast:
        if len(self.series) != 1:
            names = ", ".join(one.name for one in self.series)
            raise ConfigError(
                f"There are {len(self.series):,} series ({names}): take one of them, as in forecast['a']."
            )
        return self.series[0]

    @property
    def times(self) -> NDArray:
        """The time stamps of the only series ``[H]``."""
        return self._only.times

    @property
    def point(self) -> NDArray[np.float64]:
        """The forecast of the only series ``[H, C]``."""
        return self._only.point

    @property
    def lower(self) -> Mapping[float, NDArray[np.float64]]:
        """The lower bounds of the only series at each level ``[H, C]``."""
        return self._only.lower

    @property
    def upper(self) -> Mapping[float, NDArray[np.float64]]:
        """The upper bounds of the only series at each level ``[H, C]``."""
        return self._only.upper

    def header(self) -> list[str]:
        """Return the names of the columns of :meth:`rows`."""
        own = ["series", "time"] if self.series[0].name else ["time"]
        bounds = [f"{side}_{level * 100:g}" for level in LEVELS for side in ("lower", "upper")]
        return own + [f"{name}{end}" for name in self.columns for end in ("", *(f"_{bound}" for bound in bounds))]

    def rows(self) -> Iterator[list[Any]]:
        """Return the forecast as rows: the time, and for each column the forecast and its intervals."""
        for one in self.series:
            own = [one.name] if one.name else []
            sides = [side[level] for level in LEVELS for side in (one.lower, one.upper)]
            numbers = np.stack([one.point, *sides], axis=2).reshape(self.horizon, -1)
            for time, row in zip(write_times(one.times), numbers.tolist(), strict=True):
                yield [*own, time, *row]

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain data."""
        series = []
        for one in self.series:
            bounds = {
                f"{level:g}": {"lower": one.lower[level].tolist(), "upper": one.upper[level].tolist()}
                for level in LEVELS
            }
            point = one.point.tolist()
            series.append({"name": one.name, "times": write_times(one.times), "point": point, "intervals": bounds})
        coverage = {
            f"{level:g}": {"mean": float(shares.mean()), "by_step": shares.tolist()}
            for level, shares in self.coverage.items()
        }
        return {
            "run": self.run,
            "step": self.step,
            "columns": list(self.columns),
            "units": dict(self.units),
            "horizon": self.horizon,
            "trained_horizon": self.trained,
            "recursive": self.horizon > self.trained,
            "series": series,
            "left_out": list(self.left_out),
            "intervals": self.how,
            "coverage": coverage,
            "coverage_forecasts": self.measured,
            "test": {
                "metrics": dict(self.metrics),
                "trivial": {name: dict(found) for name, found in self.trivial.items()},
                "verdict": self.verdict,
            },
        }


def forecast(
    run: str | Path,
    table: Source = None,
    horizon: int | None = None,
    *,
    ahead: str | Path | None = None,
    step: Step = None,
    device: str = "cpu",
) -> Forecast:
    """Forecast how a table goes on beyond its end.

    Args:
        run: The directory of a run of task ``forecast``.
        table: A table with the columns of the run's own, as a file, or as numbers ``[n, F]`` in the order of the run's
            columns; None for the table of the run.
        horizon: The number of rows; None for the number that the model was trained for. Beyond that number, forecasts
            are read like rows.
        ahead: A table with the columns that are known ahead, for the rows to come; None if there are none.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Returns:
        The forecast of each series, with prediction intervals and their coverage on the test part of the run's table.

    Raises:
        RunError: If the run does not forecast a table.
        ConfigError: If the horizon is out of range, or values that must be known ahead are missing.
        DataError: If a table cannot be read, or does not fit the model.
    """
    return Forecasting(open_forecaster(str(run), step=step, device=device)).forecast(table, horizon, ahead)


def open_forecaster(run: str, *, step: Step = None, device: str = "cpu") -> Restored:
    """Load a run whose model forecasts a table.

    Args:
        run: The run directory.
        step: The step of the checkpoint, ``best`` or ``last``; None for the last.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.

    Raises:
        RunError: If the run does not forecast a table.
    """
    check_forecasts(run, open_run(run).read_config())
    return restore(run, step=step, device=device)


def check_forecasts(run: str, config: TrainConfig) -> None:
    """Refuse a run whose model does not forecast a table.

    Args:
        run: The run directory.
        config: The settings of the run.

    Raises:
        RunError: If it does not.
    """
    if not kind_of(config.task).forecasts(config):
        raise RunError(
            f"Run '{run}' was trained on task '{config.task}', which does not forecast a table. Expected a run of "
            "`gatework train --task forecast --data FILE`."
        )


class Forecasting:
    """The model of a run, which can forecast several tables.

    Args:
        restored: The result of :func:`open_forecaster`.
    """

    def __init__(self, restored: Restored) -> None:
        self.restored = restored
        self.forecaster = Forecaster(restored)
        self._coverage: dict[int, tuple[dict[float, NDArray[np.float64]], int]] = {}

    def check_horizon(self, horizon: int | None) -> int:
        """Return a horizon, or the trained one.

        Raises:
            ConfigError: If it is out of range.
        """
        chosen = self.forecaster.layout.gap if horizon is None else horizon
        if not 1 <= chosen <= MOST_HORIZON:
            raise ConfigError(f"horizon is {chosen}; expected 1 to {MOST_HORIZON:,} rows.")
        return chosen

    def forecast(self, table: Source = None, horizon: int | None = None, ahead: str | Path | None = None) -> Forecast:
        """Forecast a table; see :func:`forecast`."""
        chosen, forecaster = self.check_horizon(horizon), self.forecaster
        everything = forecaster.series_of(table)
        long = [one for one in everything if len(one.rows) >= forecaster.layout.context]
        known = forecaster.read_ahead(ahead, long)
        extended = [forecaster.extend(one, chosen, known.get(one.name)) for one in long]
        left_out = tuple(one.name for one in everything if one not in long)
        return self.of_series(extended, *forecaster.read(extended), chosen, left_out)

    def of_series(
        self, series: Sequence[Series], answers: Any, state: Any, horizon: int, left_out: tuple[str, ...] = ()
    ) -> Forecast:
        """Forecast series whose last rows have been read.

        Args:
            series: The series, extended by what is known ahead.
            answers: The answers of the model at the end of each.
            state: Its state there.
            horizon: The number of rows.
            left_out: The names of series that are left out.
        """
        forecaster = self.forecaster
        points = forecaster.go_on(series, answers, state, horizon)[:, 0]  # [B, H, C], standardised
        bounds, how = self._bounds(series, answers, state, points)
        found, continued = [], ""
        for number, one in enumerate(series):
            times, continued = continue_times(one.times, one.count, horizon)
            lower, upper = (
                {level: forecaster.in_units(side[number]) for level, side in each.items()} for each in bounds
            )
            past = forecaster.in_units(one.rows[:, forecaster.target])
            past_times = np.arange(one.earlier, one.count) + 1 if one.times is None else one.times
            point = forecaster.in_units(points[number])
            found.append(SeriesForecast(one.name, times, point, lower, upper, past, past_times))
        coverage, measured = self._measure_coverage(horizon)
        return Forecast(
            self.restored.run,
            self.restored.step,
            forecaster.layout.target,
            horizon,
            forecaster.layout.gap,
            tuple(found),
            left_out,
            continued,
            how,
            coverage,
            measured,
            *self._test,
            units=dict(forecaster.facts.get("table", {}).get("units", {})),
        )

    def _bounds(
        self, series: Sequence[Series], answers: Any, state: Any, points: NDArray[np.float64]
    ) -> tuple[tuple[dict[float, NDArray[np.float64]], dict[float, NDArray[np.float64]]], str]:
        """Return the standardised lower and upper bounds at each level ``[B, H, C]``, and how they were found."""
        forecaster, horizon = self.forecaster, points.shape[1]
        if horizon <= forecaster.layout.gap:
            widths = find_widths(forecaster.errors[:, :horizon])
            sides = [{level: points + sign * width for level, width in widths.of.items()} for sign in (-1, 1)]
            return (sides[0], sides[1]), f"{widths.how}, on the validation part"
        paths = self._paths(series, answers, state, horizon, _PATHS)
        errors = len(forecaster.errors)
        how = f"{_PATHS} paths; to each, errors of {errors:,} forecasts of the validation part are added or subtracted"
        return _quantiles(paths), how

    def _paths(
        self, series: Sequence[Series], answers: Any, state: Any, horizon: int, count: int
    ) -> NDArray[np.float64]:
        """Let forecasts go on at random ``[B, paths, H, C]``; the same ones every time."""
        forecaster = self.forecaster
        rng = np.random.default_rng(mixed_seed(self.restored.config.seed, "forecast", horizon))
        blocks = forecaster.needed(horizon) // forecaster.layout.gap
        drawn = forecaster.draw(rng, (len(series), count, blocks))
        return forecaster.go_on(series, answers, state, horizon, drawn)

    def _measure_coverage(self, horizon: int) -> tuple[dict[float, NDArray[np.float64]], int]:
        """Measure at each level and step how often values of the test part of the run's table lay in the intervals."""
        if horizon not in self._coverage:
            self._coverage[horizon] = self._measured(horizon)
        return self._coverage[horizon]

    def _measured(self, horizon: int) -> tuple[dict[float, NDArray[np.float64]], int]:
        forecaster = self.forecaster
        if horizon <= forecaster.layout.gap:
            errors = forecaster.errors_on("test")[:, :horizon]
            widths = find_widths(forecaster.errors[:, :horizon]).of
            return {level: measure_coverage(errors, -width, width) for level, width in widths.items()}, len(errors)
        own = forecaster.series_of(None)
        came, places = [], []
        for number, rows in forecaster.origins(own, horizon, _PLACES):
            places.append(own[number].until(rows))
            came.append(own[number].rows[rows : rows + horizon, forecaster.target])
        if not places:
            return {}, 0
        paths = self._paths(places, *forecaster.read(places), horizon, _FEWER_PATHS)
        lower, upper = _quantiles(paths)
        return {level: measure_coverage(np.stack(came), lower[level], upper[level]) for level in LEVELS}, len(places)

    @cached_property
    def _test(self) -> tuple[Mapping[str, float], Mapping[str, Mapping[str, float]], str]:
        kind = kind_of(self.restored.config.task)
        found = kind.evaluate(self.restored, Question("test"))
        return found.metrics, found.trivial, found.verdict


def _quantiles(
    paths: NDArray[np.float64],
) -> tuple[dict[float, NDArray[np.float64]], dict[float, NDArray[np.float64]]]:
    """Return the lower and the upper quantiles of paths ``[B, paths, H, C]`` at each level."""
    shares = [0.5 + sign * level / 2 for level, sign in product(LEVELS, (-1, 1))]
    found = np.quantile(paths, shares, axis=1)
    return dict(zip(LEVELS, found[::2], strict=True)), dict(zip(LEVELS, found[1::2], strict=True))
