"""Small tables and recordings, written by hand, for the generic tasks."""

import io
import wave
from pathlib import Path

import numpy as np


def write_walks(path: Path, answer, count: int = 60, shortest: int = 3) -> Path:
    """Write walks of 3 to 8 steps with two numbers a step, in no order; ``answer`` gives the label of a row."""
    rng = np.random.default_rng(2)
    rows = []
    for number in range(count):
        walk = rng.normal(size=(shortest + number % 6, 2)).round(3)
        rows += [
            (f"walk {number}", step, *walk[step], answer(walk[: step + 1], walk[0, 0])) for step in range(len(walk))
        ]
    lines = [",".join(map(str, rows[place])) for place in rng.permutation(len(rows))]
    path.write_text("id,t,a,b,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def sign_of_first(so_far: np.ndarray, first: float) -> str:
    return "up" if first > 0 else "down"


def sum_so_far(so_far: np.ndarray, first: float) -> str:
    return "high" if so_far[:, 0].sum() > 0 else "low"


def twice_the_first(so_far: np.ndarray, first: float) -> float:
    return round(2 * first + 1, 3)


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes((samples * 2**14).astype("<i2").tobytes())
    return stream.getvalue()
