"""How a picture writes names and equations: as runs of text, each with its style.

A run is ``(text, style)``. The styles are ``italic`` (quantities), ``roman`` (functions, numbers, signs), ``sub``
(an index) and ``word`` (a key of :mod:`words`, translated when the picture is made).
"""

import re

from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Product
from gatework.language.show import number

Run = tuple[str, str]
Runs = tuple[Run, ...]

_LETTERS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi",
            "rho", "sigma", "tau", "phi", "chi", "psi", "omega")  # fmt: skip
_GREEK = dict(zip(_LETTERS, "αβγδεζηθκλμνξρστφχψω", strict=True))
# What the table of functions writes in LaTeX, as characters.
_COMMANDS = {r"\odot": "⊙", r"\sqrt": "√", r"\lvert": "|", r"\rvert": "|", r"\bmod": "mod", r"\mid": "∣", r"\,": " "}
_SUM, _TERM, _SIGN, _ATOM = 1, 2, 3, 4
_STRENGTH = {"add": _SUM, "sub": _SUM, "mul": _TERM, "div": _TERM, "neg": _SIGN}
_SIGNS = {"add": " + ", "sub": " − ", "mul": " ⊙ ", "div": " / "}
MINUS = "−"


def symbol(name: str, time: str = "") -> Runs:
    """Write a name, with its index and its time below the line.

    Args:
        name: A name of the equations.
        time: ``t``, ``t−1`` or nothing.

    Returns:
        Its runs.

    Example:
        >>> symbol("W_f"), plain(symbol("c_below", "t"))
        ((('W', 'italic'), ('f', 'sub')), 'c_below,t')
    """
    stem, _, index = name.partition("_")
    stem = _GREEK.get(stem, stem)
    below = ",".join(part for part in (index.strip("_"), time) if part)
    base = ((stem, "italic"),)
    return (*base, (below, "sub")) if below else base


def matrix_symbol(product: Product) -> Runs:
    """Write the matrix of a product, with a T where it is transposed.

    Args:
        product: The product.

    Returns:
        Its runs.

    Example:
        >>> from gatework.language import parse
        >>> plain(matrix_symbol(parse("h = R_h.T @ h + x").equations[0].value.arguments[0]))
        'R_hᵀ'
    """
    return (*symbol(product.matrix), *(roman("ᵀ") if product.transposed else ()))


def plain(runs: Runs) -> str:
    """Write runs as one string, an index after an underscore.

    Args:
        runs: The runs.

    Returns:
        Plain text.
    """
    return "".join(f"_{text}" if style == "sub" else text for text, style in runs)


def roman(text: str) -> Runs:
    """Give upright text."""
    return ((text, "roman"),)


def function_text(function: str) -> str:
    """Write a function without its argument, from its row in the table.

    Args:
        function: A name in the table of functions.

    Returns:
        Text such as ``σ``.

    Example:
        >>> [function_text(name) for name in ("sigmoid", "log_sigmoid", "relu", "sqrt")]
        ['σ', 'log σ', 'relu', '√']
    """
    row = FUNCTIONS[function]
    text = row.latex.format(*[""] * row.arity)
    for command, sign in _COMMANDS.items():
        text = text.replace(command, sign)
    text = re.sub(r"\\(?:mathrm|mathit)\{(\w+)\}", r" \1 ", text)
    text = re.sub(r"\\(\w+)", lambda match: f" {_GREEK.get(match[1], match[1])} ", text)
    text = re.sub(r"[{}^]|\(\s*(,\s*)*\)", "", text).replace("-1", "⁻¹")
    return " ".join(text.split()).strip(" ()[]_")


def equation_runs(equation: Equation, changing: frozenset[str]) -> Runs:
    """Write an equation as a paper prints it, on one line.

    Args:
        equation: A resolved line.
        changing: The names that have a value of their own at every step; all others are parameters.

    Returns:
        Its runs.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("h = tanh(W @ x + R @ h + b)", states="h")
        >>> plain(equation_runs(step.equations[0], frozenset("xh")))
        'h_t = tanh(W\u2009x_t + R\u2009h_t−1 + b)'
    """
    return (*symbol(equation.target, "t"), *roman(" = "), *_text(equation.value, changing))


def node_runs(node: Node, changing: frozenset[str]) -> Runs:
    """Write one expression, as :func:`equation_runs` writes a line."""
    return _text(node, changing)


def _text(node: Node, changing: frozenset[str], least: int = 0) -> Runs:
    runs, strength = _bare(node, changing)
    return (*roman("("), *runs, *roman(")")) if strength < least else runs


def _bare(node: Node, changing: frozenset[str]) -> tuple[Runs, int]:
    if isinstance(node, Number):
        return roman(number(node.value).replace("-", MINUS)), _SIGN if node.value < 0 else _ATOM
    if isinstance(node, Name):
        time = "" if node.name not in changing else f"t{MINUS}1" if node.previous else "t"
        return symbol(node.name, time), _ATOM
    if isinstance(node, Product):
        return (*matrix_symbol(node), *roman("\u2009"), *_text(node.operand, changing, _ATOM)), _TERM
    assert isinstance(node, Apply)  # outer products stand in adjoints only, which are not drawn
    strength = _STRENGTH.get(node.function)
    if strength is None:
        inside = [_text(argument, changing) for argument in node.arguments]
        joined = tuple(run for place, runs in enumerate(inside) for run in ((*roman(", "), *runs) if place else runs))
        return (*roman(f"{function_text(node.function) or node.function}("), *joined, *roman(")")), _ATOM
    if node.function == "neg":
        return (*roman(MINUS), *_text(node.arguments[0], changing, _SIGN)), strength
    left, right = node.arguments
    # Only what a minus or a fraction takes away needs parentheses at equal strength.
    least = strength + 1 if node.function in ("sub", "div") else strength
    runs = (*_text(left, changing, strength), *roman(_SIGNS[node.function]), *_text(right, changing, least))
    return runs, strength
