"""Delayed credit: a move that matters many moves later."""

import numpy as np
import torch

from gatework.tasks.task import Batch, Gap, Split, Success, Synthetic, Task

SQUARES = 4
# The move that decides is one of so many at the beginning.
OPENING = 4


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw games: at each step a board of free and taken squares, and a move onto one of them.

    One of the first moves decides the game, and is marked. The game is won if this move went onto a free square. The
    target is at the last move, gap moves later.

    Args:
        rng: The random generator.
        size: The number of games B.
        gap: Moves from the one that decides to the end.
        split: Not used.

    Returns:
        Inputs ``[T, B, 9]``: the move, as 1 on its square; the squares, 1 free and -1 taken; the mark. Targets
        ``[T, B]``: 1 won, 0 lost. T is up to gap + 4.
    """
    decisive = rng.integers(0, OPENING, size=size)
    lengths = decisive + gap + 1
    steps, columns = int(lengths.max()), np.arange(size)
    moves = rng.integers(0, SQUARES, size=(steps, size))
    board = 2 * rng.integers(0, 1, size=(steps, size, SQUARES), endpoint=True) - 1
    marks = np.zeros((steps, size, 1))
    marks[decisive, columns] = 1
    targets = np.full((steps, size), -100)
    targets[lengths - 1, columns] = board[decisive, columns, moves[decisive, columns]] > 0
    inputs = np.concatenate([moves[..., None] == np.arange(SQUARES), board, marks], axis=-1)
    return Batch(torch.from_numpy(inputs).float(), torch.from_numpy(targets), torch.from_numpy(lengths))


delayed_credit = Task(
    name="delayed_credit",
    title="Delayed credit",
    asks="A game of moves on a board that changes all the time. One early move is marked and decides the game: onto a "
    "free square it wins, onto a taken square it loses. Was the game won? The answer is due at the last move.",
    source="This project's own, after the question of credit for a move that matters only much later",
    kind="choice",
    inputs=2 * SQUARES + 1,
    outputs=2,
    gap=Gap(12, "moves from the one that decides to the end of the game", least=1),
    success=Success("accuracy", at_least=0.99, words="This project's own: 99 games of 100."),
    chance=lambda gap: {"accuracy": 0.5, "loss": float(np.log(2)), "solved": 0.5},
    examples=Synthetic(draw),
    defaults={"hidden_size": 32, "batch_size": 32, "learning_rate": 1e-2, "steps": 2000},
    notes="The model chooses no moves. The moves are random, and the model learns which of them to remember.",
)
