"""The answers of a report as one compressed text: JSON, and behind it the numbers as bytes.

The text is base64 of a gzip stream. It holds the length of the JSON (four bytes, little-endian), the JSON, and the
numbers. An answer of numbers has, instead of its bytes, ``at``: the place of its first byte and the place after its
last, counted from the end of the JSON.

Numbers are float32 and stay so to the bit. They are stored unit by unit, all first bytes, then all second bytes, and so
on: neighbouring steps of a unit are alike, and alike in their first bytes, which compresses best.
"""

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np

_WIDTH = 4  # bytes of a number


def pack(recorded: Mapping[str, Any]) -> str:
    """Pack answers.

    Args:
        recorded: The answers by request. An answer of numbers has ``shape`` and ``base64``, row after row.

    Returns:
        The text.

    Example:
        >>> pack({"GET /api/x": {"shape": [1, 2], "base64": "AACAPwAAAEA="}, "GET /api/y": [1]})[:4]
        'H4sI'
    """
    pieces: list[bytes] = []
    place = 0
    told: dict[str, Any] = {}
    for request, answer in recorded.items():
        if not _is_numbers(answer):
            told[request] = answer
            continue
        piece = _shuffled(b64decode(answer["base64"]), answer["shape"])
        pieces.append(piece)
        told[request] = {name: value for name, value in answer.items() if name != "base64"}
        told[request]["at"] = [place, place + len(piece)]
        place += len(piece)
    head = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    whole = b"".join([len(head).to_bytes(_WIDTH, "little"), head, *pieces])
    return b64encode(gzip.compress(whole, compresslevel=9, mtime=0)).decode("ascii")


def _is_numbers(answer: Any) -> bool:
    return isinstance(answer, dict) and "base64" in answer and "shape" in answer


def _shuffled(content: bytes, shape: list[int]) -> bytes:
    """Reorder numbers [T, H]: unit by unit, and by bytes."""
    units = np.frombuffer(content, "<f4").reshape(shape).T
    return np.ascontiguousarray(units).view(np.uint8).reshape(-1, _WIDTH).T.tobytes()
