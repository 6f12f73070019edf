"""JSON and TOML, with limited depth and finite numbers, and checked against an expected form."""

import json
import re
import tomllib
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gatework.errors import FileError, sentences
from gatework.reading.files import decode, read_file

DEPTH = 32
"""The largest allowed depth of nested values."""

MOST_SETTINGS = 1 << 18
"""The largest size of a settings file in bytes."""

MOST_FACTS = 1 << 27
"""The largest size of a file about a run in bytes. A vocabulary may have millions of words, and a text millions of
files.
"""

MOST_LINES = 1 << 30
"""The largest size in bytes of a file to which lines of JSON are appended."""

_DIGITS = 20  # the digits of a 64-bit integer, and a sign
# The time of Python's TOML parser is quadratic in the number of parts of a dotted key. A key comes at the beginning of
# a line, a header or a table, or after a comma; comments and most texts do not.
_DOTTED = re.compile(r"""(?m)(?:^|[\[{,])[ \t]*+(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}""")

Form = TypeVar("Form")


def parse_value(content: bytes, path: str | Path, inside: str = "") -> Any:
    """Parse any JSON value.

    Args:
        content: The JSON.
        path: The source of the JSON, for error messages.
        inside: The place in the file, for error messages, such as ``line 3``.

    Returns:
        The value.

    Raises:
        FileError: If the content is not JSON, contains NaN, infinite values or integers of more than 64 bits, or is
            nested too deeply.
    """
    try:
        value = json.loads(content, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise _too_deep(path, inside) from None
    except ValueError as error:
        raise FileError(path, f"is damaged: it is not JSON ({error})", inside=inside) from error
    # Most JSON is flat, and need not be traversed.
    if content.count(b"[") + content.count(b"{") > DEPTH and _depth(value) > DEPTH:
        raise _too_deep(path, inside)
    return value


def parse_object(content: bytes, path: str | Path, inside: str = "") -> dict[str, Any]:
    """Parse any JSON object.

    Args:
        content: The JSON.
        path: The source of the JSON, for error messages.
        inside: The place in the file, for error messages, such as ``line 3``.

    Returns:
        The values by key.

    Raises:
        FileError: As for :func:`parse_value`, and if the value is not an object.

    Example:
        >>> parse_object(b'{"a": [1, NaN]}', "numbers.json")
        Traceback (most recent call last):
        gatework.errors.FileError: 'numbers.json' is damaged: it is not JSON (NaN is no finite number).
    """
    value = parse_value(content, path, inside)
    if not isinstance(value, dict):
        raise FileError(path, "is damaged; expected a JSON object", inside=inside)
    return value


def read_object(path: str | Path, most: int = MOST_FACTS) -> dict[str, Any]:
    """Read a file with a JSON object, see :func:`parse_object`.

    Args:
        path: The file.
        most: The largest allowed size in bytes.

    Returns:
        The values by key.

    Raises:
        FileError: If the file cannot be read or is not a JSON object.
    """
    return parse_object(read_file(path, most), path)


def parse_json(content: bytes, path: str | Path, form: type[Form], inside: str = "") -> Form:
    """Parse JSON of a given form.

    Args:
        content: The JSON.
        path: The source of the JSON, for error messages.
        form: The expected form: a type, or a pydantic model. No value is converted to another type.
        inside: The place in the file, for error messages, such as ``line 3``.

    Returns:
        The value.

    Raises:
        FileError: As for :func:`parse_value`, and if the value has another form.

    Example:
        >>> parse_json(b'{"a": [1, 2]}', "numbers.json", dict[str, list[int]])
        {'a': [1, 2]}
        >>> parse_json(b'{"a": [1, "2"]}', "numbers.json", dict[str, list[int]])
        Traceback (most recent call last):
        gatework.errors.FileError: 'numbers.json' is damaged: a.1 is '2'; it should be a valid integer.
    """
    parse_value(content, path, inside)
    try:
        return _adapter(form).validate_json(content, strict=True)
    except ValidationError as error:
        raise FileError(path, f"is damaged: {fault_in_words(error)}", inside=inside) from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file, of at most :data:`MOST_SETTINGS` bytes.

    Returns:
        The values by key.

    Raises:
        FileError: If the file cannot be read, is not TOML, or is nested too deeply.
    """
    text = decode(read_file(path, MOST_SETTINGS), path)
    if _DOTTED.search(text):
        raise _too_deep(path)
    try:
        values = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError as error:  # includes numbers with thousands of digits, which are not a TOMLDecodeError
        raise FileError(path, f"is not TOML ({error})") from error
    if _depth(values) > DEPTH:
        raise _too_deep(path)
    if _has_huge(values):  # such a number in base 16 may have more digits than Python prints
        raise FileError(path, "is not TOML (a whole number of more than 64 bits)")
    return values


def fault_in_words(error: ValidationError) -> str:
    """Describe the first error that pydantic found.

    Args:
        error: The error that pydantic raised.

    Returns:
        A sentence: the place, the value there, and the expected value.
    """
    fault = error.errors()[0]
    place = ".".join(str(part)[:40] for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{place} is missing."
    if fault["type"] == "extra_forbidden":
        return f"{place} is not known."
    given = repr(fault["input"])
    shown = given if len(given) <= 60 else f"{given[:57]}…"
    return sentences(f"{place or 'the whole'} is {shown}; {expectation(fault['msg'])}")


def expectation(message: str) -> str:
    """Put what pydantic expected into the words of this package.

    Args:
        message: The message of an error that pydantic found.

    Returns:
        A clause.

    Example:
        >>> expectation("Input should be a valid integer")
        'it should be a valid integer'
    """
    told = message.removeprefix("Value error, ").replace("Input should", "it should", 1)
    return told[:1].lower() + told[1:]


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits; expected at most {_DIGITS}")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:_DIGITS]} is no finite number")
    return value


def _depth(value: Any) -> int:
    """Return the depth of a nested value, or a depth above the limit, without recursion."""
    level, depth = [value], 0
    while level and depth <= DEPTH:
        containers = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
        depth += bool(containers)
    return depth


def _has_huge(value: Any) -> bool:
    """Tell whether nested values contain an integer of more than 64 bits."""
    if isinstance(value, dict | list):
        return any(map(_has_huge, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value.bit_length() > 64


def _too_deep(path: str | Path, inside: str = "") -> FileError:
    return FileError(path, f"is nested deeper than {DEPTH} levels", inside=inside)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)
