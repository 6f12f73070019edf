"""A unit elsewhere: its highest and lowest values in text that the model was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.data.vocabulary import Symbols
from gatework.explorer.messages import Stretch
from gatework.explorer.models import Opened, display
from gatework.explorer.quantities import LayerDirection
from gatework.explorer.rows import Deadline, run_rows
from gatework.explorer.traces import key_of

_MOST_SYMBOLS = 50_000
_MOST_VALUES = 2**24
_STREAMS = 64
_CONTEXT = 100  # symbols read before each stream's own, so that its state is not empty
_BEFORE, _BEHIND = 40, 20


@dataclass(frozen=True)
class Reading:
    """A quantity over held-out text.

    Args:
        symbols: The text of each position.
        values: The quantity [n, H].
    """

    symbols: Sequence[str]
    values: Tensor

    @property
    def bytes(self) -> int:
        """The memory that it takes, in bytes."""
        return self.values.nbytes + 16 * len(self.symbols)


def read_held_out(
    opened: Opened,
    symbols: Symbols,
    place: LayerDirection,
    name: str,
    sizes: dict[LayerDirection, dict[str, int]],
    deadline: Deadline,
) -> Reading:
    """Run a model over held-out text, in streams side by side, and record one quantity.

    Args:
        opened: The model.
        symbols: The text. Of a long one, only the beginning is read.
        place: The layer and direction.
        name: The quantity.
        sizes: The quantities of each layer and direction, with their sizes.
        deadline: The time limit.

    Returns:
        The quantity at every position.
    """
    room = _MOST_VALUES // sum(names.get(name, 0) for names in sizes.values())
    symbols = symbols[: min(_MOST_SYMBOLS, room)]
    tokens = opened.vocabulary.encode(symbols).long()
    streams = min(_STREAMS, max(1, len(tokens) // (2 * _CONTEXT)))
    length = -(-len(tokens) // streams)
    # Line ends precede and follow the text. They are read and thrown away.
    padded = tokens.new_full((_CONTEXT + streams * length,), opened.vocabulary.start)
    padded[_CONTEXT : _CONTEXT + len(tokens)] = tokens
    deadline.check()
    traced = run_rows(opened, padded.unfold(0, _CONTEXT + length, length).t(), None, (), 0, (name,))
    deadline.check()
    values = traced[key_of(place, name)][_CONTEXT:]
    return Reading(
        display(symbols, pieces=opened.vocabulary.unit == "piece"),
        values.transpose(0, 1).flatten(0, 1)[: len(tokens)].clone(),
    )


def find_stretches(reading: Reading, unit: int, count: int, *, highest: bool) -> list[Stretch]:
    """Find the stretches of text around a unit's extremes.

    Args:
        reading: The quantity over the text.
        unit: The unit.
        count: The most stretches.
        highest: Whether to find the highest values, or the lowest.

    Returns:
        The stretches, the most extreme first. No two overlap in their middle.
    """
    values = reading.values[:, unit].nan_to_num()
    free = torch.ones(len(values), dtype=torch.bool)
    stretches: list[Stretch] = []
    for peak in values.argsort(descending=highest, stable=True).tolist():
        if len(stretches) == count:
            break
        if free[peak]:
            begin, end = max(0, peak - _BEFORE), min(len(values), peak + _BEHIND)
            free[begin:end] = False
            text = list(reading.symbols[begin:end])
            stretches.append(Stretch(text=text, values=values[begin:end].tolist(), offset=begin, peak=peak - begin))
    return stretches
