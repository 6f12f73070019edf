"""Forecast a series that goes on: each new row is read once, and the past is never read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.times import continue_times, tell_calendar
from gatework.errors import ConfigError, DataError
from gatework.models.state import State
from gatework.training.forecaster import Series
from gatework.training.forecasting import Forecast, Forecasting

# The most rows of the past that are kept, for pictures and time stamps.
_KEPT = 512


@dataclass
class _Reader:
    """What has read the rows since one of the places where reading begins anew.

    Args:
        state: The state.
        output: The output of the layers at the last row ``[1, H]``; None before the first one.
    """

    state: State = None
    output: Tensor | None = None


class ForecastStream:
    """A series that goes on row by row, and a forecast of it at any time.

    In training, an answer came after C to 2C - 1 rows, where C is the context of the run. The stream keeps to that: it
    begins to read anew at every C-th row, and answers with what has read C rows or more. So each row costs two steps of
    the model, whatever came before, and the forecast is that of :func:`gatework.training.forecasting.forecast` for a
    table of all rows so far.

    Args:
        forecasting: The model.
        table: A table after whose end the series goes on; None for that of the run.
        series: The name of a series of the table; may be left out if there is only one.
        ahead: A table with the columns that are known ahead, for the next rows; None if there are none.

    Raises:
        ConfigError: If the table has several series and none is named, or values that are known ahead are missing.
        DataError: If the table does not fit the model.
    """

    def __init__(self, forecasting: Forecasting, table: Any = None, series: str = "", ahead: Any = None) -> None:
        self._forecasting = forecasting
        self._forecaster = forecasting.forecaster
        layout = self._forecaster.layout
        everything = self._forecaster.series_of(table)
        chosen = everything[0] if len(everything) == 1 and not series else None
        chosen = chosen or next((one for one in everything if one.name == series), None)
        if chosen is None or len(chosen.rows) < layout.context:
            names = ", ".join(one.name for one in everything if len(one.rows) >= layout.context)
            raise ConfigError(f"series is '{series}'; expected one of {names}.")
        known = self._forecaster.read_ahead(ahead, [chosen])
        whole = self._forecaster.extend(chosen, layout.gap, known.get(chosen.name))
        rows, context = len(whole.rows), layout.context
        # The first one answers, and the second one, which began a context later, warms up.
        self._readers = [_Reader(), _Reader()]
        begin = context * (rows // context)
        inputs = layout.read(whole.rows, whole.told)
        for reader, first in zip(self._readers, (begin - context, begin), strict=True):
            self._read(reader, inputs[first:])
        self._count = rows
        self._rows = whole.rows[-_KEPT:]
        self._told = whole.told[-len(self._rows) - layout.gap :]
        self._name, self._times = whole.name, None if whole.times is None else whole.times[-_KEPT:]

    def __len__(self) -> int:
        """Return the number of rows so far, those of the table included."""
        return self._count

    def update(
        self,
        row: Sequence[float] | Mapping[str, float],
        *,
        time: Any = None,
        known: Sequence[float] | Mapping[str, float] = (),
    ) -> None:
        """Read one more row.

        Args:
            row: The values of all columns of the run, in their order or by their names.
            time: The time stamp of the row; None for the one that comes next.
            known: The values of the columns that are known ahead, in the row that lies ``gap`` rows after this one.

        Raises:
            DataError: If values are missing or not finite.
        """
        forecaster, layout = self._forecaster, self._forecaster.layout
        values = (_in_order(row, layout.columns, "row") - forecaster.mean) / forecaster.deviation
        if self._times is not None:
            coming = continue_times(self._times, self._count, 1)[0]
            coming = coming if time is None else np.array([time], dtype=coming.dtype)
            self._times = np.concatenate([self._times, coming])[-_KEPT:]
        self._rows = np.concatenate([self._rows, values[None]])[-_KEPT:]
        self._count += 1
        self._told = self._tell(values, _in_order(known, layout.known, "known"))
        inputs = layout.read(values[None], self._told[-layout.gap - 1 :])
        for reader in self._readers:
            self._read(reader, inputs)
        if self._count % layout.context == 0:
            # What warmed up has read a whole context, and answers from now on.
            self._readers = [self._readers[1], _Reader()]

    def forecast(self, horizon: int | None = None) -> Forecast:
        """Forecast the rows to come.

        Args:
            horizon: The number of rows; None for the number that the model was trained for.

        Returns:
            The forecast.

        Raises:
            ConfigError: If the horizon is out of range.
        """
        chosen = self._forecasting.check_horizon(horizon)
        reader = self._readers[0]
        assert reader.output is not None
        with torch.no_grad():
            answers = self._forecaster.model.head(reader.output)
        earlier = self._count - len(self._rows)
        now = Series(self._name, self._rows, self._told, self._times, earlier)
        places = self._forecaster.layout.places(self._forecaster.layout.known)
        ahead = self._told[len(self._rows) :, : len(places)]
        known = ahead * self._forecaster.deviation[places] + self._forecaster.mean[places]
        return self._forecasting.of_series([self._forecaster.extend(now, chosen, known)], answers, reader.state, chosen)

    def _tell(self, values: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is known of the rows that are kept, and of the next ``gap`` rows after this one."""
        forecaster, layout = self._forecaster, self._forecaster.layout
        places = layout.places(layout.known)
        told = np.zeros((1, layout.told))
        told[0, : len(places)] = (known - forecaster.mean[places]) / forecaster.deviation[places]
        if layout.calendar:
            times, _ = continue_times(self._times, self._count, layout.gap)
            told[0, len(places) :] = tell_calendar(times[-1:], layout.calendar)[0]
        everything = np.concatenate([self._told, told])[-len(self._rows) - layout.gap :]
        # What came counts, even if something else was announced.
        everything[len(self._rows) - 1, : len(places)] = values[places]
        return everything

    def _read(self, reader: _Reader, inputs: NDArray[np.float64]) -> None:
        """Read rows ``[n, width]``."""
        if not len(inputs):
            return
        forecaster = self._forecaster
        with torch.no_grad():
            given = forecaster.to_model(torch.from_numpy(inputs).float()[:, None])
            output, reader.state = forecaster.model.read(given, None, reader.state)
        reader.output = output[-1]


def _in_order(given: Sequence[float] | Mapping[str, float], names: Sequence[str], what: str) -> NDArray[np.float64]:
    """Return the values of columns in their order.

    Raises:
        DataError: If there are others or fewer, or one is not finite.
    """
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if missing:
            raise DataError(f"The {what} has no value of '{missing[0]}'; expected {', '.join(names)}.")
        given = [given[name] for name in names]
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"The {what} holds something that is no number ({error}).") from error
    if values.shape != (len(names),) or not np.isfinite(values).all():
        raise DataError(
            f"The {what} is {given}; expected {len(names)} finite number{'s' if len(names) != 1 else ''}"
            f"{': ' + ', '.join(names) if names else ''}."
        )
    return values
