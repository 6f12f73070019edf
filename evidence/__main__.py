"""Measure every claim anew, write docs/evidence.md, and fail where a figure has left its bounds.

    python -m evidence [--only vanishing,hand-set] [--list] [--accept] [--anew] [--page] [--json]

A run that was stopped goes on where it was when the same command is given again; --anew begins from nothing. Claims on
recorded data read it from the folder that GATEWORK_DATA names, and stay as they were without. The exit code is 1 where
a figure is outside the bounds that evidence/results/ has for it; --accept makes what was measured the new bounds.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evidence import show
from evidence.claim import Claim, Context
from evidence.claims import CLAIMS
from evidence.jobs import JobError
from evidence.page import PAGE, write_page
from evidence.results import (
    IMAGES,
    RESULTS,
    Moved,
    document,
    figures_of,
    find_moved,
    held_to,
    read_result,
    write_result,
)
from evidence.session import Session
from gatework.errors import GateworkError

RUNS = Path("runs") / "evidence"
STOPPED = 130


def main(words: list[str] | None = None) -> int:
    """Do what the command line asks for.

    Args:
        words: The command line; None for that of the process.

    Returns:
        The exit code: 1 where something moved or failed, else 0.
    """
    given = _parser().parse_args(words)
    chosen = [CLAIMS[name] for name in given.only or CLAIMS]
    if given.list:
        show.print_claims(chosen)
        return 0
    if given.page:
        _write_page(given)
        return 0
    try:
        found, moved = _measure_all(chosen, given)
    except KeyboardInterrupt:
        show.say("stopped: the same command goes on from here")
        return STOPPED
    except (GateworkError, JobError) as error:
        show.say(str(error))
        return 1
    if given.json:
        told = {name: _told(CLAIMS[name], result) for name, result in found.items()}
        print(json.dumps({"claims": told, "moved": [vars(one) for one in moved]}, indent=1, ensure_ascii=False))
    else:
        show.print_outcome([(CLAIMS[name], result) for name, result in found.items()], moved)
    return int(bool(moved))


def _measure_all(chosen: Sequence[Claim], given: argparse.Namespace) -> tuple[dict[str, dict[str, Any]], list[Moved]]:
    """Measure claims and write their results: what they are now, and what has moved."""
    data = Path(os.environ["GATEWORK_DATA"]) if os.environ.get("GATEWORK_DATA") else None
    able = [claim for claim in chosen if not claim.data or (data is not None and (data / claim.data).exists())]
    session = Session(given.runs, anew=given.anew)
    found: dict[str, dict[str, Any]] = {}
    moved: list[Moved] = []
    with show.Progress(able) as progress:
        for claim in able:
            context = Context(session.folder(claim.id), data, given.workers, progress.begin(claim))
            result, picture = _measured(claim, session, context)
            committed = read_result(claim, given.results)
            if not given.accept:
                moved += find_moved(claim, result, committed)
                result = result if committed is None else held_to(result, committed)
            write_result(claim, result, picture, given.results, given.images)
            found[claim.id] = result
            _write_page(given)
            progress.end(claim)
    session.close([claim.id for claim in able])
    # At the end, where it is seen: the page still has what was measured once.
    for claim in chosen:
        if claim not in able:
            show.say(f"{claim.id}: NOT measured, it needs '{claim.data}' in the folder that GATEWORK_DATA names")
    return found, moved


def _measured(claim: Claim, session: Session, context: Context) -> tuple[dict[str, Any], bytes | None]:
    """Measure a claim, unless the run that was stopped has done so."""
    kept = session.kept(claim.id)
    if kept is not None:
        return kept
    measured = claim.measure(context)
    result = document(claim, measured)
    session.keep(claim.id, result, measured.picture)
    return result, measured.picture


def _write_page(given: argparse.Namespace) -> None:
    """Write the page from the files, whatever was measured now."""
    results = {name: read_result(claim, given.results) for name, claim in CLAIMS.items()}
    page = write_page(list(CLAIMS.values()), {name: one for name, one in results.items() if one is not None})
    given.write.write_text(page, encoding="utf-8")


def _told(claim: Claim, result: dict[str, Any]) -> dict[str, Any]:
    verdict = claim.judge(figures_of(result))
    return result | {"verdict": verdict.word, "because": verdict.sentence}


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in CLAIMS]:
        raise argparse.ArgumentTypeError(f"no claim {', '.join(unknown)}; choose from {', '.join(CLAIMS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, help="claims with commas between; --list names them")
    parser.add_argument("--list", action="store_true", help="list the claims, and measure nothing")
    parser.add_argument("--page", action="store_true", help="write the page from the files, and measure nothing")
    parser.add_argument("--accept", action="store_true", help="make what is measured the new bounds")
    parser.add_argument("--anew", action="store_true", help="throw away what a stopped run has measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; one for each core")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="FOLDER")
    parser.add_argument("--write", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
