"""Whatever is asked, it is answered or refused in a sentence; nothing that can be asked is a fault of ours."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEYS = ["layer", "direction", "name", "unit", "step", "at", "from", "to", "buckets", "start", "stop", "path", "token"]
NAMES = ["i", "c", "h", "f * c", "units", "layer", "", "x", "W_f", "l0.c", "c\0", "\ud7ff", "c" * 500]
NUMBERS = st.one_of(st.integers(-3, 120), st.sampled_from([10**9, 10**9 + 1, 2**63, -(2**63)]))
SCALARS = st.one_of(NUMBERS, st.sampled_from(NAMES), st.floats(), st.booleans(), st.none())
WINDOW = ("from", "to")
GETS = {
    "top": WINDOW,
    "values": ("layer", "name", *WINDOW),
    "overview": ("layer", "name", "buckets"),
    "unit": ("layer", "unit", *WINDOW),
    "terms": ("layer", "name", "unit", "step"),
    "units": ("layer", "name"),
    "gradients": ("at",),
    "find": (),
    "..": KEYS,
}
# Mostly what there is, and what is just beyond it.
LIKELY = {
    "layer": st.integers(0, 2),
    "name": st.sampled_from(["i", "c", "h", "f * c", "q"]),
    "unit": st.integers(0, 10),
    "buckets": st.integers(0, 200),
    **{key: st.integers(-1, 106) for key in ("step", "at", "from", "to")},
}
ANYTHING = settings(max_examples=150, suppress_health_check=list(HealthCheck))


def check(answer) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]
        assert answer.json()["error"]


@pytest.fixture(scope="module")
def trace(small) -> str:
    return small.read("def f(a, b):\n    return (a, b)\n" * 3)["trace"]


@pytest.mark.parametrize("path", GETS)
@ANYTHING
@given(data=st.data())
def test_any_query(small, trace, path, data):
    likely = {key: LIKELY.get(key, NUMBERS) for key in GETS[path]}
    query = data.draw(st.fixed_dictionaries({}, optional=likely))
    if data.draw(st.integers(0, 3)) == 0:
        query |= data.draw(st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=2))
    check(small.http.get(f"/api/traces/{trace}/{path}", params=query))


@ANYTHING
@given(
    st.fixed_dictionaries(
        {"run": st.sampled_from(["r0", "r0", "r1", "../r0"])},
        optional={
            "text": st.one_of(st.text(max_size=60), SCALARS),
            "sample": st.sampled_from(["r0-s1", "r0-s9", "", 3]),
            "checkpoint": st.sampled_from(["latest", "step-4", "step-5", 4, ""]),
            "interventions": st.lists(
                st.dictionaries(
                    st.sampled_from(["layer", "direction", "name", "value", "units", "start", "stop"]),
                    st.one_of(SCALARS, st.lists(NUMBERS, max_size=3)),
                ),
                max_size=3,
            ),
        },
    )
)
def test_any_text(small, body):
    # As Python writes it, which has NaN and Infinity where JSON has nothing.
    check(small.http.post("/api/traces", content=json.dumps(body), headers={"Content-Type": "application/json"}))


@ANYTHING
@given(
    st.fixed_dictionaries(
        {"names": st.lists(st.sampled_from(NAMES), max_size=3)},
        optional={
            "layer": SCALARS,
            "preset": st.sampled_from(["digits", "inside_quotes", "none", "", 1]),
            "pattern": st.text("ab(|)*+?{}[]^$\\.dwb12,-\n", max_size=12),
            "ranges": st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4),
        },
    )
)
def test_any_search(small, trace, body):
    content = json.dumps(body)
    check(small.http.post(f"/api/traces/{trace}/find", content=content, headers={"Content-Type": "application/json"}))


@ANYTHING
@given(st.dictionaries(st.sampled_from([*KEYS, "run", "checkpoint", "count"]), SCALARS))
def test_any_elsewhere(small, body):
    content = json.dumps({"run": "r0", "layer": 0, "name": "c", "unit": 0} | body)
    check(small.http.post("/api/elsewhere", content=content, headers={"Content-Type": "application/json"}))


@ANYTHING
@given(st.binary(max_size=200))
def test_any_body(small, content):
    check(small.http.post("/api/traces", content=content, headers={"Content-Type": "application/json"}))
