"""How a picture writes names and equations: as runs of text, each with a style.

A run is ``(text, style)``. The styles are ``italic`` (quantities), ``roman`` (functions, numbers, signs), ``sub``
(an index) and ``word`` (a key of :mod:`gatework.translations`, translated when the picture is made).
"""

from collections.abc import Mapping

from gatework.language.nodes import Apply, Equation, Name, Node, Number, Product
from gatework.language.spelling import ACCENTS, GREEK, MINUS, SPELLINGS, Strength, number, parts_of

PRIME = "'"  # for each underscore at the end of a name, which tells it from a name without

Run = tuple[str, str]
Runs = tuple[Run, ...]


def symbol(name: str, time: str = "") -> Runs:
    """Write a name, with its index and its time below the line.

    Args:
        name: A name of the equations.
        time: ``t``, ``t−1`` or nothing.

    Returns:
        Its runs.

    Example:
        >>> symbol("W_f"), plain(symbol("c_below", "t")), plain(symbol("C_tilde", "t")), plain(symbol("z_", "t"))
        ((('W', 'italic'), ('f', 'sub')), 'c_below,t', 'C̃_t', "z'_t")
    """
    stem, accent, index = parts_of(name.rstrip("_") or name)
    primes = PRIME * (len(name) - len(name.rstrip("_")))
    stem = GREEK.get(stem, stem) + ACCENTS.get(accent, "") + primes
    below = ",".join(part for part in (index.strip("_"), time) if part)
    base = ((stem, "italic"),)
    return (*base, (below, "sub")) if below else base


def matrix_symbol(product: Product) -> Runs:
    """Write the matrix of a product, with a T if it is transposed.

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
    """Return upright text."""
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
    return SPELLINGS[function].sign


def equation_runs(equation: Equation, times: Mapping[str, str]) -> Runs:
    """Write an equation as a paper prints it, on one line.

    Args:
        equation: A resolved line.
        times: The index of each name that has its own value at every step, as in
            :class:`gatework.diagram.planning.graph.Graph`; all others are parameters.

    Returns:
        Its runs.

    Example:
        >>> from gatework.language import parse
        >>> step = parse("h = tanh(W @ x + R @ h + b)", states="h")
        >>> plain(equation_runs(step.equations[0], {"x": "t", "h": "t"}))
        'h_t = tanh(W\u2009x_t + R\u2009h_t−1 + b)'
    """
    return (*symbol(equation.target, times[equation.target]), *roman(" = "), *_text(equation.value, times))


def node_runs(node: Node, times: Mapping[str, str]) -> Runs:
    """Write one expression, as :func:`equation_runs` writes a line."""
    return _text(node, times)


def _text(node: Node, times: Mapping[str, str], least: Strength = Strength.NONE) -> Runs:
    runs, strength = _bare(node, times)
    return (*roman("("), *runs, *roman(")")) if strength < least else runs


def _bare(node: Node, times: Mapping[str, str]) -> tuple[Runs, Strength]:
    if isinstance(node, Number):
        return roman(number(node.value).replace("-", MINUS)), Strength.SIGN if node.value < 0 else Strength.ATOM
    if isinstance(node, Name):
        time = times.get(node.name, "")
        return symbol(node.name, time.replace("t", f"t{MINUS}1", 1) if node.previous else time), Strength.ATOM
    if isinstance(node, Product):
        return (*matrix_symbol(node), *roman("\u2009"), *_text(node.operand, times, Strength.ATOM)), Strength.TERM
    assert isinstance(node, Apply)  # outer products are only in adjoints, which are not drawn
    if node.function in ("weigh", "total", "match"):
        return _over_positions(node, times)
    spelling = SPELLINGS[node.function]
    strength = spelling.strength
    if strength == Strength.ATOM:
        inside = [_text(argument, times) for argument in node.arguments]
        joined = tuple(run for place, runs in enumerate(inside) for run in ((*roman(", "), *runs) if place else runs))
        return (*roman(f"{spelling.picture}("), *joined, *roman(")")), strength
    if strength == Strength.SIGN:
        return (*roman(spelling.picture), *_text(node.arguments[0], times, strength)), strength
    left, right = node.arguments
    # Only the right side of a minus or a fraction needs parentheses at equal strength.
    least = Strength(strength + 1) if node.function in ("sub", "div") else strength
    sign = roman(f" {spelling.picture} ")
    return (*_text(left, times, strength), *sign, *_text(right, times, least)), strength


def _over_positions(node: Apply, times: Mapping[str, str]) -> tuple[Runs, Strength]:
    """Write a sum over positions, ``Σ_l a_t,l m_l``, or the product with a vector at each, ``⟨m_l, h_t⟩``."""
    if node.function == "match":
        left, right = (_text(argument, times) for argument in node.arguments)
        return (*roman("⟨"), *left, *roman(", "), *right, *roman("⟩")), Strength.ATOM
    factors = [(*roman("\u2009"), *_text(argument, times, Strength.ATOM)) for argument in node.arguments]
    return (*roman("Σ"), ("l", "sub"), *(run for runs in factors for run in runs)), Strength.TERM
