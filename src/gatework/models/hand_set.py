"""A plain recurrent network whose weights are set by hand: one unit that remembers a sign for as long as one likes.

A unit that feeds itself, h = tanh(R h + W x), has with R > 1 two states in which it rests: the solutions ±h* of
h = tanh(R h) other than 0. Between them stands a barrier. What is to be remembered has to carry the unit from 0 to one
of them; after that noise must not carry it over. A single push tips it over where W x is beyond -R h*, a lasting one
already where it is beyond the fold at which the state of rest ceases to be. So R is chosen such that even the fold lies
several standard deviations of the noise away.
"""

import math

import torch

from gatework.errors import SizeError
from gatework.models.sequences import SequenceModel
from gatework.tasks.synthetic.latch import latch

_INPUT = 1.0
_SELF = 4.0


def hand_set_latch(self_connection: float = _SELF, input_weight: float = _INPUT) -> SequenceModel:
    """Build a model of cell ``rnn`` that solves the task ``latch`` over any gap, without training.

    It has one unit. With the weights it is given by default, noise of the task would have to push once by 8.9 of its
    standard deviations, or again and again by 4.8, to tip it over.

    Args:
        self_connection: The weight R of the unit upon itself.
        input_weight: The weight W of the input upon the unit.

    Returns:
        The model. Its two scores are those of having begun with -1 and with 1.

    Raises:
        SizeError: If the unit could not hold a sign: where R is not above 1, or W not above 0.

    Source:
        Bengio, Simard & Frasconi 1994, section III, on latching with one unit.

    Example:
        >>> model = hand_set_latch()
        >>> noise = torch.randn(1000, 1, 1, generator=torch.Generator().manual_seed(0)) * 0.2**0.5
        >>> given = torch.cat([torch.ones(3, 1, 1), noise])
        >>> scores, _ = model(given)
        >>> scores[-1, 0].argmax().item(), model(-given)[0][-1, 0].argmax().item()
        (1, 0)
    """
    resting_state(self_connection)
    if not input_weight > 0:
        raise SizeError(f"input_weight is {input_weight!r}; expected a number above 0, or the input would not be heard")
    with torch.random.fork_rng(devices=[]):  # what is drawn here is written over
        model = SequenceModel(int(latch.inputs or 0), int(latch.outputs or 0), "rnn", 1)
    values = {"W_h": input_weight, "R_h": self_connection, "b_h": 0.0}
    with torch.no_grad():
        for name, weight in values.items():
            model.recurrent.named_weights(0)[name].fill_(weight)
        model.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        model.head.bias.zero_()
    return model.eval()


def resting_state(self_connection: float) -> float:
    """Return the state h* > 0 in which a unit h = tanh(R h) rests.

    Args:
        self_connection: R.

    Returns:
        h*.

    Raises:
        SizeError: If R is not above 1: then 0 is the only state in which it rests.

    Example:
        >>> round(resting_state(4.0), 5)
        0.99933
    """
    if not 1 < self_connection < math.inf:
        raise SizeError(
            f"self_connection is {self_connection!r}; expected a number above 1: at 1 or below, tanh has one state of "
            "rest, 0, and forgets"
        )
    # Both functions rise and the curve of tanh is hollow, so going round in it ends at the upper solution.
    state, before = 1.0, 2.0
    while before - state > 1e-15:
        state, before = math.tanh(self_connection * state), state
    return state


def barriers(self_connection: float) -> tuple[float, float]:
    """Return how hard a unit at rest has to be pushed to tip over.

    Args:
        self_connection: R, above 1.

    Returns:
        The least push |W x| against it that does so in a single step, and the least that does so when it lasts.

    Raises:
        SizeError: As for :func:`resting_state`.

    Example:
        >>> [round(push, 3) for push in barriers(4.0)]
        [3.997, 2.147]
    """
    once = self_connection * resting_state(self_connection)
    # A lasting push moves the curve down until the upper state of rest meets the one at the barrier: there its slope,
    # R (1 - h^2), is 1.
    fold = math.sqrt(1 - 1 / self_connection)
    return once, self_connection * fold - math.atanh(fold)
