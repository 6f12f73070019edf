"""Tables as people have them: each is read as it was meant, or refused in a sentence that names a flag."""

import csv
import datetime
import io
import json
import math
import random
import sys
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, ipc, parquet

from gatework.data.options import NO_OPTIONS, TableOptions
from gatework.data.own import read_own_table
from gatework.errors import ConfigError, DataError
from gatework.search.comparing.config import make_compare_config
from gatework.tasks.generic.reading import open_series, open_table
from gatework.training.config import make_config
from gatework.training.jobs.registry import open_job

N = 30
VALUES = [round(10 + 5 * math.sin(row / 5), 3) for row in range(N)]
DAYS = [datetime.date(2021, 1, 1) + datetime.timedelta(row) for row in range(N)]


def rows(row, header=""):
    """Write rows from a function of their number and value."""
    return header + "".join(row(number, value) + "\n" for number, value in enumerate(VALUES))


def german(number):
    return f"{number:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


def opened(folder, text, options=NO_OPTIONS):
    path = folder / "my.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_series(path, options)


# What a table is, its columns, the first row of numbers, and what is said after the number of steps.
READ = {
    "header of numbers": (
        rows(lambda n, v: f"{v},{2 * v},{3 * v}", "0,1,2\n"),
        {"0": 10.0, "1": 20.0, "2": 30.0},
        ["columns: 0, 1, 2", "read as: ',' between fields"],
    ),
    "header of years": (
        "city,2019,2020,2021\nA,1.5,2.5,3.5\nB,2.5,3.5,4.5\n",
        {"2019": 1.5, "2020": 2.5, "2021": 3.5},
        None,
    ),
    "partly named": (rows(lambda n, v: f"{v},{n + 0.5}", "a,\n"), {"a": 10.0, "column 2": 0.5}, None),
    "no header": (
        rows(lambda n, v: f"{DAYS[n]},{v},x"),
        {"column 2": 10.0},
        [
            "columns: column 2; time: column 1 (daily, 2021-01-01 to 2021-01-30); left out: column 3 (text in 30 of 30 "
            "rows)",
            "read as: ',' between fields, no header",
        ],
    ),
    "index of pandas": (
        rows(lambda n, v: f"{n},d{n},{v}", ",date,value\n"),
        {"value": 10.0},
        [
            "columns: value; left out: column 1 (numbers of rows), date (text in 30 of 30 rows)",
            "read as: ',' between fields",
        ],
    ),
    "index written twice": (rows(lambda n, v: f"{n},{v}", "Unnamed: 0,value\n"), {"value": 10.0}, None),
    "row names of R": (rows(lambda n, v: f'"{n + 1}",{v},2.5', '"x","y"\n'), {"x": 10.0, "y": 2.5}, None),
    "last delimiter": (rows(lambda n, v: f"d{n},{v},", "date,value\n"), {"value": 10.0}, None),
    "last delimiter of the header": (rows(lambda n, v: f"{n % 3},{v}", "a,value,\n"), {"a": 0.0, "value": 10.0}, None),
    "empty column": (
        rows(lambda n, v: f"{v},,2", "a,b,c\n"),
        {"a": 10.0, "c": 2.0},
        ["columns: a, c; left out: b (empty)", "read as: ',' between fields"],
    ),
    "Excel's first line": (rows(lambda n, v: f"{v};{n % 2}", "sep=;\r\na;b\r\n"), {"a": 10.0, "b": 0.0}, None),
    "decimal comma": (
        rows(lambda n, v: f"d{n};{german(v)}", "date;price\n"),
        {"price": 10.0},
        ["columns: price; left out: date (text in 30 of 30 rows)", "read as: ';' between fields, decimal comma"],
    ),
    "thousands and currency": (
        rows(lambda n, v: f"{DAYS[n]:%d.%m.%Y};{german(1000.5 + v)} €;{n} %", "Tag;Umsatz;Anteil\n"),
        {"Umsatz": 1010.5, "Anteil": 0.0},
        [
            "columns: Umsatz, Anteil; time: Tag (day first, daily, 2021-01-01 to 2021-01-30)",
            "read as: ';' between fields, decimal comma, currency signs taken off in 'Umsatz', signs between thousands "
            "taken off in 'Umsatz', percent signs taken off in 'Anteil'",
        ],
    ),
    "thousands in quotes": ('a,b\n"1,234.5",1\n"1,234,567",2\n', {"a": 1234.5, "b": 1.0}, None),
    "spaces between thousands": ("a;b\n1 234,5;1\n12\u202f345,0;2\n", {"a": 1234.5, "b": 1.0}, None),
    "minus of typesetters": ("a\n−1.5\n2.5\n", {"a": -1.5}, None),
    "units": (
        rows(lambda n, v: f"{n},{v},20", "time,speed,temp\ns,m/s,°C\n"),
        {"speed": 10.0, "temp": 20.0},
        [
            "columns: speed in m/s, temp in °C; time: time (steps of 1, 0 to 29)",
            "read as: ',' between fields, a line of units",
        ],
    ),
    "comments": (
        rows(lambda n, v: f"{n},{v}" + ("\n# a pause" if n == 3 else ""), "# made by a logger\ntime,v\n"),
        {"v": 10.0},
        [
            "columns: v; time: time (steps of 1, 0 to 29)",
            "read as: ',' between fields, 1 line above the table left out, 1 line of comments left out",
        ],
    ),
    "header behind a sign of comments": (rows(lambda n, v: f"{n},{v}", "# time,v\n"), {"v": 10.0}, None),
    "lines above the header": (
        rows(lambda n, v: f"{DAYS[n]},{v},2", "Station Berlin\nExported 2020\n\ndate,temp,rain\n"),
        {"temp": 10.0, "rain": 2.0},
        [
            "columns: temp, rain; time: date (daily, 2021-01-01 to 2021-01-30)",
            "read as: ',' between fields, 2 lines above the table left out",
        ],
    ),
    "empty rows at the end": (rows(lambda n, v: f"{v};2", "a;b\n") + ";\n;\n", {"a": 10.0, "b": 2.0}, None),
    "lines of old Macs": ("a,b\r1,2\r3,4\r", {"a": 1.0, "b": 2.0}, None),
    "a line separator in a field": (rows(lambda n, v: f"a\u2028b,{v}", "note,value\n"), {"value": 10.0}, None),
    "a quoted line end": (rows(lambda n, v: f'"a\nb",{v}', "note,value\n"), {"value": 10.0}, None),
    "UTF-16": (rows(lambda n, v: f"{v}\t2", "a\tb\n").encode("utf-16"), {"a": 10.0, "b": 2.0}, None),
    "UTF-16 without a mark": (rows(lambda n, v: f"{v}\t2", "a\tb\n").encode("utf-16-le"), {"a": 10.0, "b": 2.0}, None),
    "a mark of UTF-8": (b"\xef\xbb\xbf" + rows(lambda n, v: f"{v},2", "a,b\n").encode(), {"a": 10.0, "b": 2.0}, None),
    "bars": (rows(lambda n, v: f"{v}|2", "a|b\n"), {"a": 10.0, "b": 2.0}, None),
    "month first": (rows(lambda n, v: f"{DAYS[n]:%m/%d/%Y},{v}", "date,x\n"), {"x": 10.0}, None),
    "months": (
        rows(lambda n, v: f"{1949 + n // 12}-{n % 12 + 1:02d},{v}", "Month,x\n"),
        {"x": 10.0},
        ["columns: x; time: Month (monthly, 1949-01-01 to 1951-06-01)", "read as: ',' between fields"],
    ),
    "clock of twelve hours": (
        "when,v\n1/31/2021 1:05 PM,2\n1/31/2021 2:05 PM,3\n2/1/2021 12:05 AM,4\n",
        {"v": 2.0},
        [
            "columns: v; time: when (month first, hourly, but 1 of 2 steps differ, up to 10 h, 2021-01-31 13:05 to "
            "2021-02-01 00:05)",
            "read as: ',' between fields",
        ],
    ),
    "seconds since 1970": (
        rows(lambda n, v: f"{1_700_000_000 + 3600 * n},{v}", "timestamp,v\n"),
        {"v": 10.0},
        [
            "columns: v; time: timestamp (seconds since 1970, hourly, 2023-11-14 22:13:20 to 2023-11-16 03:13:20)",
            "read as: ',' between fields",
        ],
    ),
    "date and time of day apart": (
        rows(lambda n, v: f"{DAYS[n // 24]:%d.%m.%Y};{n % 24:02d}.00.00;{german(v)};;", "Date;Time;CO(GT);;\n")
        + ";;;;\n",
        {"CO(GT)": 10.0},
        [
            "columns: CO(GT); time: Date with Time (day first, hourly, 2021-01-01 to 2021-01-02 05:00); left out: "
            "column 4 (empty), column 5 (empty)",
            "read as: ';' between fields, decimal comma",
        ],
    ),
    "a temperature called t": (rows(lambda n, v: f"{DAYS[n]},{v}", "date,t\n"), {"t": 10.0}, None),
    "zones": (
        "when,v\n2021-01-01T10:00+01:00,2\n2021-01-01T11:00+01:00,3\n2021-01-01T12:00+01:00,4\n",
        {"v": 2.0},
        [
            "columns: v; time: when (in UTC, hourly, 2021-01-01 09:00 to 2021-01-01 11:00)",
            "read as: ',' between fields",
        ],
    ),
    "unsorted": (
        "date,v\n2021-01-03,3\n2021-01-01,1\n2021-01-02,2\n2021-01-04,4\n",
        {"v": 1.0},
        ["columns: v; time: date (daily, 2021-01-01 to 2021-01-04, sorted by it)", "read as: ',' between fields"],
    ),
    "a repeated time": (
        rows(lambda n, v: f"{DAYS[max(n, 1)]},{v}", "date,v\n"),
        {"v": 10.0},
        [
            "columns: v; time: date (daily, but 1 of 29 steps differ, up to 1 d, 2021-01-02 to 2021-01-30, 1 of them "
            "repeated)",
            "read as: ',' between fields",
        ],
    ),
    "huge numbers": (rows(lambda n, v: f"{v}e200", "v\n"), {"v": 1e201}, None),
    "one column": (rows(lambda n, v: f"{v}", "v\n"), {"v": 10.0}, ["columns: v"]),
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_as_it_was_meant(tmp_path, name):
    text, first, said = READ[name]
    table = opened(tmp_path, text)
    assert dict(zip(table.columns, table.steps[0, 0].tolist(), strict=True)) == first
    if said is not None:
        assert table.about == (f"table: one series, {len(table.steps)} steps", *said)
    # The decisions, told as options, decide the same.
    again = open_series(tmp_path / "my.csv", TableOptions.from_facts(table.read_as))
    assert (again.columns, again.steps.tolist()) == (table.columns, table.steps.tolist())
    assert again.about[1].partition("left out")[0] == table.about[1].partition("left out")[0]


# What a table is, and the sentence that refuses it, after the file's name.
REFUSED = {
    "a\n1,5\n2,7\n9,1\n": (
        "' has one name, 'a', above rows such as 1,5. Say --decimal comma if each is one number with a decimal "
        "comma, or --delimiter , if each is two fields."
    ),
    "a;b\n1.234;5\n2.345;6\n": (
        "', line 2, column 'a': '1.234' may have thousands or decimals, and no other number tells. Say --decimal "
        "point or --decimal comma for the sign before decimals."
    ),
    "a;b\n1,5;5\n2;6.5\n": (
        "', line 3, column 'b': '6.5' has a decimal point, and line 2, column 'a': '1,5' has a decimal comma. Say "
        "--decimal point or --decimal comma, and the other one is refused by name, or choose columns with "
        "--columns."
    ),
    "date,x\n01/01/2021,1\n03/04/2021,2\n": (
        "', line 3, column 'date': '03/04/2021' may begin with the day or with the month, and no other row tells. "
        "Say --dates day-first or --dates month-first."
    ),
    "date,x\n13/01/2021,1\n01/14/2021,2\n": (
        "', line 2, column 'date': '13/01/2021' begins with the day, and '01/14/2021' further on with the month. "
        "Write all dates alike."
    ),
    "date,x\n2021-01-01,1\n2021-02-30,2\n2021-03-01,2\n": ("', line 3, column 'date': '2021-02-30' is no date."),
    "date,x\n2021-01-01,1\nsoon,2\n2021-03-01,2\n": (
        "', line 3, column 'date': 'soon' is no date like the others, such as '2021-01-01'. Write it alike, or "
        "take the row out."
    ),
    "date,x\n2021-01-01,1\n,2\n2021-03-01,2\n": (
        "', line 3, column 'date': the time is empty. Fill it, or take the row out."
    ),
    "begin,end,x\n2021-01-01,2021-01-02,1\n": (
        "' has the columns 'begin' and 'end', which both hold dates. Say which with --time."
    ),
    "0,1\n1,3\n2,5\n": (
        "' begins with 0,1, which may number the columns or be the first row. Say --header yes if it names the "
        "columns, or --header no if it is data."
    ),
    "a b\n1 2\n3 4\n": (
        "' has rows such as '1 2', with spaces between numbers. Put commas or tabs there; for one space between "
        "fields say --delimiter ' '."
    ),
    "a,b\n1,2\n2,x\n3,4\n": (
        "', line 3, column 'b': 'x' is not a number, and 2 of 3 fields are. Correct it, or choose other columns "
        "with --columns."
    ),
    "a,b\n1,2\n\n3\n": ("', line 4 has 1 fields, and the header has 2."),
    'a,b\n1,2\n"3,4\n5,6\n': ("', line 3 has 1 fields, and the header has 2. A quote in it may not end."),
    "date,a,b\nd1,,5\nd2,4,\nd3,5,-\nd4,5,?\nd5,5,NaN\n": (
        "' has a hole in column 'a' (line 2) and 4 holes in column 'b' (lines 3, 4, 5, …). Say what to do with "
        "--missing: drop (leave these rows out), previous (fill with the value before), interpolate (between the "
        "values before and after) or mean (of the column); or choose other columns with --columns."
    ),
    "a\n1\n\n3\n": (
        "' has a hole in column 'a' (line 3). Say what to do with --missing: drop (leave these rows out), "
        "previous (fill with the value before), interpolate (between the values before and after) or mean (of the "
        "column); or choose other columns with --columns."
    ),
    "date,city,v\n" + "".join(f"2021-01-0{d},{c},{d}\n" for d in range(1, 9) for c in "AB"): (
        "', line 3, column 'date': the time is that of line 2, and 8 of 16 times are repeated. Each row of a "
        "sequence needs a time of its own. If the table holds several series, name the column that tells them "
        "apart with --id, such as 'city'."
    ),
    b"a,b\ncaf\xe9,2\n": (
        "', line 2 is not UTF-8 text. It may be of Windows: in cp1252 it reads 'café,2'. Say --encoding cp1252 if "
        "that is right, or name another encoding."
    ),
    b"PK\x03\x04....xl/workbook.xml": (
        "' is an Excel sheet; expected a table as CSV, Parquet or Arrow. To read it, save it as CSV (in Excel: "
        "CSV UTF-8)."
    ),
    b"%PDF-1.7": (
        "' is a PDF document; expected a table as CSV, Parquet or Arrow. To read it, export its table as CSV."
    ),
    b"a,b\n1,\0\n": ("' holds NUL characters; expected a table as CSV, Parquet or Arrow."),
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text)[:40])
def test_a_decision_that_would_be_a_guess_is_refused(tmp_path, text):
    with pytest.raises(DataError) as refusal:
        opened(tmp_path, text)
    assert str(refusal.value) == f"'{tmp_path / 'my.csv'}{REFUSED[text]}"


