"""Long texts: what is computed again is what was computed, to the bit; and what is kept stays within its bounds."""

import numpy as np
import pytest

from gatework.errors import ExplorerError
from gatework.explorer import traces
from gatework.explorer.rows import Deadline
from gatework.explorer.units import look_at

TEXT = "\n".join(['def f(a, b):\n    return "a, b" + a', "# and (so) on", "x = [1, 2, 3]"] * 40)


@pytest.fixture(scope="module")
def forgetful(call, run):
    """A server that may keep so little that every text is a long one."""
    return call(run, trace_bytes=400_000)


@pytest.fixture
def chunks(monkeypatch):
    """Cut texts into small chunks, so that a short one has many."""
    monkeypatch.setattr(traces, "CHUNK", 64)


def test_what_is_computed_again_is_what_was_computed(forgetful, small):
    """A text of several chunks, the last one short: every quantity, at the seams too."""
    assert len(TEXT) > 3 * traces.CHUNK
    told = forgetful.read(TEXT)
    assert forgetful.answers._find(told["trace"]).kept is None
    kept = small.read(TEXT)
    assert small.answers._find(kept["trace"]).kept is not None
    assert {**told, "trace": ""} == {**kept, "trace": ""}
    _, records = forgetful.forward(TEXT)
    path = f"/api/traces/{told['trace']}/values"
    for layer, recorded in enumerate(records):
        for name, values in recorded.items():
            given = forgetful.numbers(path, layer=layer, name=name)
            assert np.array_equal(given, values.numpy()), (layer, name)
    for start, stop in ((0, 1), (498, 501), (499, 500), (500, 1003), (len(TEXT) - 1, len(TEXT))):
        given = forgetful.numbers(path, layer=1, name="f * c", **{"from": start, "to": stop})
        expected = small.numbers(
            f"/api/traces/{kept['trace']}/values", layer=1, name="f * c", **{"from": start, "to": stop}
        )
        assert np.array_equal(given, expected)


def test_all_else_is_the_same_too(forgetful, small):
    one, other = (caller.read(TEXT)["trace"] for caller in (forgetful, small))
    for query in ("overview?name=c&buckets=9", "unit?unit=3&layer=1", "unit?unit=3&from=490&to=510"):
        answers = [
            caller.http.get(f"/api/traces/{trace}/{query}") for caller, trace in ((forgetful, one), (small, other))
        ]
        assert answers[0].content == answers[1].content
        assert answers[0].headers.get("x-before") == answers[1].headers.get("x-before")
    for query in ("terms?unit=3&layer=1&name=c&step=499", "terms?unit=3&name=f&step=500", "units?name=f&layer=1"):
        assert forgetful.get(f"/api/traces/{one}/{query}") == small.get(f"/api/traces/{other}/{query}")
    body = {"names": ["c", "h"], "preset": "inside_quotes"}
    assert forgetful.post(f"/api/traces/{one}/find", **body) == small.post(f"/api/traces/{other}/find", **body)


def test_what_is_held_is_held_across_chunks(forgetful, small, chunks):
    holds = [
        {"layer": 0, "name": "f", "value": 0.5, "units": [1], "start": 60, "stop": 70},
        {"layer": 1, "name": "h", "value": 0.0, "start": 200, "stop": 201},
        {"layer": 1, "name": "o", "value": 1.0, "units": [0, 2], "start": 100},
    ]
    one, other = (caller.read(TEXT, interventions=holds) for caller in (forgetful, small))
    assert one["loss"] == other["loss"]
    for layer, name in ((0, "f"), (0, "c"), (1, "h"), (1, "o"), (1, "i * g")):
        given, expected = (
            caller.numbers(f"/api/traces/{told['trace']}/values", layer=layer, name=name)
            for caller, told in ((forgetful, one), (small, other))
        )
        assert np.array_equal(given, expected), name
    held = forgetful.numbers(f"/api/traces/{one['trace']}/values", layer=0, name="f")[:, 1]
    assert np.flatnonzero(held == 0.5).tolist() == list(range(60, 70))


