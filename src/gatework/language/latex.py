"""From nodes to LaTeX: equations with t and t-1, as papers print them."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from gatework.language.derive import differentiate
from gatework.language.nodes import Apply, Name, Node, Number, Outer, Product, Step
from gatework.language.spelling import GREEK, SPELLINGS, Strength, number, parts_of

_Spell = Callable[[Name], str]


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
    spell = partial(_usual, changing=_changing(step), positions=step.positions)
    return _aligned(
        f"{spell(Name(equation.target))} &= {_text(equation.value, spell)[0]}" for equation in step.equations
    )


def latex_adjoint(step: Step) -> str:
    r"""Print the gradient of a Step as LaTeX.

    A δ before a quantity is the gradient of the loss with respect to it, and one with an arrow is the part of it that
    comes from the step after. A line with ``+=`` is summed over all steps.

    Args:
        step: The checked equations, not their adjoint.

    Returns:
        An ``aligned`` environment, one equation per line, without dollar signs.

    Example:
        >>> from gatework.language import parse
        >>> print(latex_adjoint(parse("h = tanh(W @ x + R @ h)", states="h")))
        \begin{aligned}
        \delta h_t &= \frac{\partial L}{\partial h_t} + \overleftarrow{\delta} h_t \\
        \delta^{(1)} h_t &= \delta h_t \odot \left(1 - h_t \odot h_t\right) \\
        \delta x_t &= W^{\top} \delta^{(1)} h_t \\
        \delta W &\mathrel{+}= \delta^{(1)} h_t x_t^{\top} \\
        \delta R &\mathrel{+}= \delta^{(1)} h_t h_{t-1}^{\top} \\
        \overleftarrow{\delta} h_{t-1} &= R^{\top} \delta^{(1)} h_t
        \end{aligned}
    """
    adjoint, changing = differentiate(step), _changing(step)

    positions = {**adjoint.step.positions, **step.positions}

    def own(name: str, time: str = "t") -> str:
        return _symbol(name, _index(time if name in changing else "", name in positions))

    spelled = {adjoint.last[state]: own(state, "t-1") for state in step.states}
    spelled |= {name: rf"\frac{{\partial L}}{{\partial {own(state)}}}" for state, name in adjoint.grad.items()}
    before = {name: rf"\overleftarrow{{\delta}} {own(state)}" for state, name in adjoint.back.items()}
    after = {name: rf"\overleftarrow{{\delta}} {own(state, 't-1')}" for state, name in adjoint.back.items()}
    gradients = {gradient: name for name, gradient in adjoint.gradients.items()}

    def spell(name: Name) -> str:
        if name.name in before:
            return before[name.name] if name.previous else after[name.name]
        if name.name in spelled:
            return spelled[name.name]
        if name.name in gradients:
            return rf"\delta {own(gradients[name.name])}"
        stem, _, number = name.name.rpartition("_")
        if number.isdigit() and stem in gradients:  # a part of a gradient, on a line of its own
            return rf"\delta^{{({number})}} {own(gradients[stem])}"
        return _usual(name, shared, positions)

    # Besides gradients, the adjoint has lines for what several of them read.
    shared = changing | _changing(adjoint.step)
    learned = {adjoint.gradients.get(parameter.name) for parameter in step.parameters}
    lines = []
    for line in adjoint.step.equations:
        sign = r"&\mathrel{+}=" if line.target in learned else "&="
        lines.append(f"{spell(Name(line.target))} {sign} {_text(line.value, spell)[0]}")
    return _aligned(lines)


def _aligned(lines: Iterable[str]) -> str:
    joined = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{joined}\n\\end{{aligned}}"


def _changing(step: Step) -> frozenset[str]:
    """Collect the names that have their own value at every step; all others are parameters."""
    return frozenset((*step.inputs, *(equation.target for equation in step.equations)))


def _usual(name: Name, changing: frozenset[str], positions: Mapping[str, str]) -> str:
    time = "t-1" if name.previous else "t" if name.name in changing else ""
    return _symbol(name.name, _index(time, name.name in positions))


def _index(time: str, at_positions: bool) -> str:
    """Write an index of time, and after it l, the position, for what has a value at each position of a memory."""
    return ",".join(part for part in (time, "l" * at_positions) if part)


def _text(node: Node, spell: _Spell, least: Strength = Strength.NONE) -> tuple[str, Strength]:
    text, strength = _bare(node, spell)
    return (f"\\left({text}\\right)", Strength.ATOM) if strength < least else (text, strength)


def _number(value: float) -> str:
    """Write a constant. A power of ten is written as a power, because an e would read as a name."""
    digits, _, power = number(value).partition("e")
    if not power:
        return digits
    exponent = f"10^{{{int(power)}}}"
    return f"-{exponent}" if digits == "-1" else exponent if digits == "1" else rf"{digits} \cdot {exponent}"


def _bare(node: Node, spell: _Spell) -> tuple[str, Strength]:
    if isinstance(node, Number):
        return _number(node.value), Strength.SIGN if node.value < 0 else Strength.ATOM
    if isinstance(node, Name):
        return spell(node), Strength.ATOM
    if isinstance(node, Product):
        matrix = _symbol(node.matrix, "")
        matrix = _transposed(matrix) if node.transposed else matrix
        return f"{matrix} {_text(node.operand, spell, Strength.ATOM)[0]}", Strength.TERM
    if isinstance(node, Outer):
        left, right = _text(node.left, spell, Strength.ATOM)[0], _text(node.right, spell, Strength.ATOM)[0]
        return f"{left} {_transposed(right)}", Strength.TERM
    spelling = SPELLINGS[node.function]
    return spelling.latex.format(*_arguments(node, spell, spelling.latex_strength)), spelling.latex_strength


def _arguments(node: Apply, spell: _Spell, strength: Strength) -> list[str]:
    if strength == Strength.ATOM:
        return [_text(argument, spell)[0] for argument in node.arguments]
    # Only the right side of a minus needs parentheses at equal strength: the other operators associate on paper.
    least = [strength, Strength(strength + 1) if node.function == "sub" else strength]
    return [_text(argument, spell, least[place])[0] for place, argument in enumerate(node.arguments)]


def _transposed(text: str) -> str:
    """Transpose an expression. TeX takes one superscript only, and a prime is one."""
    return f"{{{text}}}^{{\\top}}" if "^" in text or "'" in text else f"{text}^{{\\top}}"


def _symbol(name: str, time: str) -> str:
    """Write a name with its index and its time: ``c_{t-1}``, ``f^{below}_t`` for ``f_below``, ``z'_t`` for ``z_``."""
    stem, accent, index = parts_of(name.rstrip("_") or name)
    primes = "'" * (len(name) - len(name.rstrip("_")))
    stem = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else f"\\mathit{{{stem}}}"
    stem = f"\\{accent}{{{stem}}}{primes}" if accent else f"{stem}{primes}"
    index = re.sub(r"_", r"\\_", index)
    if not index:
        return f"{stem}_{{{time}}}" if len(time) > 1 else f"{stem}_{time}" if time else stem
    if len(index) > 1:
        index = f"{{\\mathrm{{{index}}}}}"
    if not time:
        return f"{stem}_{index}"
    stem = f"{{{stem}}}" if primes else stem
    return f"{stem}^{index}_{{{time}}}"
