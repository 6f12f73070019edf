"""Models with latent variables on Bach's chorales, beside LSTMs with as many parameters.

make latent                                   every model, five seeds
python benchmarks/latent.py --seeds 1         one seed
python benchmarks/latent.py --steps 20        a few steps of each, which meet no target

It ends with status 1 if a target is missed. The data are those of the task jsb_chorales, in the folder that
GATEWORK_DATA names.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from gatework.training import evaluate, train
from gatework.training.config import make_config

DRAWS = 50
LSTM = {"cell": "lstm", "learning_rate": 0.01, "dropout": 0.3, "steps": 1200}


@dataclass(frozen=True)
class Model:
    """A model, the LSTM that it is held against, and what it has to reach.

    Args:
        settings: The settings of its run.
        lstm: The units with which an LSTM has as many parameters.
        at_most: The largest importance-weighted estimate on the test split, in nats per step.
        ahead: By how many nats it has to be below the LSTM, at least.
        minutes: The longest training.
    """

    settings: dict[str, Any]
    lstm: int
    at_most: float
    ahead: float
    minutes: float


MODELS = {
    "storn": Model(
        {"hidden_size": 128, "latent_size": 32, "learning_rate": 0.003, "dropout": 0.3, "steps": 2800},
        205,
        7.3,
        0.4,
        20,
    ),
    "vrnn": Model(
        {"hidden_size": 64, "latent_size": 64, "learning_rate": 0.01, "dropout": 0.1, "steps": 1600}, 114, 7.2, 1.0, 10
    ),
}


def measured(folder: Path, seed: int, few: int | None, settings: dict[str, Any]) -> dict[str, float]:
    """Train a model, and measure its weights with the lowest held-out loss on the test split."""
    shared = {"task": "jsb_chorales", "batch_size": 16, "evaluate_every": 100, "threads": 1, "seed": seed}
    steps = settings["steps"] if few is None else few
    run = str(folder / f"{settings['cell']}-{settings['hidden_size']}-{seed}")
    result = train(make_config({**shared, **settings, "steps": steps, "run": run}))
    draws = DRAWS if "latent_size" in settings else None
    return evaluate(run, split="test", draws=draws, step="best").metrics | {"minutes": result.seconds / 60}


def main() -> int:
    """Train all, print a line for each and write them; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each model")
    parser.add_argument("--steps", type=int, help="steps of every run, in place of its own")
    parser.add_argument("--write", type=Path, help="where to write the figures as JSON")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in MODELS.items():
            own = {"cell": name, "kl_warmup_steps": 280, **model.settings}
            beside = {**LSTM, "hidden_size": model.lstm}
            runs = [measured(Path(folder), seed, asked.steps, own) for seed in range(asked.seeds)]
            lstms = [measured(Path(folder), seed, asked.steps, beside) for seed in range(asked.seeds)]
            found[name] = {"runs": runs, "lstm": lstms}
            estimate, bound, kl = (mean(run[key] for run in runs) for key in ("estimate", "loss", "kl"))
            lstm, minutes = mean(run["loss"] for run in lstms), max(run["minutes"] for run in runs)
            print(
                f"{name}: estimate {estimate:.3f}, bound {bound:.3f}, kl {kl:.3f}, {minutes:.1f} minutes; LSTM with as "
                f"many parameters {lstm:.3f} nats a step",
                flush=True,
            )
            targets = {
                f"{name}: an estimate of at most {model.at_most}": estimate <= model.at_most,
                f"{name}: {model.ahead} nats below the LSTM": estimate <= lstm - model.ahead,
                f"{name}: at most {model.minutes} minutes": minutes <= model.minutes,
                f"{name}: a KL divergence above 0.1 nats a step": kl > 0.1,
            }
            missed += [target for target, met in targets.items() if not met]
    if asked.write:
        asked.write.parent.mkdir(parents=True, exist_ok=True)
        asked.write.write_text(json.dumps({"draws": DRAWS, "models": found, "missed": missed}, indent=1) + "\n")
    print(*(f"missed: {target}" for target in missed), sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
