"""Decode a text file piece by piece. Standard library only."""

import codecs
import re
import sys
import threading
from pathlib import Path

from gatework.errors import FileError
from gatework.reading.files import decode

_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# Codecs of domain names, which decode only a whole; and codecs that take the order of bytes from a mark, if any.
_WHOLE = ("idna", "punycode")
_MARKED = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


class _Counted(threading.local):
    """The number of places that the codecs of a thread have replaced."""

    number = 0


_counted = _Counted()


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that do not fit by U+FFFD, and count them; the codecs call this."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _counted.number += 1
    return _REPLACEMENT, error.end


_REPLACE = "gatework.replace"
codecs.register_error(_REPLACE, _replace)


class TextDecoder:
    r"""Decode the bytes of a text file, piece by piece.

    Args:
        path: The file, for error messages.
        encoding: The encoding. A byte order mark at the start of UTF-8 is removed.
        replace: Whether to replace what is no text by U+FFFD, instead of refusing it: bytes that do not fit the
            encoding, half characters and NUL characters.
        advice: The advice of the error if the bytes are not text in this encoding.
        binary: The advice of the error if there is a NUL, which text does not contain.

    Example:
        >>> decoder = TextDecoder("book.txt", replace=True)
        >>> decoder.decode(b"caf\xc3") + decoder.decode(b"\xa9 \xff", final=True), decoder.replaced
        ('café �', 1)
    """

    def __init__(
        self, path: str | Path, encoding: str = "utf-8", *, replace: bool = False, advice: str = "", binary: str = ""
    ) -> None:
        self.replaced = 0
        self._path = path
        self._encoding = encoding
        self._replace = replace
        self._advice, self._binary = advice, binary
        self._decoder: codecs.IncrementalDecoder | None = None
        self._whole: list[bytes] | None = [] if codecs.lookup(encoding).name in _WHOLE else None
        self._read = self._written = 0
        self._nul = -1  # the offset of the first NUL byte

    def decode(self, piece: bytes, *, final: bool = False) -> str:
        """Decode the next piece.

        Args:
            piece: The next bytes of the file.
            final: Whether the file ends here.

        Returns:
            The text, with the line ends of the file. Bytes of a character that is not complete yet are kept back.

        Raises:
            FileError: If a byte does not fit the encoding, or if there is a NUL; the message gives its offset.
        """
        if self._nul < 0 and (place := piece.find(0)) >= 0:
            self._nul = self._read + place
        before = _counted.number
        text = self._decoded(piece, final)
        self.replaced += _counted.number - before
        if half := _HALF.search(text):  # some codecs accept surrogates, but no file can be written with them
            if not self._replace:
                place = self._written + half.start()
                raise self._no_text(f"the character at place {place} is half a character")
            text, count = _HALF.subn(_REPLACEMENT, text)
            self.replaced += count
        first, self._written = self._written == 0, self._written + len(text)
        if first and self._encoding.lower() in ("utf-8", "utf8"):
            # The codec utf-8-sig would count the offset of an error from after the mark.
            text = text.removeprefix("\ufeff")
        return self._without_nul(text)

    def _decoded(self, piece: bytes, final: bool) -> str:
        if self._whole is not None:
            self._whole.append(piece)
            return decode(b"".join(self._whole), self._path, self._encoding, self._advice) if final else ""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(self._codec_for(piece))(
                _REPLACE if self._replace else "strict"
            )
        self._read += len(piece)
        try:
            return self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            # The decoder counts from the bytes that it had kept back.
            place = self._read - len(error.object) + error.start
            raise self._no_text(f"byte 0x{error.object[error.start]:02x} at offset {place} does not fit") from error
        except UnicodeError as error:
            raise self._no_text(str(error)) from error

    def _codec_for(self, beginning: bytes) -> str:
        """Return the name of the codec. Without a mark, the bytes are in the order of this machine."""
        name = codecs.lookup(self._encoding).name
        if name in _MARKED and not beginning.startswith(_MARKED[name]):
            return f"{name}-{'le' if sys.byteorder == 'little' else 'be'}"
        return name

    def _without_nul(self, text: str) -> str:
        if "\0" not in text:
            return text
        if self._replace:
            self.replaced += text.count("\0")
            return text.replace("\0", _REPLACEMENT)
        # utf-7 spells the character without the byte
        place = self._written - len(text) + text.index("\0")
        what = f"a NUL byte at offset {self._nul}" if self._nul >= 0 else f"a NUL character at place {place}"
        raise FileError(self._path, f"looks binary: there is {what}; expected text", self._binary)

    def _no_text(self, fault: str) -> FileError:
        return FileError(self._path, f"is not {self._encoding} text: {fault}", self._advice)
