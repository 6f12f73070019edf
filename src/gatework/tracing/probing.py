"""Linear probes: how well a linear map predicts a target from a state, compared with the chance level."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gatework.errors import SizeError


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear map from values to targets, and its score on held-out data.

    Args:
        weights: [K, F]: a weight on every unit, for each class or each real target.
        bias: [K].
        classes: The classes in the order of the weights, int64 [K]; None for real targets.
        score: The score on held-out data: the accuracy for classes, from 0 to 1; R^2 for real targets, at most 1.
        chance: The chance level of the score: that of always predicting the most common class of the training data; 0
            for real targets.
        fitted: The score on the training data.
        learned_from: The number of training vectors.
        held_out: The number of held-out vectors.
    """

    weights: Tensor = field(repr=False)
    bias: Tensor = field(repr=False)
    classes: Tensor | None = field(repr=False)
    score: float
    chance: float
    fitted: float
    learned_from: int
    held_out: int

    def predict(self, values: Tensor) -> Tensor:
        """Predict the target from values.

        Args:
            values: [..., F].

        Returns:
            The classes, int64 [...]; or the real targets, float64 [..., K].
        """
        scores = values.double() @ self.weights.T + self.bias
        return scores if self.classes is None else self.classes[scores.argmax(-1)]


def probe(values: Tensor, targets: Tensor, *, held_out: float = 0.25, ridge: float = 1e-3, seed: int = 0) -> Probe:
    """Fit a linear probe, and score it on held-out data.

    Neighbouring steps of a sequence are similar. Therefore whole rows of the batch are held out, drawn by ``seed``. If
    there is only one row, its last part is held out. The fit is in closed form, in float64, on values that are
    standardised to mean 0 and variance 1.

    Args:
        values: [T, B, F] as in a trace, such as ``trace["c"]``, or [N, F] in the order of time.
        targets: Classes, [T, B] or [N], integers or booleans, negative where there is no target; or real targets,
            [T, B], [N], [T, B, K] or [N, K], NaN where there is no target.
        held_out: The share of held-out data, between 0 and 1.
        ridge: The ridge penalty on weights, relative to a variance of 1.
        seed: The seed for drawing the held-out rows.

    Returns:
        The probe.

    Raises:
        SizeError: If shapes do not fit, if there is too little data to fit or to score the probe, or if the training
            data has only one class.

    Source:
        Alain & Bengio 2016, arXiv:1610.01644, on linear probes.

    Example:
        >>> values = torch.randn(50, 8, 4, generator=torch.Generator().manual_seed(0))
        >>> fitted = probe(values, values[..., 2] > 0)
        >>> fitted.score > 0.9, fitted.held_out
        (True, 100)
    """
    if not 0 < held_out < 1:
        raise SizeError(f"held_out is {held_out!r}; expected a share between 0 and 1, such as 0.25.")
    if not ridge >= 0:
        raise SizeError(f"ridge is {ridge!r}; expected a number of at least 0.")
    _check_shapes(values, targets)
    real = targets.is_floating_point()
    away = _held_out(values, held_out, seed)
    if values.dim() == 2:
        flat, goals = values.double(), targets
    else:
        flat, goals, away = values.double().flatten(0, 1), targets.flatten(0, 1), away.flatten()
    goals = goals.double().reshape(len(flat), -1) if real else goals.long()
    known = ~goals.isnan().any(-1) if real else goals >= 0
    inside, outside = known & ~away, known & away
    if int(inside.sum()) < 2 or not outside.any():
        raise SizeError(
            f"There are {int(inside.sum())} vectors to learn from and {int(outside.sum())} to measure on. Give more "
            "rows or steps."
        )
    return _fitted(flat, goals, inside, outside, ridge)


def _fitted(values: Tensor, goals: Tensor, inside: Tensor, outside: Tensor, ridge: float) -> Probe:
    """Fit a probe on the vectors marked by ``inside`` and score it on those marked by ``outside``, bool [N] each."""
    classes = chance = None
    wanted = goals[inside]
    if goals.dim() == 1:
        classes, places = wanted.unique(return_inverse=True)
        if len(classes) < 2:
            raise SizeError(
                f"All {len(wanted)} vectors to learn from are of the class {int(classes[0])}; a probe needs two "
                "classes at least. Give more rows or steps, or another seed."
            )
        wanted = torch.nn.functional.one_hot(places, len(classes)).double()
        commonest = classes[wanted.sum(0).argmax()]
        chance = float((goals[outside] == commonest).double().mean())
    weights, bias = _ridge(values[inside], wanted, ridge)

    def score(which: Tensor) -> float:
        predicted = values[which] @ weights.T + bias
        if classes is not None:
            return float((classes[predicted.argmax(-1)] == goals[which]).double().mean())
        left = (predicted - goals[which]).square().sum()
        whole = (goals[which] - goals[which].mean(0)).square().sum()
        return float(1 - left / whole)

    counts = int(inside.sum()), int(outside.sum())
    return Probe(weights, bias, classes, score(outside), chance or 0.0, score(inside), *counts)


def _ridge(values: Tensor, goals: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Return the weights [K, F] and the bias [K] of a ridge regression."""
    mean, spread = values.mean(0), values.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)  # a constant unit gets no weight
    scaled, middle = (values - mean) / spread, goals.mean(0)
    count, units = scaled.shape
    gram = scaled.T @ scaled / count + ridge * torch.eye(units, dtype=values.dtype, device=values.device)
    # Least squares instead of solve: without a ridge, collinear units make the Gram matrix singular.
    weights = torch.linalg.lstsq(gram.cpu(), (scaled.T @ (goals - middle) / count).cpu(), driver="gelsd").solution
    weights = weights.to(values.device).T / spread
    return weights, middle - weights @ mean


def _held_out(values: Tensor, share: float, seed: int) -> Tensor:
    """Mark the held-out vectors, bool [T, B] or [N]."""
    away = torch.zeros(values.shape[:-1], dtype=torch.bool, device=values.device)
    if values.dim() == 3 and values.shape[1] > 1:
        rows = values.shape[1]
        count = min(max(1, round(share * rows)), rows - 1)
        away[:, torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:count]] = True
    else:
        away[len(values) - max(1, round(share * len(values))) :] = True
    return away


def _check_shapes(values: Tensor, targets: Tensor) -> None:
    if not isinstance(values, Tensor) or values.dim() not in (2, 3) or not values.numel():
        what = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise SizeError(f"values are {what}; expected a tensor [T, B, F] or [N, F].")
    lead = tuple(values.shape[:-1])
    shape = tuple(targets.shape) if isinstance(targets, Tensor) else ()
    if shape != lead and not (shape[:-1] == lead and targets.is_floating_point() and shape[-1] > 0):
        raise SizeError(
            f"targets have the shape {shape}; expected {lead} as the values have, or real ones {lead} + (K,)."
        )