def test_gradients_of_long_texts_look_back_so_far(forgetful, chunks, monkeypatch):
    monkeypatch.setattr("gatework.explorer.gradients.CHUNK", 64)
    monkeypatch.setattr("gatework.explorer.gradients._MOST_ROWS", 128)
    trace = forgetful.read(TEXT)["trace"]
    far = forgetful.get(f"/api/traces/{trace}/gradients", at=1000)
    assert far["from"] == (1001 - 128) // 64 * 64 - 1
    assert len(far["along"]["c"]) == 1000 - far["from"] + 1
    near = forgetful.get(f"/api/traces/{trace}/gradients", at=100)
    assert (near["from"], len(near["along"]["c"])) == (0, 101)


def test_the_oldest_trace_goes_first(call, run):
    caller = call(run, trace_bytes=150_000)
    first = caller.read("abc")["trace"]
    held = caller.answers._traces
    others = []
    while first in list(held):
        others.append(caller.read("def f(a):\n" * 60)["trace"])
        assert held.bytes <= 150_000
    caller.refused(404, "GET", f"/api/traces/{first}/top")
    assert caller.get(f"/api/traces/{others[-1]}/top", **{"to": 3})


def test_memory_is_counted(small):
    """What the store believes a trace to hold is what its tensors hold."""
    found = small.answers._find(small.read(TEXT)["trace"])
    assert found.kept is not None
    tensors = sum(values.nbytes for names in found.kept.values() for values in names.values())
    assert tensors == (len(TEXT) + 1) * 2 * 8 * 10 * 4
    assert tensors < found.bytes < 1.5 * tensors


def test_texts_that_are_too_long(call, run):
    caller = call(run, text=50, steps=60)
    assert caller.refused(413, "POST", "/api/traces", json={"run": "r0", "text": "a" * 51}) == (
        "The text has 51 symbols; expected at most 50."
    )
    assert caller.read("a" * 50)["steps"] == 50
    told = caller.refused(413, "POST", "/api/traces", json={"run": "r0", "sample": "r0-s1"})
    assert told.endswith("symbols; expected at most 60.")
    assert caller.get("/api/about")["limits"] == {"text": 50, "steps": 60}


def test_a_text_that_may_not_be_kept_at_all(call, run):
    told = call(run, trace_bytes=10_000).refused(413, "POST", "/api/traces", json={"run": "r0", "text": TEXT})
    assert told.endswith("may be kept. Give a shorter text, or start the explorer with more --memory.")


def test_time_is_up(call, run):
    caller = call(run, seconds=1e-9)
    told = caller.refused(503, "POST", "/api/traces", json={"run": "r0", "text": "abc"})
    assert told.startswith("This took longer than 1e-09 seconds and was given up")


def test_the_likeliest_symbols_of_long_texts_come_by_window(call, run, monkeypatch):
    monkeypatch.setattr("gatework.explorer.answers._SHOWN_TOP", 100)
    caller = call(run)
    told = caller.read(TEXT)
    assert told["top"] == []
    window = caller.get(f"/api/traces/{told['trace']}/top", **{"from": 600, "to": 700})
    assert [len(guesses) for guesses in window["top"]] == [8] * 100
    caller.refused(413, "GET", f"/api/traces/{told['trace']}/top", params={"from": 0, "to": 101})


def test_figures_of_long_texts_take_every_kth_position(call, run, monkeypatch):
    monkeypatch.setattr("gatework.explorer.units._MOST_LOOKED_AT", 300)
    caller = call(run, trace_bytes=400_000)
    trace = caller.read(TEXT)["trace"]
    every = -(-len(TEXT) // 300)
    told = caller.post(f"/api/traces/{trace}/find", names=["c"], preset="inside_word")
    assert told["every"] == every
    values = caller.numbers(f"/api/traces/{trace}/values", name="c")[::every]
    found, _ = look_at(caller.answers._find(trace), (0, 0), ("c",), Deadline(30))
    assert np.array_equal(found["c"].numpy(), values)


def test_a_fault_of_ours_says_so_and_no_more(call, run, monkeypatch):
    caller = call(run)

    def fail():
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(caller.answers, "about", fail)
    assert caller.refused(500, "GET", "/api/about") == "Something went wrong here, which is a fault in gatework."


def test_rows_know_their_deadline():
    Deadline(10).check()
    with pytest.raises(ExplorerError, match="was given up"):
        Deadline(-1).check()
