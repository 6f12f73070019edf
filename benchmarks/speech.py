"""Train on AN4 and hold the transcripts of its test part against limits; the exit code is 1 where one is missed.

    make speech                                   # one seed of the bidirectional LSTM, about four minutes of one thread
    make speech SPEECH="--seeds 0,1,2 --models blstm,lstm,brnn"

The other models have as many parameters: an LSTM of one direction, and a network of both directions without gates. The
data lie in the folder an4 that GATEWORK_DATA names.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gatework
from gatework.search.comparing.matching import nearest_size
from gatework.tasks.recorded.speech import speech
from gatework.training import Search, make_config
from gatework.training.jobs.registry import open_job


@dataclass(frozen=True)
class Limits:
    """What the bidirectional LSTM has to reach on the test part, in percent, and the time of one thread for it."""

    cer: float = 11.0
    wer: float = 25.0
    wer_by_search: float = 12.0
    minutes: float = 10.0


LIMITS = Limits()
SEARCH = Search(16)  # with a bigram of the words of the training transcripts
MODELS: dict[str, dict[str, Any]] = {
    "blstm": {"cell": "lstm", "bidirectional": True},
    "lstm": {"cell": "lstm", "bidirectional": False},
    "brnn": {"cell": "rnn", "bidirectional": True},
}


def sized(model: str) -> dict[str, Any]:
    """Return the settings of a model with as many parameters as the bidirectional LSTM."""
    shapes = [open_job(make_config({"task": speech.name, **MODELS[one]})).shape for one in ("blstm", model)]
    first, own = (shape for shape in shapes if shape is not None)
    wanted = first.count(gatework.CELLS["lstm"], speech.defaults["hidden_size"])
    found = nearest_size(gatework.CELLS[MODELS[model]["cell"]], own, wanted)
    return {**MODELS[model], "hidden_size": found.hidden_size}


def measure(model: str, seed: int, runs: Path, more: dict[str, Any]) -> dict[str, Any]:
    """Train a model, and measure it on the test part."""
    run, began = runs / f"speech-{model}-{seed}", time.process_time()
    config = make_config({"task": speech.name, "seed": seed, "run": str(run), "threads": 1, **sized(model), **more})
    if run.exists():
        raise SystemExit(f"'{run}' exists, and its minutes are not known. Remove it, or choose another --runs.")
    gatework.train(config)
    minutes = (time.process_time() - began) / 60
    found = gatework.evaluate(str(run), split="test", search=SEARCH)
    percent = {name: round(100 * found.metrics[name], 2) for name in ("cer", "wer", "cer_by_search", "wer_by_search")}
    return {"model": model, "seed": seed, "minutes": round(minutes, 2), **percent}


def missed(found: dict[str, Any]) -> list[str]:
    """Say which limits a measurement misses."""
    return [
        f"{name} is {found[name]}; at most {limit:g}" for name, limit in vars(LIMITS).items() if found[name] > limit
    ]


def main() -> int:
    """Measure what the flags ask for, print a line for each, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--models", default="blstm")
    parser.add_argument("--epochs", type=int, default=speech.defaults["epochs"])
    parser.add_argument("--runs", type=Path, default=Path("runs/speech-limits"))
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    results, status = [], 0
    for model in given.models.split(","):
        for seed in map(int, given.seeds.split(",")):
            found = measure(model, seed, given.runs, {"epochs": given.epochs})
            print(json.dumps(found), flush=True)
            results.append(found)
            for fault in missed(found) if model == "blstm" else ():
                print(f"seed {seed}: {fault}", file=sys.stderr)
                status = 1
    if given.write:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.write_text(json.dumps({"limits": vars(LIMITS), "results": results}, indent=2) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
