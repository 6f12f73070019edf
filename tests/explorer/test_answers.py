"""What the explorer answers over HTTP: the numbers are forward()'s, the figures are what they say."""

import json
import math

import numpy as np
import pytest
import torch

from gatework import CELLS, __version__
from gatework.diagram import LANGUAGES, cell_scene
from gatework.errors import RunError
from gatework.explorer.answers import open_answers
from gatework.explorer.settings import Settings
from gatework.training import evaluate

TEXT = 'def f(a, b):\n    return "a, b" + a\n' * 3
PARTS = {"f * c", "i * g"}


@pytest.fixture(scope="module")
def traced(small):
    return small.read(TEXT)


def test_about(small, run):
    about = small.get("/api/about")
    assert about["version"] == __version__
    assert about["limits"] == {"text": 20_000, "steps": 100_000}
    (opened,) = about["runs"]
    model = small.model
    assert (opened["id"], opened["title"], opened["cell"], opened["level"]) == ("r0", "small run", "lstm", "char")
    assert (opened["layers"], opened["directions"], opened["hidden_sizes"]) == (2, 1, [10, 10])
    assert opened["parameters"] == sum(one.numel() for one in model.parameters())
    assert opened["checkpoints"] == [{"id": "latest", "step": 8}, {"id": "step-4", "step": 4}]
    assert opened["vocabulary"][:3] == ["<unk>", "\n", " "]
    assert opened["vocabulary_size"] == len(opened["vocabulary"]) == model.head.out_features
    assert opened["equations"] == str(CELLS["lstm"])
    assert opened["latex"] == CELLS["lstm"].latex()


def test_about_draws_the_cell_in_every_language(small):
    """The picture's own data: what a shape does not have is absent, and nothing is lost on its way."""
    scenes = small.get("/api/about")["runs"][0]["scene"]
    drawn = {language: cell_scene(CELLS["lstm"], language).to_dict() for language in LANGUAGES}
    assert scenes == json.loads(json.dumps(drawn))


def test_about_lists_the_quantities(small):
    listed = small.get("/api/about")["runs"][0]["quantities"]
    assert len(listed) == 2
    found = {one["name"]: (one["role"], one["low"], one["high"], one["size"]) for one in listed[0]}
    gate = ("gate", 0, 1, 10)
    assert found == {
        "i": gate,
        "f": gate,
        "g": ("candidate", -1, 1, 10),
        "o": gate,
        "c": ("state", None, None, 10),
        "h": ("state", -1, 1, 10),
        "f * c": ("part", None, None, 10),
        "i * g": ("part", None, None, 10),
    }
    assert [one["comment"] for one in listed[0]][:2] == ["input gate", "forget gate"]


def test_numbers_are_those_of_forward(small, traced):
    """To the bit: every quantity of every layer, and the loss."""
    logs, records = small.forward(TEXT)
    steps = len(TEXT)
    assert (traced["steps"], traced["symbols"], traced["unknown"]) == (steps, list(TEXT), [])
    path = f"/api/traces/{traced['trace']}/values"
    for layer, recorded in enumerate(records):
        assert set(recorded) == {"i", "f", "g", "o", "c", "h"}
        for name, values in recorded.items():
            given = small.numbers(path, layer=layer, direction=0, name=name, **{"from": 0, "to": steps})
            assert np.array_equal(given, values.numpy()), (layer, name)
    tokens = small.answers.runs["r0"].vocabulary.encode(TEXT).long()
    nats = -logs[:-1].gather(1, tokens[:, None])[:, 0]
    assert traced["before"]["loss"] == float(nats[0])
    assert traced["loss"] == [*nats[1:].tolist(), None]
    assert traced["mean_loss"] == pytest.approx(float(nats.mean()), rel=1e-6)


def test_a_state_is_the_sum_of_its_parts(small, traced):
    path = f"/api/traces/{traced['trace']}/values"
    given = {name: small.numbers(path, name=name, layer=1) for name in ("c", "f * c", "i * g", "f", "i", "g")}
    assert np.array_equal(given["f * c"] + given["i * g"], given["c"])
    assert np.array_equal(given["f * c"][1:], given["f"][1:] * given["c"][:-1])
    assert np.array_equal(given["i * g"], given["i"] * given["g"])


