"""The evidence: figures and their bounds, what counts as moved, and that the page says what the files say."""

import json
import math
import re
import shlex
from pathlib import Path

import pytest
from evidence import __main__ as command
from evidence import results
from evidence.claim import Claim, Context, Measured, Verdict
from evidence.claims import CLAIMS
from evidence.figures import Figure, Figures, exact, mean, middle, share
from evidence.jobs import JobError, run_jobs
from evidence.page import PAGE, number, shown, write_page
from evidence.results import IMAGES, document, figures_of, find_moved, held_to, read_result
from evidence.session import Session

from gatework.cli.app import VERBS, app

ROOT = Path(__file__).parent.parent
RESULTS = {name: result for name, claim in CLAIMS.items() if (result := read_result(claim)) is not None}
every_result = pytest.mark.parametrize("name", RESULTS)


def judge(figures: Figures) -> Verdict:
    solved = figures["solved"]
    return Verdict("holds" if solved.value > 0.5 else "does not hold", f"{shown(solved)} solved it.")


def claim_of(values: list[float], name: str = "toy", data: str = "") -> Claim:
    """A claim that is measured at once: the share of values above 0.5, and their mean."""

    def measure(context: Context) -> Measured:
        count = sum(value > 0.5 for value in values)
        figures = [share("solved", count, len(values), "seeds"), mean("value", values, "seeds")]
        return Measured(figures, {"seeds": len(values)}, 1.0, b"picture")

    return Claim(
        id=name, title="A toy", claim="Toys are solved.", whose="nobody", commands=("python -m toy",), measure=measure,
        judge=judge, shown=("solved",), cost=1, bounds="it is a toy.", data=data,
    )  # fmt: skip


def test_a_share_is_honest_about_few():
    found = share("solved", 5, 5, "seeds")
    assert (found.value, found.high, found.n) == (1, 1, 5)
    assert found.low == pytest.approx(0.5655, abs=1e-4)  # Wilson's score by hand: n / (n + z^2)
    assert (found.least, found.most) == (found.low, found.high)
    assert found.allows(3 / 5)
    assert not found.allows(2 / 5)
    none = share("solved", 0, 5, "seeds")
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(1 - found.low)


def test_bounds_are_wider_than_intervals():
    values = [0.1, 0.2, 0.4, 0.7, 0.9]
    for make in (mean, middle):
        found = make("value", values, "seeds")
        assert found.least < found.low < found.value < found.high < found.most
    assert mean("value", values, "seeds").value == pytest.approx(0.46)
    assert middle("value", values, "seeds").value == 0.4


def test_a_log_scale_has_bounds_above_zero():
    found = middle("left", [1e-9, 1e-7, 1e-12], "layers", scale="log")
    assert found.value == pytest.approx(1e-9)
    assert 0 < found.least < found.low == pytest.approx(1e-12)
    assert mean("ratio", [2.0, 0.5], "pairs", scale="log").value == pytest.approx(1)


def test_the_grain_keeps_equal_values_from_having_no_bounds():
    found = middle("accuracy", [1.0, 1.0, 1.0], "seeds", grain=0.02)
    assert (found.low, found.high) == (1, 1)
    assert found.allows(0.981)
    assert not found.allows(0.979)


def test_the_bounds_hold_a_repeat():
    """Of 400 pairs of measurements of one thing, all but a few are inside each other's bounds."""
    import numpy as np

    chance = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        one, other = (mean("value", chance.normal(0, 1, 12).tolist(), "draws") for _ in range(2))
        inside += one.allows(other.value)
    assert inside >= 380


@pytest.mark.parametrize("value", [2.5, math.inf])
def test_figures_survive_the_file(value):
    found = exact("half-life", value, "a rule", unit="steps")
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Figure.from_json(written) == found
    assert found.allows(value)
    assert not found.allows(value - 1 if math.isfinite(value) else 1e9)


def test_no_two_figures_share_a_name():
    with pytest.raises(ValueError, match="two figures are called solved"):
        Figures([share("solved", 1, 2, "seeds"), share("solved", 1, 2, "seeds")])
    with pytest.raises(KeyError, match="no figure 'x'; the figures are solved"):
        Figures([share("solved", 1, 2, "seeds")])["x"]


