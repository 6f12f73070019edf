"""Sequences in ``.ts`` files, as the UEA and UCR archives and sktime write them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FileError

_HOLES = ("?", "nan")


@dataclass(frozen=True)
class Cases:
    """The cases of a ``.ts`` file.

    Args:
        sequences: The numbers of each case ``[T, I]``, NaN at holes.
        labels: The label of each case as text; empty if the file has none.
        classes: The names of the classes that the header lists; empty for other labels.
    """

    sequences: list[NDArray[np.float64]]
    labels: list[str]
    classes: list[str]


def parse_ts(text: str, path: str | Path) -> Cases:
    r"""Read the cases of a ``.ts`` file: numbers with ``,`` between steps and ``:`` between dimensions.

    Args:
        text: The file.
        path: The file, for error messages.

    Returns:
        One case or more, all with as many dimensions.

    Raises:
        FileError: If a line is wrong; the message gives its number.

    Example:
        >>> cases = parse_ts("@classLabel true a b\n@data\n1,2:3,4:a\n", "my.ts")
        >>> cases.sequences[0].tolist(), cases.labels
        ([[1.0, 3.0], [2.0, 4.0]], ['a'])
    """
    classes: list[str] = []
    labelled, listed, inside = True, True, False
    cases = Cases([], [], classes)
    for number, line in enumerate(text.splitlines(), 1):
        head, _, rest = line.strip().partition(" ")
        where, told = f"line {number}:", rest.split()
        match head.lower():
            case "@classlabel" | "@targetlabel" if not inside:
                labelled = not told or told[0].lower() != "false"
                classes += told[1:]
                listed = head.lower() == "@classlabel"
            case "@timestamps" if told and told[0].lower() == "true":
                raise FileError(path, "the cases have time stamps", "Expected steps without.", where)
            case "@data":
                inside = True
            case _ if inside and head:
                sequence, label = _parse_case(line.strip(), labelled, path, where)
                if labelled and listed and label not in classes:
                    raise FileError(path, f"class '{label}' is not one of '{' '.join(classes)}'", inside=where)
                if cases.sequences and sequence.shape[1] != cases.sequences[0].shape[1]:
                    expected = cases.sequences[0].shape[1]
                    fault = f"a case of {sequence.shape[1]} dimensions; expected {expected} as in the cases before"
                    raise FileError(path, fault, inside=where)
                cases.sequences.append(sequence)
                cases.labels.extend([label] if labelled else [])
    if not cases.sequences:
        raise FileError(path, "holds no case; expected lines of numbers after '@data'", "Download the file again.")
    return cases


def _parse_case(line: str, labelled: bool, path: str | Path, where: str) -> tuple[NDArray[np.float64], str]:
    *dimensions, label = line.split(":") if labelled else (*line.split(":"), "")
    try:
        columns = [[_parse_value(field) for field in dimension.split(",")] for dimension in dimensions]
    except ValueError as error:
        fault = f"{error}; expected numbers separated by ',' and dimensions by ':'"
        raise FileError(path, fault, inside=where) from error
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        fault = f"dimensions of {sorted(lengths)} steps; expected one or more, all equally long"
        raise FileError(path, fault, inside=where)
    sequence = np.array(columns).T
    if np.isinf(sequence).any():
        raise FileError(path, "a value is not finite; expected numbers only", inside=where)
    return sequence, label.strip()


def _parse_value(field: str) -> float:
    return np.nan if field.strip().lower() in _HOLES else float(field)