def test_the_likeliest_symbols(small, traced):
    logs, _ = small.forward(TEXT)
    vocabulary = small.get("/api/about")["runs"][0]["vocabulary"]
    for position in (0, 17, len(TEXT) - 1):
        best = logs[position + 1].exp().topk(8)
        told = [
            {"symbol": vocabulary[n], "probability": p} for p, n in zip(*map(torch.Tensor.tolist, best), strict=True)
        ]
        assert traced["top"][position] == told
    window = small.get(f"/api/traces/{traced['trace']}/top", **{"from": 17, "to": 19})
    assert window == {"from": 17, "top": traced["top"][17:19]}


def test_mean_loss_is_what_evaluate_measures(small, call, run, tmp_path):
    """A text is read as `gatework evaluate` reads it."""
    (tmp_path / "text.txt").write_text(TEXT)
    measured = evaluate(run, data=str(tmp_path / "text.txt"), streams=1)
    assert small.read(TEXT)["mean_loss"] == pytest.approx(measured.metrics["loss"], rel=1e-6)


def test_windows(small, traced):
    path = f"/api/traces/{traced['trace']}/values"
    whole = small.numbers(path, name="c")
    assert np.array_equal(small.numbers(path, name="c", **{"from": 5, "to": 9}), whole[5:9])
    told = small.refused(400, "GET", path, params={"name": "c", "from": 9, "to": 9})
    assert told == f"From 9 to 9 is no window of this text; expected from below to, and to at most {len(TEXT)}."
    small.refused(400, "GET", path, params={"name": "c", "to": len(TEXT) + 1})


def test_one_unit(small, traced):
    path = f"/api/traces/{traced['trace']}"
    answer = small.http.get(f"{path}/unit", params={"layer": 1, "unit": 7})
    names = ["i", "f", "g", "o", "c", "h", "f * c", "i * g"]
    assert answer.headers["x-names"] == str(names).replace("'", '"')
    given = np.frombuffer(answer.content, "<f4").reshape(len(names), len(TEXT))
    for row, name in zip(given, names, strict=True):
        assert np.array_equal(row, small.numbers(f"{path}/values", layer=1, name=name)[:, 7])
    # What was before the text: the layers have read a line end.
    before = dict(zip(names, eval_list(answer.headers["x-before"]), strict=True))
    by_name = dict(zip(names, given, strict=True))
    assert np.float32(before["c"]) * by_name["f"][0] == by_name["f * c"][0]
    assert before["f * c"] == 0


def eval_list(text: str) -> list[float]:
    return [float(one) for one in text.strip("[]").split(",")]


