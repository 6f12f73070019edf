"""JSON and TOML: nested values, not too deep, with numbers that are numbers, and of the form that is expected."""

import json
import re
import tomllib
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gatework.errors import FileError
from gatework.reading.files import decode, read_file

DEPTH = 32
"""How deep values may be nested."""

MOST_SETTINGS = 1 << 18
"""Bytes of a file of settings, at most."""

MOST_FACTS = 1 << 27
"""Bytes of a file of facts about a run, at most: a vocabulary has some millions of words, a text as many files."""

MOST_LINES = 1 << 30
"""Bytes of a file that grows by a line of JSON at a time, at most."""

_DIGITS = 20  # of a whole number: as many as 64 bits have, and a sign
# Python's reader takes time with the square of a dotted key's parts. Keys stand where a line, a header or a table
# begins, or behind a comma; comments and most texts stand elsewhere.
_DOTTED = re.compile(r"""(?m)(?:^|[\[{,])[ \t]*+(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}""")

Form = TypeVar("Form")


def parse_value(content: bytes, path: str | Path, inside: str = "") -> Any:
    """Read JSON, whatever it is.

    Args:
        content: The JSON.
        path: Where it is from, for an error.
        inside: The place in the file, for an error, such as ``line 3``.

    Returns:
        The value.

    Raises:
        FileError: When it is no JSON; NaN, infinities and numbers beyond 64 bits are refused, and so is what is nested
            too deeply.
    """
    try:
        value = json.loads(content, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise _too_deep(path, inside) from None
    except ValueError as error:
        raise FileError(path, f"is damaged: it is not JSON ({error})", inside=inside) from error
    # Most is flat, and need not be walked through.
    if content.count(b"[") + content.count(b"{") > DEPTH and _depth(value) > DEPTH:
        raise _too_deep(path, inside)
    return value


def parse_object(content: bytes, path: str | Path, inside: str = "") -> dict[str, Any]:
    """Read a JSON object, whatever is in it.

    Args:
        content: The JSON.
        path: Where it is from, for an error.
        inside: The place in the file, for an error, such as ``line 3``.

    Returns:
        Its values by key.

    Raises:
        FileError: As :func:`parse_value`, and when it is no object.

    Example:
        >>> parse_object(b'{"a": [1, NaN]}', "numbers.json")
        Traceback (most recent call last):
        gatework.errors.FileError: 'numbers.json' is damaged: it is not JSON (NaN is no finite number)
    """
    value = parse_value(content, path, inside)
    if not isinstance(value, dict):
        raise FileError(path, "is damaged: expected a JSON object", inside=inside)
    return value


def read_object(path: str | Path, most: int = MOST_FACTS) -> dict[str, Any]:
    """Read a file that holds a JSON object, see :func:`parse_object`.

    Args:
        path: The file.
        most: Bytes that it may have.

    Returns:
        Its values by key.

    Raises:
        FileError: When it cannot be read, is no JSON, or no object.
    """
    return parse_object(read_file(path, most), path)


def parse_json(content: bytes, path: str | Path, form: type[Form], inside: str = "") -> Form:
    """Read JSON of a certain form.

    Args:
        content: The JSON.
        path: Where it is from, for an error.
        form: What is expected: a type, or a model of pydantic. Nothing is turned from one kind into another.
        inside: The place in the file, for an error, such as ``line 3``.

    Returns:
        The value.

    Raises:
        FileError: As :func:`parse_value`, and when it has another form.

    Example:
        >>> parse_json(b'{"a": [1, 2]}', "numbers.json", dict[str, list[int]])
        {'a': [1, 2]}
        >>> parse_json(b'{"a": [1, "2"]}', "numbers.json", dict[str, list[int]])
        Traceback (most recent call last):
        gatework.errors.FileError: 'numbers.json' is damaged: a.1 is '2', expected a valid integer
    """
    parse_value(content, path, inside)
    try:
        return _adapter(form).validate_json(content, strict=True)
    except ValidationError as error:
        raise FileError(path, f"is damaged: {fault_in_words(error)}", inside=inside) from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a file of TOML.

    Args:
        path: The file, of at most :data:`MOST_SETTINGS` bytes.

    Returns:
        Its values by key.

    Raises:
        FileError: When it cannot be read, is no TOML, or is nested too deeply.
    """
    text = decode(read_file(path, MOST_SETTINGS), path)
    if _DOTTED.search(text):
        raise _too_deep(path)
    try:
        values = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError as error:  # a number of thousands of digits is not reported as TOML's own fault
        raise FileError(path, f"is not TOML ({error})") from error
    if _depth(values) > DEPTH:
        raise _too_deep(path)
    if _has_huge(values):  # in base 16 it may have more digits than Python will print
        raise FileError(path, "is not TOML (a whole number of more than 64 bits)")
    return values


def fault_in_words(error: ValidationError) -> str:
    """Say the first thing that pydantic found wrong.

    Args:
        error: What pydantic raised.

    Returns:
        A clause: the place, what is there, and what was expected.
    """
    fault = error.errors()[0]
    place = ".".join(str(part)[:40] for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{place} is missing"
    if fault["type"] == "extra_forbidden":
        return f"{place} is not known"
    given = repr(fault["input"])
    shown = given if len(given) <= 60 else f"{given[:57]}…"
    told = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    return f"{place or 'the whole'} is {shown}, {told}"


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits, expected at most {_DIGITS}")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:_DIGITS]} is no finite number")
    return value


def _depth(value: Any) -> int:
    """Count how deep a value is nested, no further than is needed, without going down by calls."""
    level, depth = [value], 0
    while level and depth <= DEPTH:
        containers = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
        depth += bool(containers)
    return depth


def _has_huge(value: Any) -> bool:
    """Say whether a whole number in nested values has more than 64 bits."""
    if isinstance(value, dict | list):
        return any(map(_has_huge, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value.bit_length() > 64


def _too_deep(path: str | Path, inside: str = "") -> FileError:
    return FileError(path, f"is nested deeper than {DEPTH} levels", inside=inside)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)