# What a person says, and the numbers that follow from it.
SAID = {
    "decimals": ("a;b\n1.234;5\n2.345;6\n", {"decimal": "."}, [[1.234, 5], [2.345, 6]]),
    "thousands": ("a;b\n1.234;5\n2.345;6\n", {"decimal": ","}, [[1234, 5], [2345, 6]]),
    "one column of decimal commas": ("a\n1,5\n2,7\n9,1\n", {"decimal": ","}, [[1.5], [2.7], [9.1]]),
    "two columns": ("a,b\n1,5\n2,7\n", {"delimiter": ","}, [[1, 5], [2, 7]]),
    "day first": ("date,x\n03/04/2021,1\n02/05/2021,2\n", {"dates": "day-first"}, [[1], [2]]),
    "month first": ("date,x\n03/04/2021,1\n02/05/2021,2\n", {"dates": "month-first"}, [[2], [1]]),
    "no header": ("0,1\n1,3\n2,5\n", {"header": "no"}, [[0, 1], [1, 3], [2, 5]]),
    "a header": ("0,1\n1,3\n2,5\n", {"header": "yes"}, [[1, 3], [2, 5]]),
    "an encoding": ("é\n1\n2\n".encode("latin-1"), {"encoding": "latin-1"}, [[1], [2]]),
    "columns": ("a,b,c\n1,2,x\n3,4,5\n", {"columns": ("b", "a")}, [[2, 1], [4, 3]]),
    "a target": ("a,b,c\n1,2,6\n3,4,5\n", {"columns": ("b",), "target": ("a",)}, [[2, 1], [4, 3]]),
    "drop": ("a,b\n1,2\n,3\n4,5\n", {"missing": "drop"}, [[1, 2], [4, 5]]),
    "previous": ("a,b\n,2\n1,3\n,5\n4,6\n", {"missing": "previous"}, [[1, 2], [1, 3], [1, 5], [4, 6]]),
    "interpolate": ("a,b\n,2\n1,3\n,5\n4,6\n", {"missing": "interpolate"}, [[1, 2], [1, 3], [2.5, 5], [4, 6]]),
    "mean": ("a,b\n,2\n1,3\n,5\n4,6\n", {"missing": "mean"}, [[2.5, 2], [1, 3], [2.5, 5], [4, 6]]),
}


