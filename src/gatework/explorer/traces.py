"""A text that a model has read, with everything that the model computed.

A text is read as `gatework evaluate` reads it: a line end comes before its first symbol. So position p of the text is
row p + 1 of the layers' input, and row 0 is the line end.

A text that fits in memory is stored whole. For a longer text, only the states at the end of every :data:`CHUNK` rows
are stored. Quantities are computed again from the state before them, many chunks side by side. The kernels add up each
product in one order, however rows are cut and batched, so the results are the same to the bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gatework.data.vocabulary import Symbols
from gatework.errors import ExplorerError
from gatework.explorer.messages import Intervention
from gatework.explorer.models import Opened
from gatework.explorer.quantities import LayerDirection
from gatework.explorer.rows import Deadline, Predictions, predict, run_rows
from gatework.tracing import Trace

CHUNK = 500
_MOST_VALUES = 2**24  # computed again at once, over all quantities


@dataclass
class TextTrace:
    """A text that was read, made by :func:`read_text`.

    Args:
        opened: The model.
        run: The id of its run.
        symbols: The text of each position, to show.
        unknown: The positions whose symbol the vocabulary lacks.
        tokens: The numbers of all rows [rows], int64.
        interventions: The values that were held, and where.
        names: The quantities of each layer and direction, with their sizes.
        predictions: The model's predictions.
        starts: The state before every chunk; the first is None.
        kept: All quantities [rows, H] by layer, direction and name, if they fit.
    """

    opened: Opened
    run: str
    symbols: list[str]
    unknown: list[int]
    tokens: Tensor
    interventions: Sequence[Intervention]
    names: dict[LayerDirection, dict[str, int]]
    predictions: Predictions
    starts: list[Any] = field(repr=False)
    kept: dict[LayerDirection, dict[str, Tensor]] | None = field(repr=False)

    @property
    def steps(self) -> int:
        """The number of positions of the text."""
        return len(self.symbols)

    @property
    def bytes(self) -> int:
        """The memory that it takes. A character counts as much as Python needs for one in a list."""
        tensors = [self.tokens, self.predictions.loss, self.predictions.symbols, self.predictions.probabilities]
        tensors += [values for place in (self.kept or {}).values() for values in place.values()]
        tensors += [tensor for state in self.starts for tensor in _tensors(state)]
        return sum(tensor.nbytes for tensor in tensors) + 16 * self.steps

    def sizes(self, place: LayerDirection) -> dict[str, int]:
        """Return the quantities of a layer and direction, with their numbers of units.

        Raises:
            ExplorerError: If there is no such layer.
        """
        if place not in self.names:
            raise ExplorerError(
                f"There is no layer {place[0]} in direction {place[1]}: layers are counted from 0, and this model has "
                f"{len(self.names)}.",
                404,
            )
        return self.names[place]

    def size(self, place: LayerDirection, name: str) -> int:
        """Return the number of units of a quantity.

        Raises:
            ExplorerError: If there is no such layer or quantity.
        """
        known = self.sizes(place)
        if name not in known:
            raise ExplorerError(f"There is no quantity '{name}'; expected one of {', '.join(known)}.", 404)
        return known[name]

    def window(self, place: LayerDirection, name: str, start: int, stop: int, deadline: Deadline) -> Tensor:
        """Return a quantity over a window of positions.

        Args:
            place: The layer and direction.
            name: The quantity.
            start: The first position; -1 is the line end before the text.
            stop: The position after the last.
            deadline: The time limit.

        Returns:
            Its values [stop - start, H].
        """
        self.size(place, name)
        if self.kept is not None:
            return self.kept[place][name][start + 1 : stop + 1]
        pieces = [piece[name] for _, piece in self.pieces(place, (name,), start, stop, deadline)]
        return torch.cat(pieces)

    def pieces(
        self, place: LayerDirection, names: Sequence[str], start: int, stop: int, deadline: Deadline
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield quantities piece by piece, so that a long text is never held whole.

        Args:
            place: The layer and direction.
            names: The quantities.
            start: The first position; -1 is the line end before the text.
            stop: The position after the last.
            deadline: The time limit.

        Yields:
            The first position of a piece, and its quantities [n, H].
        """
        for name in names:
            self.size(place, name)
        if self.kept is not None:
            yield start, {name: self.kept[place][name][start + 1 : stop + 1] for name in names}
            return
        first, last = (start + 1) // CHUNK, -(-(stop + 1) // CHUNK)
        all_sizes = sum(self.names[at].get(name, 0) for at in self.names for name in names)
        together = 1 if self.interventions else max(1, _MOST_VALUES // (CHUNK * all_sizes))
        for begin in range(first, last, together):
            deadline.check()
            end = min(begin + together, last)
            traced = self._again(begin, end, tuple(names))
            # From chunks side by side back to rows in order.
            rows = slice(max(start + 1 - begin * CHUNK, 0), min(stop + 1, len(self.tokens)) - begin * CHUNK)
            values = {name: traced[key_of(place, name)].transpose(0, 1).flatten(0, 1)[rows] for name in names}
            yield max(start, begin * CHUNK - 1), values

    def _again(self, begin: int, end: int, names: tuple[str, ...]) -> Trace:
        """Compute chunks again, side by side."""
        tokens = self.tokens[begin * CHUNK : end * CHUNK]
        padded = functional.pad(tokens, (0, (end - begin) * CHUNK - len(tokens)))
        state = None if end == begin + 1 and begin == 0 else _side_by_side(self.starts[begin:end])
        side_by_side = padded.view(end - begin, CHUNK).t()
        return run_rows(self.opened, side_by_side, state, self.interventions, begin * CHUNK, names)

    def around(self, row: int) -> tuple[Trace, int]:
        """Run the layers up to a row again, with all names and parts.

        Args:
            row: The row.

        Returns:
            The trace, and the index of the row in it.
        """
        first = row if self.kept is not None else row // CHUNK * CHUNK
        state = self.starts[row // CHUNK] if self.kept is None or row == 0 else self._state_at(row - 1)
        tokens = self.tokens[first : row + 1, None]
        return run_rows(self.opened, tokens, state, self.interventions, first, None), row - first

    def _state_at(self, row: int) -> Any:
        """Return the state after a row of a text that is stored whole, in the form that the layers take."""
        assert self.kept is not None
        layer = self.opened.model.recurrent
        parts = [tuple(names[state][row, None] for names in self.kept.values()) for state in layer.cell.states]
        states = tuple(torch.stack(part) if layer.same_sizes else part for part in parts)
        return states if len(states) > 1 else states[0]

    def beginning(self, rows: int) -> Trace:
        """Run the first rows again, with all names, including masks, which are their probabilities here."""
        steps = [layer.step for layer in self.opened.model.recurrent.layers]
        names = dict.fromkeys(name for sizes in self.names.values() for name in sizes)
        masks = dict.fromkeys(name for step in steps for name in step.draws)
        return run_rows(self.opened, self.tokens[:rows, None], None, self.interventions, 0, (*names, *masks))


def read_text(
    opened: Opened,
    run: str,
    symbols: Symbols,
    shown: list[str],
    names: dict[LayerDirection, dict[str, int]],
    interventions: Sequence[Intervention],
    *,
    most_kept: int,
    deadline: Deadline,
) -> TextTrace:
    """Run a model over a text.

    Args:
        opened: The model.
        run: The id of its run.
        symbols: The symbols of the text.
        shown: The text of each symbol, to show.
        names: The quantities of each layer and direction, with their sizes.
        interventions: The values to hold, and where.
        most_kept: The most bytes of quantities that are stored whole.
        deadline: The time limit.

    Returns:
        The text with its trace.
    """
    vocabulary = opened.vocabulary
    encoded = vocabulary.encode(symbols)
    tokens = torch.cat([encoded.new_tensor([vocabulary.start]), encoded]).long()
    unknown = [] if vocabulary.unknown is None else (encoded == vocabulary.unknown).nonzero()[:, 0].tolist()
    whole = 4 * len(tokens) * sum(sum(sizes.values()) for sizes in names.values()) <= most_kept
    starts: list[Any] = [None]
    outputs: list[Tensor] = []
    traces: list[Trace] = []
    for begin in range(0, len(tokens), CHUNK):
        deadline.check()
        rows = tokens[begin : begin + CHUNK, None]
        traced = run_rows(opened, rows, starts[-1], interventions, begin, None if whole else ())
        outputs.append(traced.output[:, 0])
        starts.append(traced.state)
        traces += [traced] if whole else []
    kept = None
    if whole:
        kept = {
            at: {name: torch.cat([one[key_of(at, name)][:, 0] for one in traces]) for name in names[at]} for at in names
        }
    predictions = predict(opened.model.head, torch.cat(outputs), tokens, deadline)
    return TextTrace(opened, run, shown, unknown, tokens, tuple(interventions), names, predictions, starts[:-1], kept)


def key_of(place: LayerDirection, name: str) -> str:
    """Name a quantity of a layer as traces name it."""
    return f"l{place[0]}{'_reverse' if place[1] else ''}.{name}"


def _tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state or () for tensor in _tensors(part)]


def _side_by_side(states: Sequence[Any]) -> Any:
    """Combine states of one row each into a state of several rows; None stands for zeros."""
    like = next(state for state in states if state is not None)
    return _joined([state if state is not None else _zeros(like) for state in states])


def _joined(states: Sequence[Any]) -> Any:
    if isinstance(states[0], Tensor):
        return torch.cat(list(states), -2)
    return tuple(_joined(parts) for parts in zip(*states, strict=True))


def _zeros(state: Any) -> Any:
    return torch.zeros_like(state) if isinstance(state, Tensor) else tuple(map(_zeros, state))
