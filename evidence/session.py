"""A run of the evidence that can be stopped: what it has measured lies in a folder, and the same command goes on."""

import json
import shutil
from pathlib import Path
from typing import Any

from gatework.runs.files import write_file


class Session:
    """The folders in which claims are measured.

    Args:
        root: The folder of them all.
        anew: Whether what a stopped run has left is thrown away.
    """

    def __init__(self, root: Path, *, anew: bool = False) -> None:
        self.root = root
        if anew and root.exists():
            for path in root.iterdir():
                if path.is_dir() and path.name != "last":
                    shutil.rmtree(path)

    def folder(self, claim: str) -> Path:
        """Give the folder of a claim, making it where there is none.

        Args:
            claim: The claim's id.

        Returns:
            The folder.
        """
        found = self.root / claim
        found.mkdir(parents=True, exist_ok=True)
        return found

    def begun(self, claim: str) -> bool:
        """Tell whether a run that was stopped has left something of a claim."""
        return (self.root / claim).exists()

    def keep(self, claim: str, result: dict[str, Any], picture: bytes | None) -> None:
        """Keep what was measured until the whole run is over.

        Args:
            claim: The claim's id.
            result: The result as the file has it.
            picture: The picture, if there is one.
        """
        folder = self.folder(claim)
        if picture is not None:
            write_file(folder / "picture.png", picture)
        write_file(folder / "measured.json", json.dumps(result).encode("utf-8"))

    def kept(self, claim: str) -> tuple[dict[str, Any], bytes | None] | None:
        """Give what was measured before the run was stopped; None where nothing was."""
        path = self.root / claim / "measured.json"
        if not path.exists():
            return None
        picture = path.with_name("picture.png")
        found = picture.read_bytes() if picture.exists() else None
        return json.loads(path.read_text(encoding="utf-8")), found

    def close(self, claims: list[str]) -> None:
        """Put the folders of claims aside, so that the next run measures anew; one can still look into them.

        Args:
            claims: The ids.
        """
        for claim in claims:
            if not self.begun(claim):
                continue
            aside = self.root / "last" / claim
            if aside.exists():
                shutil.rmtree(aside)
            aside.parent.mkdir(parents=True, exist_ok=True)
            (self.root / claim).rename(aside)
