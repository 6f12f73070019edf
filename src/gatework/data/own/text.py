"""The text of a table: its encoding and its line ends, as UTF-8 bytes."""

import codecs
from pathlib import Path

from gatework.errors import DataError, FileError
from gatework.reading.signatures import name_format

_STEP = 1 << 20
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The most characters of a line to quote.
_MOST_QUOTED = 40


def to_utf8(content: bytes, path: Path, encoding: str = "") -> tuple[bytes, str]:
    r"""Decode the bytes of a table, and encode them as UTF-8 with line ends that readers know.

    Args:
        content: The bytes of the file.
        path: The file, for error messages.
        encoding: The encoding; empty for UTF-8, or the one that a byte order mark names.

    Returns:
        The bytes in UTF-8 without a byte order mark, and the encoding in words; empty for UTF-8.

    Raises:
        DataError: If the file is of another format, or not text in this encoding.

    Example:
        >>> to_utf8("ä;1".encode("utf-16"), Path("my.csv"))
        (b'\xc3\xa4;1', 'utf-16, as its first bytes say')
    """
    if not content:
        raise DataError(f"'{path}' is empty; expected a table.")
    if not encoding and (named := name_format(content[:4096])):
        raise DataError(f"'{path}' is {named[0]}; expected a table as CSV, Parquet or Arrow. To read it, {named[1]}.")
    said = encoding
    if not encoding:
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
        said = f"{encoding}, as its first bytes say" if encoding else ""
    if encoding:
        content = _recoded(content, path, encoding)
    else:
        content = content.removeprefix(codecs.BOM_UTF8)
        _check(content, path)
    if b"\0" in content:
        if not said and (guessed := _guess_wide(content)):
            return to_utf8(content, path, guessed)[0], f"{guessed}, as its bytes look"
        raise DataError(f"'{path}' holds NUL characters; expected a table as CSV, Parquet or Arrow.")
    if b"\n" not in content:  # the line ends of old Macs
        content = content.replace(b"\r", b"\n")
    return content, said


def _recoded(content: bytes, path: Path, encoding: str) -> bytes:
    """Decode in steps, so that no second copy of a large file is needed."""
    decoder, parts = codecs.getincrementaldecoder(encoding)(), []
    try:
        for place in range(0, len(content), _STEP):
            parts.append(decoder.decode(content[place : place + _STEP]).encode())
        parts.append(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        raise FileError(
            path,
            f"is not {encoding} text ({error.reason if hasattr(error, 'reason') else error})",
            "Name its encoding with --encoding, or save it as UTF-8.",
        ) from error
    return b"".join(parts).removeprefix(codecs.BOM_UTF8)


def _check(content: bytes, path: Path) -> None:
    """Refuse bytes that are not UTF-8, and quote the line as another encoding would show it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for place in range(0, len(content), _STEP):
        try:
            decoder.decode(content[place : place + _STEP], final=place + _STEP >= len(content))
        except UnicodeDecodeError as error:
            # The decoder may have kept up to three bytes of the step before.
            at = max(0, place - 3 + error.start)
            at = next((spot for spot in range(at, min(at + 8, len(content))) if content[spot] >= 0x80), at)
            begin = content.rfind(b"\n", 0, at) + 1
            end = content.find(b"\n", at)
            line = content[max(begin, at - _MOST_QUOTED // 2) : end if end >= 0 else None][:_MOST_QUOTED]
            shown = line.decode("cp1252", errors="replace").strip()
            shown = f"…{shown}" if at - begin > _MOST_QUOTED // 2 else shown
            number = content.count(b"\n", 0, at) + 1
            raise DataError(
                f"'{path}', line {number:,} is not UTF-8 text. It may be of Windows: in cp1252 "
                f"it reads '{shown}'. Say --encoding cp1252 if that is right, or name another encoding."
            ) from error


def _guess_wide(content: bytes) -> str:
    """Guess UTF-16 without a byte order mark: every second byte of plain letters is 0."""
    half = max(1, min(len(content), 4096) // 2)
    even, odd = content[: 2 * half : 2].count(0), content[1 : 2 * half : 2].count(0)
    if odd > 0.7 * half and even < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 * half and odd < 0.1 * half else ""
