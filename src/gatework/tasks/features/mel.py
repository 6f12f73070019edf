"""Log-mel features: the energy in each band of pitch, every hundredth of a second."""

from math import log10

import torch
from torch import Tensor

BANDS = 40
# At this sample rate, a spectrum of this many points is fine enough that no mel band lies between two of them.
_RATE, _POINTS = 8000, 512
QUIETEST = 1e-6  # added to every energy, so that silence has a logarithm; a sample at full scale is 1


def window_and_hop(rate: int) -> tuple[int, int]:
    """Return the length of a window, 25 ms, and the distance between the starts of windows, 10 ms, in samples.

    Args:
        rate: The sample rate, in samples a second.

    Returns:
        Both numbers of samples.

    Example:
        >>> window_and_hop(16_000)
        (400, 160)
    """
    return rate * 25 // 1000, rate * 10 // 1000


def spectrum_points(rate: int) -> int:
    """Return the number of points of the Fourier transform: a power of two, at least as fine as 512 at 8,000 Hz.

    Args:
        rate: The sample rate, in samples a second.

    Example:
        >>> [spectrum_points(rate) for rate in (8_000, 16_000, 44_100)]
        [512, 1024, 4096]
    """
    points = _POINTS
    while points * _RATE < rate * _POINTS:
        points *= 2
    return points


def mel_bands(rate: int) -> Tensor:
    """Return the weight of each frequency in each band: triangles, evenly spaced in mel.

    A pitch of f Hz is 2595 log10(1 + f / 700) mel. A triangle rises from the centre of the band below to its own
    centre, and falls to the centre of the band above. The bands cover 0 Hz to half the sample rate.

    Args:
        rate: The sample rate, in samples a second.

    Returns:
        Weights ``[points / 2 + 1, 40]``, where points is the result of :func:`spectrum_points`.
    """
    edges = 700 * (10 ** (torch.linspace(0, 2595 * log10(1 + rate / 2 / 700), BANDS + 2).double() / 2595) - 1)
    pitch = torch.linspace(0, rate / 2, spectrum_points(rate) // 2 + 1).double()[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    return torch.minimum((pitch - low) / (middle - low), (high - pitch) / (high - middle)).clamp(min=0).float()


def log_mel(samples: Tensor, rate: int) -> Tensor:
    """Return the logarithm of the energy in each mel band, every 10 ms.

    Args:
        samples: Samples ``[n]``, between -1 and 1; padded with zeros if they are shorter than 25 ms.
        rate: The sample rate, in samples a second.

    Returns:
        Natural logarithms ``[T, 40]``.

    Example:
        >>> log_mel(torch.zeros(8000), 8000).shape
        torch.Size([98, 40])
    """
    window, hop = window_and_hop(rate)
    if len(samples) < window:
        samples = torch.cat([samples, samples.new_zeros(window - len(samples))])
    frames = samples.unfold(0, window, hop) * torch.hann_window(window)
    energy = torch.fft.rfft(frames, n=spectrum_points(rate)).abs().square()
    return (energy @ mel_bands(rate) + QUIETEST).log()
