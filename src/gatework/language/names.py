"""Names that the library makes up, in one place: none is taken already, and each can be read back."""

from collections.abc import Iterable
from itertools import count

from gatework.language.check import BELOW
from gatework.language.nodes import Step
from gatework.language.parse import WRITTEN


class Names:
    """Make names that nothing bears yet.

    Args:
        steps: Steps whose names are taken.
        taken: Further names that are taken.

    Example:
        >>> from gatework.language import parse
        >>> names = Names(parse("h = tanh(R @ h + x)"), taken=["x_1"])
        >>> names.fresh("R"), names.fresh("R"), names.numbered("x_")
        ('R_', 'R__', 'x_2')
    """

    def __init__(self, *steps: Step, taken: Iterable[str] = ()) -> None:
        self._taken = {*taken}
        for step in steps:
            self._taken |= {*step.inputs, *step.states, *step.sizes_of}
            self._taken |= {line.target for line in step.equations}
            self._taken |= {parameter.name for parameter in step.parameters}

    def fresh(self, wanted: str) -> str:
        """Give a name, with as many underscores behind it as make it a new one."""
        name = wanted
        while self._is_taken(name):
            name += "_"
        if len(name) > WRITTEN.name:
            return self.numbered(wanted)
        self._taken.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """Give a stem with the least number behind it that makes it a new name; a long stem is cut."""
        for number in count(1):
            name = f"{stem[: WRITTEN.name - len(str(number))]}{number}"
            if not self._is_taken(name):
                break
        self._taken.add(name)
        return name

    def _is_taken(self, name: str) -> bool:
        # A state of this name would be the one below which such an input lies.
        return name in self._taken or name + BELOW in self._taken
