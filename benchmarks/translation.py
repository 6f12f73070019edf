"""Train translators of captions, and hold their BLEU against bounds that were written down beforehand.

    GATEWORK_DATA=FOLDER python -m benchmarks.translation [--runs runs] [--only additive,none] [--write results.json]

Trains `examples/multi30k_attention.toml` with each kind of attention, and the same network without any. Every model is
measured on the first test split, greedily and with five beams. Runs that were stopped go on. A bound that is not met
ends in the exit code 1.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from gatework.training import evaluate, make_config, make_reporter, read_toml, train

EXAMPLE = Path(__file__).parent.parent / "examples" / "multi30k_attention.toml"
BEAMS = 5

# The variants, by what differs from the example.
VARIANTS: dict[str, dict[str, Any]] = {
    "additive": {},
    "none": {"attention": "none"},
    "general": {"attention": "general", "attention_place": "after"},
}
# Written down before the first whole run: BLEU with five beams, minutes of training on two cores, and by how much the
# model without attention is behind.
LEAST_BLEU, MOST_MINUTES, LEAST_AHEAD = 31.0, 30.0, 8.0


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Train one variant, or go on with it, and measure it on the test sentences."""
    config = make_config(read_toml(EXAMPLE) | VARIANTS[name] | {"run": str(folder / f"multi30k-{name}")})
    result = train(config, make_reporter())
    greedy, wide = (evaluate(str(result.run), split="test", beams=beams) for beams in (1, BEAMS))
    return {
        "variant": name,
        "steps": result.step,
        "minutes": result.seconds / 60,
        "greedy": greedy.metrics["bleu"],
        "beams": wide.metrics["bleu"],
        "trivial": {predictor: found["bleu"] for predictor, found in wide.trivial.items()},
        "split": wide.text,
        "signature": wide.notes["BLEU"],
    }


def failures(rows: dict[str, dict[str, Any]]) -> list[str]:
    """List the bounds that are not met, each in a sentence."""
    told = []
    if row := rows.get("additive"):
        if row["beams"] < LEAST_BLEU:
            told.append(f"BLEU with attention is {row['beams']:.2f}; expected {LEAST_BLEU} or more.")
        if row["minutes"] > MOST_MINUTES:
            told.append(f"Training took {row['minutes']:.1f} minutes; expected {MOST_MINUTES} or fewer.")
        if row["beams"] < row["greedy"]:
            told.append(f"{BEAMS} beams give {row['beams']:.2f}, less than {row['greedy']:.2f} without a search.")
        if (other := rows.get("none")) and row["beams"] - other["beams"] < LEAST_AHEAD:
            ahead = row["beams"] - other["beams"]
            told.append(f"Attention is {ahead:.2f} BLEU ahead of none; expected {LEAST_AHEAD} or more.")
    return told


def main() -> int:
    """Train, print a row for each variant, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="The folder of the run directories.")
    parser.add_argument("--only", default="additive,none", help=f"Some of {', '.join(VARIANTS)}, with commas between.")
    parser.add_argument("--write", type=Path, help="Write the figures to this file.")
    asked = parser.parse_args()
    rows = {name: measured(name, asked.runs) for name in asked.only.split(",")}
    for row in rows.values():
        trivial = ", ".join(f"{name} {bleu:.2f}" for name, bleu in row["trivial"].items())
        print(
            f"{row['variant']:10} {row['split']}: BLEU {row['greedy']:.2f} greedy, {row['beams']:.2f} with {BEAMS} "
            f"beams ({trivial}); {row['steps']:,} steps in {row['minutes']:.1f} minutes"
        )
    print(next(iter(rows.values()))["signature"])
    told = failures(rows)
    print("\n".join(told) or "Every bound is met.")
    if asked.write is not None:
        machine = {"torch": torch.__version__, "python": platform.python_version(), "cores": os.cpu_count()}
        bounds = {"bleu": LEAST_BLEU, "minutes": MOST_MINUTES, "ahead": LEAST_AHEAD}
        found = {"bounds": bounds, "machine": machine, "rows": list(rows.values()), "failures": told}
        asked.write.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
