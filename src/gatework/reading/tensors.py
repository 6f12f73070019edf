"""Tensors: files of safetensors."""

from math import prod
from pathlib import Path
from typing import Annotated

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from gatework.errors import FileError
from gatework.reading.files import read_file
from gatework.reading.nested import parse_json

MOST_TENSORS = 64 << 30
"""Bytes of a file of tensors, at most."""

# The kinds of number that are written, and how many bytes each takes.
_KINDS = {"BOOL": 1, "U8": 1, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}
_MOST_HEAD = 64 << 20
_METADATA = "__metadata__"

_Size = Annotated[int, Field(ge=0, le=2**62)]


class _Entry(BaseModel):
    """What the head says of a tensor."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dtype: str
    shape: list[_Size] = Field(max_length=16)
    data_offsets: list[_Size] = Field(min_length=2, max_length=2)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file of safetensors.

    Args:
        path: The file.

    Returns:
        The tensors by name, on the CPU, and the texts that it holds beside them.

    Raises:
        FileError: When it cannot be read or is damaged.
    """
    return parse_safetensors(read_file(path, MOST_TENSORS), path)


def parse_safetensors(content: bytes, path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the bytes of a file of safetensors.

    Args:
        content: The bytes.
        path: The file, for an error.

    Returns:
        The tensors by name, on the CPU, and the texts that it holds beside them.

    Raises:
        FileError: When it is damaged.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_MOST_HEAD, len(content) - 8):
        raise FileError(path, f"is not a safetensors file (its head would end beyond its {len(content):,} bytes)")
    head = parse_json(content[8 : 8 + length], path, dict[str, _Entry | dict[str, str]], inside="head")
    metadata = head.pop(_METADATA, {})
    for name, entry in head.items():
        if not isinstance(entry, _Entry) or entry.dtype not in _KINDS:
            raise FileError(path, f"holds '{name}', which is no tensor of a kind that is known")
        begin, end = entry.data_offsets
        if end - begin != prod(entry.shape) * _KINDS[entry.dtype]:
            raise FileError(path, f"holds '{name}', whose {end - begin:,} bytes do not fit its shape {entry.shape}")
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise FileError(path, f"is not a safetensors file ({error})") from error
    return tensors, metadata if isinstance(metadata, dict) else {}
