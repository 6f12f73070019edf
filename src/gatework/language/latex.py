"""From nodes to LaTeX: equations with t and t-1, as papers print them."""

import re

from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, Step
from gatework.language.spelling import GREEK, SPELLINGS, Strength, number, parts_of


def latex(step: Step) -> str:
    r"""Print the equations of a Step as LaTeX, with t for this step's values and t-1 for the previous step's.

    Args:
        step: The checked equations.

    Returns:
        An ``aligned`` environment, one equation per line, without dollar signs.

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
        changing: The names that have their own value at every step; all others are parameters.

    Returns:
        LaTeX without dollar signs.
    """
    return f"{_symbol(equation.target, 't')} &= {_text(equation.value, changing)[0]}"


def _text(node: Node, changing: frozenset[str], least: Strength = Strength.NONE) -> tuple[str, Strength]:
    text, strength = _bare(node, changing)
    return (f"\\left({text}\\right)", Strength.ATOM) if strength < least else (text, strength)


def _number(value: float) -> str:
    """Write a constant. A power of ten is written as a power, because an e would read as a name."""
    digits, _, power = number(value).partition("e")
    if not power:
        return digits
    exponent = f"10^{{{int(power)}}}"
    return f"-{exponent}" if digits == "-1" else exponent if digits == "1" else rf"{digits} \cdot {exponent}"


def _bare(node: Node, changing: frozenset[str]) -> tuple[str, Strength]:
    if isinstance(node, Number):
        return _number(node.value), Strength.SIGN if node.value < 0 else Strength.ATOM
    if isinstance(node, Name):
        if node.name not in changing:
            return _symbol(node.name, ""), Strength.ATOM
        return _symbol(node.name, "t-1" if node.previous else "t"), Strength.ATOM
    if isinstance(node, Product):
        matrix = _symbol(node.matrix, "") + (r"^{\top}" if node.transposed else "")
        return f"{matrix} {_text(node.operand, changing, Strength.ATOM)[0]}", Strength.TERM
    if isinstance(node, Outer):
        left, right = _text(node.left, changing, Strength.ATOM)[0], _text(node.right, changing, Strength.ATOM)[0]
        return f"{left} {right}^{{\\top}}", Strength.TERM
    spelling = SPELLINGS[node.function]
    return spelling.latex.format(*_arguments(node, changing, spelling.latex_strength)), spelling.latex_strength


def _arguments(node: Apply, changing: frozenset[str], strength: Strength) -> list[str]:
    if strength == Strength.ATOM:
        return [_text(argument, changing)[0] for argument in node.arguments]
    # Only the right side of a minus needs parentheses at equal strength: the other operators associate on paper.
    least = [strength, Strength(strength + 1) if node.function == "sub" else strength]
    return [_text(argument, changing, least[place])[0] for place, argument in enumerate(node.arguments)]


def _symbol(name: str, time: str) -> str:
    """Write a name with its index and its time: ``W_f``, ``c_{t-1}``, or ``f^{below}_t`` for ``f_below``."""
    stem, accent, index = parts_of(name)
    stem = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else f"\\mathit{{{stem}}}"
    stem = f"\\{accent}{{{stem}}}" if accent else stem
    index = re.sub(r"_", r"\\_", index)
    if not index:
        return f"{stem}_{{{time}}}" if len(time) > 1 else f"{stem}_{time}" if time else stem
    if len(index) > 1:
        index = f"{{\\mathrm{{{index}}}}}"
    if not time:
        return f"{stem}_{index}"
    return f"{stem}^{index}_{{{time}}}"