def test_overview(small, traced):
    path = f"/api/traces/{traced['trace']}"
    whole = small.numbers(f"{path}/values", name="c")
    steps = len(whole)
    given = small.numbers(f"{path}/overview", name="c", buckets=7)
    for bucket in range(7):
        rows = whole[[position for position in range(steps) if position * 7 // steps == bucket]]
        assert np.array_equal(given[bucket], np.stack([rows.min(0), rows.max(0)]))
    assert small.numbers(f"{path}/overview", name="c", buckets=4096).shape == (steps, 2, 10)


def test_a_held_gate(small):
    """What is held has its value from its first position to before its last, and all behind it follows."""
    hold = {"layer": 0, "name": "f", "value": 0.25, "units": [3, 4], "start": 10, "stop": 20}
    before = small.read(TEXT)
    after = small.read(TEXT, interventions=[hold])
    names = ("f", "c", "f * c", "i * g")
    free, held = (
        {name: small.numbers(f"/api/traces/{one['trace']}/values", layer=0, name=name) for name in names}
        for one in (before, after)
    )
    chosen = np.zeros_like(free["f"], dtype=bool)
    chosen[10:20, [3, 4]] = True
    assert np.array_equal(held["f"][chosen], np.full(20, 0.25, "f4"))
    assert np.array_equal(held["f"][:11][~chosen[:11]], free["f"][:11][~chosen[:11]])
    assert not np.array_equal(held["f"][20:], free["f"][20:])
    assert np.array_equal(held["f * c"] + held["i * g"], held["c"])
    assert before["loss"][:9] == after["loss"][:9]
    assert before["loss"] != after["loss"]


def test_a_unit_put_to_zero(small):
    told = small.read(TEXT, interventions=[{"layer": 1, "name": "h", "value": 0, "units": [2]}])
    given = small.numbers(f"/api/traces/{told['trace']}/values", layer=1, name="h")
    assert not given[:, 2].any()
    assert given[:, 3].any()


@pytest.mark.parametrize(
    ("hold", "told"),
    [
        ({"name": "q"}, "'q' cannot be held; expected one of i, f, g, o, c, h."),
        ({"name": "f * c"}, "'f * c' cannot be held; expected one of i, f, g, o, c, h."),
        ({"name": "start"}, "'start' cannot be held; expected one of i, f, g, o, c, h."),
        ({"name": "f", "layer": 2}, "There is no layer 2 in direction 0: there are 2."),
        ({"name": "f", "direction": 1}, "There is no layer 0 in direction 1: there are 2."),
        ({"name": "f", "units": [1, 10]}, "'f' has no unit 10; expected units from 0 to 9."),
    ],
)
def test_what_cannot_be_held(small, hold, told):
    body = {"run": "r0", "text": TEXT, "interventions": [{"value": 1} | hold]}
    assert small.refused(400, "POST", "/api/traces", json=body) == told


def test_gradients(small, traced):
    """Against autograd through an LSTM written out by hand."""
    at = 30
    told = small.get(f"/api/traces/{traced['trace']}/gradients", at=at)
    model, run = small.model, small.answers.runs["r0"]
    rows = torch.cat([torch.tensor([run.vocabulary.start]), run.vocabulary.encode(TEXT).long()])
    w = [model.recurrent.named_weights(layer) for layer in (0, 1)]
    h = c = [torch.zeros(10), torch.zeros(10)]
    seen: list[dict[str, torch.Tensor]] = []
    for row in rows[: at + 2]:
        x = below = model.embedding(row).detach().requires_grad_()
        for k in (0, 1):
            i, f, o = (torch.sigmoid(w[k][f"W_{g}"] @ x + w[k][f"R_{g}"] @ h[k] + w[k][f"b_{g}"]) for g in "ifo")
            new = f * c[k] + i * torch.tanh(w[k]["W_g"] @ x + w[k]["R_g"] @ h[k] + w[k]["b_g"])
            c = [new if k == layer else one for layer, one in enumerate(c)]
            x = o * torch.tanh(new)
            h = [x if k == layer else one for layer, one in enumerate(h)]
        seen.append({"x": below, "h0": h[0], "h1": h[1], "c0": c[0], "c1": c[1]})
        for one in seen[-1].values():
            one.retain_grad()
    model.head(h[1]).log_softmax(-1)[rows[at + 2]].backward()
    found = {name: [one[name].grad for one in seen[1:]] for name in seen[0]}
    norms = {name: [float(one.norm()) for one in every if one is not None] for name, every in found.items()}
    assert (told["at"], told["from"], told["symbol"]) == (at, 0, TEXT[at + 1])
    for layer in (0, 1):
        for name in ("h", "c"):
            assert told["layers"][layer][name] == pytest.approx(norms[f"{name}{layer}"], rel=1e-4, abs=1e-9)
    assert told["along"]["x"] == pytest.approx(norms["x"], rel=1e-4, abs=1e-9)
    both = [math.hypot(*pair) for pair in zip(norms["c0"], norms["c1"], strict=True)]
    assert told["along"]["c"] == pytest.approx(both, rel=1e-4, abs=1e-9)
    assert set(told["along"]) == {"h", "c", "x"}
    assert 0 < told["memory_length"] < at + 1


def test_at_the_end_the_likeliest_symbol_is_meant(small, traced):
    told = small.get(f"/api/traces/{traced['trace']}/gradients", at=len(TEXT) - 1)
    assert told["symbol"] == traced["top"][-1][0]["symbol"]
    sentence = small.refused(404, "GET", f"/api/traces/{traced['trace']}/gradients", params={"at": len(TEXT)})
    assert sentence == f"There is no position {len(TEXT)}: the text has positions from 0 to {len(TEXT) - 1}."


def test_find(small, traced):
    path = f"/api/traces/{traced['trace']}/find"
    told = small.post(path, layer=1, names=["c", "h"], preset="inside_quotes")
    quoted = [position for position, _ in enumerate(TEXT) if any(b <= position < e for b, e in told["positions"])]
    assert {TEXT[position] for position in quoted} == set('"a, b')
    assert (told["marked"], told["every"], len(told["ranking"])) == (15, 1, 20)
    scores = [one["score"] for one in told["ranking"]]
    assert scores == sorted(scores, reverse=True)
    best = told["ranking"][0]
    values = small.numbers(f"/api/traces/{traced['trace']}/values", layer=1, name=best["name"])[:, best["unit"]]
    inside, outside = values[quoted], np.delete(values, quoted)
    area = np.mean((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside))
    assert best["score"] == pytest.approx(area if best["sign"] > 0 else 1 - area)
    assert best["score"] >= 0.5


def test_find_by_pattern_and_by_ranges(small, traced):
    path = f"/api/traces/{traced['trace']}/find"
    by_pattern = small.post(path, names=["c"], pattern="return")
    assert by_pattern["positions"][0] == [TEXT.index("return"), TEXT.index("return") + 6]
    by_ranges = small.post(path, names=["c"], ranges=by_pattern["positions"])
    assert by_ranges == by_pattern


@pytest.mark.parametrize("text", ["ab", "(ab"])
def test_a_preset_that_marks_nothing_or_all_ranks_nothing(small, text):
    """That a text has no brackets, or nothing else, is an answer; of what people marked themselves it is a mistake."""
    told = small.post(f"/api/traces/{small.read(text)['trace']}/find", names=["c"], preset="inside_brackets")
    assert (told["marked"], told["ranking"]) == (0 if text == "ab" else 3, [])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"pattern": "zzz"},
            "0 of 105 positions looked at are marked, so that no unit can tell marked from unmarked ones",
        ),
        (
            {"ranges": [[0, 999]]},
            "105 of 105 positions looked at are marked, so that no unit can tell marked from unmarked ones",
        ),
        ({"preset": "elsewhere"}, "There is no preset 'elsewhere'; expected one of inside_quotes, inside_brackets"),
        ({"pattern": "a("}, "The pattern cannot be read: there is a '(' that is never closed"),
        ({}, "The request cannot be read: expected one of ranges, pattern and preset."),
        (
            {"pattern": "a", "preset": "digits"},
            "The request cannot be read: expected one of ranges, pattern and preset.",
        ),
    ],
)
def test_what_cannot_be_found(small, traced, body, told):
    sentence = small.refused(400, "POST", f"/api/traces/{traced['trace']}/find", json={"names": ["c"]} | body)
    assert sentence.startswith(told)


