"""Names that become parameters, and look like a state, an input or a line that was mistyped.

A name that nothing defines is learned. That is what makes equations short, and it is also what happens to ``C`` beside
``c``. A vector is suspected only for a reason that can be said in a sentence.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gatework.errors import nearest
from gatework.language.nodes import Name, Product, Step, walk
from gatework.language.spelling import GREEK

# What people append to a state or an input to say which step's value they mean.
_TIMES = frozenset(("t", "t1", "tm1", "t_1", "prev", "previous", "old", "last", "new", "now", "next", "current"))
# Words that name learned vectors, and letters that papers use for them.
_LEARNED = frozenset(
    ("bias", "gain", "scale", "shift", "slope", "offset", "threshold", "decay", "leak", "rate", "weight")
)
_LETTERS = frozenset("abdgpsuvw")
_LIKENESS = 0.8


@dataclass(frozen=True, slots=True)
class Suspect:
    """A learned vector that looks mistyped.

    Args:
        name: Its name.
        meant: The state, the input or the line that was probably meant; empty if none is like it.
        reason: What it is used for, in words, where that is the reason; empty otherwise.
    """

    name: str
    meant: str
    reason: str = ""

    def __str__(self) -> str:
        learned = f"`{self.name}` is no state, no input and no line, so it is learned as a parameter{self.reason}."
        if not self.meant:
            return f"{learned} Give it a line, or make it an input."
        return f"{learned} Did you mean `{self.meant}`?"


def suspects(step: Step, settled: Collection[str] = ()) -> tuple[Suspect, ...]:
    r"""List the learned vectors whose names look mistyped.

    Args:
        step: The checked equations.
        settled: Names that are known to be parameters, such as those with an initial value.

    Returns:
        The suspects, in the order of the parameters.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("f = sigmoid(W @ x + b)\nc = f * C + (1 - forget) * tanh(R @ h)\nh = tanh(c)")
        >>> [(suspect.name, suspect.meant) for suspect in suspects(step)]
        [('C', 'c'), ('forget', 'f')]
    """
    vectors = [parameter.name for parameter in step.parameters if parameter.columns is None]
    multiplied = dict(_multiplied(step))
    found = []
    for name in vectors:
        if name in settled:
            continue
        meant = _meant(name, step)
        reason = f", and `{multiplied[name]} @ {name}` is the same at every step" if name in multiplied else ""
        if meant or reason:
            found.append(Suspect(name, meant, reason))
    return tuple(found)


def _meant(name: str, step: Step) -> str:
    """Return the quantity that a name was probably meant to be; empty if there is none."""
    lines = [equation.target for equation in step.equations]
    quantities = tuple(dict.fromkeys((*step.states, *step.inputs, *lines)))
    for quantity in quantities:  # C for c, Ctilde for C_tilde
        if _bare(name) == _bare(quantity):
            return quantity
    for quantity in quantities:  # h_prev for h
        if name.startswith(f"{quantity}_") and name[len(quantity) + 1 :].lower() in _TIMES:
            return quantity
    if near := nearest(name, quantities, _LIKENESS):  # canddiate for candidate
        return near
    if name.lower() in _LEARNED or name in GREEK or "_" in name:
        return ""
    for equation in step.equations:  # forget for f, whose comment says forget gate
        if len(name) > 2 and name.lower() in re.findall(r"\w+", equation.comment.lower()):
            return equation.target
    if len(name) > 2 and name[0] not in "bp":
        return next((quantity for quantity in quantities if quantity == name[0]), "")
    if len(name) == 1 and name not in _LETTERS:  # f for forget
        return next((line for line in lines if len(line) > 3 and line[0] == name and "_" not in line), "")
    return ""


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _multiplied(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the learned vectors that a matrix is multiplied by, each with its matrix."""
    learned = {parameter.name for parameter in step.parameters}
    for equation in step.equations:
        for node in walk(equation.value):
            if isinstance(node, Product) and isinstance(node.operand, Name) and node.operand.name in learned:
                yield node.operand.name, node.matrix
