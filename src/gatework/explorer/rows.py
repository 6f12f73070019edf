"""Rows of symbols through a model: the layers over them, with held values, and the predictions of the head."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gatework.errors import ExplorerError
from gatework.explorer.messages import Intervention
from gatework.explorer.models import Opened
from gatework.tracing import Trace, clamp, trace

TOP = 8
_MOST_SCORES = 2**22
# For these names, clamp() takes something other than a quantity's values.
_NOT_HELD = ("units", "layer", "direction", "start", "stop", "rows")


class Deadline:
    """A time limit for work.

    Args:
        seconds: The seconds from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Stop the work if the time is over.

        Raises:
            ExplorerError: If the time is over.
        """
        if time.monotonic() > self._end:
            raise ExplorerError(
                f"This took longer than {self._seconds:g} seconds and was given up. Look at a shorter text, or start "
                "the explorer with more --seconds.",
                503,
            )


@dataclass(frozen=True)
class Predictions:
    """The model's predictions at each row.

    Args:
        loss: The loss of the symbol that came next, in nats [rows - 1].
        symbols: The numbers of the most likely symbols [rows, 8].
        probabilities: Their probabilities [rows, 8].
    """

    loss: Tensor
    symbols: Tensor
    probabilities: Tensor


def run_rows(
    opened: Opened,
    tokens: Tensor,
    state: Any,
    interventions: Sequence[Intervention],
    offset: int,
    names: tuple[str, ...] | None,
) -> Trace:
    """Run a model's layers over rows of tokens.

    Args:
        opened: The model.
        tokens: The numbers of the symbols [T, B].
        state: The state before the first; None for zeros.
        interventions: The values to hold, by positions of the text.
        offset: The row of the text that is the first row here. Position p of the text is its row p + 1.
        names: The quantities to record; None for all, including parts.

    Returns:
        The trace.
    """
    with torch.no_grad(), holding(opened, interventions, offset, len(tokens)):
        return trace(opened.model.recurrent, opened.model.embedding(tokens), names, parts=names is None, state=state)


@contextmanager
def holding(opened: Opened, interventions: Sequence[Intervention], offset: int, rows: int) -> Iterator[None]:
    """Hold values at those of the rows that interventions name.

    Args:
        opened: The model.
        interventions: The values to hold, by positions of the text.
        offset: The row of the text that is the first row here. Position p of the text is its row p + 1.
        rows: The number of rows.
    """
    # Kernels are made for a set and order of held quantities. Of two values for one quantity, the later one wins.
    ordered = sorted(interventions, key=lambda one: (one.layer, one.direction, one.name))
    with ExitStack() as stack:
        for one in ordered:
            start = max(0, one.start + 1 - offset)
            stop = rows if one.stop is None else min(rows, one.stop + 1 - offset)
            if start < stop:
                stack.enter_context(_held(opened, one, start, stop))
        yield


def _held(opened: Opened, one: Intervention, start: int, stop: int) -> AbstractContextManager[None]:
    value: dict[str, Any] = {one.name: one.value}
    return clamp(
        opened.model.recurrent,
        units=one.units,
        layer=one.layer,
        direction=one.direction,
        start=start,
        stop=stop,
        **value,
    )


def check_interventions(interventions: Sequence[Intervention], sizes: dict[tuple[int, int], dict[str, int]]) -> None:
    """Refuse to hold quantities that do not exist.

    Args:
        interventions: The values to hold.
        sizes: The lines that can be held in each layer and direction, with the number of their units.

    Raises:
        ExplorerError: If a quantity does not exist. The message says which can be held.
    """
    for one in interventions:
        known = sizes.get((one.layer, one.direction))
        if known is None:
            raise ExplorerError(f"There is no layer {one.layer} in direction {one.direction}: there are {len(sizes)}.")
        if one.name not in known or one.name in _NOT_HELD:
            raise ExplorerError(f"'{one.name}' cannot be held; expected one of {', '.join(known)}.")
        beyond = [unit for unit in one.units or () if unit >= known[one.name]]
        if beyond:
            raise ExplorerError(
                f"'{one.name}' has no unit {beyond[0]}; expected units from 0 to {known[one.name] - 1}."
            )


@torch.no_grad()
def predict(head: nn.Linear, outputs: Tensor, tokens: Tensor, deadline: Deadline) -> Predictions:
    """Compute the predictions after every row.

    Args:
        head: The layer that computes scores.
        outputs: The head's input [rows, H].
        tokens: The numbers of all rows [rows].
        deadline: The time limit.

    Returns:
        The predictions, in float32.
    """
    came = torch.cat([tokens[1:], tokens.new_zeros(1)])
    # The pieces have nearly the same size. A small rest would be multiplied by other code, which rounds differently.
    count = -(-len(outputs) * head.out_features // _MOST_SCORES)
    losses, symbols, probabilities = [], [], []
    for output, target in zip(outputs.tensor_split(count), came.tensor_split(count), strict=True):
        deadline.check()
        logs = head(output).float().log_softmax(-1)
        best = logs.topk(min(TOP, logs.shape[-1]))
        losses.append(-logs.gather(1, target[:, None])[:, 0])
        symbols.append(best.indices)
        probabilities.append(best.values.exp())
    return Predictions(torch.cat(losses)[:-1], torch.cat(symbols), torch.cat(probabilities))
