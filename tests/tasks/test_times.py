"""Time stamps that go on, and what the calendar tells."""

import numpy as np
import pytest

from gatework.data.times import continue_times, describe_step, find_natural_season, tell_calendar, write_times

DATES = [
    (["2024-01-01", "2024-01-02", "2024-01-03"], ["2024-01-04", "2024-01-05"], "every day"),
    (["2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01"], "every day"),
    (["1960-10", "1960-11", "1960-12"], ["1961-01", "1961-02"], "every month"),
    (["2023-11-15", "2023-12-15", "2024-01-15"], ["2024-02-15", "2024-03-15"], "every month"),
    (["2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"], "every month"),
    (["2023-03-31", "2023-06-30", "2023-09-30"], ["2023-12-31", "2024-03-31"], "every 3 months"),
    (["2020-01-01", "2021-01-01", "2022-01-01"], ["2023-01-01", "2024-01-01"], "every 12 months"),
    (["2024-01-01T00:00", "2024-01-01T00:15"], ["2024-01-01T00:30", "2024-01-01T00:45"], "every 15 minutes"),
    (["2024-01-01T23:00", "2024-01-02T00:00"], ["2024-01-02T01:00", "2024-01-02T02:00"], "every hour"),
    (["2024-01-05", "2024-01-08", "2024-01-09"], ["2024-01-10", "2024-01-11"], "every working day"),
    (["2024-01-01", "2024-01-08"], ["2024-01-15", "2024-01-22"], "every week"),
    (
        ["2024-01-01", "2024-01-02", "2024-01-06", "2024-01-07"],
        ["2024-01-08", "2024-01-09"],
        "every day, the median of irregular steps",
    ),
]


@pytest.mark.parametrize(("times", "coming", "words"), DATES)
@pytest.mark.parametrize("unit", ["", "[s]", "[ns]"])
def test_dates_go_on_as_they_did(times, coming, words, unit):
    found, said = continue_times(np.array(times, dtype=f"datetime64{unit}"), len(times), 2)
    assert (found == np.array(coming, dtype="datetime64")).all(), found
    assert said == words


def test_working_days_skip_the_weekend():
    times = np.array(["2024-01-03", "2024-01-04", "2024-01-05"], dtype="datetime64[D]")
    # Three days in a row may be any days. A week of them without its end is a week of work.
    days = ("01", "02", "03", "04", "05", "08", "09", "10", "11", "12")
    week = np.array([f"2024-01-{day}" for day in days], dtype="datetime64[D]")
    assert continue_times(times, 3, 1)[0].astype(str).tolist() == ["2024-01-06"]
    assert continue_times(week, 10, 1)[0].astype(str).tolist() == ["2024-01-15"]


@pytest.mark.parametrize(
    ("times", "coming", "words"),
    [
        (np.array([1, 2, 3]), [4, 5], "every 1"),
        (np.array([0.0, 0.5, 1.0]), [1.5, 2.0], "every 0.5"),
        (np.array([1, 2, 4, 5]), [6, 7], "every 1, the median of irregular steps"),
        (np.array([1_700_000_000_000_000_000, 1_700_000_000_000_000_060]), [1_700_000_000_000_000_120], "every 60"),
    ],
)
def test_numbers_go_on_as_they_did(times, coming, words):
    found, said = continue_times(times, len(times), len(coming))
    assert (found.tolist(), said) == (coming, words)


def test_without_times_rows_are_counted():
    assert continue_times(None, 144, 2)[0].tolist() == [145, 146]
    assert continue_times(np.array(["2024-01-01"], dtype="datetime64[D]"), 1, 2)[0].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("step", "season"),
    [("15m", 96), ("60m", 24), ("24h", 7), ("168h", 52), ("1s", 86_400)],
)
def test_a_natural_season_is_a_day_a_week_or_a_year(step, season):
    size = np.timedelta64(int(step[:-1]), step[-1])
    assert find_natural_season(np.datetime64("2024-01-01T00:00:00") + size * np.arange(50)) == season


def test_no_natural_season_of_numbers_or_years():
    assert find_natural_season(np.arange(50)) == 0
    assert find_natural_season(np.arange("1950", "2000", dtype="datetime64[Y]")) == 0
    assert find_natural_season(np.arange("1950-01", "1960-01", 3, dtype="datetime64[M]")) == 4


def test_the_calendar_turns_once_in_its_time():
    hours = np.datetime64("2024-01-01T00:00") + np.arange(24 * 7) * np.timedelta64(1, "h")
    told = tell_calendar(hours, ["hour of the day", "day of the week"])
    assert told[0] == pytest.approx([0, 1, 0, 1])  # 2024 began on a Monday
    assert told[:24, 0] == pytest.approx(told[24:48, 0])
    assert told.shape == (168, 4)
    assert np.square(told).reshape(168, 2, 2).sum(axis=2) == pytest.approx(np.ones((168, 2)))
    year = tell_calendar(
        np.array(["2023-01-01", "2024-01-01", "2024-07-02"], dtype="datetime64[D]"), ["month of the year"]
    )
    assert year == pytest.approx(np.array([[0, 1], [0, 1], [0, -1]]), abs=0.01)


def test_times_are_written_as_short_as_they_are():
    assert write_times(np.array(["2024-01-01T05:00"], dtype="datetime64[ns]")) == ["2024-01-01 05:00"]
    assert write_times(np.array(["2024-01-01T05:00:07.25"], dtype="datetime64[ms]")) == ["2024-01-01 05:00:07.250"]
    assert write_times(np.array([7, 8])) == ["7", "8"]
    assert describe_step(np.timedelta64(500, "ms")) == "0.5 seconds"