def test_figures_about_units(small, traced):
    path = f"/api/traces/{traced['trace']}"
    told = small.get(f"{path}/units", name="f", layer=1)
    values = small.numbers(f"{path}/values", name="f", layer=1)
    assert told["saturated_low"] == pytest.approx((values < 0.1).mean(0).tolist())
    assert told["saturated_high"] == pytest.approx((values > 0.9).mean(0).tolist())
    assert sorted(told["order_by_similarity"]) == list(range(10))
    assert small.get(f"{path}/units", name="c")["saturation"] == [None] * 10


def test_elsewhere(small):
    asked = {"run": "r0", "layer": 1, "name": "c", "unit": 4, "count": 3}
    told = small.post("/api/elsewhere", **asked)
    held_out = small.answers.runs["r0"].held_out
    assert told["searched"] == len(held_out)
    for kind, best in (("high", max), ("low", min)):
        assert len(told[kind]) == 3
        for stretch in told[kind]:
            assert "".join(stretch["text"]) == held_out[stretch["offset"] : stretch["offset"] + len(stretch["text"])]
            assert len(stretch["values"]) == len(stretch["text"])
        peaks = [stretch["values"][stretch["peak"]] for stretch in told[kind]]
        assert peaks == sorted(peaks, reverse=kind == "high")
        assert peaks[0] == best(value for stretch in told[kind] for value in stretch["values"])
    small.refused(404, "POST", "/api/elsewhere", json=asked | {"unit": 10})
    small.refused(404, "POST", "/api/elsewhere", json=asked | {"name": "q"})


def test_samples(small):
    samples = small.get("/api/about")["runs"][0]["samples"]
    assert [sample["id"] for sample in samples][:2] == ["r0-s1", "r0-s2"]
    told = small.post("/api/traces", run="r0", sample="r0-s2")
    assert "".join(told["symbols"]) == samples[1]["text"]
    assert told["steps"] == samples[1]["steps"]
    sentence = small.refused(404, "POST", "/api/traces", json={"run": "r0", "sample": "../../etc/passwd"})
    assert sentence.startswith("There is no sample '../../etc/passwd'; expected one of r0-s1, r0-s2")


