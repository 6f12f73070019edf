"""From nodes to LaTeX: equations with t and t-1, as a paper prints them."""

import re

from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, Step
from gatework.language.show import number

_GREEK = frozenset(
    ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho",
     "sigma", "tau", "phi", "chi", "psi", "omega")
)  # fmt: skip
_SUM, _TERM, _SIGN, _ATOM = 1, 2, 3, 4
_STRENGTH = {"add": _SUM, "sub": _SUM, "mul": _TERM, "neg": _SIGN}


def latex(step: Step) -> str:
    r"""Print the equations of a Step as LaTeX, with t for this step's values and t-1 for last step's.

    Args:
        step: The checked equations.

    Returns:
        An ``aligned`` environment, one equation a line, without dollar signs.

    Example:
        >>> from gatework.language import parse
        >>> print(latex(parse("h = tanh(W_h @ x + R_h @ h + b_h)", states="h")))
        \begin{aligned}
        h_t &= \tanh(W_h x_t + R_h h_{t-1} + b_h)
        \end{aligned}
    """
    changing = frozenset((*step.inputs, *(equation.target for equation in step.equations)))
    lines = " \\\\\n".join(latex_equation(equation, changing) for equation in step.equations)
    return f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def latex_equation(equation: Equation, changing: frozenset[str]) -> str:
    """Print one equation, aligned at its equals sign.

    Args:
        equation: The line.
        changing: The names that have a value of their own at every step; all others are parameters.

    Returns:
        LaTeX without dollar signs.
    """
    return f"{_symbol(equation.target, 't')} &= {_text(equation.value, changing)[0]}"


def _text(node: Node, changing: frozenset[str], least: int = 0) -> tuple[str, int]:
    text, strength = _bare(node, changing)
    return (f"\\left({text}\\right)", _ATOM) if strength < least else (text, strength)


def _number(value: float) -> str:
    """Write a constant; a power of ten as such, not with an e, which would read as a name."""
    digits, _, power = number(value).partition("e")
    if not power:
        return digits
    exponent = f"10^{{{int(power)}}}"
    return f"-{exponent}" if digits == "-1" else exponent if digits == "1" else rf"{digits} \cdot {exponent}"


def _bare(node: Node, changing: frozenset[str]) -> tuple[str, int]:
    if isinstance(node, Number):
        return _number(node.value), _SIGN if node.value < 0 else _ATOM
    if isinstance(node, Name):
        if node.name not in changing:
            return _symbol(node.name, ""), _ATOM
        return _symbol(node.name, "t-1" if node.previous else "t"), _ATOM
    if isinstance(node, Product):
        matrix = _symbol(node.matrix, "") + (r"^{\top}" if node.transposed else "")
        return f"{matrix} {_text(node.operand, changing, _ATOM)[0]}", _TERM
    if isinstance(node, Outer):
        left, right = _text(node.left, changing, _ATOM)[0], _text(node.right, changing, _ATOM)[0]
        return f"{left} {right}^{{\\top}}", _TERM
    strength = _STRENGTH.get(node.function, _ATOM)
    return FUNCTIONS[node.function].latex.format(*_arguments(node, changing, strength)), strength


def _arguments(node: Apply, changing: frozenset[str], strength: int) -> list[str]:
    if node.function not in _STRENGTH:
        return [_text(argument, changing)[0] for argument in node.arguments]
    # Only the right side of a minus needs parentheses at equal strength: the other operators associate on paper.
    least = [strength, strength + 1 if node.function == "sub" else strength]
    return [_text(argument, changing, least[place])[0] for place, argument in enumerate(node.arguments)]


def _symbol(name: str, time: str) -> str:
    """Write a name with its index and its time: ``W_f`` and ``c_{t-1}``, ``f^{below}_t`` for ``f_below``."""
    stem, _, index = name.partition("_")
    stem = f"\\{stem}" if stem in _GREEK else stem if len(stem) == 1 else f"\\mathit{{{stem}}}"
    index = re.sub(r"_", r"\\_", index)
    if not index:
        return f"{stem}_{{{time}}}" if len(time) > 1 else f"{stem}_{time}" if time else stem
    if len(index) > 1:
        index = f"{{\\mathrm{{{index}}}}}"
    if not time:
        return f"{stem}_{index}"
    return f"{stem}^{index}_{{{time}}}"