@pytest.mark.parametrize("name", SAID)
def test_what_a_person_says_decides(tmp_path, name):
    text, said, numbers = SAID[name]
    assert opened(tmp_path, text, TableOptions.from_facts(said)).steps[:, 0].tolist() == numbers


def test_holes_are_filled_within_each_series(tmp_path):
    text = "id,time,x\na,1,1\nb,1,\na,2,\nb,2,7\na,3,3\nb,3,\n"
    table = opened(tmp_path, text, TableOptions(missing="previous"))
    assert [table.sequence(number).ravel().tolist() for number in range(2)] == [[1, 1, 3], [7, 7, 7]]
    assert table.about[2] == "read as: ',' between fields, 3 holes in 'x' filled with the value before"
    assert [stamps.tolist() for stamps in table.times if stamps is not None] == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("flag", ["columns", "target", "time", "id"])
def test_a_name_that_is_nearly_right_is_suggested(tmp_path, flag):
    told = {flag: ("temprature",) if flag in ("columns", "target") else "temprature"}
    with pytest.raises(DataError) as refusal:
        opened(tmp_path, "date,temperature\n2021-01-01,1\n2021-01-02,2\n", TableOptions.from_facts(told))
    assert str(refusal.value) == (
        f"'{tmp_path / 'my.csv'}' has no column 'temprature', which --{flag} names. Did you mean 'temperature'? It has "
        "'date', 'temperature'."
    )