def test_checkpoints_and_runs(small, call, run, make_run):
    other = make_run("other", cell="gru", num_layers=1)
    both = call(run, other)
    assert [opened["cell"] for opened in both.get("/api/about")["runs"]] == ["lstm", "gru"]
    told = both.post("/api/traces", run="r1", text=TEXT)
    assert both.numbers(f"/api/traces/{told['trace']}/values", name="z").shape == (len(TEXT), 10)
    both.refused(404, "GET", f"/api/traces/{told['trace']}/values", params={"name": "c"})
    # A text of the one can be read by the other, and by an earlier self.
    assert both.post("/api/traces", run="r1", sample="r0-s1")["steps"] > 0
    earlier = both.post("/api/traces", run="r0", checkpoint="step-4", text=TEXT)
    assert earlier["mean_loss"] != both.read(TEXT)["mean_loss"]
    sentence = both.refused(404, "POST", "/api/traces", json={"run": "r0", "checkpoint": "../x", "text": TEXT})
    assert sentence == "Run r0 has no checkpoint '../x': it has latest, step-4."
    sentence = both.refused(404, "POST", "/api/traces", json={"run": other, "text": TEXT})
    assert sentence.endswith("; expected one of r0, r1.")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"text": ""}, "The text is empty. Give at least one symbol."),
        ({}, "The request cannot be read: expected either a text or a sample."),
        ({"text": "a", "sample": "r0-s1"}, "The request cannot be read: expected either a text or a sample."),
        ({"text": "a", "path": "/etc/passwd"}, "'path' is nothing that can be asked for here."),
        ({"text": 7}, "text is 7; it should be a valid string"),
        ({"text": "a", "interventions": [{"name": "f", "value": 1}] * 33}, "interventions is ["),
        (
            {"text": "a", "interventions": [{"name": "f", "value": 1e9}]},
            "interventions.0.value is 1000000000.0; it should",
        ),
        ({"text": "a", "run": ""}, "run is ''; string should have at least 1 character"),
    ],
)
def test_requests_that_make_no_sense(small, body, told):
    assert small.refused(400, "POST", "/api/traces", json={"run": "r0"} | body).startswith(told)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b'{"run": NaN}', b'{"run":"r0","text":"\\ud800"}', b"\xff", b"[" * 9999]
)
def test_bodies_that_are_no_requests(small, body):
    small.refused(400, "POST", "/api/traces", content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "name is missing from the request."),
        ("name=c&name=h", "A name stands twice in the query."),
        ("name=c&layer=9", "There is no layer 9 in direction 0: layers are counted from 0, and this model has 2."),
        ("name=c&layer=x", "layer is 'x'; it should be a valid integer, unable to parse string as an integer."),
        ("name=c&layer=-1", "layer is '-1'; it should be greater than or equal to 0."),
        ("name=q", "There is no quantity 'q'; expected one of i, f, g, o, c, h, f * c, i * g."),
        ("name=c&path=/etc", "'path' is nothing that can be asked for here."),
    ],
)
def test_queries_that_make_no_sense(small, traced, query, told):
    status = 404 if told.startswith("There is no") else 400
    assert small.refused(status, "GET", f"/api/traces/{traced['trace']}/values?{query}") == told


def test_a_trace_that_is_not_there(small):
    for path in ("values?name=c", "top", "gradients?at=0"):
        told = small.refused(404, "GET", f"/api/traces/t999/{path}")
        assert told == "There is no trace 't999' here, or not any more. Post its text to /api/traces again."


def test_a_directory_that_is_no_run(tmp_path):
    with pytest.raises(RunError, match=r"is not a run: it holds no config\.json"):
        open_answers([str(tmp_path)], False, Settings())


def leaves(term):
    return [term] if not term["parts"] else [leaf for part in term["parts"] for leaf in leaves(part)]


def test_terms_are_the_equation_in_numbers(small, traced):
    path = f"/api/traces/{traced['trace']}"
    told = small.get(f"{path}/terms", layer=1, unit=7, step=20, name="f")
    assert told["text"] == "sigmoid(W_f @ x + R_f @ h + b_f)"
    assert told["value"] == float(small.numbers(f"{path}/values", layer=1, name="f")[20, 7])
    (inside,) = told["parts"]
    assert [part["text"] for part in inside["parts"]] == ["W_f @ x", "R_f @ h", "b_f"]
    assert sum(part["value"] for part in inside["parts"]) == pytest.approx(inside["value"])
    assert 1 / (1 + math.exp(-inside["value"])) == pytest.approx(told["value"], rel=1e-5)
    w = small.model.recurrent.named_weights(1)
    below = small.numbers(f"{path}/values", layer=0, name="h")[20]
    assert inside["parts"][0]["value"] == pytest.approx(float(w["W_f"][7].detach() @ torch.tensor(below)), rel=1e-4)


