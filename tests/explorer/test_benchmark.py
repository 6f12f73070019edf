"""The benchmark of the explorer runs; its figures mean nothing here."""

import json

from benchmarks import explorer


def test_the_benchmark_runs(tmp_path, capsys):
    written = tmp_path / "explorer.json"
    explorer.main(["--rounds", "1", "--quick", "--write", str(written)])
    rows = json.loads(written.read_text())["milliseconds"]
    assert [name.rpartition(": ")[2] for name in rows][::6] == ["all of a unit", "an edit"]
    assert all(0 < row["median_ms"] <= row["p95_ms"] for row in rows.values())
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1