def test_labels_stand_as_in_the_file(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("id;x;kind\n1;0,5;none\n1;1,5;none\n2;2,5;-\n", encoding="utf-8")
    table = open_table(path, TableOptions(target=("kind",)))
    assert table.labels == (("none", "none"), ("-",))
    path.write_text("id;x;y\n1;0,5;1,5\n2;2,5;2\n", encoding="utf-8")
    assert open_table(path).labels == (("1.5",), ("2.0",))
    path.write_text("id;x\n1;0,5\n2;2,5\n", encoding="utf-8")
    assert open_table(path, TableOptions(target=("kind",)), unlabelled=True).labels == ()


def test_columns_of_types_are_read_as_the_same_text_is(tmp_path):
    table = pa.table(
        {
            "when": pa.array(DAYS, pa.date32()),
            "x": pa.array(VALUES),
            "n": pa.array(range(N), pa.int16()),
            "on": pa.array([row % 2 == 0 for row in range(N)]),
            "city": pa.array(["Köln"] * N).dictionary_encode(),
            "lists": pa.array([[1]] * N),
        }
    )
    parquet.write_table(table, tmp_path / "my.parquet")
    feather.write_feather(table, tmp_path / "my.feather")
    with ipc.new_stream(tmp_path / "my.arrow", table.schema) as stream:
        stream.write_table(table)
    expected = np.stack([VALUES, np.arange(N), np.arange(N) % 2 == 0], axis=1)
    for name, kind in (("my.parquet", "Parquet"), ("my.feather", "Arrow"), ("my.arrow", "Arrow")):
        read = open_series(tmp_path / name)
        np.testing.assert_array_equal(read.sequence(0), expected)
        assert read.about[1] == (
            "columns: x, n, on; time: when (daily, 2021-01-01 to 2021-01-30); left out: lists (values of type "
            f"{table.schema.field('lists').type if kind == 'Arrow' else 'list<element: int64>'}), city (text in 30 of "
            "30 rows)"
        )
        assert read.about[2] == f"read as: a file of {kind}"
    parquet.write_table(pa.table({"x": pa.array([1.0, None])}), tmp_path / "my.parquet")
    with pytest.raises(DataError, match=r"has a hole in column 'x' \(row 2\)"):
        open_series(tmp_path / "my.parquet")


def test_settings_say_how_a_table_is_read(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text(rows(lambda n, v: f"{german(v)};;2", "a;b;c\n"), encoding="utf-8")
    said = {"task": "forecast", "data": str(path), "gap": 2, "batch_size": 1, "columns": "c, a", "decimal": ","}
    config = make_config(said)
    assert (config.columns, config.decimal) == (("c", "a"), "comma")
    facts = open_job(config).facts()["facts"]
    assert facts["columns"] == ["c", "a"]
    assert facts["table"] == json.loads(json.dumps(facts["table"]))
    assert TableOptions.from_facts(facts["table"]) == TableOptions(
        columns=("c", "a"), delimiter=";", decimal=",", missing="refuse", header="yes"
    )
    assert facts["table"]["left_out"] == {"b": "not chosen"}
    told = {name: value for name, value in said.items() if name != "gap"}
    compared = make_compare_config(told | {"gaps": "2", "cells": "rnn"})
    assert compared.columns == ("c", "a")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"task": "adding", "columns": "a,b"},
            "columns is 'a,b', and task 'adding' reads no table of your own. Leave it out, or choose --task classify, "
            "tag, regress or forecast.",
        ),
        ({"task": "text", "time": "date"}, "time is date, and a text has none. Leave it out, or choose a --task."),
        ({"task": "forecast", "delimiter": "ab"}, "delimiter is 'ab'; expected one character, such as ';', or tab."),
        (
            {"task": "forecast", "columns": 'a,"b'},
            '\'a,"b\' is no list of names; expected names such as a,b or "a, b",c.',
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(said, sentence):
    with pytest.raises(ConfigError) as refusal:
        make_config(said)
    assert str(refusal.value) == sentence


def test_arrays_and_recordings_have_no_columns(tmp_path):
    np.savez(tmp_path / "my.npz", X=np.zeros((4, 3, 2)))
    with pytest.raises(DataError) as refusal:
        open_series(tmp_path / "my.npz", TableOptions(columns=("a", "b")))
    assert str(refusal.value) == (
        f"columns is 'a,b', and '{tmp_path / 'my.npz'}' holds arrays, which have no named columns. Leave it out."
    )


CASES = "# a comment\n@dimensions 2\n@classLabel true up down\n@data\n1,2,3:4,5,6:up\n7,?:9,0.5:down\n"


def test_cases_of_an_archive_are_read(tmp_path):
    path = tmp_path / "my.ts"
    path.write_text(CASES, encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        open_table(path)
    assert str(refusal.value).startswith(
        f"'{path}' has a hole in column 'dimension 1' (first in case 2). Say what to do"
    )
    with pytest.raises(DataError, match="has 1 holes, and missing is 'drop', which takes steps out"):
        open_table(path, TableOptions(missing="drop"))
    table = open_table(path, TableOptions(missing="previous"))
    assert [table.sequence(number).tolist() for number in range(2)] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [7, 0.5]]]
    assert (table.labels, table.columns) == ((("up",), ("down",)), ("dimension 1", "dimension 2"))
    assert table.about == (
        "table: 2 sequences of a .ts file, 2 to 3 steps",
        "columns: 2 dimensions; labels: the last field",
        "read as: 1 holes filled with the value before",
    )
    with pytest.raises(DataError, match=r"time is 't', and '.*my.ts' holds cases of a .ts file, which have no named"):
        open_table(path, TableOptions(time="t"))


