"""Reads what a report has packed, as its page does."""

import gzip
import json
from base64 import b64decode, b64encode
from typing import Any

import numpy as np

_WIDTH = 4  # bytes of a number


def unpack(text: str) -> dict[str, Any]:
    """The answers by request."""
    whole = gzip.decompress(b64decode(text))
    end = _WIDTH + int.from_bytes(whole[:_WIDTH], "little")
    recorded = json.loads(whole[_WIDTH:end])
    for answer in recorded.values():
        if isinstance(answer, dict) and "at" in answer and "shape" in answer:
            start, stop = answer.pop("at")
            values = _ordered(whole[end + start : end + stop], answer["shape"])
            answer["base64"] = b64encode(values).decode("ascii")
    return recorded


def _ordered(content: bytes, shape: list[int]) -> bytes:
    """Numbers row after row, from numbers unit by unit and by bytes."""
    flat = np.frombuffer(content, np.uint8).reshape(_WIDTH, -1).T
    units = np.ascontiguousarray(flat).view("<f4").reshape(shape[::-1])
    return np.ascontiguousarray(units.T).tobytes()
