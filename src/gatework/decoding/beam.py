"""Beam search: the most probable symbols that a model writes one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatework.errors import DataError, SizeError

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]

# Logarithms of probabilities may be above 0 by rounding, but not by more.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Hypothesis:
    """Symbols that a search has found.

    Args:
        symbols: The symbols, without the end symbol.
        score: What hypotheses are ranked by, such as the log-probability divided by the penalty of its length.
        log_probability: The logarithm of the probability of the symbols, with that of the end symbol if there is one.
        ended: Whether they are complete, or else a search has stopped at the greatest length.
    """

    symbols: tuple[int, ...]
    score: float
    log_probability: float
    ended: bool = True


@torch.no_grad()
def beam_search(
    step: Step,
    first: Tensor,
    state: Any = None,
    *,
    end: int | None = None,
    width: int = 4,
    length: int = 100,
    penalty: float | str = 0.0,
    axis: int = -2,
) -> list[list[Hypothesis]]:
    """Search for the most probable symbols that a model writes, for many rows at once.

    At every step, the ``width`` most probable continuations of a row are kept. One that the end symbol completes is put
    aside, and the beam of its row is narrower from then on. So only symbols of the same length are ever compared within
    a beam, and what was put aside is ranked at the end, with its penalty. Of equally probable continuations, the
    earlier beam and the smaller symbol win. With ``width`` 1 this is greedy; with as many beams as there are texts it
    is exact.

    Args:
        step: A function of the last symbols ``[B · width]`` int64 and the state. It returns the log-probabilities of
            the next symbol ``[B · width, V]`` and the new state. The beams of a row are side by side, and never change
            their row. A symbol at -inf is never written.
        first: The symbols that are read first ``[B]``.
        state: The state before the first symbol, with one entry for each row: None, a tensor, or tuples, lists and
            dictionaries of them, as deep as they come. What stays the same for a row need not be in it.
        end: The symbol that completes a text; None if only the length does.
        width: The number of beams W of each row.
        length: The greatest number of symbols, with the end symbol.
        penalty: The exponent α of the length penalty ``((5 + |Y|) / 6)^α``, where ``|Y|`` counts the end symbol; 0 for
            none, and above it, longer texts are preferred. ``mean`` ranks by the mean log-probability of a symbol.
        axis: The axis of the rows in every tensor of the state. The default is right for the states of all layers:
            ``[L, B, H]`` or ``[B, H]``.

    Returns:
        For each row at most W hypotheses, the best one first. There is none if every symbol was at -inf.

    Raises:
        SizeError: If a size is out of its range, or the tensors do not fit each other.
        DataError: If the log-probabilities of a row are NaN or above 0.

    Source:
        Sutskever, Vinyals & Le 2014 (arXiv:1409.3215), section 3.2, for the search; Wu et al. 2016 (arXiv:1609.08144),
        equation 14, for the penalty.

    Example:
        >>> table = torch.tensor([[0.0, 0.6, 0.4], [0.9, 0.05, 0.05], [0.1, 0.5, 0.4]]).log()
        >>> found = beam_search(lambda symbols, state: (table[symbols], state), torch.tensor([2, 1]), end=0, width=2)
        >>> [(one.symbols, round(one.score, 2)) for one in found[0]]
        [((1,), -0.8), ((2, 1), -1.71)]
        >>> found[1][0]
        Hypothesis(symbols=(), score=-0.105..., log_probability=-0.105..., ended=True)
    """
    _check(first, end, width, length, penalty)
    rows = len(first)
    state = _mapped(state, lambda tensor: _spread(tensor, rows, width, axis))
    found: list[list[Hypothesis]] = [[] for _ in range(rows)]
    last = first.long().repeat_interleave(width)
    written = last.new_empty(rows, width, 0)
    scores = torch.full((rows, width), float("-inf"), device=first.device)
    scores[:, :1] = 0.0  # all beams of a row are the same at first, and one of them is enough
    room = torch.full((rows, 1), width, device=first.device)
    for place in range(1, length + 1):
        if not bool((scores > float("-inf")).any()):
            break
        logs, state = step(last, state)
        total = _continued(scores, logs, place)
        values, taken = _best(total.flatten(1), width)
        values = values.masked_fill(torch.arange(width, device=first.device) >= room, float("-inf"))
        source, symbol = taken // total.shape[-1], taken % total.shape[-1]  # [B, W]
        written = torch.cat([written.gather(1, source[..., None].expand(-1, -1, place - 1)), symbol[..., None]], dim=-1)
        alive = values > float("-inf")
        done = alive & (symbol == end) if end is not None else torch.zeros_like(alive)
        _put_aside(found, done, written, values, penalty, ended=True)
        room = room - done.sum(dim=1, keepdim=True)
        scores, last = values.masked_fill(done, float("-inf")), symbol.flatten()
        index = (source + torch.arange(rows, device=first.device)[:, None] * width).flatten()
        state = _mapped(state, lambda tensor, index=index: tensor.index_select(axis, index))
    _put_aside(found, scores > float("-inf"), written, scores, penalty, ended=False)
    return [sorted(row, key=lambda one: -one.score) for row in found]


def _check(first: Tensor, end: int | None, width: int, length: int, penalty: float | str) -> None:
    """Refuse settings that no search has."""
    if first.dim() != 1 or first.is_floating_point():
        raise SizeError(f"first has the shape {list(first.shape)} of {first.dtype}; expected one symbol for each row.")
    for name, value in (("width", width), ("length", length)):
        if type(value) is not int or value < 1:
            raise SizeError(f"{name} is {value!r}; expected a whole number of 1 or more.")
    if end is not None and (type(end) is not int or end < 0):
        raise SizeError(f"end is {end!r}; expected the number of a symbol, or None if no symbol ends a text.")
    if penalty != "mean" and (isinstance(penalty, str) or not 0 <= penalty < float("inf")):
        raise SizeError(f"penalty is {penalty!r}; expected 0 (none), a number above it, or 'mean'.")


def _mapped(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change every tensor of a state, and keep its form."""
    if state is None or isinstance(state, Tensor):
        return state if state is None else change(state)
    if isinstance(state, dict):
        return {name: _mapped(part, change) for name, part in state.items()}
    if isinstance(state, tuple | list):
        parts = [_mapped(part, change) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    raise SizeError(
        f"The state has a part of the type {type(state).__name__}; expected None, tensors, or tuples, lists and "
        "dictionaries of them."
    )


def _spread(tensor: Tensor, rows: int, width: int, axis: int) -> Tensor:
    """Repeat each row of a tensor, so that the beams of a row are side by side."""
    if not -tensor.dim() <= axis < tensor.dim() or tensor.shape[axis] != rows:
        raise SizeError(
            f"The state has a tensor of the shape {list(tensor.shape)}; expected {rows:,} rows along axis {axis}. Give "
            "axis if the rows are along another one."
        )
    return tensor.repeat_interleave(width, dim=axis)


def _continued(scores: Tensor, logs: Tensor, place: int) -> Tensor:
    """Add the log-probabilities of the next symbols to those of the beams ``[B, W]``; return ``[B, W, V]``."""
    rows, width = scores.shape
    if logs.dim() != 2 or len(logs) != rows * width or not logs.is_floating_point():
        raise SizeError(
            f"The step function returned {list(logs.shape)} of {logs.dtype}; expected log-probabilities "
            f"[{rows * width}, V]: {width} beams for each of {rows} rows."
        )
    wide = logs.float() if logs.dtype in (torch.bfloat16, torch.float16) else logs
    alive = scores > float("-inf")
    largest = wide.view(rows, width, -1).amax(dim=-1)  # NaN if one is NaN
    wrong = (alive & ~(largest <= _ROUNDING)).nonzero()
    if len(wrong):
        row, beam = wrong[0].tolist()
        raise DataError(
            f"The log-probabilities of row {row} at symbol {place} are up to {float(largest[row, beam])}; expected "
            "numbers of at most 0, as log_softmax gives them."
        )
    # What stands in the place of a beam that has ended is not read.
    total = scores[..., None].to(wide.dtype) + wide.view(rows, width, -1)
    return total.masked_fill(~alive[..., None], float("-inf"))


def _best(totals: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the largest of each row ``[B, W]`` in falling order, and their places; of equals, those that come first.

    ``torch.topk`` does not promise which of equal numbers it takes, and a sort of all would take much longer.
    """
    count = min(width, totals.shape[1])
    values, places = totals.topk(min(count + 1, totals.shape[1]), dim=1)
    least = values[:, count - 1 : count]
    if bool(((values[:, count:] == least) & (least > float("-inf"))).any()):
        same, above = totals == least, totals > least
        # Of those that equal the least one, as many as there is room for.
        kept = above | (same & (same.cumsum(dim=1) <= count - above.sum(dim=1, keepdim=True)))
        places = kept.nonzero()[:, 1].view(len(totals), count)
    places = places[:, :count].sort(dim=1).values
    values, order = totals.gather(1, places).sort(dim=1, descending=True, stable=True)
    places = places.gather(1, order)
    if count < width:  # fewer continuations than beams
        values = torch.nn.functional.pad(values, (0, width - count), value=float("-inf"))
        places = torch.nn.functional.pad(places, (0, width - count))
    return values, places


def _put_aside(
    found: list[list[Hypothesis]],
    which: Tensor,
    written: Tensor,
    scores: Tensor,
    penalty: float | str,
    *,
    ended: bool,
) -> None:
    """Add beams ``[B, W]`` to what was found."""
    count = written.shape[-1]
    over = float(count) if isinstance(penalty, str) else ((5 + count) / 6) ** penalty
    for row, beam in which.nonzero().tolist():
        symbols, nats = written[row, beam].tolist(), float(scores[row, beam])
        found[row].append(Hypothesis(tuple(symbols[:-1] if ended else symbols), nats / over, nats, ended))
