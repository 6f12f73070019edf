"""What directories of runs and of comparisons have in common: their files, their lines, and the right to write them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from gatework.errors import FileError, RunError
from gatework.reading.files import read_file
from gatework.reading.nested import MOST_LINES, read_object
from gatework.runs.files import UNFINISHED, saving, sweep
from gatework.runs.locks import Lock

Line = TypeVar("Line")


@dataclass(frozen=True)
class Directory:
    """A directory that one process at a time writes; ``config.json`` holds its settings.

    Args:
        path: The directory.
    """

    path: Path

    noun: ClassVar[str]
    """What it holds, in a sentence."""
    denial: ClassVar[str]
    """How it is said that it holds something else."""
    called: ClassVar[str]
    """What the directory itself is called."""
    before_config: ClassVar[frozenset[str]]
    """What may be there before ``config.json``, which is written last."""

    def exists(self) -> bool:
        """Tell whether there is one here."""
        return (self.path / "config.json").is_file()

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a file of the directory that holds one JSON object.

        Args:
            name: Its name in the directory.

        Raises:
            RunError: If it is not there, or cannot be read.
        """
        try:
            return read_object(self.path / name)
        except FileError as error:
            raise RunError(f"the {self.noun}'s file {error}") from error

    def lock(self) -> Lock:
        """Take the directory for writing, making it where there is none.

        Returns:
            The right to write; release it at the end.

        Raises:
            RunError: If another process writes it, or it holds something else.
        """
        with self.saving():
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileExistsError as error:
                raise RunError(
                    f"'{self.path}' is a file: expected the name of a directory for the {self.noun}"
                ) from error
            if not self.exists():
                self._refuse_others()
            return Lock(self.path / ".lock")

    def saving(self) -> Any:
        """Turn the system's refusal to write here into one clear sentence; use it in a ``with`` statement."""
        return saving(f"{self.called} '{self.path}'")

    def sweep_folders(self, *folders: Path) -> None:
        """Remove what a killed process left unfinished in folders of the directory."""
        with self.saving():
            for folder in folders:
                sweep(folder)

    def read_lines(
        self, path: Path, parse: Callable[[bytes], Line], fault: str, flushed: int | None = None
    ) -> list[Line]:
        """Read a file of lines, leaving out a last one that was cut short.

        Args:
            path: The file; it need not be there.
            parse: Reads one line, or raises FileError.
            fault: What is said of a line that cannot be read, such as ``is not JSON``.
            flushed: How many lines had been seen to the disk; those below are left out, for a crash may have put
                anything in their place. When None that is not known, and all are read.

        Returns:
            The lines.

        Raises:
            RunError: If a line in the middle is damaged.
        """
        lines = split_lines(path, self.noun)
        whole: list[Line] = []
        for number, line in enumerate(lines if flushed is None else lines[:flushed], start=1):
            try:
                whole.append(parse(line))
            except FileError as error:
                # A crash leaves half a line at the end, or one of zeros: nothing sound stands below it.
                if (flushed is not None and line) or any(below.strip(b"\0") for below in lines[number:]):
                    raise RunError(f"'{path}' is damaged: line {number} {fault}") from error
                break
        return whole

    def _refuse_others(self) -> None:
        names = sorted(path.name for path in self.path.iterdir() if not path.name.startswith(UNFINISHED))
        others = [name for name in names if name not in self.before_config]
        if others:
            raise RunError(
                f"'{self.path}' is {self.denial} and not empty (it holds {', '.join(others[:3])}"
                f"{' …' if others[3:] else ''}): choose another directory with --run"
            )


def split_lines(path: Path, noun: str) -> list[bytes]:
    """Give the lines of a file as they stand; the last one is what follows the last line's end.

    Args:
        path: The file; where it is not there, there is one empty line.
        noun: What the file belongs to, for the error's sentence.

    Raises:
        RunError: If the file cannot be read.
    """
    if not path.exists():
        return [b""]
    try:
        return read_file(path, MOST_LINES).split(b"\n")
    except FileError as error:
        raise RunError(f"the {noun}'s file {error}") from error


def append_line(path: Path, line: bytes, *, flush: bool = False) -> None:
    """Add a line to a file.

    Args:
        path: The file.
        line: The line, with its end.
        flush: Whether it is seen to the disk at once.

    Raises:
        RunError: If the system refuses.
    """
    with saving(f"'{path}'"), path.open("ab") as file:
        file.write(line)
        if flush:
            file.flush()
            os.fsync(file.fileno())
