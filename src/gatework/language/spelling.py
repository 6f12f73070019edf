"""How the language is spelled, in one place: precedence, signs, Greek letters, numbers, and names that are made up.

``SPELLINGS`` has a row for each function and a column for each target: text, LaTeX, pictures, torch, LLVM. The rows of
ordinary functions follow from the table of functions; only the five operators need rows of their own here. Another
target is another column.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from types import MappingProxyType

from gatework.language.functions import FUNCTIONS, Function
from gatework.language.nodes import Step
from gatework.language.parse import WRITTEN

MINUS = "−"  # a minus sign as it is printed
BELOW = "_below"
"""This suffix makes the name of a state the name of an input: the same state of the layer below."""

GREEK: Mapping[str, str] = MappingProxyType(
    {
        "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
        "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "rho": "ρ", "sigma": "σ", "tau": "τ",
        "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    }
)  # fmt: skip
"""The names that are printed as Greek letters, with the letters. LaTeX uses the same names."""

ACCENTS: Mapping[str, str] = MappingProxyType({"tilde": "\u0303", "hat": "\u0302", "bar": "\u0304"})
"""The first parts of an index that are printed as an accent on the letter, ``C_tilde``. LaTeX uses the same names."""

# The LaTeX of the table of functions, as characters.
_COMMANDS = {
    r"\odot": "⊙",
    r"\otimes": "⊗",
    r"\sum_l": "Σ",
    r"\langle": "⟨",
    r"\rangle": "⟩",
    r"\in": "∈",
    r"\sqrt": "√",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\bmod": "mod",
    r"\mid": "∣",
    r"\,": " ",
}


class Strength(IntEnum):
    """How tightly an expression binds, as in Python. It needs parentheses if its surroundings bind more tightly."""

    NONE = 0  # between parentheses or commas
    SUM = 1
    TERM = 2
    SIGN = 3
    ATOM = 4  # a name, a number or a call


@dataclass(frozen=True, slots=True)
class Spelling:
    """The ways to write a function.

    Args:
        text: In equations: the sign of an operator, or the name.
        strength: How tightly it binds in equations and in pictures.
        latex: In LaTeX, arguments in braces.
        latex_strength: How tightly it binds there, where a fraction needs no parentheses.
        picture: In the formulas of a picture: the sign of an operator, or the name.
        sign: In a picture, the label of its shape.
        torch: Its name under ``torch``; None if torch has none.
        llvm: Its emitter of machine code, a key of :data:`gatework.kernels.llvm.functions.EMITTERS`; None if it is no
            function of single numbers.
    """

    text: str
    strength: Strength
    latex: str
    latex_strength: Strength
    picture: str
    sign: str
    torch: str | None
    llvm: str | None


# For each operator: in equations, in formulas of pictures, as a label, and how tightly it binds, in LaTeX too.
_OPERATORS = {
    "add": ("+", "+", "+", Strength.SUM, Strength.SUM),
    "sub": ("-", MINUS, MINUS, Strength.SUM, Strength.SUM),
    "mul": ("*", "⊙", "×", Strength.TERM, Strength.TERM),
    "div": ("/", "/", "÷", Strength.TERM, Strength.ATOM),
    "neg": ("-", MINUS, MINUS, Strength.SIGN, Strength.SIGN),
}


def _spelled(row: Function) -> Spelling:
    """Spell one row of the table of functions."""
    sign = row.name if row.name == "exists" else _sign(row)  # its LaTeX is a condition, with the argument inside
    latex_strength = Strength.TERM if row.name in ("weigh", "spread", "total") else Strength.ATOM
    ordinary = (row.name, sign or row.name, sign, Strength.ATOM, latex_strength)
    text, picture, sign, strength, latex_strength = _OPERATORS.get(row.name, ordinary)
    llvm = row.name if row.kind in ("operator", "pointwise") else None
    return Spelling(text, strength, row.latex, latex_strength, picture, sign, row.torch, llvm)


def _sign(row: Function) -> str:
    """Write a function without its argument, from its LaTeX: ``σ``."""
    text = row.latex.format(*[""] * row.arity)
    for command, sign in _COMMANDS.items():
        text = text.replace(command, sign)
    text = re.sub(r"_l\b", "", text)  # a picture says with the names which values are at positions
    text = re.sub(r"\\(?:mathrm|mathit)\{(\w+)\}", r" \1 ", text)
    text = re.sub(r"\\(\w+)", lambda match: f" {GREEK.get(match[1], match[1])} ", text)
    text = re.sub(r"[{}^]|\(\s*(,\s*)*\)", "", text).replace("-1", "⁻¹")
    return " ".join(text.split()).strip(" ()[]_")


# A plain dictionary, because torch's compiler cannot trace a lookup in a proxy.
SPELLINGS: Mapping[str, Spelling] = {name: _spelled(row) for name, row in FUNCTIONS.items()}
"""The spelling of each row of the table of functions, by name."""


def number(value: float) -> str:
    """Write a constant in the short form: 1 for 1.0.

    Args:
        value: The constant.

    Returns:
        Text that parses to the same number.
    """
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def parts_of(name: str) -> tuple[str, str, str]:
    """Split a name into what is printed on the line, its accent, and its index.

    Args:
        name: A name of the equations.

    Returns:
        The stem, a key of :data:`ACCENTS` or nothing, and the index without the underscore before it. Only a single
        letter takes an accent, because an accent does not span a word.

    Example:
        >>> parts_of("W_f"), parts_of("C_tilde"), parts_of("W_hat_f"), parts_of("memory_bar")
        (('W', '', 'f'), ('C', 'tilde', ''), ('W', 'hat', 'f'), ('memory', '', 'bar'))
    """
    stem, _, index = name.partition("_")
    accent, _, rest = index.partition("_")
    if accent in ACCENTS and (len(stem) == 1 or stem in GREEK):
        return stem, accent, rest
    return stem, "", index


class Names:
    """Make up names that are not taken.

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
        """Return the wanted name, followed by as many underscores as make it new."""
        name = wanted
        while self._is_taken(name):
            name += "_"
        if len(name) > WRITTEN.name:
            return self.numbered(wanted)
        self._taken.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """Return a stem followed by the least number that makes it new. A long stem is cut."""
        for number in count(1):
            name = f"{stem[: WRITTEN.name - len(str(number))]}{number}"
            if not self._is_taken(name):
                break
        self._taken.add(name)
        return name

    def _is_taken(self, name: str) -> bool:
        # A state of this name would make such an input its state of the layer below.
        return name in self._taken or name + BELOW in self._taken
