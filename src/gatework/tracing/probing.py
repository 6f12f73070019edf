"""Linear probes: what can be read off a state by a linear map, and how much better than by chance."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gatework.errors import SizeError


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear map from values to targets, and how well it does on what it has not seen.

    Args:
        weights: [K, F]: for each class, or each real target, a weight on every unit.
        bias: [K].
        classes: The classes in the order of the weights, int64 [K]; None for real targets.
        score: Held-out accuracy of classes, from 0 to 1; of real targets R^2, at most 1.
        chance: What the score would be without looking at the values: always the class that is commonest in what was
            learned from; 0 for real targets.
        fitted: The score on what was learned from.
        learned_from: How many vectors the map was learned from.
        held_out: How many the score was measured on.
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
        """Read the target off values.

        Args:
            values: [..., F].

        Returns:
            The classes, int64 [...]; or the real targets, float64 [..., K].
        """
        found = values.double() @ self.weights.T + self.bias
        return found if self.classes is None else self.classes[found.argmax(-1)]


def probe(values: Tensor, targets: Tensor, *, held_out: float = 0.25, ridge: float = 1e-3, seed: int = 0) -> Probe:
    """Fit a linear probe, and measure it on sequences that it has not seen.

    Neighbouring steps of a sequence resemble one another, so what is held out are whole rows of the batch, drawn by
    ``seed``, where there are several, and else the last stretch. The fit is in closed form, in float64, on values
    brought to mean 0 and variance 1.

    Args:
        values: [T, B, F] as a trace has them, such as ``trace["c"]``, or [N, F] in their order in time.
        targets: Classes, [T, B] or [N], whole numbers or bool, a negative one where there is no target; or real
            targets, [T, B], [N], [T, B, K] or [N, K], NaN where there is none.
        held_out: The share that is held out, between 0 and 1.
        ridge: How much large weights cost, beside a variance of 1.
        seed: Of the draw.

    Returns:
        The probe.

    Raises:
        SizeError: If shapes do not fit, where there is too little to learn from or to measure on, or where what is
            learned from has one class only.

    Source:
        Alain & Bengio 2016, arXiv:1610.01644, on linear probes.

    Example:
        >>> values = torch.randn(50, 8, 4, generator=torch.Generator().manual_seed(0))
        >>> found = probe(values, values[..., 2] > 0)
        >>> found.score > 0.9, found.held_out
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
            f"There are {int(inside.sum())} vectors to learn from and {int(outside.sum())} to measure on; give more "
            "rows or steps."
        )
    return _fitted(flat, goals, inside, outside, ridge)


def _fitted(values: Tensor, goals: Tensor, inside: Tensor, outside: Tensor, ridge: float) -> Probe:
    """Fit on what is inside and measure on what is outside, bool [N] each."""
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
        found = values[which] @ weights.T + bias
        if classes is not None:
            return float((classes[found.argmax(-1)] == goals[which]).double().mean())
        left = (found - goals[which]).square().sum()
        whole = (goals[which] - goals[which].mean(0)).square().sum()
        return float(1 - left / whole)

    counts = int(inside.sum()), int(outside.sum())
    return Probe(weights, bias, classes, score(outside), chance or 0.0, score(inside), *counts)


def _ridge(values: Tensor, goals: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Give the weights [K, F] and the bias [K] of least squares with a price on weights."""
    mean, spread = values.mean(0), values.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)  # a unit that never moves gets no weight
    scaled, middle = (values - mean) / spread, goals.mean(0)
    count, units = scaled.shape
    gram = scaled.T @ scaled / count + ridge * torch.eye(units, dtype=values.dtype, device=values.device)
    # By least squares, not by solving: without a ridge, units that say the same thing leave the gram matrix singular.
    weights = torch.linalg.lstsq(gram.cpu(), (scaled.T @ (goals - middle) / count).cpu(), driver="gelsd").solution
    weights = weights.to(values.device).T / spread
    return weights, middle - weights @ mean


def _held_out(values: Tensor, share: float, seed: int) -> Tensor:
    """Say what is held out, bool [T, B] or [N]."""
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
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise SizeError(f"values are {found}; expected a tensor [T, B, F] or [N, F].")
    lead = tuple(values.shape[:-1])
    shape = tuple(targets.shape) if isinstance(targets, Tensor) else ()
    if shape != lead and not (shape[:-1] == lead and targets.is_floating_point() and shape[-1] > 0):
        raise SizeError(
            f"targets have the shape {shape}; expected {lead} as the values have, or real ones {lead} + (K,)."
        )
