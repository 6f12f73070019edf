"""What is known ahead of a forecast: columns of the table, and the calendar."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatework.data.options import TableOptions
from gatework.data.table import make_table
from gatework.data.times import tell_calendar
from gatework.errors import ConfigError, DataError
from gatework.tasks.generic import forecast as forecasting
from gatework.tasks.generic.ahead import Layout
from gatework.training.config import make_config

ROWS = 150


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(4)
    numbers = np.round(rng.normal(size=(ROWS, 3)).cumsum(axis=0), 4)
    path = tmp_path / "own.csv"
    path.write_text("sales,price,weather\n" + "\n".join(",".join(map(str, row)) for row in numbers.tolist()))
    return path, numbers


def test_what_is_known_ahead_stands_beside_each_row(table):
    path, numbers = table
    recording = forecasting.load(path, 4, TableOptions(target=("sales",), known=("price",)))
    scaled = (numbers - recording.facts["mean"]) / recording.facts["deviation"]
    assert (recording.inputs, recording.outputs) == (3 + 4, 4)
    batch, context = recording.splits["train"], recording.facts["context"]
    assert recording.facts["layout"]["target"] == ["sales"]
    assert batch.lengths is not None
    assert batch.lengths is not None
    for column in range(batch.size):
        first = column * context
        length = int(batch.lengths[column])
        for step in range(length):
            row = first + step
            assert batch.inputs[step, column, :3].numpy() == pytest.approx(scaled[row], rel=1e-5, abs=1e-6)
            ahead = scaled[row + 1 : row + 5, 1]
            assert batch.inputs[step, column, 3:].numpy() == pytest.approx(ahead, rel=1e-5, abs=1e-6)
            if step >= context - 1:
                rise = scaled[row + 1 : row + 5, 0] - scaled[row, 0]
                assert batch.targets[step, column].numpy() == pytest.approx(rise, rel=1e-4, abs=1e-5)


def test_without_a_word_everything_is_as_it_was(table):
    path, _ = table
    recording = forecasting.load(path, 4)
    assert (recording.inputs, recording.outputs) == (3, 12)
    assert Layout.from_facts(recording.facts["layout"]).is_recursive
    assert recording.facts["about"][-1].startswith("season: ")


def test_the_context_can_be_chosen(table):
    path, _ = table
    recording = forecasting.load(path, 2, TableOptions(context=24))
    assert recording.facts["context"] == 24
    lengths = recording.splits["train"].lengths
    assert lengths is not None
    assert int(lengths.max()) == 47


def test_the_calendar_of_the_rows_to_come_is_read(monkeypatch):
    times = np.datetime64("2024-01-01") + np.arange(400) * np.timedelta64(1, "h")
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=(400, 1))
    table = replace(make_table([numbers], ["load"], [""], source="own.csv"), times=(times,))
    monkeypatch.setattr(forecasting, "open_series", lambda path, options: table)
    recording = forecasting.load(Path("own.csv"), 3, TableOptions(calendar=True))
    assert recording.facts["layout"]["calendar"] == ["hour of the day"]
    assert "known ahead: hour of the day" in recording.facts["about"]
    assert recording.inputs == 1 + 3 * 2
    batch = recording.splits["train"]
    assert batch.inputs[5, 0, 1:].numpy() == pytest.approx(
        tell_calendar(times[6:9], ["hour of the day"]).reshape(-1), rel=1e-5, abs=1e-6
    )
    # White noise has no peak, so the season is that of the time stamps.
    assert recording.facts["season"] == {"rows": 24, "found": "the time stamps"}


REFUSED = [
    (TableOptions(target=("sale",)), r"no column 'sale', which --target names. Did you mean 'sales'\?"),
    (TableOptions(known=("prices",)), r"no column of numbers 'prices', which known names. Did you mean `price`\?"),
    (TableOptions(target=("sales",), known=("sales",)), "'sales' is to be forecast and is known ahead"),
    (TableOptions(known=("sales", "price", "weather")), "all columns are known ahead, and none is left to forecast"),
    (TableOptions(calendar=True), "calendar is true, and '.*own.csv' has no dates"),
    (TableOptions(context=500), "context is 500, and the longest training part of '.*own.csv' has 105 rows"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_is_refused(table, options, message):
    with pytest.raises(DataError, match=message):
        forecasting.load(table[0], 4, options)


@pytest.mark.parametrize("told", [{"known": "a"}, {"calendar": True}, {"context": 8}])
@pytest.mark.parametrize("task", ["classify", "adding"])
def test_other_tasks_know_nothing_ahead(told, task):
    with pytest.raises(ConfigError, match=f"{next(iter(told))} is '.*', and task '{task}'"):
        make_config({"task": task, **told, **({"data": "own.csv"} if task == "classify" else {})})


def test_names_are_given_as_words():
    config = make_config({"task": "forecast", "data": "own.csv", "known": 'price,"a, b"', "target": "sales"})
    assert (config.known, config.target) == (("price", "a, b"), ("sales",))
    assert config.table_options().known == ("price", "a, b")