@pytest.mark.parametrize("step", [0, 1, 104])
def test_terms_know_what_was_before(small, traced, step):
    path = f"/api/traces/{traced['trace']}"
    told = small.get(f"{path}/terms", layer=0, unit=2, step=step, name="c")
    answer = small.http.get(f"{path}/unit", params={"unit": 2})
    names = answer.headers["x-names"].strip('["]').split('", "')
    before = dict(zip(names, eval_list(answer.headers["x-before"]), strict=True))["c"]
    cells = small.numbers(f"{path}/values", name="c")[:, 2]
    gates = small.numbers(f"{path}/values", name="f")[:, 2]
    kept = told["parts"][0]
    assert [part["text"] for part in kept["parts"]] == ["f", "c"]
    expected = [float(gates[step]), float(cells[step - 1]) if step else before]
    assert [part["value"] for part in kept["parts"]] == pytest.approx(expected)
    assert told["value"] == float(cells[step])


def test_terms_of_what_is_not_there(small, traced):
    path = f"/api/traces/{traced['trace']}/terms"
    asked = {"layer": 0, "unit": 0, "step": 0, "name": "c"}
    assert small.refused(404, "GET", path, params=asked | {"unit": 10}) == "'c' of layer 0 has no unit 10."
    told = small.refused(404, "GET", path, params=asked | {"step": 105})
    assert told == "There is no position 105; expected 0 to 104."


def test_half_lives(small, traced):
    path = f"/api/traces/{traced['trace']}"
    gates = small.numbers(f"{path}/values", name="f", layer=1)
    first = small.http.get(f"{path}/unit", params={"unit": 0, "layer": 1}).headers["x-before"]
    logs = np.log(np.concatenate([[eval_list(first)[1]], gates[:, 0]]).astype(float)).mean()
    for name in ("c", "h", "i"):
        assert small.get(f"{path}/units", name=name, layer=1)["half_life"][0] == pytest.approx(math.log(0.5) / logs)


def test_a_cell_that_carries_nothing_unit_by_unit_has_no_half_life(call, make_run):
    plain = call(make_run("plain", cell="rnn", num_layers=1))
    trace = plain.read(TEXT)["trace"]
    assert plain.get(f"/api/traces/{trace}/units", name="h")["half_life"] == [None] * 10


@pytest.mark.parametrize("kind", ["chain", "unrolled"])
def test_chains(small, kind):
    """The chain is drawn from the equations: each copy has every sign of the cell, and its own number."""
    told = small.get("/api/scene", run="r0", kind=kind, language="zh-Hans")
    assert told["language"] == "zh-Hans"
    assert "LSTM" in told["title"]
    ids = [shape["id"] for shape in told["shapes"]]
    assert len(ids) == len(set(ids))
    if kind == "chain":
        cell = small.get("/api/about")["runs"][0]["scene"]["en"]
        signs = [shape["id"] for shape in cell["shapes"] if shape["kind"] in ("box", "circle")]
        for copy in ("t0.", "t1.", "t2."):
            assert [
                id.removeprefix(copy) for id in ids if id.startswith(copy) and id.removeprefix(copy) in signs
            ] == signs
    else:
        assert {"s0.loop", "s0.cell", "s1.t0.cell", "s1.t4.cell"} <= set(ids)


def test_chains_that_there_are_not(small):
    assert small.refused(404, "GET", "/api/scene?run=r9&kind=chain").startswith("There is no run 'r9'")
    assert small.refused(400, "GET", "/api/scene?run=r0&kind=walk").startswith("kind is 'walk'")
    assert small.refused(400, "GET", "/api/scene?run=r0&kind=chain&language=fr").startswith("language is 'fr'")


def test_opening(small):
    """The unit to begin with is the best of what `find` finds, in the most telling presets that the text has."""
    trace = small.read(TEXT)["trace"]
    best = small.get(f"/api/traces/{trace}/opening")["best"]
    scores = []
    for layer in (0, 1):
        for preset in ("inside_quotes", "inside_brackets"):
            asked = {"layer": layer, "names": ["c", "h"], "preset": preset}
            scores.append(small.post(f"/api/traces/{trace}/find", **asked)["ranking"][0]["score"])
    assert best["score"] == max(scores)
    assert best["preset"] in ("inside_quotes", "inside_brackets")
    words = small.get(f"/api/traces/{small.read('def')['trace']}/opening")["best"]
    assert words is None or words["preset"] not in ("inside_quotes", "inside_brackets")
    assert small.get(f"/api/traces/{small.read('a')['trace']}/opening")["best"] is None
