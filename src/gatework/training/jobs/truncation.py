"""Truncated backpropagation through time: the steps of a long sequence that one training step reads.

A long sequence is trained on piece by piece, and the state is carried from one piece to the next. With ``tbptt`` k1,k2
a training step adds up the losses of the next k1 steps. The gradient goes back over at most k2 steps: these, and the
k2 - k1 steps before them. This is BPTT(k2; k1) of Williams & Peng 1990, "An Efficient Gradient-Based Algorithm for
On-Line Training of Recurrent Network Trajectories". One thing differs: the steps before are run again with the present
weights, from the state that was carried.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from gatework.models.state import State
from gatework.tasks.task import Synthetic, Task

Run = Callable[[int, int, State], tuple[Tensor, State]]
"""Runs the steps from one to another, and returns the sum of the losses that count and the state at the end."""


class Piece(NamedTuple):
    """The steps of a sequence that one training step reads.

    Args:
        begin: The first step that is read.
        first: The first step whose loss counts.
        end: The one after the last.
        carried: The step before which the state is carried to the next piece; 0 if none is carried.
    """

    begin: int
    first: int
    end: int
    carried: int


def cut_piece(length: int, pieces: int, index: int, back: int) -> Piece:
    """Return one of the pieces of a sequence.

    Args:
        length: The steps of the sequence.
        pieces: The number of pieces; the losses of each step count in one of them, evenly.
        index: The piece, from 0.
        back: How many steps before those whose losses count are run again.

    Example:
        >>> [tuple(cut_piece(9, 3, index, back=4)) for index in range(3)]
        [(0, 0, 3, 0), (0, 3, 6, 2), (2, 6, 9, 0)]
    """
    first, end = length * index // pieces, length * (index + 1) // pieces
    return Piece(max(0, first - back), first, end, max(0, end - back) if index + 1 < pieces else 0)


def run_piece(piece: Piece, state: State, run: Run) -> tuple[Tensor, State]:
    """Run a piece.

    Args:
        piece: The piece.
        state: The carried state, if the piece does not begin at the beginning.
        run: Runs some of its steps.

    Returns:
        The sum of the losses, and the state to carry; None if none is carried.
    """
    state, carried, totals = state if piece.begin else None, None, []
    places = sorted({piece.begin, piece.end, *([piece.carried] if piece.carried else [])})
    for begin, end in pairwise(places):
        total, state = run(begin, end, state)
        totals.append(total)
        if end == piece.carried:
            carried = state
    return sum(totals[1:], totals[0]), carried


def windows_of(task: Task) -> int:
    """Return the number of windows into which a task cuts a training batch; 1 if sequences are read whole."""
    return task.examples.windows if isinstance(task.examples, Synthetic) else 1


def uncut(tbptt: tuple[int, int], task: str) -> str:
    """Return the message that a task reads its sequences whole."""
    return (
        f"tbptt is {tbptt[0]},{tbptt[1]}, and task '{task}' reads each sequence whole: the gradient goes back over all "
        "its steps, and no state is carried. Leave it out; it is for texts, and for tasks that cut endless streams, "
        "such as continual_reber."
    )
