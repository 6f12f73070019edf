"""The header of a text of equations: lines such as ``outputs: mu sd`` above the first equation.

A text that brings its header along needs no arguments, so that a file is a whole cell. The lines are called like the
arguments of :func:`gatework.cell`, and say the same in the same words.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from gatework.errors import EquationError, did_you_mean

_LINE = re.compile(r"\s*([A-Za-z_]\w*)\s*:(?!=)")  # `:=` is no header line, but a slip for `=`
_UNSAID: dict[str, Any] = {
    "states": None,
    "inputs": ("x",),
    "outputs": (),
    "sizes": (),
    "memories": (),
    "init": None,
    "source": "",
}
_EXAMPLES = {
    "states": "states: h c",
    "inputs": "inputs: x eps",
    "outputs": "outputs: mu sd",
    "sizes": "sizes: z=mu0 e",
    "memories": "memories: m",
    "init": "init: b_f=1 R=orthogonal",
    "source": "source: Elman 1990",
}


def read_header(text: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    r"""Read the header of a text of equations.

    Args:
        text: The lines of the header, if there are any, and the equations.
        given: The arguments ``states``, ``inputs``, ``outputs``, ``sizes``, ``memories``, ``init`` and ``source`` of
            :func:`gatework.cell`.

    Returns:
        The arguments with what the header says, and the text with its header as comments, so that lines keep their
        numbers.

    Raises:
        EquationError: For a line of the header that is unknown, empty, said twice, or below an equation. The message
            shows the line and a caret.

    Example:
        >>> facts, text = read_header("outputs: q\nq = V @ h\nh = tanh(W @ x)", _UNSAID)
        >>> facts["outputs"], text.splitlines()[0]
        ('q', '# outputs: q')
    """
    if not isinstance(text, str):
        return dict(given), text
    lines = re.split(r"\r\n|\r|\n", text)
    told: dict[str, Any] = {}
    begun = ""  # the first equation
    for number, line in enumerate(lines):
        code = line.partition("#")[0].strip()
        found = _LINE.match(code)
        if found is None:
            begun = begun or code
            continue
        word, value = found[1], code[found.end() :].strip()
        wrong = _fault(word, value, begun, told, given)
        if wrong:
            column = len(line) - len(line.lstrip())
            raise EquationError(wrong, text="\n".join(lines), line=number + 1, column=column)
        told[word] = _initial(value) if word == "init" else value
        lines[number] = f"# {line.strip()}"
    return {**given, **told}, "\n".join(lines) if told else text


def _fault(word: str, value: str, begun: str, told: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Say what is wrong with a line of a header; empty if nothing is."""
    if word not in _UNSAID:
        known = ", ".join(f"`{name}:`" for name in _UNSAID)
        return f"`{word}:` is no line of a header; there are {known}.{did_you_mean(word, _UNSAID)}"
    if begun:
        return f"`{word}:` stands below an equation; lines such as `{_EXAMPLES[word]}` stand above the first one."
    if word in told:
        return f"`{word}:` is said twice; say all of it on one line, such as `{_EXAMPLES[word]}`."
    if given[word] != _UNSAID[word]:
        return f"`{word}:` is said in the text, and `{word}` is also given as an argument; keep one of the two."
    if not value:
        return f"`{word}:` says nothing; write, for example, `{_EXAMPLES[word]}`, or leave the line out."
    if word == "init" and not all(all(part.partition("=")) for part in value.split()):
        return f"`init:` says `{value}`; expected names with their values, such as `{_EXAMPLES[word]}`."
    return ""


def _initial(value: str) -> dict[str, float | str]:
    """Read the initial values of parameters; what is no number is a word."""
    pairs = (part.partition("=") for part in value.split())
    return {name: _number(word) for name, _, word in pairs}


def _number(word: str) -> float | str:
    try:
        value = float(word)
    except ValueError:
        return word
    return value if math.isfinite(value) else word
