"""Figures about the units over a text: their half-lives, how saturated they are, and what they follow."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gatework.errors import CellError, ExplorerError
from gatework.explorer.analysis import follow, order_by_similarity, saturation
from gatework.explorer.marks import PRESETS, mark_preset, marked_ranges
from gatework.explorer.messages import FindAnswer, Follower, Opening, QuantityAnswer, UnitsAnswer
from gatework.explorer.quantities import LayerDirection
from gatework.explorer.rows import Deadline
from gatework.explorer.traces import TextTrace, key_of
from gatework.tracing import half_lives

_MOST_LOOKED_AT = 20_000  # positions
_MOST_HALVED = 5000  # rows that half-lives are computed from
_MOST_FOLLOWERS = 30
# Presets that a unit must remember something for, the most telling first. All others are nearly symbols themselves.
_TELLING = (("inside_quotes", "inside_brackets"), ("indentation", "after_comma", "comment", "first_word"))


def look_at(
    traced: TextTrace, place: LayerDirection, names: Sequence[str], deadline: Deadline
) -> tuple[dict[str, Tensor], int]:
    """Return quantities at every k-th position of a text.

    Args:
        traced: The text.
        place: The layer and direction.
        names: The quantities.
        deadline: The time limit.

    Returns:
        The quantities [n, H], and k, which is 1 unless the text is long.
    """
    every = max(1, -(-traced.steps // _MOST_LOOKED_AT))
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    for start, piece in traced.pieces(place, names, 0, traced.steps, deadline):
        for name in names:
            kept[name].append(piece[name][-start % every :: every])
    return {name: torch.cat(parts) for name, parts in kept.items()}, every


def describe_units(
    traced: TextTrace, place: LayerDirection, quantity: QuantityAnswer, deadline: Deadline
) -> UnitsAnswer:
    """Compute figures for every unit of a quantity.

    Args:
        traced: The text.
        place: The layer and direction.
        quantity: The quantity, with its bounds.
        deadline: The time limit.

    Returns:
        The figures.
    """
    values = look_at(traced, place, (quantity.name,), deadline)[0][quantity.name]
    low: list[float | None] = [None] * quantity.size
    high, both = low, low
    if quantity.low is not None and quantity.high is not None:
        near_low, near_high = saturation(values, quantity.low, quantity.high)
        low, high, both = near_low.tolist(), near_high.tolist(), (near_low + near_high).tolist()
    return UnitsAnswer(
        half_life=_half_life(traced, place, quantity),
        saturation=both,
        saturated_low=low,
        saturated_high=high,
        order_by_similarity=order_by_similarity(values),
    )


def _half_life(traced: TextTrace, place: LayerDirection, quantity: QuantityAnswer) -> list[float | None]:
    """Return the half-life of the state that a quantity belongs to: the state itself, or the cell state."""
    states = traced.opened.model.recurrent.cell.states
    cell_state = states[min(1, len(states) - 1)]
    trace = traced.beginning(_MOST_HALVED)
    for state in (quantity.name, cell_state) if quantity.name in states else (cell_state,):
        try:
            steps = half_lives(traced.opened.model, trace, key_of(place, state))
        except CellError:
            continue  # a state whose line mixes the units, such as the h of a plain RNN, has no half-life
        # A state whose line does not read its own previous value, such as the h of an LSTM, keeps nothing by itself.
        if len(steps) == quantity.size and bool(steps.any()):
            return [one if math.isfinite(one) else None for one in steps.tolist()]
    return [None] * quantity.size


def rank_followers(
    traced: TextTrace,
    place: LayerDirection,
    names: Sequence[str],
    marked: Sequence[bool],
    deadline: Deadline,
    *,
    chosen: bool,
) -> FindAnswer:
    """Rank units by how well they tell marked positions from the others.

    Args:
        traced: The text.
        place: The layer and direction.
        names: The quantities to compare.
        marked: Which positions are marked.
        deadline: The time limit.
        chosen: Whether a reader chose the marks. For a preset, a text without marks is a valid answer.

    Returns:
        The marks, and the units that follow them best; no units if all positions are marked, or none.

    Raises:
        ExplorerError: If a reader chose the marks, and all positions are marked, or none.
    """
    values, every = look_at(traced, place, names, deadline)
    looked_at = torch.tensor(marked)[::every]
    inside = int(looked_at.sum())
    if not chosen and inside in (0, len(looked_at)):
        return FindAnswer(positions=marked_ranges(marked), marked=sum(marked), every=every, ranking=[])
    if not 0 < inside < len(looked_at):
        raise ExplorerError(
            f"{inside:,} of {len(looked_at):,} positions looked at are marked, so that no unit can tell marked from "
            "unmarked ones. Mark some of the text, and not all of it."
        )
    ranking = []
    for name, one in values.items():
        for unit, area in enumerate(follow(one, looked_at).tolist()):
            score, sign = max(area, 1 - area), 1 if area >= 0.5 else -1
            ranking.append(Follower(name=name, unit=unit, score=score, sign=sign))
    ranking.sort(key=lambda follower: -follower.score)
    return FindAnswer(
        positions=marked_ranges(marked), marked=sum(marked), every=every, ranking=ranking[:_MOST_FOLLOWERS]
    )


def find_opening(traced: TextTrace, names: dict[int, list[str]], gap: str | None, deadline: Deadline) -> Opening | None:
    """Find the unit that follows best what stands between two signs, such as quotes, or else another preset.

    Args:
        traced: The text.
        names: The states of each layer.
        gap: What stands between two symbols; None if symbols are characters.
        deadline: The time limit.

    Returns:
        The unit, in the forward direction; None if no preset marks a part of the text.
    """
    rest = tuple(preset for preset in PRESETS if not any(preset in group for group in _TELLING))
    for group in (*_TELLING, rest):
        found: list[Opening] = []
        for preset in group:
            marks = mark_preset(traced.symbols, preset, gap=gap)
            for layer, states in names.items():
                answer = rank_followers(traced, (layer, 0), states, marks, deadline, chosen=False)
                found += [
                    Opening(**best.model_dump(), layer=layer, preset=preset, positions=answer.positions)
                    for best in answer.ranking[:1]
                ]
        if found:
            return max(found, key=lambda one: one.score)  # of equal ones the first
    return None
