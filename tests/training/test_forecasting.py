"""Forecasts of tables: values in their own units, time stamps that go on, intervals that were measured."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatework.cli.app import run as gatework
from gatework.data.table import make_table
from gatework.errors import ConfigError, DataError, RunError
from gatework.tasks.generic import forecast as forecasting_task
from gatework.training import forecaster as forecaster_module
from gatework.training import train
from gatework.training.config import make_config
from gatework.training.forecast_figure import draw_forecast
from gatework.training.forecaster import Forecaster
from gatework.training.forecasting import Forecasting, forecast, open_forecaster
from gatework.training.intervals import LEVELS, find_widths, measure_coverage

SMALL = {"task": "forecast", "hidden_size": 6, "batch_size": 4, "steps": 3, "threads": 1, "dropout": 0.0}


def write(path, numbers, names, ids=()):
    head = [*(["id"] if len(ids) else []), *names]
    rows = [[*([ids[row]] if len(ids) else []), *map(repr, values)] for row, values in enumerate(numbers.tolist())]
    path.write_text("\n".join(map(",".join, [head, *rows])))
    return path


def waves(rows=160, columns=2, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(rows)[:, None]
    return 50 + 10 * np.sin(time / 3 + np.arange(columns)) + rng.normal(size=(rows, columns))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecasts")
    data = write(folder / "own.csv", waves(), ["a", "b"])
    train(make_config(SMALL | {"data": str(data), "gap": 4, "run": str(folder / "run")}))
    return folder / "run"


def answer_no_change(restored):
    """Let the model answer that nothing changes, whatever it reads."""
    for parameter in (restored.model.head.weight, restored.model.head.bias):
        torch.nn.init.zeros_(parameter)
    return restored


def test_a_forecast_goes_on_behind_the_last_row(run):
    found = forecast(run)
    assert (found.columns, found.horizon, found.trained) == (("a", "b"), 4, 4)
    assert found.times.tolist() == [161, 162, 163, 164]
    assert found.point.shape == found.lower[0.8].shape == (4, 2)
    assert (found.lower[0.95] <= found.lower[0.8]).all()
    assert (found.lower[0.8] < found.point).all()
    assert (found.point < found.upper[0.8]).all()
    assert set(found.trivial) == {"persistence", "seasonal", "mean"}
    assert set(found.coverage) == set(LEVELS)
    assert all(0 <= share <= 1 for shares in found.coverage.values() for share in shares)


def test_a_model_of_no_change_gives_the_last_row_in_its_own_units(run):
    restored = answer_no_change(open_forecaster(str(run)))
    found = Forecasting(restored).forecast()
    assert found.point == pytest.approx(np.repeat(waves()[-1:], 4, axis=0), rel=1e-6)
    # And the intervals are those of the errors of no change on the validation part, in the units of the table.
    rows, numbers = 160, waves()
    begin, end = rows * 7 // 10, rows * 8 // 10
    off = np.array([numbers[at + 1 : at + 5] - numbers[at] for at in range(begin - 1, end - 4)])
    width = np.sort(np.abs(off[:, 0]), axis=0)
    assert len(off) < 19  # too few for 95 %, so the errors of all steps are taken together
    expected = find_widths(off / np.array(restored.trained.recording.facts["deviation"])).of[0.8]
    scale = np.array(restored.trained.recording.facts["deviation"])
    assert (found.upper[0.8] - found.point) == pytest.approx(expected * scale, rel=1e-4)
    assert len(width) == len(off)


def test_a_horizon_beyond_the_trained_one_reads_forecasts_like_rows(run):
    """Block by block: the rows that were forecast are read on from where the last block ended."""
    forecaster = Forecaster(open_forecaster(str(run)))
    long = Forecasting(forecaster.restored).forecast(horizon=10)
    assert long.point[:4] == pytest.approx(forecast(run).point, rel=1e-6)
    (series,) = forecaster.series_of(None)
    begin = forecaster.begins(len(series.rows))
    read = series.rows[begin:]
    for block in range(3):
        inputs = torch.from_numpy(read).float()[:, None]
        with torch.no_grad():
            scores = forecaster.model(inputs)[0][-1, 0].double().numpy()
        rows = read[-1] + scores.reshape(4, 2)
        there = forecaster.in_units(rows)[: 10 - 4 * block]
        assert long.point[4 * block : 4 * block + 4] == pytest.approx(there, rel=1e-5)
        read = np.concatenate([read, rows])
    assert "500 paths" in long.how
    assert long.times.tolist() == list(range(161, 171))
    assert (long.lower[0.95] < long.upper[0.95]).all()
    assert long.measured == 160 - 128 - 10 + 1


def test_the_first_block_of_a_long_forecast_lies_in_its_intervals(tmp_path):
    """Also for a model that is always too low: the table rises, and the model has learned nothing."""
    rising = np.arange(120.0)[:, None] + np.random.default_rng(0).normal(size=(120, 1))
    data = write(tmp_path / "rising.csv", rising, ["a"])
    train(make_config(SMALL | {"data": str(data), "gap": 4, "run": str(tmp_path / "run")}))
    found = Forecasting(answer_no_change(open_forecaster(str(tmp_path / "run")))).forecast(horizon=10)
    for level in LEVELS:
        assert (found.lower[level][:4] <= found.point[:4]).all()
        assert (found.point[:4] <= found.upper[level][:4]).all()


def test_the_same_forecast_every_time(run):
    torch.manual_seed(1)
    first = forecast(run, horizon=9)
    torch.manual_seed(2)
    again = forecast(run, horizon=9)
    assert (first.upper[0.95] == again.upper[0.95]).all()


def test_another_table_is_read_by_the_names_of_its_columns(run, tmp_path):
    numbers = waves(90, 2, seed=3)
    straight = forecast(run, write(tmp_path / "straight.csv", numbers, ["a", "b"]))
    other = np.concatenate([numbers[:, ::-1], np.ones((90, 1))], axis=1)
    swapped = forecast(run, write(tmp_path / "swapped.csv", other, ["b", "a", "c"]))
    assert swapped.point == pytest.approx(straight.point, rel=1e-6)
    assert straight.times.tolist() == [91, 92, 93, 94]


def test_only_the_rows_that_the_model_was_trained_to_read_count(run, tmp_path):
    forecaster = Forecaster(open_forecaster(str(run)))
    context = forecaster.layout.context
    for rows in range(context, 4 * context):
        begin = forecaster.begins(rows)
        assert (begin % context, context <= rows - begin < 2 * context) == (0, True)
    numbers = waves(90, 2, seed=3)
    changed = numbers.copy()
    changed[: forecaster.begins(90)] += 100
    one, other = (forecast(run, write(tmp_path / "own.csv", rows, ["a", "b"])).point for rows in (numbers, changed))
    assert (one == other).all()


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    numbers = np.concatenate([waves(120, 1, seed) * (seed + 1) for seed in range(3)] + [waves(3, 1, 9)])
    ids = ["north"] * 120 + ["south"] * 120 + ["東"] * 120 + ["short"] * 3
    data = write(folder / "own.csv", numbers, ["sales"], ids)
    train(make_config(SMALL | {"data": str(data), "gap": 2, "run": str(folder / "run")}))
    return folder / "run", numbers


def test_each_series_has_a_forecast(several):
    run, numbers = several
    restored = answer_no_change(open_forecaster(str(run)))
    found = Forecasting(restored).forecast()
    assert [one.name for one in found.series] == ["north", "south", "東"]
    assert found.left_out == ("short",)
    assert found["south"].point == pytest.approx(np.repeat(numbers[239:240], 2, axis=0), rel=1e-6)
    with pytest.raises(KeyError, match="There is no series 'west'; expected one of north, south, 東"):
        found["west"]
    with pytest.raises(ConfigError, match=r"There are 3 series \(north, south, 東\)"):
        found.point  # noqa: B018
    assert found.header()[:3] == ["series", "time", "sales"]
    assert [row[0] for row in found.rows()] == ["north"] * 2 + ["south"] * 2 + ["東"] * 2


@pytest.fixture(scope="module")
def informed(tmp_path_factory):
    """A run that forecasts sales, and knows prices ahead."""
    folder = tmp_path_factory.mktemp("informed")
    data = write(folder / "own.csv", waves(160, 2), ["sales", "price"])
    told = {"data": str(data), "gap": 3, "target": "sales", "known": "price", "run": str(folder / "run")}
    train(make_config(SMALL | told))
    return folder / "run"


def test_what_is_known_ahead_must_be_given_and_is_read(informed, tmp_path):
    with pytest.raises(ConfigError, match=r"price must be known for the next 3 rows, and 0 are given: .*--ahead"):
        forecast(informed)
    with pytest.raises(ConfigError, match="price must be known for the next 6 rows, and 3 are given"):
        forecast(informed, horizon=5, ahead=write(tmp_path / "few.csv", np.ones((3, 1)), ["price"]))
    low, high = (write(tmp_path / f"{price}.csv", np.full((6, 1), price), ["price"]) for price in (40.0, 60.0))
    one, other = (forecast(informed, horizon=5, ahead=path) for path in (low, high))
    assert one.columns == ("sales",)
    assert one.point.shape == (5, 1)
    assert (one.point != other.point).all()
    with pytest.raises(DataError, match="has no column 'price'"):
        forecast(informed, ahead=write(tmp_path / "wrong.csv", np.ones((6, 1)), ["cost"]))


def test_what_was_known_of_the_test_part_gives_the_same_as_the_measurement(informed):
    """Two ways to one forecast: from the table cut off where it was, and step by step as the model is measured."""
    forecaster = Forecaster(open_forecaster(str(informed)))
    (series,) = forecaster.series_of(None)
    batch = forecaster.job.held("test")
    context = forecaster.layout.context
    first = 128 - 1  # the last row before the test part
    cut = replace(series.until(first + 1), rows=series.rows[first + 1 - context : first + 1])
    cut = replace(cut, told=series.told[first + 1 - context :])
    answers, _ = forecaster.read([cut])
    with torch.no_grad():
        measured = forecaster.model(batch.inputs, batch.lengths)[0][context - 1, 0]
    assert answers[0].numpy() == pytest.approx(measured.numpy(), abs=1e-6)


def test_what_cannot_be_read_on_is_not_read_on(tmp_path):
    data = write(tmp_path / "own.csv", waves(160, 2), ["sales", "weather"])
    train(make_config(SMALL | {"data": str(data), "gap": 3, "target": "sales", "run": str(tmp_path / "run")}))
    assert forecast(tmp_path / "run").point.shape == (3, 1)
    with pytest.raises(ConfigError, match=r"horizon is 4, and the model was trained for 3 rows. .* read weather"):
        forecast(tmp_path / "run", horizon=4)


def test_time_stamps_and_the_calendar_go_on(tmp_path, monkeypatch):
    times = np.datetime64("2024-01-01T00:00") + np.arange(200) * np.timedelta64(1, "h")
    table = replace(make_table([waves(200, 1)], ["load"], [""], source="own.csv"), times=(times,))
    for module in (forecasting_task, forecaster_module):
        monkeypatch.setattr(module, "open_series", lambda path, options: table)
    (tmp_path / "own.csv").write_text("load\n1\n")
    told = {"data": str(tmp_path / "own.csv"), "gap": 3, "calendar": True, "run": str(tmp_path / "run")}
    train(make_config(SMALL | told))
    found = forecast(tmp_path / "run", horizon=5)
    assert found.to_json()["series"][0]["times"] == [f"2024-01-09 {hour:02}:00" for hour in range(8, 13)]
    assert found.continued == "every hour"
    assert draw_forecast(found, "load").startswith(b"\x89PNG")


def test_what_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="horizon is 0; expected 1 to 100,000 rows"):
        forecast(run, horizon=0)
    with pytest.raises(DataError, match="has no column 'b'"):
        forecast(run, write(tmp_path / "own.csv", waves(90, 2), ["a", "c"]))
    with pytest.raises(DataError, match="has at most 5 rows in a series, and the model was trained to answer after"):
        forecast(run, write(tmp_path / "own.csv", waves(5, 2), ["a", "b"]))
    with pytest.raises(ConfigError, match=r"ahead is '.*', and the model has no column that is known ahead"):
        forecast(run, ahead=tmp_path / "own.csv")
    train(make_config({"task": "latch", "steps": 1, "hidden_size": 4, "run": str(tmp_path / "latch")}))
    with pytest.raises(RunError, match="was trained on task 'latch', which does not forecast a table"):
        forecast(tmp_path / "latch")


# --- intervals


def test_intervals_of_independent_errors_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    errors, later = rng.standard_t(3, size=(2, 4000, 3, 2))
    widths = find_widths(errors)
    for level, width in widths.of.items():
        assert measure_coverage(later, -width, width) == pytest.approx(np.full(3, level), abs=0.02)
    assert widths.how == "quantiles of 4,000 absolute errors, for each step ahead"


def test_a_quantile_counts_the_coming_error_too():
    """Of 19 errors and the coming one, each is as likely the largest: the largest of 19 holds at 95 %."""
    errors = np.arange(1.0, 20.0)[:, None, None]
    assert find_widths(errors).of[0.95].tolist() == [[19.0]]
    assert find_widths(errors).of[0.8].tolist() == [[16.0]]


def test_few_errors_are_taken_together_by_their_size():
    rng = np.random.default_rng(1)
    errors = rng.normal(size=(6, 10, 1)) * np.arange(1, 11)[:, None]
    widths = find_widths(errors)
    assert widths.how == "quantiles of 6 x 10 absolute errors, all steps ahead taken together"
    assert widths.of[0.8][-1, 0] > 3 * widths.of[0.8][0, 0]
    assert "too few for a quantile" in find_widths(errors[:2, :2]).how
    assert find_widths(np.zeros((1, 1, 1))).of[0.95].tolist() == [[0.0]]


# --- the command


def test_the_command_prints_and_writes(run, tmp_path, capsys):
    out, picture = tmp_path / "out.csv", tmp_path / "out.png"
    assert gatework(["forecast", str(run), "--horizon", "6", "-o", str(out), "--plot", str(picture)]) == 0
    shown = capsys.readouterr()
    assert "beyond the 4 rows that the model was trained for" in shown.out
    assert "coverage on the test part: 80 % intervals held" in shown.out
    assert "this model" in shown.out
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    found = forecast(run, horizon=6)
    assert [float(row["b"]) for row in rows] == pytest.approx(found.point[:, 1], rel=1e-8)
    assert [float(row["a_upper_95"]) for row in rows] == pytest.approx(found.upper[0.95][:, 0], rel=1e-8)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert gatework(["forecast", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["series"][0]["point"] == forecast(run).point.tolist()
    assert told["series"][0]["intervals"]["0.8"]["lower"] == forecast(run).lower[0.8].tolist()
    assert told["recursive"] is False