def result_of(claim: Claim, tmp_path: Path) -> dict:
    context = Context(tmp_path, None, 1, lambda line: None)
    return json.loads(json.dumps(document(claim, claim.measure(context))))


def test_what_moved_is_found(tmp_path):
    same, other = claim_of([0.9, 0.8, 0.95]), claim_of([0.1, 0.2, 0.05])
    committed = result_of(same, tmp_path)
    assert find_moved(same, result_of(same, tmp_path), committed) == []
    moved = find_moved(other, result_of(other, tmp_path), committed)
    assert [one.what for one in moved] == ["solved", "value", "verdict"]
    assert (moved[2].was, moved[2].now) == ("holds", "does not hold")
    assert [one.what for one in find_moved(same, result_of(same, tmp_path), None)] == ["the whole claim"]
    shorter = result_of(same, tmp_path)
    shorter["figures"] = shorter["figures"][:1]
    assert [(one.what, one.now) for one in find_moved(same, shorter, committed)] == [("value", "not measured")]
    assert [(one.what, one.was) for one in find_moved(same, committed, shorter)] == [("value", "not measured")]
    with_others = result_of(claim_of([0.9, 0.8, 0.95, 0.9]), tmp_path)
    assert "settings" in [one.what for one in find_moved(same, with_others, committed)]


def test_bounds_change_by_consent_only(tmp_path):
    committed = result_of(claim_of([0.9, 0.8, 0.95]), tmp_path)
    now = held_to(result_of(claim_of([0.9, 0.85, 0.95]), tmp_path), committed)
    before, after = figures_of(committed)["value"], figures_of(now)["value"]
    assert after.value != before.value
    assert (after.least, after.most) == (before.least, before.most)


def test_a_stopped_run_goes_on_and_a_finished_one_begins_anew(tmp_path):
    session = Session(tmp_path / "runs")
    assert session.kept("toy") is None
    session.keep("toy", {"claim": "toy"}, b"picture")
    assert Session(tmp_path / "runs").kept("toy") == ({"claim": "toy"}, b"picture")
    session.close(["toy", "never begun"])
    assert Session(tmp_path / "runs").kept("toy") is None
    assert (tmp_path / "runs" / "last" / "toy" / "measured.json").exists()
    session.keep("toy", {}, None)
    session.close(["toy"])  # over the one that lies there
    session.keep("toy", {}, None)
    assert Session(tmp_path / "runs", anew=True).kept("toy") is None
    assert (tmp_path / "runs" / "last" / "toy").exists()


def test_work_runs_in_processes_and_is_not_done_twice(tmp_path):
    lines: list[str] = []
    context = Context(tmp_path, None, 2, lines.append)
    pieces = [{"gap": gap, "sequences": 20, "seed": 0} for gap in (10, 50)]
    found = run_jobs(context, "latch", pieces)
    assert [(one["right"], one["sequences"]) for one in found] == [(20, 20), (20, 20)]
    assert all(one["seconds"] > 0 for one in found)
    assert len(lines) == 2
    for path in tmp_path.glob("latch-*.json"):
        path.write_text('{"right": -1}')
    assert run_jobs(context, "latch", pieces) == [{"right": -1}, {"right": -1}]


def test_work_that_fails_says_why(tmp_path):
    context = Context(tmp_path, None, 1, lambda line: None)
    with pytest.raises(JobError, match=r"`-m evidence.worker latch` failed with .*: .*gap"):
        run_jobs(context, "latch", [{"sequences": 3, "seed": 0}])


def folders(tmp_path: Path) -> list[str]:
    places = {"results": "results", "images": "images", "runs": "runs", "write": "page.md"}
    return [word for name, place in places.items() for word in (f"--{name}", str(tmp_path / place))]


