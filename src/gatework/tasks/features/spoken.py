"""The features of speech, computed so that a recording in pieces has the same bits as the whole recording."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gatework.tasks.features.mel import BANDS, QUIETEST, mel_bands, spectrum_points, window_and_hop

Numbers = NDArray[np.float64]
Kind = Literal["mfcc", "log-mel"]

CEPSTRA = 13
# The frames before and after one that its rate of change is taken from.
REACH = 2
# The front end of CMU Sphinx, whose features come with some data: the window in seconds, the range of its bands in Hz
# at 16,000 samples a second, what is taken out of each sample, and the least energy of a band. Its samples are whole
# numbers of 16 bits.
_WINDOW, _LOWEST, _HIGHEST, _EMPHASIS, _FLOOR, _SCALE = 0.025625, 133.33334, 6855.4976, 0.97, 1e-5, 2.0**15
_BLOCK = 256  # frames that are computed at once


@dataclass(frozen=True)
class Recipe:
    """What is computed from a recording.

    Args:
        kind: ``mfcc``: 13 cepstra of mel bands; or ``log-mel``: the logarithms of 40 mel bands. One frame every 10 ms.
        deltas: How many rates of change are joined to a frame: 1 for the first, 2 for the second as well.
        stack: The number of frames that are one step.
        rate: The number of samples a second.

    Example:
        >>> Recipe("mfcc", deltas=2, stack=3).width
        117
    """

    kind: Kind = "mfcc"
    deltas: int = 2
    stack: int = 3
    rate: int = 16_000

    @property
    def bands(self) -> int:
        """The number of features of a frame without its rates of change."""
        return CEPSTRA if self.kind == "mfcc" else BANDS

    @property
    def width(self) -> int:
        """The number of features of a step."""
        return self.bands * (1 + self.deltas) * self.stack

    @property
    def look_ahead(self) -> int:
        """The number of frames after a frame that must be known before it is complete."""
        return REACH * self.deltas

    def facts(self) -> dict[str, Any]:
        """Return the recipe as plain JSON."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Recipe":
        """Make the recipe of :meth:`facts`; entries that it does not have are ignored."""
        return cls(**{field.name: facts[field.name] for field in fields(cls)})


def frames_of(samples: Numbers, recipe: Recipe) -> Numbers:
    """Compute the frames of a whole recording.

    Args:
        samples: Samples ``[n]``, between -1 and 1; padded with zeros if they are shorter than a window.
        recipe: What is computed.

    Returns:
        The frames ``[T, bands]``, one every 10 ms, without rates of change.

    Example:
        >>> frames_of(np.zeros(16_000), Recipe("mfcc")).shape
        (98, 13)
    """
    cutter = Cutter(recipe)
    return np.concatenate([cutter.feed(samples), cutter.finish()])


def with_deltas(frames: Numbers, recipe: Recipe) -> Numbers:
    """Join the rates of change to the frames of a whole recording ``[T, bands]``: ``[T, bands * (1 + deltas)]``.

    The rate of change is the slope of the line through five frames. Before the first and after the last frame, these
    two are repeated.

    Source:
        Furui 1986 (doi:10.1109/TASSP.1986.1164788); Young et al., The HTK Book, equation 5.16.

    Example:
        >>> with_deltas(np.arange(6.0)[:, None], Recipe(deltas=1))[2].tolist()
        [2.0, 1.0]
    """
    deltas = Deltas(recipe)
    return np.concatenate([deltas.feed(frames), deltas.finish()])


def stacked(features: Numbers, recipe: Recipe) -> Numbers:
    """Join neighbouring frames ``[T, F]`` to steps ``[ceil(T / stack), F * stack]``; the last frame fills the last one.

    Example:
        >>> stacked(np.arange(4.0)[:, None], Recipe(stack=3)).tolist()
        [[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]
    """
    stacker = Stacker(recipe)
    return np.concatenate([stacker.feed(features), stacker.finish()])


class Cutter:
    """Cut sound that arrives in pieces into windows, and compute a frame from each.

    Args:
        recipe: What is computed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._size, self._hop = _window(recipe)
        self._rest = np.zeros(0)
        self._before = 0.0  # the last sample of the piece before
        self._begun = False

    def feed(self, samples: Numbers) -> Numbers:
        """Take the next samples ``[n]``; return the frames that are complete ``[m, bands]``."""
        given = np.asarray(samples, np.float64)
        if self.recipe.kind == "mfcc" and len(given):
            given = given * _SCALE
            sharper = given - _EMPHASIS * np.concatenate([[self._before], given[:-1]])
            self._before, given = float(given[-1]), sharper
        signal = np.concatenate([self._rest, given])
        if len(signal) < self._size:
            self._rest = signal
            return np.zeros((0, self.recipe.bands))
        windows = sliding_window_view(signal, self._size)[:: self._hop]
        self._rest, self._begun = signal[len(windows) * self._hop :].copy(), True
        parts = [windows[first : first + _BLOCK] for first in range(0, len(windows), _BLOCK)]
        return np.concatenate([_frames(np.ascontiguousarray(part), self.recipe) for part in parts])

    def finish(self) -> Numbers:
        """End the recording: return one frame if it was shorter than a window, and otherwise none ``[0, bands]``."""
        if self._begun:
            return np.zeros((0, self.recipe.bands))
        filled = np.concatenate([self._rest, np.zeros(self._size - len(self._rest))])
        return _frames(filled[None], self.recipe)


class Deltas:
    """Join rates of change to frames that arrive in pieces. A frame is complete ``look_ahead`` frames later.

    Args:
        recipe: What is computed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._reach = recipe.look_ahead
        self._held: Numbers | None = None  # the frames around the next complete one, from `reach` before it on

    def feed(self, frames: Numbers) -> Numbers:
        """Take the next frames ``[n, bands]``; return those that are complete ``[m, bands * (1 + deltas)]``."""
        if not len(frames):
            return np.zeros((0, self.recipe.bands * (1 + self.recipe.deltas)))
        if self._held is None:
            self._held = np.repeat(frames[:1], self._reach, axis=0)
        return self._complete(np.concatenate([self._held, frames]))

    def finish(self) -> Numbers:
        """End the recording: return the last frames."""
        if self._held is None:
            return np.zeros((0, self.recipe.bands * (1 + self.recipe.deltas)))
        last = np.repeat(self._held[-1:], self._reach, axis=0)
        return self._complete(np.concatenate([self._held, last]))

    def _complete(self, frames: Numbers) -> Numbers:
        reach, count = self._reach, max(0, len(frames) - 2 * self._reach)
        self._held = frames[count:]
        parts = []
        for order in range(self.recipe.deltas + 1):
            weights = _slopes(order)
            first = reach - len(weights) // 2
            part = np.zeros((count, frames.shape[1]))
            for place, weight in enumerate(weights):  # one after the other, so that the number of frames is no matter
                part += weight * frames[first + place : first + place + count]
            parts.append(part)
        return np.concatenate(parts, axis=1)


