"""The symbols of a text, in splits: one for training, and those that are held out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from gatework.data.sources import SPLITS, Source, find_sources
from gatework.data.vocabulary import Symbols, line_end, split_symbols
from gatework.errors import DataError
from gatework.reading.files import decode

_OTHER_ENCODING = (
    "Name its encoding with --encoding (such as latin-1 or utf-16), or take bytes as they are with --level byte."
)


@dataclass(frozen=True)
class Corpus:
    """A text divided into splits.

    Args:
        level: ``byte``, ``char`` or ``word``.
        splits: The symbols of ``train``, ``valid`` and, if the data has one, ``test``.
        sources: The name, number of bytes, SHA-256 and split of each file.
    """

    level: str
    splits: Mapping[str, Symbols]
    sources: tuple[Mapping[str, Any], ...]

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 of the contents of the files, but not of their names, so a text may be moved."""
        contents = [[source["split"], source["sha256"]] for source in self.sources]
        return sha256(json.dumps(contents).encode()).hexdigest()


def read_corpus(
    data: str, *, level: str, encoding: str = "utf-8", pattern: str = "", valid_fraction: float = 0.1
) -> Corpus:
    """Read a text and divide it into splits.

    Splits that the data already has are used. Otherwise the last ``valid_fraction`` of the text is held out. For a
    folder it is taken from every file, up to a line end. For one file, and for the standard library, it is taken from
    the whole text, to the exact symbol; the held-out files of the standard library are then entirely new.

    Args:
        data: A file, a folder, or ``""`` for the source of Python's standard library.
        level: ``byte``, ``char`` or ``word``.
        encoding: The encoding of the files; not used at level ``byte``.
        pattern: A pattern that selects files of a folder, such as ``*.py``.
        valid_fraction: The fraction to hold out, between 0 and 1.

    Returns:
        The corpus, with at least a ``train`` and a ``valid`` split.

    Raises:
        DataError: If files are missing, empty, binary, too short, or in another encoding.
    """
    sources = find_sources(data, pattern)
    texts = [_symbols_of(source, level, encoding) for source in sources]
    facts = tuple(
        {"name": s.name, "split": s.split, "bytes": len(s.content), "sha256": sha256(s.content).hexdigest()}
        for s in sources
    )
    splits = {source.split: text for source, text in zip(sources, texts, strict=True) if source.split}
    if "valid" not in splits:
        whole = [splits["train"]] if splits else _side_by_side(texts, level) if data else [_join(texts, level)]
        cuts = [_cut(part, valid_fraction, line_end(level) if whole[1:] else None) for part in whole]
        splits["train"] = _join([part[:cut] for part, cut in zip(whole, cuts, strict=True)], level)
        splits["valid"] = _join([part[cut:] for part, cut in zip(whole, cuts, strict=True)], level)
    for split in ("train", "valid"):
        if len(splits[split]) < 2:
            raise DataError(
                f"Data '{data}' is too short: its {split} split has {len(splits[split])} {level}s; expected 2 or more. "
                "Give more text, or change --valid-fraction."
            )
    return Corpus(level, {split: splits[split] for split in SPLITS if split in splits}, facts)


def read_whole(data: str, *, level: str, encoding: str = "utf-8", pattern: str = "") -> Symbols:
    """Read a text as a whole, without splits; the arguments are those of :func:`read_corpus`.

    Raises:
        DataError: For the same reasons as :func:`read_corpus`.
    """
    texts = [_symbols_of(source, level, encoding) for source in find_sources(data, pattern)]
    return _join(_side_by_side(texts, level), level)


def decode_text(content: bytes, name: str, encoding: str) -> str:
    """Decode the bytes of a file, or report exactly where they are not text.

    Args:
        content: The bytes.
        name: The name of the file in error messages.
        encoding: The encoding of the bytes. A byte order mark at the start of UTF-8 is dropped.

    Returns:
        The text, with the line ends of the file.

    Raises:
        DataError: If a byte cannot be decoded (the message gives the offset of the first), or if there is a NUL, which
            text does not contain.
    """
    text = decode(content, name, encoding, _OTHER_ENCODING)
    if "\0" in text:
        offset = content.find(b"\0")  # utf-7 spells the character without the byte
        what = f"a NUL byte at offset {offset}" if offset >= 0 else f"a NUL character at place {text.index(chr(0))}"
        raise DataError(
            f"'{name}' looks binary: there is {what}; expected text. "
            "Choose other files with --pattern, name an --encoding, or take bytes as they are with --level byte."
        )
    return text


def _symbols_of(source: Source, level: str, encoding: str) -> Symbols:
    if level == "byte":
        return source.content
    return split_symbols(decode_text(source.content, source.name, encoding), level)


def _cut(symbols: Symbols, fraction: float, end: bytes | str | None) -> int:
    """Find the start of the held-out part, moved back to the last end of a line if ``end`` is given and occurs."""
    cut = int(len(symbols) * (1 - fraction))
    if end is None:
        return cut
    # The search goes backwards from the cut, because str, bytes and lists share no method that searches from the right.
    for index in range(cut - 1, -1, -1):
        if symbols[index : index + 1] in (end, [end]):  # a slice of bytes is bytes, of a list of words a list
            return index + 1
    return cut


def _side_by_side(texts: list[Symbols], level: str) -> list[Symbols]:
    """End the last line of each of several files, so that the next file starts on a new line."""
    if len(texts) == 1:
        return texts
    end: Any = [line_end(level)] if level == "word" else line_end(level)
    return [text if text[-1:] == end else _join([text, end], level) for text in texts]


def _join(texts: list[Any], level: str) -> Any:
    if level == "byte":
        return b"".join(texts)
    if level == "char":
        return "".join(texts)
    return [word for text in texts for word in text]
