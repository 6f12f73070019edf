"""Recordings as samples: WAV by the standard library, FLAC and OGG by the package soundfile."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError
from gatework.lazy import late
from gatework.reading.files import read_file
from gatework.reading.sound import Sound, parse_wav

SUFFIXES = (".wav", ".flac", ".ogg")
"""The endings of the names of recordings."""

# An hour of two channels of 24 bits at 44,100 samples a second. Longer recordings are too long to read as one sequence.
_MOST_BYTES = 3600 * 44_100 * 2 * 3
# Samples a second. A damaged header may say any number.
_LEAST_RATE, _MOST_RATE = 1000, 384_000
# The zero crossings of the filter on each side, and the shape of its window: what is above half the lower rate falls
# below -80 dB.
_CROSSINGS, _SHAPE, _BAND = 24, 8.0, 0.94
_BLOCK = 1 << 14  # samples that are computed at once
_READ_CHANNELS = late("gatework.data.other_sounds", "read_channels")  # the package may not be installed


@dataclass(frozen=True)
class Samples:
    """One channel of sound.

    Args:
        values: The samples ``[n]``, float64 between -1 and 1.
        rate: The number of samples a second.
        changes: What was done to the recording, each in a few words; empty for nothing.
    """

    values: NDArray[np.float64]
    rate: int
    changes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.values) / self.rate

    def at(self, rate: int) -> "Samples":
        """Return the recording at another rate; see :func:`resample`."""
        if rate == self.rate:
            return self
        told = f"resampled from {self.rate:,} to {rate:,} samples a second"
        return Samples(resample(self.values, self.rate, rate), rate, (*self.changes, told))


def read_samples(path: Path) -> Samples:
    """Read a recording. Several channels are mixed to one.

    Args:
        path: A file whose name ends in ``.wav`` (8 to 32 bits, uncompressed), or in ``.flac`` or ``.ogg``.

    Returns:
        The samples.

    Raises:
        DataError: If it cannot be read, is cut off, or has no samples, or soundfile is needed and not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"'{path}' is no recording that is read; expected a file ending in {', '.join(SUFFIXES)}.")
    content = read_file(path, _MOST_BYTES, "expected a recording")
    channels, rate = _of_wav(parse_wav(content, path), path) if suffix == ".wav" else _READ_CHANNELS(content, path)
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        raise DataError(
            f"'{path}' has {rate:,} samples a second; expected {_LEAST_RATE:,} to {_MOST_RATE:,}. Its header may be "
            "damaged."
        )
    if not channels.size:
        raise DataError(f"'{path}' has no samples; expected a recording of some sound.")
    if not np.isfinite(channels).all():
        raise DataError(f"'{path}' has samples that are no finite numbers. Write it again, in 16 bits.")
    count = channels.shape[1]
    return Samples(channels.mean(axis=1), rate, (f"{count} channels mixed to one",) if count > 1 else ())


def _of_wav(sound: Sound, path: Path) -> tuple[NDArray[np.float64], int]:
    """Return the channels ``[n, C]`` and the rate."""
    size = sound.bits // 8 * sound.channels
    if sound.bits not in (8, 16, 24, 32) or not size:
        raise DataError(f"'{path}' has {sound.bits} bits a sample; expected 8, 16, 24 or 32.")
    if len(sound.samples) != size * sound.count:
        raise DataError(
            f"'{path}' is cut off: its header promises {sound.count:,} samples, and it has "
            f"{len(sound.samples) // size:,}. Record or copy it again."
        )
    if sound.bits == 8:  # the only width without a sign
        numbers = np.frombuffer(sound.samples, np.uint8).astype(np.float64) - 128
    elif sound.bits == 24:
        low, middle, high = np.frombuffer(sound.samples, np.uint8).reshape(-1, 3).T
        numbers = low + middle * 2.0**8 + high.view(np.int8) * 2.0**16
    else:
        numbers = np.frombuffer(sound.samples, f"<i{sound.bits // 8}").astype(np.float64)
    return numbers.reshape(-1, sound.channels) / 2 ** (sound.bits - 1), sound.rate


def resample(values: NDArray[np.float64], rate: int, wanted: int) -> NDArray[np.float64]:
    """Compute samples at another rate, by a windowed sinc filter that also takes out what the lower rate cannot hold.

    Args:
        values: Samples ``[n]``.
        rate: Their number a second.
        wanted: The number a second to compute.

    Returns:
        Samples ``[ceil(n * wanted / rate)]``. The first ones of both are at the same time.

    Source:
        Smith 2002, Digital Audio Resampling (ccrma.stanford.edu/~jos/resample), with a Kaiser window.

    Example:
        >>> time = np.arange(800) / 8000
        >>> tone = resample(np.sin(2 * np.pi * 440 * time), 8000, 16_000)
        >>> wanted = np.sin(2 * np.pi * 440 * np.arange(1600) / 16_000)
        >>> len(tone), bool(np.abs(tone - wanted)[100:-100].max() < 1e-4)
        (1600, True)
    """
    common = gcd(rate, wanted)
    up, down = wanted // common, rate // common
    cutoff = _BAND * min(1.0, up / down)  # of half the given rate
    reach = int(np.ceil(_CROSSINGS / cutoff))
    padded = np.concatenate([np.zeros(reach), values, np.zeros(reach + 1)])
    offsets = np.arange(-reach + 1, reach + 1)
    count = -(-len(values) * up // down)
    result = np.empty(count)
    for first in range(0, count, _BLOCK):
        places = np.arange(first, min(first + _BLOCK, count), dtype=np.int64) * down
        whole, part = places // up, places % up / up  # the sample before, and how far behind it
        away = part[:, None] - offsets  # [m, 2 reach], in samples of the given rate
        window = np.i0(_SHAPE * np.sqrt(np.clip(1 - (away / reach) ** 2, 0, None))) / np.i0(_SHAPE)
        near = padded[whole[:, None] + offsets + reach]
        result[first : first + _BLOCK] = (near * cutoff * np.sinc(cutoff * away) * window).sum(axis=1)
    return result