class Stacker:
    """Join frames that arrive in pieces to steps.

    Args:
        recipe: What is computed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._rest: Numbers | None = None

    def feed(self, features: Numbers) -> Numbers:
        """Take the next frames ``[n, F]``; return the steps that are complete ``[m, F * stack]``."""
        frames = features if self._rest is None else np.concatenate([self._rest, features])
        stack = self.recipe.stack
        whole, self._rest = np.split(frames, [len(frames) // stack * stack])
        return whole.reshape(len(whole) // stack, stack * frames.shape[1])

    def finish(self) -> Numbers:
        """End the recording: fill the last step with the last frame."""
        if self._rest is None:
            return np.zeros((0, self.recipe.width))
        missing = -len(self._rest) % self.recipe.stack
        return self.feed(np.repeat(self._rest[-1:], missing, axis=0))


@cache
def _slopes(order: int) -> Numbers:
    """Return the weights of the frames around one: 1 for itself, and the slope of the line through five, repeated."""
    weights, slope = np.ones(1), np.arange(-REACH, REACH + 1.0)
    slope = slope / np.square(slope).sum()
    for _ in range(order):
        weights = np.convolve(weights, slope)  # a convolution of both reversed is the reversed one; two signs cancel
    return weights


def _window(recipe: Recipe) -> tuple[int, int]:
    """Return the length of a window and the distance between the starts of windows, in samples."""
    size, hop = window_and_hop(recipe.rate)
    return (int(_WINDOW * recipe.rate + 0.5), hop) if recipe.kind == "mfcc" else (size, hop)


def _frames(windows: Numbers, recipe: Recipe) -> Numbers:
    """Compute the frame of each window ``[n, size]``, by sums whose order does not depend on n."""
    taper, points, bands, basis = _tables(recipe.kind, recipe.rate)
    parts = _parts(recipe.kind, recipe.rate)
    spectrum = np.fft.rfft(windows * taper, n=points)
    energy = np.square(spectrum.real) + np.square(spectrum.imag)
    in_bands = np.stack([(energy[:, part] * bands[row, part]).sum(axis=-1) for row, part in enumerate(parts)], axis=-1)
    if recipe.kind == "log-mel":
        return np.log(in_bands + QUIETEST)
    return (np.log(np.maximum(in_bands, _FLOOR))[:, None, :] * basis).sum(axis=-1)


@cache
def _tables(kind: Kind, rate: int) -> tuple[Numbers, int, Numbers, Numbers]:
    """Return the taper of a window, the points of its spectrum, the weights of the bands, and the cosines."""
    size, _ = _window(Recipe(kind, rate=rate))
    if kind == "log-mel":
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        return taper, spectrum_points(rate), mel_bands(rate).double().numpy().T.copy(), np.zeros((0, 0))
    points = 1 << (size - 1).bit_length()
    taper = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
    return taper, points, _sphinx_bands(rate, points), _cosines()


@cache
def _parts(kind: Kind, rate: int) -> tuple[slice, ...]:
    """Return the frequencies that are in each band."""
    spans = [np.flatnonzero(row) for row in _tables(kind, rate)[2]]
    return tuple(slice(int(span[0]), int(span[-1]) + 1) if len(span) else slice(0) for span in spans)


def _sphinx_bands(rate: int, points: int) -> Numbers:
    """Return the weight of each frequency in each band ``[40, points / 2 + 1]``.

    The bands are triangles of area one, evenly spaced in mel, with edges at frequencies of the spectrum.
    """
    lowest, highest = 2595 * np.log10(1 + np.array([_LOWEST, _HIGHEST * rate / 16_000]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    edges = np.floor(edges * points / rate + 0.5) * rate / points
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    pitch = np.arange(points // 2 + 1) * rate / points
    with np.errstate(divide="ignore", invalid="ignore"):  # bands without width, at low rates
        rise, fall = (pitch - low) / (middle - low), (high - pitch) / (high - middle)
    heights = np.where(pitch < middle, rise, np.where(pitch == middle, 1.0, fall))
    return np.clip(heights, 0, None) * 2 / np.maximum(high - low, rate / points)


def _cosines() -> Numbers:
    """Return the weight of the logarithm of each band in each cepstrum ``[13, 40]``, where the first counts half."""
    place = np.arange(BANDS) + 0.5
    basis = np.cos(np.pi / BANDS * np.arange(CEPSTRA)[:, None] * place) / BANDS
    basis[:, 0] /= 2
    return basis
