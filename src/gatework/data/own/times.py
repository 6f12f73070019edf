"""Columns of times: ISO 8601, dates with points or slashes, seconds since 1970; and the steps between them."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatework.data.own.guesses import CLOCK, WRITTEN, Kind, kind_of
from gatework.data.own.numbers import Place, TextColumn, first_of
from gatework.errors import DataError

_SAMPLE = 200
_CLOCK = (
    r"(?:[T ,]+(?P<H>\d{1,2})[:.](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s?(?P<p>[aApP])?\.?(?:[mM]\.?)?)?"
)
_YEAR_FIRST = rf"^(?P<Y>\d{{4}})[-/](?P<a>\d{{1,2}})(?:[-/](?P<b>\d{{1,2}}))?{_CLOCK}$"
_YEAR_LAST = rf"^(?P<a>\d{{1,2}})[./-](?P<b>\d{{1,2}})[./-](?P<Y>\d{{4}}|\d{{2}}){_CLOCK}$"
_WRITTEN = re.compile(WRITTEN)
_CLOCKS = re.compile(CLOCK)
_OLDEST_SHORT_YEAR = 70  # 70 to 99 are of the last century
# Seconds from 1980 to 2100, and the same in thousandths, millionths and billionths.
_SECONDS = (315_532_800, 4_102_444_800)
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_LENGTHS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_NAMES = {60: "every minute", 3600: "hourly", 86_400: "daily", 604_800: "weekly"}


@dataclass(frozen=True)
class Times:
    """A column as times.

    Args:
        values: The times ``[n]``: datetime64 in microseconds or nanoseconds, or numbers.
        order: The order of day and month that was found, ``day-first`` or ``month-first``; empty if there was no
            choice.
        said: What was decided, in words; empty for times that need none.
    """

    values: NDArray
    order: str = ""
    said: str = ""


def looks_like_times(column: TextColumn) -> bool:
    """Tell whether the first fields of a column are dates."""
    sample = column.fields.drop_null().slice(0, _SAMPLE).to_pylist()
    dates = sum(kind_of(field) is Kind.TIME for field in sample)
    # 18.05.00 may be a date, but 18.00.00 can only be a time of day.
    if dates < len(sample) and all(_CLOCKS.fullmatch(field) for field in sample):
        return False
    return dates > len(sample) / 2


def to_times(column: TextColumn, order: str, place: Place) -> Times:
    """Convert a column of dates to times.

    Args:
        column: The column.
        order: ``day-first`` or ``month-first``, if a person has said it.
        place: Names a row of the column, for error messages.

    Raises:
        DataError: If a field is no date like the others, or the order of day and month cannot be told.
    """
    fields = column.fields
    if (hole := first_of(pc.is_null(fields))) is not None:
        raise DataError(f"{place(column, hole)}: the time is empty. Fill it, or take the row out.")
    if (values := _cast(fields, "")) is not None:
        return Times(values)
    if (values := _cast(_with_zones(fields), "UTC")) is not None:
        return Times(values, said="in UTC")
    first = fields[0].as_py()
    year_first = first[:4].isdigit()
    parts = pc.extract_regex(
        pc.replace_substring_regex(fields, r"\s?(?:Z|UTC)$", ""), _YEAR_FIRST if year_first else _YEAR_LAST
    )
    if (wrong := first_of(pc.is_null(parts))) is not None:
        raise DataError(
            f"{place(column, wrong)}: '{fields[wrong].as_py()}' is no date like the others, such as '{first}'. Write "
            "it alike, or take the row out."
        )
    named = {name: _whole(pc.struct_field(parts, name)) for name in ("Y", "a", "b", "H", "M", "S")}
    if year_first:
        month, day, found = named["a"], np.maximum(named["b"], 1), ""
    else:
        found = order or _find_order(column, named["a"], named["b"], place)
        day, month = (named["a"], named["b"]) if found == "day-first" else (named["b"], named["a"])
    wrong_rows = (month < 1) | (month > 12) | (day < 1) | (day > _days_in(named["Y"], month)) | (named["H"] > 24)
    if wrong_rows.any():
        row = int(wrong_rows.argmax())
        raise DataError(f"{place(column, row)}: '{fields[row].as_py()}' is no date{_said_order(found)}.")
    return Times(_put_together(named, month, day, parts), found, found.replace("-", " ") if found else "")


def _cast(fields: pa.ChunkedArray, zone: str) -> NDArray | None:
    """Convert times of ISO 8601; None if one of them is none."""
    for unit in ("us", "ns"):
        try:
            return pc.cast(fields, pa.timestamp(unit, zone or None)).to_numpy()
        except pa.ArrowInvalid:
            continue
    return None


def _with_zones(fields: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write UTC behind the times that have no zone, if others have one."""
    bare = pc.invert(pc.match_substring_regex(fields, r"[ T]\d.*(?:Z|UTC|[+-]\d{2}:?\d{2})$"))
    if not pc.any(bare).as_py() or pc.all(bare).as_py():
        return fields
    clock = pc.replace_substring_regex(fields, r"^(\d{4}-\d{2}-\d{2})$", r"\1T00:00")
    return pc.if_else(bare, pc.binary_join_element_wise(clock, pa.scalar("Z"), ""), fields)


