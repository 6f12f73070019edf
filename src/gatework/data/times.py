"""Time stamps: how they go on, how they are written, and where they lie in a day, a week and a year."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DAY = np.timedelta64(1, "D")
_SECONDS = {"hour of the day": 86_400, "day of the week": 604_800}
_YEAR = 31_556_952
CYCLES = (*_SECONDS, "month of the year")
"""What the calendar can tell about a date."""
# How many rows make a natural season, for rows that are so many seconds apart.
_NATURAL = ((1, 86_400, 86_400), (86_400, 604_800, 604_800), (604_800, _YEAR // 2, _YEAR))


def continue_times(times: NDArray | None, rows: int, count: int) -> tuple[NDArray, str]:
    """Continue the time stamps of a series.

    Args:
        times: The time stamps so far ``[rows]``, dates (datetime64) or numbers; None if there are none.
        rows: The number of rows so far.
        count: The number of time stamps to add.

    Returns:
        The new time stamps ``[count]``, and how they go on, in words. Without time stamps they are the numbers of the
        rows, counted from 1.

    Example:
        >>> months = np.array(["2024-11-30", "2024-12-31"], dtype="datetime64[D]")
        >>> continue_times(months, 2, 2)[0].astype(str).tolist()
        ['2025-01-31', '2025-02-28']
        >>> continue_times(None, 5, 2)
        (array([6, 7]), 'row by row')
    """
    if times is None or len(times) < 2:
        return rows + np.arange(1, count + 1), "row by row"
    if not np.issubdtype(times.dtype, np.datetime64):
        return _continue_numbers(times, count)
    steps = np.diff(times)
    if (months := _months_apart(times)) is not None:
        return _add_months(times, months, count), "every month" if months == 1 else f"every {months} months"
    if (steps == steps[0]).all():
        return times[-1] + steps[0] * np.arange(1, count + 1), f"every {describe_step(steps[0])}"
    if _is_business(times):
        days = np.busday_offset(times[-1].astype("datetime64[D]"), np.arange(1, count + 1))
        return days + (times[-1] - times[-1].astype("datetime64[D]")), "every working day"
    step = np.sort(steps)[len(steps) // 2]
    return times[-1] + step * np.arange(1, count + 1), f"every {describe_step(step)}, the median of irregular steps"


def _continue_numbers(times: NDArray, count: int) -> tuple[NDArray, str]:
    step = np.median(np.diff(times))
    even = np.allclose(np.diff(times), step)
    if np.issubdtype(times.dtype, np.integer) and float(step).is_integer():
        step = times.dtype.type(step)
    words = f"every {float(step):g}" + ("" if even else ", the median of irregular steps")
    return times[-1] + step * np.arange(1, count + 1), words


def _months_apart(times: NDArray) -> int | None:
    """Return how many months lie between two dates; None if the days of the month or the steps differ."""
    months = times.astype("datetime64[M]")
    into = times - months
    apart = np.diff(months.astype(np.int64))
    at_end = ((months + 1).astype("datetime64[D]") - times.astype("datetime64[D]") == _DAY).all()
    same = (into == into[0]).all() or at_end
    return int(apart[0]) if same and (apart == apart[0]).all() and apart[0] > 0 else None


def _add_months(times: NDArray, months: int, count: int) -> NDArray:
    first = times[-1].astype("datetime64[M]")
    coming = first + months * np.arange(1, count + 1)
    into = times[-1] - first.astype(times.dtype)
    ends = (coming + 1).astype("datetime64[D]") - _DAY
    if (times == ((times.astype("datetime64[M]") + 1).astype("datetime64[D]") - _DAY)).all():
        return ends.astype(times.dtype)
    return coming.astype(times.dtype) + into


def _is_business(times: NDArray) -> bool:
    """Tell whether the dates are all working days, one after the other, but for a few holidays."""
    days = times.astype("datetime64[D]")
    if not (np.is_busday(days).all() and (times - days == (times - days)[0]).all()):
        return False
    return bool((np.busday_count(days[:-1], days[1:]) == 1).mean() > 0.9)


def describe_step(step: np.timedelta64) -> str:
    """Say how long a step is.

    Args:
        step: The step.

    Example:
        >>> describe_step(np.timedelta64(60, "m")), describe_step(np.timedelta64(90, "m"))
        ('hour', '90 minutes')
    """
    seconds = step / np.timedelta64(1, "s")
    for name, size in (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size and seconds % size == 0:
            return name if seconds == size else f"{seconds / size:g} {name}s"
    return f"{seconds:g} seconds"


def write_times(times: NDArray) -> list[str]:
    """Write time stamps as text: whole days without hours, whole minutes without seconds.

    Args:
        times: The time stamps.

    Example:
        >>> write_times(np.array(["2024-01-01T00:00", "2024-01-02T00:00"], dtype="datetime64[s]"))
        ['2024-01-01', '2024-01-02']
        >>> write_times(np.array([1.5, 2.0]))
        ['1.5', '2']
    """
    if not np.issubdtype(times.dtype, np.datetime64):
        return [f"{time}" if isinstance(time, int) else f"{time:.15g}" for time in times.tolist()]
    for unit in ("D", "m", "s"):
        if (times.astype(f"datetime64[{unit}]") == times).all():
            return [time.replace("T", " ") for time in np.datetime_as_string(times, unit=unit).tolist()]
    return [time.replace("T", " ") for time in np.datetime_as_string(times).tolist()]


def find_natural_season(times: NDArray | None) -> int:
    """Return the number of rows of the natural season of time stamps: a day, a week or a year.

    Args:
        times: The time stamps; None for none.

    Returns:
        The number of rows; 0 if there is none.

    Example:
        >>> find_natural_season(np.arange("2024-01-01", "2024-01-09", 60, dtype="datetime64[m]"))
        24
        >>> find_natural_season(np.arange("2020-01", "2024-01", dtype="datetime64[M]"))
        12
    """
    if times is None or len(times) < 2 or not np.issubdtype(times.dtype, np.datetime64):
        return 0
    seconds = float(np.median(np.diff(times.astype("datetime64[s]")).astype(np.int64)))
    for least, most, season in _NATURAL:
        if least <= seconds < most:
            return round(season / seconds)
    return 0


def find_cycles(times: NDArray) -> tuple[str, ...]:
    """Return what the calendar can tell that dates are fine enough for, and long enough to have seen it twice.

    Args:
        times: The dates of the training part.

    Example:
        >>> find_cycles(np.arange("2024-01-01", "2024-03-01", 60, dtype="datetime64[m]"))
        ('hour of the day', 'day of the week')
    """
    seconds = times.astype("datetime64[s]").astype(np.int64)
    step, span = float(np.median(np.diff(seconds))), float(seconds[-1] - seconds[0])
    lengths = {**_SECONDS, CYCLES[-1]: _YEAR}
    return tuple(name for name, length in lengths.items() if 2 * step < length and 2 * length <= span)


def tell_calendar(times: NDArray, cycles: Sequence[str]) -> NDArray[np.float64]:
    """Return where dates lie in a day, a week and a year, as sine and cosine.

    Args:
        times: The dates ``[n]``.
        cycles: Some of :data:`CYCLES`.

    Returns:
        Numbers ``[n, 2 x cycles]``.

    Example:
        >>> tell_calendar(np.array(["2024-01-01T06:00"], dtype="datetime64[s]"), ["hour of the day"]).round(3).tolist()
        [[1.0, 0.0]]
    """
    seconds = times.astype("datetime64[s]").astype(np.int64)
    shares = {
        # 1970 began on a Thursday: the week is counted from Monday.
        "hour of the day": seconds % 86_400 / 86_400,
        "day of the week": (seconds + 3 * 86_400) % 604_800 / 604_800,
        "month of the year": _share_of_year(times),
    }
    angles = [2 * np.pi * shares[name] for name in cycles]
    parts = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(parts, axis=1) if parts else np.zeros((len(times), 0))


def _share_of_year(times: NDArray) -> NDArray[np.float64]:
    years = times.astype("datetime64[Y]")
    begin, end = years.astype("datetime64[s]"), (years + 1).astype("datetime64[s]")
    return (times.astype("datetime64[s]") - begin) / (end - begin)
