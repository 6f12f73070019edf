"""The files of a text: one file, a folder, or the source of the Python standard library."""

import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import ascii_letters

from gatework.errors import DataError
from gatework.reading.files import MOST_TEXT, list_folder, read_beginning, read_file, read_pieces

SPLITS = ("train", "valid", "test")
STANDARD_LIBRARY = "python"

_SPLIT_FILE = re.compile(r"(?P<prefix>(?:.*\.)?)(?P<split>train|valid|test)\.txt")
# Tests are repetitive, bundled packages and configuration differ between installations, and the character tables under
# encodings/ and pydoc_data/ hardly look like Python code.
_LEFT_OUT = re.compile(
    r"(^|/)(tests?|idle_test|site-packages|dist-packages|encodings|pydoc_data|lib-dynload|__pycache__|_bundled"
    r"|config-[^/]*)/|(^|/)(_sysconfigdata|_sysconfig_vars|sitecustomize)[^/]*$"
)
_STANDARD_LIBRARY_BYTES = 4_000_000
_ADVICE = "check that it is yours to read"
# The most files of a folder: the data that a run directory names might be the root of a whole disk.
_MOST_FILES = 1_000_000


@dataclass(frozen=True)
class Source:
    """One file of a text.

    Args:
        name: The path of the file, relative to the given folder.
        split: ``train``, ``valid`` or ``test``, or ``""`` if a part of the file is to be held out.
        path: The file itself.
    """

    name: str
    split: str
    path: Path

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file, piece by piece.

        Raises:
            FileError: If the file cannot be read.
        """
        return read_pieces(self.path, MOST_TEXT, _ADVICE)


def find_sources(data: str, pattern: str = "") -> list[Source]:
    """Find the files of a text.

    A folder with ``train.txt`` (or ``*.train.txt``, with ``valid`` and ``test`` beside it) is read as those splits. In
    any other folder, all files that match the pattern are read, in the order of their names.

    Args:
        data: A file, a folder, or ``""`` for the source of Python's standard library.
        pattern: A pattern that selects files of a folder, such as ``*.py``. If empty, ``*.txt`` if there are any such
            files, and otherwise all files.

    Returns:
        One or more files, none of them empty.

    Raises:
        DataError: If there is nothing to read.
    """
    if not data:
        return _standard_library()
    path = Path(os.path.expanduser(data))
    if not _exists(path):
        raise DataError(f"Data '{data}' does not exist; expected a file or a folder of text. Check --data.")
    if path.is_dir():
        return _folder(path, pattern)
    if not path.is_file():
        raise DataError(f"Data '{data}' is not a regular file; expected a file or a folder of text. Check --data.")
    if not _size(path):
        raise DataError(f"Data '{data}' is empty; expected a file with text in it. Check --data.")
    return [Source(path.name, "", path)]


def _folder(folder: Path, pattern: str) -> list[Source]:
    if not pattern and (splits := _split_files(folder)):
        for split, path in splits.items():
            if not _size(path):
                raise DataError(f"Data '{path}' is empty; expected the {split} split's text.")
        return [Source(path.name, split, path) for split, path in splits.items()]
    paths = sorted(_visible(folder, pattern or "*.txt")) or (sorted(_visible(folder, "*")) if not pattern else [])
    sources: list[Source] = []
    room = MOST_TEXT
    for path in paths:
        size = _size(path)
        room -= size
        if room < 0:
            raise DataError(
                f"Data '{folder}' holds more than {MOST_TEXT:,} bytes of text. Choose files with --pattern."
            )
        if size:
            sources.append(Source(path.relative_to(folder).as_posix(), "", path))
    if not sources:
        kind = f"file that matches '{pattern}'" if pattern else "file"
        raise DataError(f"Data '{folder}' holds no {kind} with anything in it; expected text. Check --data, --pattern.")
    return sources


def _split_files(folder: Path) -> dict[str, Path]:
    """Find the files of ready-made splits; empty if there is no train file."""
    found: dict[str, dict[str, Path]] = {}
    for path in list_folder(folder):
        if (match := _SPLIT_FILE.fullmatch(path.name)) and path.is_file():
            found.setdefault(match["prefix"], {})[match["split"]] = path
    with_training = [prefix for prefix, files in found.items() if "train" in files]
    if not with_training:
        return {}
    if len(with_training) > 1:
        names = ", ".join(f"{prefix}train.txt" for prefix in with_training)
        raise DataError(f"Data '{folder}' holds several training files ({names}); expected one. Give one file itself.")
    files = found[with_training[0]]
    return {split: files[split] for split in SPLITS if split in files}


def _visible(folder: Path, pattern: str) -> Iterator[Path]:
    if "\0" in pattern or ".." in Path(pattern).parts or Path(pattern).is_absolute():
        raise _bad_pattern(pattern)
    try:
        for number, path in enumerate(folder.rglob(pattern)):
            if number == _MOST_FILES:
                raise DataError(f"Data '{folder}' holds more than {_MOST_FILES:,} files. Choose them with --pattern.")
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
                yield path
    except DataError:
        raise
    except ValueError as error:  # a '**' that is not a whole part of the path
        raise _bad_pattern(pattern) from error


def _bad_pattern(pattern: str) -> DataError:
    return DataError(
        f"pattern is '{pattern}'; expected one for files within the folder, such as *.py. Check --pattern."
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long for a file, or the folder may not be read
        return False


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 1 if there is something in it although its size is 0, as in /proc."""
    beginning, size = read_beginning(path, 1, _ADVICE)
    return size or len(beginning)


def _standard_library() -> list[Source]:
    """Read the first megabytes of the standard library, in a shuffled order that is always the same."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    names = [name for name in paths if not _LEFT_OUT.search(name)]
    sources: list[Source] = []
    room = _STANDARD_LIBRARY_BYTES
    for name in sorted(names, key=lambda name: sha256(name.encode()).digest()):
        content = read_file(paths[name], MOST_TEXT, _ADVICE)
        if len(content) <= room and _is_prose(content):
            sources.append(Source(name, "", paths[name]))
            room -= len(content)
    if not sources:
        raise DataError(f"Python's standard library has no source at '{root}' to train on. Give a text with --data.")
    return sources


def _is_prose(content: bytes) -> bool:
    """Tell code apart from tables of numbers and signs, which have few letters, and from bytes that are not UTF-8."""
    letters = len(content) - len(content.translate(None, ascii_letters.encode()))
    try:
        return "\0" not in content.decode("utf-8") and letters > 0.42 * len(content)
    except UnicodeDecodeError:
        return False
