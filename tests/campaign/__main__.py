"""Disturb training and the explorer for some minutes: ``python -m tests.campaign --minutes 30``.

Ends with 1 where anything was found. Cells, texts and files have a campaign of their own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.campaign import training, visitors
from tests.campaign.budget import Budget, Tally

# The last one computes in this process; those before it fork, which must come first.
TARGETS = {
    "kills": training.kills,
    "operations": training.operations,
    "disk": training.disk,
    "interrupts": training.interrupts,
    "requests": visitors.requests,
}


def main(words: list[str] | None = None) -> int:
    """Do what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long, all targets together")
    parser.add_argument("--most", type=int, help="the most tries of each target")
    parser.add_argument("--only", default=",".join(TARGETS), help="targets, such as kills,requests")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="what is drawn from")
    parser.add_argument("--json", type=Path, help="where the counts go")
    given = parser.parse_args(words)
    chosen = given.only.split(",")
    if unknown := [name for name in chosen if name not in TARGETS]:
        parser.error(f"there is no target {', '.join(unknown)}: expected some of {', '.join(TARGETS)}")
    print(f"seed {given.seed}", flush=True)
    tallies = []
    for name in (name for name in TARGETS if name in chosen):
        with tempfile.TemporaryDirectory(prefix="gatework-campaign-") as folder:
            began = time.monotonic()
            budget = Budget(60 * given.minutes / len(chosen), given.seed, Path(folder), given.most)
            tallies.append(TARGETS[name](budget))
            print(told(tallies[-1], time.monotonic() - began), flush=True)
    found = [finding for tally in tallies for finding in tally.findings]
    print(*found, f"{len(found)} findings", sep="\n")
    if given.json is not None:
        given.json.write_text(json.dumps({"seed": given.seed, "targets": [vars(one) for one in tallies]}, indent=2))
    return 1 if found else 0


def told(tally: Tally, seconds: float) -> str:
    """Give a target's counts in one line."""
    facts = "".join(f", {count:,} {fact}" for fact, count in sorted(tally.facts.items()))
    return f"{tally.name}: {tally.tried:,} tries in {seconds:,.0f} s{facts}; {len(tally.findings)} findings"


if __name__ == "__main__":
    sys.exit(main())