def test_the_two_files_of_an_archive_are_one_table(tmp_path):
    (tmp_path / "My_TRAIN.ts").write_text("@classLabel false\n@data\n1,2,3\n4,5\n", encoding="utf-8")
    (tmp_path / "My_TEST.ts").write_text("@classLabel false\n@data\n6\n", encoding="utf-8")
    table = open_table(tmp_path)
    assert [table.sequence(number).ravel().tolist() for number in range(3)] == [[1, 2, 3], [4, 5], [6]]
    assert table.labels == ()
    assert table.about[0].endswith("1 to 3 steps; the two files are one table, which is split anew")
    (tmp_path / "My_TEST.ts").write_text("@targetLabel true\n@data\n6:0.5\n", encoding="utf-8")
    with pytest.raises(DataError, match="has other labels or dimensions than"):
        open_table(tmp_path)
    (tmp_path / "other.ts").write_text("")
    with pytest.raises(DataError, match=r"holds 3 \.ts files; expected one, or a pair named _TRAIN and _TEST"):
        open_table(tmp_path)


def test_without_pyarrow_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in [name for name in sys.modules if name.startswith(("gatework.data.own.", "gatework.reading.columns"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(DataError) as refusal:
        opened(tmp_path, "a\n1\n")
    assert str(refusal.value) == (
        f"'{tmp_path / 'my.csv'}' is a table, and pyarrow, which reads tables, is not installed: pip install "
        "'gatework[tables]'."
    )


# --- any table in any dialect


def write_numbers(numbers, dialect):
    """Write a table with the standard library's writer, numbers as the dialect has them."""
    delimiter, decimal, line, quoting = dialect
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line, quoting=quoting)
    writer.writerow(["date", *(f"column {place}" for place in range(numbers.shape[1]))])
    for row, day in zip(numbers.tolist(), np.datetime64("2020-01-01") + np.arange(len(numbers)), strict=True):
        writer.writerow([str(day), *(repr(value).replace(".", decimal) for value in row)])
    return stream.getvalue()


DIALECTS = st.sampled_from(
    [
        (delimiter, decimal, line, quoting)
        for delimiter, decimal in (*((d, ".") for d in ",;\t|"), *((d, ",") for d in ",;\t|"))
        for line in ("\n", "\r\n")
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    ]
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_numbers_come_back_equal(tmp_path_factory, data):
    columns = data.draw(st.integers(1, 4))
    # Two decimals or none, so that one number at least tells the sign before decimals.
    number = st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
    numbers = np.array(
        data.draw(st.lists(st.lists(number, min_size=columns, max_size=columns), min_size=3, max_size=12))
    )
    numbers[0, 0] = 0.25
    text = write_numbers(numbers, data.draw(DIALECTS))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    table = opened(tmp_path_factory.mktemp("own"), text.encode(encoding))
    np.testing.assert_array_equal(table.sequence(0), numbers)
    assert table.times[0] is not None
    assert table.times[0][0] == np.datetime64("2020-01-01")


# --- what is hostile


def changed(content, chance):
    content = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        place, length = chance.randrange(len(content) + 1), chance.randint(1, 60)
        match chance.randrange(4):
            case 0 if content:
                content[place % len(content)] ^= 1 << chance.randrange(8)
            case 1:
                del content[place : place + length]
            case 2:
                content[place:place] = content[place : place + length] * chance.randint(1, 30)
            case _:
                content[place:place] = chance.choice(
                    [b'"', b"\0", b"\xff", b"1e999", b"," * 50, b"#", b"\n\n", b"9" * 400]
                )
    return bytes(content)


@pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
def test_changed_files_are_read_or_refused(tmp_path, form):
    path = tmp_path / "my"
    table = pa.table({"date": [str(day) for day in DAYS], "x": VALUES, "id": [n % 3 for n in range(N)], "y": ["a"] * N})
    if form == "csv":
        path.write_text(rows(lambda n, v: f"{DAYS[n]};{german(v)};{n % 3};a", "date;x;id;y\n"), encoding="utf-8")
    elif form == "parquet":
        parquet.write_table(table, path)
    else:
        feather.write_feather(table, path)
    content, chance = path.read_bytes(), random.Random(form)
    for number in range(150):
        path.write_bytes(changed(content, chance))
        with suppress(DataError):
            read_own_table(path, NO_OPTIONS, labelled=number % 2 == 0)


def test_a_file_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "my.csv"
    path.write_bytes(b",".join([b"x"] * 20_000) + b"\n" + b",".join([b"1"] * 20_000) + b"\n")
    with pytest.raises(DataError, match="has 20,000 columns, and at most 10,000 are taken"):
        open_series(path)
    parquet.write_table(pa.table({f"c{place}": [1.0] for place in range(10_001)}), path)
    with pytest.raises(DataError, match=r"has 10,001 columns\. Expected at most 10,000"):
        open_series(path)
