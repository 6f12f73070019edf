"""Fuzz for some minutes: ``python -m tests.fuzz --minutes 30``; ends with 1 where anything was found."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GATEWORK_CACHE", tempfile.mkdtemp(prefix="gatework-fuzz-"))

from tests.fuzz.campaign import campaign  # noqa: E402 - torch reads the environment when it is imported


def main() -> int:
    """Read the command line, fuzz, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="what is drawn from")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where scripts go")
    parser.add_argument("--json", type=Path, help="where the counts go")
    parser.add_argument("--sessions", type=int, help="the most processes")
    parser.add_argument("--small", type=float, default=40.0, help="seconds to make a finding small in")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    report = campaign(
        60 * arguments.minutes,
        arguments.seed,
        arguments.findings,
        lambda line: print(line, flush=True),
        sessions=arguments.sessions,
        small=arguments.small,
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.plain(), indent=2) + "\n", encoding="utf-8")
    for name, count in report.findings.most_common():
        print(f"{count:6,} x {name}")
    for words in report.trouble[:3]:
        print(f"the harness stumbled:\n{words}", file=sys.stderr)
    return 1 if report.findings or report.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
