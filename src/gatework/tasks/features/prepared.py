"""What a model of speech reads: features that are standardised and stacked, of a whole recording or of its pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gatework.data.recorded import find_scale
from gatework.errors import DataError
from gatework.tasks.features.spoken import Cutter, Deltas, Kind, Recipe, Stacker, frames_of, stacked, with_deltas

Normalize = Literal["recording", "training"]
"""What features are standardised by: each recording by itself, or all by the training recordings."""


@dataclass(frozen=True)
class SpeechOptions:
    """How recordings of speech are read, and how they are disturbed in training.

    Args:
        features: ``mfcc`` or ``log-mel``.
        deltas: How many rates of change are joined to a frame.
        stack: The number of frames that are one step.
        normalize: What features are standardised by.
        transcripts: The file of the transcripts; empty for the one in the folder.
        noise: The standard deviation of the noise that is added to standardised features in training.
        mask_steps: The most steps of each of the two masks over time in training.
        mask_features: The most features of a frame of the mask over features in training.
    """

    features: Kind = "mfcc"
    deltas: int = 2
    stack: int = 3
    normalize: Normalize = "recording"
    transcripts: str = ""
    noise: float = 0.0
    mask_steps: int = 0
    mask_features: int = 0

    def recipe(self, rate: int) -> Recipe:
        """Return what is computed from a recording with so many samples a second."""
        return Recipe(self.features, self.deltas, self.stack, rate)


@dataclass(frozen=True)
class Prepared:
    """What is computed from a recording, and the scale of the features.

    Args:
        recipe: What is computed.
        mean: The mean of each feature of a frame over the training recordings; None if each recording has its own.
        deviation: The same for the standard deviation.

    Example:
        >>> prepared = Prepared.fit(Recipe("log-mel", rate=8000), "training", [np.random.rand(90, 40)])
        >>> prepared.steps(np.random.rand(90, 40)).shape
        (30, 360)
        >>> Prepared.from_facts(prepared.facts()).facts() == prepared.facts()
        True
    """

    recipe: Recipe
    mean: NDArray[np.float64] | None = None
    deviation: NDArray[np.float64] | None = None

    @classmethod
    def fit(cls, recipe: Recipe, normalize: Normalize, frames: Sequence[NDArray[np.float64]]) -> "Prepared":
        """Find the scale by the frames of the training recordings, each ``[T, bands]``."""
        if normalize == "recording":
            return cls(recipe)
        return cls(recipe, *find_scale(np.concatenate([with_deltas(one, recipe) for one in frames])))

    def facts(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        scale = {} if self.mean is None or self.deviation is None else _scale_facts(self.mean, self.deviation)
        return self.recipe.facts() | {"normalize": "training" if scale else "recording"} | scale

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Prepared":
        """Read what :meth:`facts` has written.

        Raises:
            DataError: If it is something else.
        """
        try:
            recipe = Recipe.from_facts(facts)
            if not _is_whole(recipe):
                raise _nothing_said()
            if facts["normalize"] == "recording":
                return cls(recipe)
            mean, deviation = (np.array(facts[name], np.float64) for name in ("mean", "deviation"))
        except (KeyError, TypeError, ValueError) as error:
            raise _nothing_said() from error
        if mean.shape != (recipe.width // recipe.stack,) or deviation.shape != mean.shape:
            raise DataError(
                f"The facts of the run have the scale of {mean.size} features; expected {recipe.width // recipe.stack}."
            )
        return cls(recipe, mean, deviation)

    def of_samples(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Compute what a model reads of a whole recording, given as samples ``[n]`` at the rate of the recipe."""
        return self.steps(frames_of(samples, self.recipe))

    def steps(self, frames: NDArray[np.float64]) -> NDArray[np.float32]:
        """Compute what a model reads of the frames of a whole recording.

        Args:
            frames: The frames ``[T, bands]``.

        Returns:
            The steps ``[ceil(T / stack), width]``.
        """
        features = with_deltas(frames, self.recipe)
        scale = find_scale(features) if self.mean is None or self.deviation is None else (self.mean, self.deviation)
        return stacked((features - scale[0]) / scale[1], self.recipe).astype(np.float32)

    def arriving(self) -> "Arriving":
        """Begin a recording that arrives in pieces.

        Raises:
            DataError: If each recording is standardised by itself, which needs all of it.
        """
        if self.mean is None or self.deviation is None:
            raise DataError(
                "Each recording is standardised by itself, which needs the whole of it. To read recordings in pieces, "
                "train with --normalize training."
            )
        return Arriving(self.recipe, self.mean, self.deviation)


class Arriving:
    """Compute what a model reads of a recording that arrives in pieces, with the bits of the whole recording.

    A step is complete once its last frame has the rates of change, which need ``look_ahead`` frames after it.

    Args:
        recipe: What is computed.
        mean: The mean of each feature of a frame.
        deviation: Its standard deviation.
    """

    def __init__(self, recipe: Recipe, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
        self._scale = mean, deviation
        self._parts = Cutter(recipe), Deltas(recipe), Stacker(recipe)

    def feed(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Take the next samples ``[n]``; return the steps that are complete ``[m, width]``."""
        cutter, deltas, stacker = self._parts
        return stacker.feed(self._scaled(deltas.feed(cutter.feed(samples)))).astype(np.float32)

    def finish(self) -> NDArray[np.float32]:
        """End the recording: return its last steps ``[m, width]``."""
        cutter, deltas, stacker = self._parts
        last = [deltas.feed(cutter.finish()), deltas.finish()]
        steps = [stacker.feed(self._scaled(np.concatenate(last))), stacker.finish()]
        return np.concatenate(steps).astype(np.float32)

    def _scaled(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return (features - self._scale[0]) / self._scale[1]


def _is_whole(recipe: Recipe) -> bool:
    """Tell whether settings can give a recipe."""
    numbers = ((recipe.deltas, 0, 2), (recipe.stack, 1, 32), (recipe.rate, 1000, 384_000))
    return recipe.kind in get_args(Kind) and all(type(n) is int and low <= n <= high for n, low, high in numbers)


def _nothing_said() -> DataError:
    return DataError("The facts of the run do not say how recordings are read. Train it again.")


def _scale_facts(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> dict[str, Any]:
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}