def _whole(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    texts = pc.if_else(pc.equal(texts, ""), "0", texts)
    return pc.cast(texts, pa.int64()).to_numpy()


def _days_in(year: NDArray, month: NDArray) -> NDArray:
    """Return the number of days of each month."""
    safe = np.clip(month, 1, 12)
    begin = (_full_years(year) - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (safe - 1)
    return ((begin + 1).astype("datetime64[D]") - begin.astype("datetime64[D]")).astype(np.int64)


def _full_years(year: NDArray) -> NDArray:
    return np.where(year < _OLDEST_SHORT_YEAR, year + 2000, np.where(year < 100, year + 1900, year))


def _put_together(named: dict[str, NDArray], month: NDArray, day: NDArray, parts: pa.ChunkedArray) -> NDArray:
    months = (_full_years(named["Y"]) - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    half = pc.utf8_lower(pc.struct_field(parts, "p")).to_numpy(zero_copy_only=False)
    hours = np.where(half == "p", named["H"] % 12 + 12, np.where(half == "a", named["H"] % 12, named["H"]))
    seconds = hours * 3600 + named["M"] * 60 + named["S"]
    fraction = pc.struct_field(parts, "f")
    micro = _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, 6, "0"), 0, 6))
    days = months.astype("datetime64[D]") + (day - 1)
    return days.astype("datetime64[us]") + seconds.astype("timedelta64[s]") + micro.astype("timedelta64[us]")


def _find_order(column: TextColumn, first: NDArray, second: NDArray, place: Place) -> str:
    """Find out whether the day or the month stands first, over all rows."""
    day, month = first > 12, second > 12
    if day.any() and month.any():
        one, other = int(day.argmax()), int(month.argmax())
        raise DataError(
            f"{place(column, one)}: '{column.fields[one].as_py()}' begins with the day, and '"
            f"{column.fields[other].as_py()}' further on with the month. Write all dates alike."
        )
    if day.any():
        return "day-first"
    if month.any():
        return "month-first"
    match = _WRITTEN.fullmatch(column.fields[0].as_py())
    if match and match["mark"] == ".":
        return "day-first"
    row = int((first != second).argmax())
    raise DataError(
        f"{place(column, row)}: '{column.fields[row].as_py()}' may begin with the day or with the month, and no other "
        "row tells. Say --dates day-first or --dates month-first."
    )


def _said_order(order: str) -> str:
    return f" where {order.replace('-first', '')}s come first" if order else ""


def from_numbers(numbers: NDArray) -> Times:
    """Read numbers as times: seconds since 1970 or parts of them, if all are whole and between 1980 and 2100.

    Args:
        numbers: The numbers ``[n]``, int64 or float64.

    Returns:
        The times; other numbers as they are.

    Example:
        >>> from_numbers(np.array([1_700_000_000, 1_700_000_060])).values[0]
        np.datetime64('2023-11-14T22:13:20')
    """
    if len(numbers) and numbers.dtype.kind == "i":
        for unit, part in _UNITS.items():
            low, high = (bound * part for bound in _SECONDS)
            if low <= int(numbers.min()) and int(numbers.max()) < high:
                short = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}[unit]
                return Times(numbers.astype(f"datetime64[{short}]"), said=f"{unit} since 1970")
    return Times(numbers)


def describe_steps(times: NDArray) -> str:
    """Describe the steps between sorted times: ``hourly``, ``monthly``, or how irregular they are.

    Args:
        times: The times of one sequence ``[n]``, sorted.

    Returns:
        The description; empty for fewer than three times.

    Example:
        >>> describe_steps(np.array(["2026-01-31", "2026-02-28", "2026-03-31"], dtype="datetime64[D]"))
        'monthly'
    """
    if len(times) < 3:
        return ""
    if times.dtype.kind != "M":
        steps = np.diff(times.astype(np.float64))
        return f"steps of {steps[0]:g}" if np.allclose(steps, steps[0]) else "irregular steps"
    months = np.diff(times.astype("datetime64[M]").astype(np.int64))
    steps = np.diff(times.astype("datetime64[s]").astype(np.int64))
    if (steps == steps[0]).all():
        return _NAMES.get(int(steps[0]), f"every {_length(int(steps[0]))}")
    if (months == months[0]).all() and months[0] > 0:
        return {1: "monthly", 3: "quarterly", 12: "yearly"}.get(int(months[0]), f"every {months[0]} months")
    usual, count = Counter(steps.tolist()).most_common(1)[0]
    name = _NAMES.get(int(usual), f"every {_length(int(usual))}")
    others = len(steps) - count
    if count < len(steps) / 2:
        return f"irregular, steps of {_length(int(steps.min()))} to {_length(int(steps.max()))}"
    return f"{name}, but {others:,} of {len(steps):,} steps differ, up to {_length(int(steps.max()))}"


def _length(seconds: int) -> str:
    if not seconds:
        return "0 s"
    unit, size = next(((unit, size) for unit, size in _LENGTHS if seconds % size == 0), ("s", 1))
    return f"{seconds // size:,} {unit}"


def show_time(time: object) -> str:
    """Write a time for people, without a clock time of midnight.

    Args:
        time: A datetime64 or a number.

    Example:
        >>> show_time(np.datetime64("2016-07-01T00:00:00")), show_time(np.datetime64("2016-07-01T01:00:00"))
        ('2016-07-01', '2016-07-01 01:00')
    """
    if not isinstance(time, np.datetime64):
        return f"{time:g}" if isinstance(time, float) else str(time)
    day, _, clock = str(time.astype("datetime64[us]")).partition("T")
    clock = clock.removesuffix(".000000")
    clock = clock.removesuffix(":00") if clock.count(":") == 2 else clock
    return day if clock == "00:00" else f"{day} {clock}"
