"""Arrays of numbers: idx, npz and npy. A header is compared with the actual contents before it is used."""

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FileError
from gatework.reading.packed import unpack_gzip

# The beginning of an idx file: two zeros, 8 for bytes, and the number of dimensions.
_IDX_BYTES = 0x0800
# The header of an array of plain numbers or texts, as NumPy writes it. No other header is read, because NumPy itself
# would evaluate a Python expression here.
_NPY_HEAD = re.compile(
    rb"\{'descr': '(?P<kind>[<>|=][biufU][0-9]{1,4})', 'fortran_order': (?P<columns>True|False), "
    rb"'shape': \((?P<shape>(?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), ?\} *\n?"
)
_NPY_MAGIC = b"\x93NUMPY"


def unpack_idx(content: bytes, path: str | Path, dimensions: int, most: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, packed with gzip.

    Args:
        content: The file's bytes.
        path: The file, for error messages.
        dimensions: The expected number of dimensions.
        most: The largest allowed number of values.

    Returns:
        The array of bytes.

    Raises:
        FileError: If the file is damaged, too large, or of another format.
    """
    content = unpack_gzip(content, path, most + 4 + 4 * dimensions)
    head = np.frombuffer(content[: len(content) // 4 * 4][: 4 + 4 * dimensions], dtype=">u4")
    if len(head) != 1 + dimensions or head[0] != _IDX_BYTES + dimensions:
        raise FileError(path, f"is not an idx file of bytes in {dimensions} dimensions", "Download it again.")
    shape, values = tuple(int(size) for size in head[1:]), np.frombuffer(content, dtype=np.uint8, offset=head.nbytes)
    if len(values) != prod(shape):
        raise FileError(path, f"says it holds {shape} bytes, and holds {len(values):,}", "Download it again.")
    return values.reshape(shape)


def parse_npz(content: bytes, path: str | Path, names: Sequence[str], most: int) -> dict[str, NDArray]:
    """Read arrays of numbers or texts from an npz file. Nothing in the file is executed.

    Args:
        content: The file's bytes.
        path: The file, for error messages.
        names: The arrays to read; others are ignored.
        most: The largest allowed size of each array in bytes.

    Returns:
        The arrays by name.

    Raises:
        FileError: If the file is damaged or lacks an array, or if an array is too large or of another type.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            return {name: _read_member(file, f"{name}.npy", path, most) for name in names}
    except FileError:
        raise
    except KeyError as error:
        raise FileError(
            path, f"is not an .npz file with {', '.join(names)} ({error.args[0]})", "Download it again."
        ) from error
    # RuntimeError: a member with a password. NotImplementedError: a compression method that Python does not support.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error) as error:
        raise FileError(path, f"is not an .npz file with {', '.join(names)} ({error})", "Download it again.") from error


def _read_member(file: zipfile.ZipFile, name: str, path: str | Path, most: int) -> NDArray:
    member = file.getinfo(name)
    if member.file_size > most:
        raise FileError(path, f"says that '{name}' has {member.file_size:,} bytes; expected at most {most:,}")
    with file.open(member) as stream:  # returns no more bytes than the header says
        content = stream.read()
    return _parse_array(content, name, path)


def list_npz(content: bytes, path: str | Path) -> list[str]:
    """List the arrays of an npz file by name. None of them is looked at.

    Args:
        content: The file's bytes.
        path: The file, for an error.

    Returns:
        Their names, without ``.npy``.

    Raises:
        FileError: If it is no npz file.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, struct.error) as error:
        raise FileError(path, f"is not an .npz file ({error})") from error


def parse_npy(content: bytes, path: str | Path) -> NDArray:
    """Read an array of numbers or texts out of an npy file. Nothing in it is run.

    Args:
        content: The file's bytes.
        path: The file, for an error.

    Returns:
        The array.

    Raises:
        FileError: If it is damaged, or of another kind.
    """
    return _parse_array(content, Path(path).name, path)


def _parse_array(content: bytes, name: str, path: str | Path) -> NDArray:
    length = 2 if content[6:7] == b"\x01" else 4
    begin = 8 + length + int.from_bytes(content[8 : 8 + length], "little")
    head = _NPY_HEAD.fullmatch(content[8 + length : begin])
    if content[:6] != _NPY_MAGIC or head is None:
        raise FileError(path, f"holds '{name}', which is no array of numbers or texts")
    kind = np.dtype(head["kind"].decode())
    shape = tuple(int(size) for size in head["shape"].decode().split(",") if size.strip())
    if prod(shape) * kind.itemsize != len(content) - begin:
        raise FileError(path, f"says that '{name}' is {kind} {shape}, and it has {len(content) - begin:,} bytes")
    array = np.frombuffer(content, dtype=kind, offset=begin) if prod(shape) else np.empty(0, kind)
    return array.reshape(shape, order="F" if head["columns"] == b"True" else "C")
