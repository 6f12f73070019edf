"""The committed results: one file for each claim, and what of them a new measurement moved."""

import json
import os
import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evidence.claim import Claim, Measured
from evidence.figures import Figure, Figures

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parent.parent / "docs" / "images"
PACKAGES = ("gatework", "torch", "numpy")


@dataclass(frozen=True)
class Moved:
    """Something that is not as it was.

    Args:
        claim: The claim's id.
        what: The figure, or what else it is.
        was: What it was, or between what it may be.
        now: What it is.
    """

    claim: str
    what: str
    was: str
    now: str


def document(claim: Claim, measured: Measured) -> dict[str, Any]:
    """Give what was measured as the file has it.

    Args:
        claim: The claim.
        measured: What was measured.

    Returns:
        Plain data.
    """
    return {
        "claim": claim.id,
        "commands": list(claim.commands),
        "verdict": claim.judge(Figures(measured.figures)).word,
        "figures": [figure.to_json() for figure in measured.figures],
        "settings": dict(measured.settings),
        "remarks": list(measured.remarks),
        "picture": None if measured.picture is None else f"evidence-{claim.id}.png",
        "processor_seconds": round(measured.seconds),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def figures_of(result: dict[str, Any]) -> Figures:
    """Read the figures of a result."""
    return Figures([Figure.from_json(facts) for facts in result["figures"]])


def read_result(claim: Claim, folder: Path = RESULTS) -> dict[str, Any] | None:
    """Read a committed result.

    Args:
        claim: The claim.
        folder: Where the files are.

    Returns:
        The result; None where nothing was ever accepted.
    """
    path = folder / f"{claim.id}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_result(claim: Claim, result: dict[str, Any], picture: bytes | None, folder: Path, images: Path) -> None:
    """Write a result, and its picture beside the documents.

    Args:
        claim: The claim.
        result: The result.
        picture: The picture; None for none.
        folder: Where the files are.
        images: Where the pictures are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / f"{claim.id}.json").write_text(text + "\n", encoding="utf-8")
    if picture is not None:
        (images / f"evidence-{claim.id}.png").write_bytes(picture)


def held_to(result: dict[str, Any], committed: dict[str, Any]) -> dict[str, Any]:
    """Give a new result the bounds and the verdict of the committed one: they change by consent only.

    Args:
        result: What was measured now.
        committed: What was accepted.

    Returns:
        The new values, with the old bounds where a figure had some.
    """
    before = figures_of(committed)
    figures = [
        replace(figure, least=before[name].least, most=before[name].most) if name in before else figure
        for name, figure in figures_of(result).items()
    ]
    return result | {"verdict": committed["verdict"], "figures": [figure.to_json() for figure in figures]}


def find_moved(claim: Claim, result: dict[str, Any], committed: dict[str, Any] | None) -> list[Moved]:
    """Say what is not as it was accepted.

    Args:
        claim: The claim.
        result: What was measured now.
        committed: What was accepted; None where nothing was.

    Returns:
        One entry for each figure outside its bounds, missing or new, for settings that differ, and for a verdict that
        is another one.
    """
    if committed is None:
        return [Moved(claim.id, "the whole claim", "nothing was accepted", "measured")]
    before, now = figures_of(committed), figures_of(result)
    found = [
        Moved(claim.id, name, f"{figure.least:.6g} to {figure.most:.6g}", f"{now[name].value:.6g}")
        for name, figure in before.items()
        if name in now and not figure.allows(now[name].value)
    ]
    found += [Moved(claim.id, name, "measured", "not measured") for name in before if name not in now]
    found += [Moved(claim.id, name, "not measured", "measured") for name in now if name not in before]
    if _plain(result["settings"]) != _plain(committed["settings"]):
        found.append(Moved(claim.id, "settings", json.dumps(committed["settings"]), json.dumps(result["settings"])))
    if result["verdict"] != committed["verdict"]:
        found.append(Moved(claim.id, "verdict", committed["verdict"], result["verdict"]))
    return found


def _plain(value: Any) -> Any:
    """Give data as a file would give it back: tuples are lists there."""
    return json.loads(json.dumps(value))
