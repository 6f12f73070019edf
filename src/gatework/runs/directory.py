"""The common base of the directories of runs and comparisons: files, files of lines, and the lock."""

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
    """The noun for its contents, in messages."""
    denial: ClassVar[str]
    """The phrase for a directory with other contents, in messages."""
    called: ClassVar[str]
    """The name of the directory itself, in messages."""
    before_config: ClassVar[frozenset[str]]
    """The files that may exist before ``config.json``, which is written last."""

    def exists(self) -> bool:
        """Tell whether the directory has a configuration."""
        return (self.path / "config.json").is_file()

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a file with one JSON object.

        Args:
            name: The name of the file in the directory.

        Raises:
            RunError: If the file is missing or cannot be read.
        """
        try:
            return read_object(self.path / name)
        except FileError as error:
            raise RunError(f"The {self.noun}'s file {error}") from error

    def lock(self) -> Lock:
        """Lock the directory for writing; make it if it does not exist.

        Returns:
            The lock; release it at the end.

        Raises:
            RunError: If another process writes the directory, or if it has other contents.
        """
        with self.saving():
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileExistsError as error:
                raise RunError(
                    f"'{self.path}' is a file; expected the name of a directory for the {self.noun}."
                ) from error
            if not self.exists():
                self._refuse_others()
            return Lock(self.path / ".lock")

    def saving(self) -> Any:
        """Replace an OSError while writing here by a clear message; use it in a ``with`` statement."""
        return saving(f"{self.called} '{self.path}'")

    def sweep_folders(self, *folders: Path) -> None:
        """Remove the unfinished files that a killed process left in folders of the directory."""
        with self.saving():
            for folder in folders:
                sweep(folder)

    def read_lines(
        self, path: Path, parse: Callable[[bytes], Line], fault: str, flushed: int | None = None
    ) -> list[Line]:
        """Read a file of lines, without a truncated last line.

        Args:
            path: The file; it may be missing.
            parse: Parses one line, or raises FileError.
            fault: The message for a line that cannot be parsed, such as ``is not JSON``.
            flushed: The number of lines that were flushed to the disk. Later lines are ignored, because a crash may
                have corrupted them. None if unknown; all lines are then read.

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
                # A crash leaves half a line or a line of zeros at the end, with no valid line after it.
                if (flushed is not None and line) or any(below.strip(b"\0") for below in lines[number:]):
                    raise RunError(f"'{path}' is damaged: line {number} {fault}.") from error
                break
        return whole

    def _refuse_others(self) -> None:
        names = sorted(path.name for path in self.path.iterdir() if not path.name.startswith(UNFINISHED))
        others = [name for name in names if name not in self.before_config]
        if others:
            raise RunError(
                f"'{self.path}' is {self.denial} and not empty (it holds {', '.join(others[:3])}"
                f"{' …' if others[3:] else ''}). Choose another directory with --run."
            )


def split_lines(path: Path, noun: str) -> list[bytes]:
    """Return the unparsed lines of a file; the last one is the rest after the last line end.

    Args:
        path: The file; a missing file has one empty line.
        noun: What the file belongs to, for error messages.

    Raises:
        RunError: If the file cannot be read.
    """
    if not path.exists():
        return [b""]
    try:
        return read_file(path, MOST_LINES).split(b"\n")
    except FileError as error:
        raise RunError(f"The {noun}'s file {error}") from error


def append_line(path: Path, line: bytes, *, flush: bool = False) -> None:
    """Add a line to a file.

    Args:
        path: The file.
        line: The line, with its line end.
        flush: Whether to flush the line to the disk at once.

    Raises:
        RunError: If the line cannot be written.
    """
    with saving(f"'{path}'"), path.open("ab") as file:
        file.write(line)
        if flush:
            file.flush()
            os.fsync(file.fileno())
