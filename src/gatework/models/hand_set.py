"""A plain recurrent network with weights set by hand: one unit that remembers a sign for any length of time.

With R > 1, a unit h = tanh(R h + W x) has two stable states: the solutions ±h* of h = tanh(R h) other than 0. There is
a barrier between them. The symbol to remember has to move the unit from 0 to one of them, and the noise that follows
must not move it to the other. A single push does so if W x is beyond -R h*. A lasting push does so earlier, beyond the
fold, where the stable state vanishes. So R is chosen such that even the fold is several standard deviations of the
noise away.
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

    It has one unit. With the default weights, the noise of the task would have to push it once by 8.9 of its standard
    deviations, or again and again by 4.8, to flip its sign.

    Args:
        self_connection: The weight R from the unit to itself.
        input_weight: The weight W from the input to the unit.

    Returns:
        The model. Its two scores are for sequences that started with -1 and with 1.

    Raises:
        SizeError: If the unit could not hold a sign, because R is not above 1 or W is not above 0.

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
        raise SizeError(
            f"input_weight is {input_weight!r}; expected a number above 0, or the input would not be heard."
        )
    with torch.random.fork_rng(devices=[]):  # the values drawn here are overwritten
        model = SequenceModel(int(latch.inputs or 0), int(latch.outputs or 0), "rnn", 1)
    values = {"W_h": input_weight, "R_h": self_connection, "b_h": 0.0}
    with torch.no_grad():
        for name, weight in values.items():
            model.recurrent.named_weights(0)[name].fill_(weight)
        model.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        model.head.bias.zero_()
    return model.eval()


def resting_state(self_connection: float) -> float:
    """Return the stable state h* > 0 of a unit h = tanh(R h).

    Args:
        self_connection: R.

    Returns:
        h*.

    Raises:
        SizeError: If R is not above 1; then 0 is the only stable state.

    Example:
        >>> round(resting_state(4.0), 5)
        0.99933
    """
    if not 1 < self_connection < math.inf:
        raise SizeError(
            f"self_connection is {self_connection!r}; expected a number above 1: at 1 or below, tanh has one state of "
            "rest, 0, and forgets."
        )
    # Above 0, tanh is increasing and concave, so iterating it from above converges to the upper solution.
    state, before = 1.0, 2.0
    while before - state > 1e-15:
        state, before = math.tanh(self_connection * state), state
    return state


def barriers(self_connection: float) -> tuple[float, float]:
    """Return how strongly a unit in its stable state has to be pushed to flip its sign.

    Args:
        self_connection: R, above 1.

    Returns:
        The smallest push |W x| that flips it in a single step, and the smallest that flips it if it lasts.

    Raises:
        SizeError: If R is not above 1, as for :func:`resting_state`.

    Example:
        >>> [round(push, 3) for push in barriers(4.0)]
        [3.997, 2.147]
    """
    once = self_connection * resting_state(self_connection)
    # A lasting push moves the curve down until the upper stable state meets the unstable one at the barrier. There the
    # slope of the curve, R (1 - h^2), is 1.
    fold = math.sqrt(1 - 1 / self_connection)
    return once, self_connection * fold - math.atanh(fold)