def test_the_command_accepts_and_refuses(tmp_path, monkeypatch, capsys):
    def run(values: list[float], *words: str) -> int:
        monkeypatch.setattr(command, "CLAIMS", {"toy": claim_of(values)})
        return command.main([*folders(tmp_path), *words])

    assert run([0.9, 0.8, 0.95]) == 1  # nothing was accepted yet
    assert run([0.9, 0.8, 0.95], "--accept") == 0
    accepted = (tmp_path / "results" / "toy.json").read_text()
    assert run([0.9, 0.8, 0.95]) == 0
    assert (tmp_path / "results" / "toy.json").read_text() == accepted
    page = (tmp_path / "page.md").read_text()
    assert "**holds**" in page
    assert "images/evidence-toy.png" in page
    assert (tmp_path / "images" / "evidence-toy.png").read_bytes() == b"picture"
    capsys.readouterr()
    assert run([0.1, 0.2, 0.05], "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in told["moved"]] == ["solved", "value", "verdict"]
    assert told["claims"]["toy"]["verdict"] == "does not hold"
    assert "**does not hold**" in (tmp_path / "page.md").read_text()
    assert run([0.1, 0.2, 0.05]) == 1  # its bounds are still the old ones
    assert run([0.9, 0.8, 0.95]) == 0


def test_without_data_a_claim_stays_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "CLAIMS", {"toy": claim_of([0.9], data="somewhere")})
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    assert command.main([*folders(tmp_path), "--accept"]) == 0
    assert "NOT measured, it needs 'somewhere'" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path))
    (tmp_path / "somewhere").mkdir()
    assert command.main([*folders(tmp_path), "--accept"]) == 0
    assert (tmp_path / "results" / "toy.json").exists()


def test_claims_are_listed(capsys):
    assert command.main(["--list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in CLAIMS)
    with pytest.raises(SystemExit):
        command.main(["--only", "nonsense"])
    assert "choose from vanishing" in capsys.readouterr().err


def test_numbers_are_written_for_people():
    assert number(-0.02) == "−0.02"
    assert number(1.0) == "1"
    assert shown(share("solved", 5, 5, "seeds")) == "5 of 5 [0.566, 1]"
    assert shown(share("right", 490, 500, "sequences")) == "0.98 [0.964, 0.989]"


def test_the_page_says_what_the_files_say():
    assert PAGE.read_text(encoding="utf-8") == write_page(list(CLAIMS.values()), RESULTS)


@every_result
def test_a_result_is_whole(name):
    result, claim = RESULTS[name], CLAIMS[name]
    figures = figures_of(result)
    assert set(claim.shown) <= set(figures)
    assert result["commands"] == list(claim.commands)
    assert result["verdict"] == claim.judge(figures).word
    for figure in figures.values():
        assert figure.low <= figure.value <= figure.high, figure.name
        assert figure.least <= figure.low <= figure.high <= figure.most or figure.allows(figure.value), figure.name
        assert figure.how
    if result["picture"]:
        assert (IMAGES / result["picture"]).stat().st_size < 150_000


@every_result
def test_a_verdict_follows_from_the_figures(name):
    """With other figures it is another: no verdict is typed in."""
    figures, judge = figures_of(RESULTS[name]), CLAIMS[name].judge
    words = {judge(figures).word}
    for value in (-1.0, 1e-9, 0.5, 1.0, 1e3):
        for turned in (None, *figures):
            other = [
                Figure(one.name, value, value, value, one.unit, one.n, one.how, value, value, one.scale)
                if turned in (None, one.name)
                else one
                for one in figures.values()
            ]
            words.add(judge(Figures(other)).word)
    assert len(words) > 1


@every_result
def test_numbers_in_a_sentence_are_figures(name):
    """What a verdict says with digits comes from the figures, or is a setting."""
    figures = figures_of(RESULTS[name])
    sentence = CLAIMS[name].judge(figures).sentence
    known = {number(one) for figure in figures.values() for one in (figure.value, figure.low, figure.high)}
    told = re.findall(r"\d+\.\d+(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", sentence.replace("−", ""))
    assert {one.lstrip("−") for one in told} <= {one.lstrip("−") for one in known}


@pytest.mark.parametrize("name", CLAIMS)
def test_commands_are_understood(name):
    for line in CLAIMS[name].commands:
        program, *words = shlex.split(line)
        if program == "gatework":
            assert words[0] in VERBS
            app.parse_args(words, exit_on_error=False, print_error=False)
        else:
            assert [program, *words[:3]] == ["python", "-m", "evidence", "--only"]
            assert words[3] in CLAIMS


def test_make_evidence_runs_it():
    lines = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^evidence: .*\n\t.*python -m evidence", lines, re.MULTILINE)
    assert "#   make evidence" in lines


def test_every_result_belongs_to_a_claim():
    assert {path.stem for path in results.RESULTS.glob("*.json")} <= set(CLAIMS)
