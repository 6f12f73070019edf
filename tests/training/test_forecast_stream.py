"""A series that goes on row by row: as if everything were read again, without doing so."""

from typing import Any

import numpy as np
import pytest
from tests.training.test_forecasting import SMALL, waves, write

import gatework
from gatework.errors import ConfigError, DataError, RunError
from gatework.training import train
from gatework.training.config import make_config

FIRST = 41


def trained(folder, names, ids=(), **told):
    numbers = waves(160, len(names))
    data = write(folder / "own.csv", numbers, names, ids)
    train(make_config(SMALL | {"data": str(data), "gap": 3, "run": str(folder / "run")} | told))
    return gatework.load(folder / "run"), numbers


@pytest.mark.parametrize("context", [1, 2, 7])
def test_row_by_row_is_the_same_as_reading_everything(tmp_path, context):
    run, numbers = trained(tmp_path, ["a", "b"], context=context)
    stream = run.stream(numbers[:FIRST])
    for rows in range(FIRST, FIRST + 20):
        assert len(stream) == rows
        for horizon in (3, 7):
            expected, found = run.forecast(numbers[:rows], horizon), stream.forecast(horizon)
            assert found.point == pytest.approx(expected.point, rel=1e-6)
            assert found.upper[0.95] == pytest.approx(expected.upper[0.95], rel=1e-6)
            assert found.times.tolist() == expected.times.tolist()
        stream.update(dict(zip("ba", numbers[rows][::-1], strict=True)) if rows % 2 else numbers[rows])


def test_a_row_costs_two_steps_whatever_came_before(tmp_path, monkeypatch):
    run, numbers = trained(tmp_path, ["a"])
    stream, steps = run.stream(), []
    read = run.model.read
    monkeypatch.setattr(run.model, "read", lambda inputs, *rest: steps.append(len(inputs)) or read(inputs, *rest))
    for row in np.tile(numbers, (5, 1)):
        stream.update(row)
    assert len(steps) <= 2 * 800
    assert set(steps) == {1}
    assert len(stream) == 960
    assert len(stream.forecast().series[0].past) == 512
    assert stream.forecast().times.tolist() == [961, 962, 963]


def test_columns_that_are_known_ahead_come_with_the_rows(tmp_path):
    told = {"target": "a", "known": "b", "context": 5}
    run, numbers = trained(tmp_path, ["a", "b"], **told)

    def ahead(rows):
        return write(tmp_path / "ahead.csv", numbers[rows : rows + 3, 1:], ["b"])

    stream = run.stream(numbers[:FIRST], ahead=ahead(FIRST))
    for rows in range(FIRST, FIRST + 14):
        expected = run.forecast(numbers[:rows], ahead=ahead(rows))
        assert stream.forecast().point == pytest.approx(expected.point, rel=1e-6)
        stream.update(numbers[rows], known=[numbers[rows + 3, 1]])
    with pytest.raises(ConfigError, match="b must be known for the next 6 rows, and 3 are given"):
        stream.forecast(4)
    with pytest.raises(DataError, match=r"The known is \(\); expected 1 finite number: b"):
        stream.update(numbers[0])


def test_a_series_is_chosen_by_its_name(tmp_path):
    run, _ = trained(tmp_path, ["a"], ["north"] * 80 + ["south"] * 80)
    with pytest.raises(ConfigError, match="series is ''; expected one of north, south"):
        run.stream()
    assert run.stream(series="south").forecast().point == pytest.approx(run.forecast()["south"].point, rel=1e-6)


def test_what_is_refused(tmp_path):
    run, _ = trained(tmp_path, ["a", "b"])
    stream = run.stream()
    wrong: list[tuple[Any, str]] = [
        ([1.0], r"The row is \[1.0\]; expected 2 finite numbers: a, b"),
        ([1.0, float("nan")], "expected 2 finite numbers"),
        ({"a": 1.0}, "The row has no value of 'b'"),
        (["x", "y"], "The row holds something that is no number"),
    ]
    for row, message in wrong:
        with pytest.raises(DataError, match=message):
            stream.update(row)
    assert len(stream) == 160
    with pytest.raises(DataError, match=r"The table has the shape \[3, 1\]; expected finite numbers \[n, 2\]"):
        run.stream([[1.0]] * 3)
    with pytest.raises(ConfigError, match="horizon is 0"):
        stream.forecast(0)
    train(make_config({"task": "latch", "steps": 1, "hidden_size": 4, "run": str(tmp_path / "latch")}))
    with pytest.raises(RunError, match="does not forecast a table"):
        gatework.load(tmp_path / "latch").stream()
