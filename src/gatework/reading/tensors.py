"""Tensors: safetensors files."""

from math import prod
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from gatework.errors import FileError
from gatework.reading.files import read_beginning
from gatework.reading.nested import parse_json

MOST_TENSORS = 64 << 30
"""The largest size of a tensor file in bytes."""

# The number types of the format, and the size of each in bytes.
_KINDS = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}
_MOST_HEAD = 64 << 20

_Size = Annotated[int, Field(ge=0, le=2**62)]


class _Entry(BaseModel):
    """The header entry of a tensor."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dtype: str
    shape: list[_Size] = Field(max_length=16)
    data_offsets: list[_Size] = Field(min_length=2, max_length=2)


class _Head(BaseModel):
    """The header of a file: every tensor by name, and a dictionary of texts."""

    model_config = ConfigDict(extra="allow", strict=True)

    __pydantic_extra__: dict[str, _Entry]  # pyrefly: ignore  # tells pydantic the type of all other keys
    metadata: dict[str, str] = Field({}, alias="__metadata__")


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file, which may be large, without holding any data twice.

    Args:
        path: The file.

    Returns:
        The tensors by name, on the CPU, and the metadata of the file.

    Raises:
        FileError: If the file cannot be read or is damaged.
    """
    start, size = read_beginning(path, 8)
    length = _length(start, size, path)
    head = _check_head(read_beginning(path, 8 + length)[0][8:], path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, head.metadata  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise FileError(path, f"is not a safetensors file ({error})") from error


def parse_safetensors(content: bytes, path: str | Path) -> dict[str, Tensor]:
    """Parse the bytes of a safetensors file.

    Args:
        content: The bytes.
        path: The file, for error messages.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        FileError: If the content is damaged.
    """
    _check_head(content[8 : 8 + _length(content[:8], len(content), path)], path)
    try:
        return load(content)
    except SafetensorError as error:
        raise FileError(path, f"is not a safetensors file ({error})") from error


def _length(start: bytes, size: int, path: str | Path) -> int:
    """Return the length of the header, which the first eight bytes contain; ``size`` is the size of the file."""
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(_MOST_HEAD, size - 8):
        raise FileError(path, f"is not a safetensors file: its head would end beyond its {size:,} bytes")
    return length


def _check_head(content: bytes, path: str | Path) -> _Head:
    """Parse the header, and check that every tensor has as many bytes as its shape needs."""
    head = parse_json(content, path, _Head, inside="its head")
    for name, entry in (head.model_extra or {}).items():
        begin, end = entry.data_offsets
        if end - begin != prod(entry.shape) * _KINDS.get(entry.dtype, -1):
            raise FileError(path, f"holds '{name}', whose {end - begin:,} bytes are no {entry.dtype} {entry.shape}")
    return head
