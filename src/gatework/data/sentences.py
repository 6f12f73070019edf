"""Sentences and their translations: two files of lines, of which line n of one says the same as line n of the other."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gatework.data.recorded import MOST_PACKED, MOST_TABLE, read_file
from gatework.errors import DataError, FileError
from gatework.reading.files import decode, list_folder
from gatework.reading.packed import unpack_gzip

# What the file of a split may be called, without the ending of the language.
_VALID = ("valid", "val", "dev", "validation")
_LANGUAGE = re.compile(r"[A-Za-z0-9_]{1,20}")
# The most sentences that are held out of a pair of files without others to measure on, for each of two splits.
_MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class Sentences:
    """Sentences and their translations.

    Args:
        source: The sentences.
        target: The translation of each.
        files: The name, number of bytes and SHA-256 of each of the two files.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    files: tuple[Mapping[str, str | int], ...] = ()

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.source)

    def chosen(self, which: Sequence[int]) -> "Sentences":
        """Select some of the pairs."""
        return Sentences(tuple(self.source[n] for n in which), tuple(self.target[n] for n in which), self.files)

    def at_most(self, words: int) -> "Sentences":
        """Select the pairs in which neither sentence has more words, which are told apart by white space.

        Args:
            words: The most words.

        Example:
            >>> Sentences(("a b", "c d e"), ("A", "B")).at_most(2).source
            ('a b',)
        """
        pairs = enumerate(zip(self.source, self.target, strict=True))
        return self.chosen([n for n, pair in pairs if max(len(one.split()) for one in pair) <= words])


def read_sentences(pair: Sequence[str | Path], encoding: str = "utf-8", *, lowercase: bool = False) -> Sentences:
    """Read a file of sentences, one a line, and the file of their translations. Files that end in .gz are unpacked.

    Args:
        pair: The two files.
        encoding: Their encoding.
        lowercase: Whether to read capitals as small letters.

    Returns:
        The sentences, without white space around them.

    Raises:
        FileError: If a file cannot be read, or is not text.
        DataError: If the files have different numbers of lines, or a line is empty.
    """
    contents = [_content(Path(os.path.expanduser(path))) for path in pair]
    sides = [_lines(content, path, encoding) for content, path in zip(contents, pair, strict=True)]
    for lines, path in zip(sides, pair, strict=True):
        if "" in lines:
            raise DataError(
                f"'{path}' has no sentence on line {lines.index('') + 1:,}; expected one on every line. Take this line "
                "out of both files."
            )
    source, target = sides
    if len(source) != len(target):
        raise DataError(
            f"'{pair[0]}' has {len(source):,} lines and '{pair[1]}' {len(target):,}; expected as many, because line n "
            "of one is the translation of line n of the other."
        )
    told = tuple(
        {"name": Path(path).name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for path, content in zip(pair, contents, strict=True)
    )
    if lowercase:
        source, target = ([line.lower() for line in lines] for lines in sides)
    return Sentences(tuple(source), tuple(target), told)


def find_splits(folder: str | Path, languages: Sequence[str]) -> dict[str, tuple[Path, Path]]:
    """Find the files of a folder, such as ``train.en`` and ``train.de``, each of which may be packed as ``.gz``.

    Args:
        folder: The folder.
        languages: The ending of the files of sentences, and that of the files of their translations.

    Returns:
        The pair of files of every split: ``train``; ``valid``, whose files may also be called val, dev or validation;
        and those whose names begin with ``test``, in the order of their names.

    Raises:
        FileError: If the folder cannot be read.
        DataError: If files are missing.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("train.en", "train.de", "val.en", "val.de", "test.en", "test.de.gz"):
        ...         _ = (pathlib.Path(folder) / name).write_bytes(b"")
        ...     {split: target.name for split, (_, target) in find_splits(folder, ("en", "de")).items()}
        {'train': 'train.de', 'valid': 'val.de', 'test': 'test.de.gz'}
    """
    folder = Path(os.path.expanduser(folder))
    halves: dict[str, dict[str, Path]] = {}
    for path in list_folder(folder):
        stem, _, ending = path.name.removesuffix(".gz").rpartition(".")
        split = "valid" if stem in _VALID else stem
        if ending in languages and (split in ("train", "valid") or split.startswith("test")):
            if ending in halves.get(split, {}):
                raise DataError(
                    f"'{folder}' holds '{halves[split][ending].name}' and '{path.name}'; expected one file for the "
                    f"split {split} in each language. Take one of them out."
                )
            halves.setdefault(split, {})[ending] = path
    named = " and ".join(f"train.{ending}" for ending in languages)
    for split in ("train", "valid"):
        if split not in halves:
            raise DataError(
                f"'{folder}' holds no file {split}.{languages[0]} or {split}.{languages[1]}; expected {named}, packed "
                "as .gz or not, and the same for valid. Check --data and --languages."
            )
    for split, found in halves.items():
        for ending in languages:
            if ending not in found:
                known = next(iter(found.values())).name
                raise DataError(
                    f"'{folder}' holds '{known}', and no file of the split {split} in the language '{ending}'; "
                    "expected both halves of every split."
                )
    order = ["train", "valid", *sorted(halves.keys() - {"train", "valid"})]
    return {split: (halves[split][languages[0]], halves[split][languages[1]]) for split in order}


def split_languages(text: str) -> tuple[str, str]:
    """Take two endings of files apart.

    Args:
        text: Both, with a hyphen between.

    Returns:
        The ending of the sentences, and that of their translations.

    Raises:
        DataError: If they are not two different endings.

    Example:
        >>> split_languages("en-de")
        ('en', 'de')
    """
    first, _, second = text.partition("-")
    if first == second or not all(_LANGUAGE.fullmatch(part) for part in (first, second)):
        raise DataError(
            f"languages is '{text}'; expected the endings of the files of sentences and of their translations, such as "
            "en-de."
        )
    return first, second


def hold_out(sentences: Sentences) -> dict[str, Sentences]:
    """Hold sentences out of a pair of files, evenly chosen: of every twenty pairs one for each of two splits.

    Args:
        sentences: The pairs.

    Returns:
        ``train``, ``valid`` and ``test``, the last two with at most a thousand pairs each.

    Raises:
        DataError: If there are too few.

    Example:
        >>> lines = tuple(map(str, range(40)))
        >>> {split: len(part) for split, part in hold_out(Sentences(lines, lines)).items()}
        {'train': 36, 'valid': 2, 'test': 2}
    """
    count = len(sentences)
    held = min(_MOST_HELD_OUT, count // 20)
    if not held:
        raise DataError(
            f"There are {count:,} pairs of sentences; expected 20 or more, of which some are held out. Give more, or "
            "others to measure on with --valid-pair."
        )
    valid = [count * place // held for place in range(held)]
    test = [number + 1 for number in valid]
    left = [*set(range(count)) - {*valid, *test}]
    parts = {"train": sorted(left), "valid": valid, "test": test}
    return {split: sentences.chosen(which) for split, which in parts.items()}


def _content(path: Path) -> bytes:
    content = read_file(path, MOST_TABLE)
    return unpack_gzip(content, path, 16 * MOST_PACKED) if path.suffix == ".gz" else content


def _lines(content: bytes, path: str | Path, encoding: str) -> list[str]:
    """Return the lines of a file. Only a line feed ends one, so that both files are cut alike."""
    advice = "Save it in this encoding, or give another with --encoding."
    lines = decode(content, path, encoding, advice).split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise FileError(path, "is empty", "Expected a sentence on every line.")
    return [line.strip() for line in lines]
