"""A comparison that an earlier version made (commit 9709572): it loads, says the same, and goes on.

`before/adding` is what this command wrote, without the picture, which is drawn anew:

    gatework compare --task adding --cells rnn,lstm,leaky.txt --gaps 5,10 --seeds 2 --learning-rates 0.003,0.03
        --steps 20 --evaluate-every 10 --hidden-size 3 --workers 1 --run runs/adding
"""

import json
import shutil
from pathlib import Path

import pytest
from tests.search.listening import Told, without_seconds

from gatework.search import compare
from gatework.search.comparing.directory import CompareDirectory

BEFORE = Path(__file__).with_name("before") / "adding"


@pytest.fixture
def copied(tmp_path):
    """Copy the directory, and give it with the configuration that it holds."""
    folder = tmp_path / "adding"
    shutil.copytree(BEFORE, folder)
    config = CompareDirectory(folder).read_config()
    return folder, config.model_copy(update={"run": str(folder)})


def results_in(folder):
    """Read the results, but for times, versions of libraries, and sentences about the task, which may be put better."""
    results = without_seconds(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    del results["versions"]
    task = results.pop("task")
    success = {key: task["success"][key] for key in ("metric", "at_least", "at_most")}
    return results | {"task": task["name"], "success": success, "chance": task["chance"]}


def test_it_loads_says_the_same_and_runs_nothing_more(copied):
    folder, config = copied
    reporter = Told()
    compare(config, reporter)
    assert reporter.counts() == {"end": 1}
    assert results_in(folder) == results_in(BEFORE)
    assert (folder / "trials.jsonl").read_bytes() == (BEFORE / "trials.jsonl").read_bytes()
    assert (folder / "gaps.png").read_bytes().startswith(b"\x89PNG")


def test_a_trial_that_is_missing_comes_out_as_it_did(copied):
    folder, config = copied
    lines = (BEFORE / "trials.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "trials.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    reporter = Told()
    compare(config, reporter)
    assert reporter.counts() == {"begin": 1, "started": 1, "step": 2, "finished": 1, "end": 1}
    again = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    known, outcome = (without_seconds(json.loads(line)) for line in (lines[-1], again))
    assert outcome["trial"] == known["trial"]
    # Another processor may add in another order.
    for split in ("valid", "test"):
        assert outcome["outcome"].pop(split) == pytest.approx(known["outcome"].pop(split), abs=2e-3)
    assert outcome == known
