"""The features of speech beside a slow writing of their formulas, and in pieces beside the whole, bit for bit."""

import math

import numpy as np
import pytest
import torch

from gatework.errors import DataError
from gatework.tasks.features.mel import log_mel
from gatework.tasks.features.prepared import Prepared
from gatework.tasks.features.spoken import Cutter, Deltas, Recipe, Stacker, frames_of, stacked, with_deltas


def noise(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.cumsum(rng.normal(size=count)) * 1e-3 + rng.normal(size=count) * 0.05, -1, 1)


def slow_cepstra(window: list[float], rate: int) -> list[float]:
    """One frame as the front end of Sphinx has it: a transform, 40 triangles of area one, and half the first band."""
    size, points = len(window), 1 << (len(window) - 1).bit_length()
    tapered = [x * (0.54 - 0.46 * math.cos(2 * math.pi * n / (size - 1))) for n, x in enumerate(window)]
    energy = []
    for k in range(points // 2 + 1):
        real = sum(x * math.cos(2 * math.pi * k * n / points) for n, x in enumerate(tapered))
        other = sum(x * math.sin(2 * math.pi * k * n / points) for n, x in enumerate(tapered))
        energy.append(real * real + other * other)

    def mel(pitch: float) -> float:
        return 2595 * math.log10(1 + pitch / 700)

    low, high = mel(133.33334), mel(6855.4976 * rate / 16_000)
    edges = [700 * (10 ** ((low + (high - low) * n / 41) / 2595) - 1) for n in range(42)]
    edges = [math.floor(edge * points / rate + 0.5) * rate / points for edge in edges]
    logs = []
    for left, top, right in zip(edges, edges[1:], edges[2:], strict=False):
        total = 0.0
        for k, one in enumerate(energy):
            pitch = k * rate / points
            if left < pitch < right:
                rise = (pitch - left) / (top - left) if pitch < top else (right - pitch) / (right - top)
                total += one * rise * 2 / (right - left)
        logs.append(math.log(max(total, 1e-5)))
    return [
        sum((0.5 if n == 0 else 1.0) * x * math.cos(math.pi * k * (n + 0.5) / 40) for n, x in enumerate(logs)) / 40
        for k in range(13)
    ]


def test_cepstra_are_those_of_the_formula():
    samples, rate = noise(16_000 // 20), 16_000
    found = frames_of(samples, Recipe("mfcc", rate=rate))
    sharper = [2.0**15 * (x - 0.97 * (samples[n - 1] if n else 0.0)) for n, x in enumerate(samples)]
    assert len(found) == 1 + (len(samples) - 410) // 160
    for number in (0, len(found) - 1):
        expected = slow_cepstra(sharper[160 * number : 160 * number + 410], rate)
        np.testing.assert_allclose(found[number], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
def test_mel_bands_are_those_of_the_other_tasks(rate):
    samples = noise(rate // 2)
    expected = log_mel(torch.from_numpy(samples).float(), rate)
    np.testing.assert_allclose(frames_of(samples, Recipe("log-mel", rate=rate)), expected, atol=1e-3)


def test_rates_of_change_are_slopes():
    frames = np.random.default_rng(1).normal(size=(9, 2))
    found = with_deltas(frames, Recipe("mfcc", deltas=2))
    padded = np.concatenate([frames[:1].repeat(4, 0), frames, frames[-1:].repeat(4, 0)])
    slopes = np.array([np.polyfit(range(-2, 3), padded[n - 2 : n + 3], 1)[0] for n in range(2, len(padded) - 2)])
    second = np.array([np.polyfit(range(-2, 3), slopes[n - 2 : n + 3], 1)[0] for n in range(2, len(slopes) - 2)])
    np.testing.assert_allclose(found[:, 2:4], slopes[2:-2], atol=1e-12)
    np.testing.assert_allclose(found[:, 4:], second, atol=1e-12)
    assert np.array_equal(found[:, :2], frames)


def test_frames_are_stacked_and_the_last_one_fills_the_last_step():
    frames = np.arange(14.0).reshape(7, 2)
    assert stacked(frames, Recipe(stack=3)).tolist() == [
        [0, 1, 2, 3, 4, 5],
        [6, 7, 8, 9, 10, 11],
        [12, 13, 12, 13, 12, 13],
    ]
    assert stacked(frames, Recipe(stack=1)).tolist() == frames.tolist()


RECIPES = [
    Recipe("mfcc", 2, 3, 16_000),
    Recipe("mfcc", 0, 1, 8000),
    Recipe("log-mel", 1, 2, 16_000),
    Recipe("log-mel", 2, 5, 11_025),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("longest", [1, 37, 500, 4000, 30_000])
def test_pieces_give_the_bits_of_the_whole(recipe, longest):
    samples = noise(400 if longest == 1 else 9000)
    frames = frames_of(samples, recipe)
    prepared = Prepared.fit(recipe, "training", [frames, frames_of(noise(5000, 2), recipe)])
    expected = prepared.of_samples(samples)
    rng, arriving, found, at = np.random.default_rng(longest), prepared.arriving(), [], 0
    while at < len(samples):
        size = int(rng.integers(0, longest + 1))
        found.append(arriving.feed(samples[at : at + size]))
        at += size
    found.append(arriving.finish())
    assert np.array_equal(np.concatenate(found), expected)
    assert expected.shape == (-(-len(frames) // recipe.stack), recipe.width)
    assert expected.dtype == np.float32


def test_a_frame_is_complete_as_many_frames_later_as_the_recipe_says():
    frames = np.random.default_rng(3).normal(size=(12, 13))
    for deltas in (0, 1, 2):
        recipe = Recipe("mfcc", deltas, 1)
        part = Deltas(recipe)
        complete = sum(len(part.feed(frames[n : n + 1])) for n in range(12))
        assert complete == 12 - recipe.look_ahead
        assert recipe.look_ahead == 2 * deltas
        assert len(part.finish()) == recipe.look_ahead


def test_a_recording_shorter_than_a_window_has_one_frame():
    for recipe in RECIPES:
        found = frames_of(noise(10), recipe)
        longer = frames_of(np.concatenate([noise(10), np.zeros(600)]), recipe)
        assert found.shape == (1, recipe.bands)
        if recipe.kind == "log-mel":  # cepstra of what follows differ by the last sample taken out of the next
            np.testing.assert_allclose(found, longer[:1], rtol=1e-12)
        assert np.isfinite(Prepared(recipe).of_samples(noise(10))).all()
        assert not len(Cutter(recipe).feed(noise(10)))
        assert not len(Stacker(recipe).finish())
        assert not len(Deltas(recipe).finish())


def test_silence_has_finite_features():
    for recipe in RECIPES:
        assert np.isfinite(Prepared(recipe).of_samples(np.zeros(5000))).all()


def test_each_recording_has_its_own_scale_or_all_have_that_of_training():
    recipe = Recipe("mfcc", 1, 1)
    frames = [np.random.default_rng(n).normal(n, 1 + n, (400, 13)) for n in range(2)]
    own = Prepared.fit(recipe, "recording", frames).steps(frames[1])
    np.testing.assert_allclose(own.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(own.std(0), 1, atol=1e-5)
    fitted = Prepared.fit(recipe, "training", frames)
    both = np.concatenate([fitted.steps(one) for one in frames])
    np.testing.assert_allclose(both.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(both.std(0), 1, atol=1e-5)
    again = Prepared.from_facts(fitted.facts())
    assert np.array_equal(again.steps(frames[0]), fitted.steps(frames[0]))


def test_what_cannot_be_prepared_is_refused():
    with pytest.raises(DataError, match=r"needs the whole of it\. To read recordings in pieces, train with"):
        Prepared(Recipe()).arriving()
    with pytest.raises(DataError, match=r"The facts of the run do not say how recordings are read\."):
        Prepared.from_facts({"kind": "mfcc"})
    facts = Prepared.fit(Recipe("mfcc", 1), "training", [np.random.rand(9, 13)]).facts()
    with pytest.raises(DataError, match=r"The facts of the run have the scale of 3 features; expected 26\."):
        Prepared.from_facts(facts | {"mean": [1, 2, 3], "deviation": [1, 2, 3]})
