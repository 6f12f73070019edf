"""Fuzz for some minutes: ``python -m tests.fuzz --minutes 30``; ends with 1 where anything was found."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GATEWORK_CACHE", tempfile.mkdtemp(prefix="gatework-fuzz-"))

from tests.fuzz.campaign import Report, campaign, read, strangers  # torch reads the environment when it is imported

CELLS = 0.8  # the share of the time that goes to cells


def main() -> int:
    """Read the command line, fuzz, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long")
    parser.add_argument("--seed", default=str(int.from_bytes(os.urandom(3), "big")), help="what is drawn from")
    parser.add_argument(
        "--jobs", type=int, default=1, help="how many campaigns run side by side, each from its own seed"
    )
    parser.add_argument(
        "--only", choices=("cells", "strangers"), help="cells alone, or texts, files and requests alone"
    )
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where scripts go")
    parser.add_argument("--json", type=Path, help="where the counts go")
    parser.add_argument("--sessions", type=int, help="the most processes for cells")
    parser.add_argument("--small", type=float, default=40.0, help="seconds to make a finding small in")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    report = _side_by_side(arguments) if arguments.jobs > 1 else _fuzz(arguments, arguments.seed, arguments.findings)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.plain(), indent=2) + "\n", encoding="utf-8")
    print(report.line())
    for name, count in (*report.calls.most_common(), *report.features.most_common()):
        print(f"{count:8,} {name}")
    for name, count in report.findings.most_common():
        print(f"found {count:,} x {name}")
    for words in report.trouble[:3]:
        print(f"the campaign itself stumbled:\n{words}", file=sys.stderr)
    return 1 if report.findings or report.trouble else 0


def _fuzz(arguments: argparse.Namespace, seed: str, folder: Path) -> Report:
    def say(line: str) -> None:
        print(line, flush=True)

    report, seconds = Report(seed), 60 * arguments.minutes
    if arguments.only != "strangers":
        share = seconds * (1.0 if arguments.only == "cells" else CELLS)
        report = campaign(share, seed, folder, say, sessions=arguments.sessions, small=arguments.small)
    if arguments.only != "cells":
        found = strangers(seconds - report.seconds, seed, say)
        report.join(found)
        report.seconds += found.seconds
    return report


def _side_by_side(arguments: argparse.Namespace) -> Report:
    """Run several campaigns in copies of this process, and join what they came to."""
    with tempfile.TemporaryDirectory() as folder:
        children = {}
        for job in range(arguments.jobs):
            path, child = Path(folder) / f"{job}.json", os.fork()
            if child == 0:
                status = 1
                try:
                    report = _fuzz(arguments, f"{arguments.seed}.{job}", arguments.findings / str(job))
                    path.write_text(json.dumps(report.plain()), encoding="utf-8")
                    status = 0
                finally:
                    os._exit(status)
            children[child] = path
        whole = Report(arguments.seed)
        for child, path in children.items():
            if os.waitpid(child, 0)[1]:
                whole.trouble.append("a campaign ended before its time")
                continue
            report = read(json.loads(path.read_text(encoding="utf-8")))
            whole.join(report)
            whole.seconds = max(whole.seconds, report.seconds)
    return whole


if __name__ == "__main__":
    sys.exit(main())
