"""The most probable text of a run: one beam is greedy, and enough of them find what trying all pairs finds."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gatework.cli.app import app
from gatework.errors import ConfigError
from gatework.training import generate
from gatework.training.restore import load_model

BEFORE = Path(__file__).parent / "before"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(BEFORE / "text", folder / "text")
    return str(folder / "text")


@pytest.mark.parametrize("prompt", ["", "e", "the"])
def test_one_beam_writes_what_temperature_0_writes(run, prompt):
    greedy = generate(run, prompt, length=30, temperature=0)
    assert generate(run, prompt, length=30, beams=1).text == greedy.text


def test_as_many_beams_as_symbols_find_the_best_pair(run):
    loaded = load_model(run)
    vocabulary = loaded.vocabulary
    numbers: list[int] = [vocabulary.start, *vocabulary.encode(vocabulary.split("the")).tolist()]
    size, best = len(vocabulary), {}
    with torch.no_grad():
        for one in range(size):
            scores, _ = loaded.model(torch.tensor([*numbers, one])[:, None])
            logs = scores[-2:, 0].log_softmax(-1)
            best |= {(one, other): float(logs[0, one] + logs[1, other]) for other in range(size)}
    pairs = {pair: nats for pair, nats in best.items() if vocabulary.unknown not in pair}
    found = vocabulary.encode(vocabulary.split(generate(run, "the", length=2, beams=size).text))[3:]
    assert tuple(found.tolist()) == max(pairs, key=lambda pair: pairs[pair])


def test_the_command_writes_it(run, capsys):
    app(["generate", run, "--prompt", "the", "--length", "12", "--beams", "3"], result_action="return_value")
    assert capsys.readouterr().out == generate(run, "the", length=12, beams=3).text + "\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"temperature": 0.5},
            "temperature is 0.5, and beams is 2: a search for the most probable text draws",
        ),
        ({"top_p": 0.5}, "top_p is 0.5, and beams is 2"),
        ({"top_k": 3}, "top_k is 3, and beams is 2"),
        ({"beams": -1}, "beams is -1; expected 0 (draw symbols) or a number of beams."),
        ({"length": 20_000}, "length is 20,000; expected at most 10,000 symbols for a search with beams."),
    ],
)
def test_what_a_search_has_no_use_for_is_refused(run, options, message):
    asked: dict[str, Any] = {"beams": 2, **options}
    with pytest.raises(ConfigError) as refused:
        generate(run, **asked)
    assert message in str(refused.value)
