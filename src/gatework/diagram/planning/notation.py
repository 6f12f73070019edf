"""How a picture writes names and equations: as runs of text, each with a style.

A run is ``(text, style)``. The styles are ``italic`` (quantities), ``roman`` (functions, numbers, signs), ``sub``
(an index) and ``word`` (a key of :mod:`gatework.translations`, translated when the picture is made).
"""

from gatework.language.nodes import Apply, Equation, Name, Node, Number, Product
from gatework.language.spelling import ACCENTS, GREEK, MINUS, SPELLINGS, Strength, number, parts_of

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
        >>> symbol("W_f"), plain(symbol("c_below", "t")), plain(symbol("C_tilde", "t"))
        ((('W', 'italic'), ('f', 'sub')), 'c_below,t', 'C̃_t')
    """
    stem, accent, index = parts_of(name)
    stem = GREEK.get(stem, stem) + ACCENTS.get(accent, "")
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


def equation_runs(equation: Equation, changing: frozenset[str]) -> Runs:
    """Write an equation as a paper prints it, on one line.

    Args:
        equation: A resolved line.
        changing: The names that have their own value at every step; all others are parameters.

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


def _text(node: Node, changing: frozenset[str], least: Strength = Strength.NONE) -> Runs:
    runs, strength = _bare(node, changing)
    return (*roman("("), *runs, *roman(")")) if strength < least else runs


def _bare(node: Node, changing: frozenset[str]) -> tuple[Runs, Strength]:
    if isinstance(node, Number):
        return roman(number(node.value).replace("-", MINUS)), Strength.SIGN if node.value < 0 else Strength.ATOM
    if isinstance(node, Name):
        time = "" if node.name not in changing else f"t{MINUS}1" if node.previous else "t"
        return symbol(node.name, time), Strength.ATOM
    if isinstance(node, Product):
        return (*matrix_symbol(node), *roman("\u2009"), *_text(node.operand, changing, Strength.ATOM)), Strength.TERM
    assert isinstance(node, Apply)  # outer products are only in adjoints, which are not drawn
    spelling = SPELLINGS[node.function]
    strength = spelling.strength
    if strength == Strength.ATOM:
        inside = [_text(argument, changing) for argument in node.arguments]
        joined = tuple(run for place, runs in enumerate(inside) for run in ((*roman(", "), *runs) if place else runs))
        return (*roman(f"{spelling.picture}("), *joined, *roman(")")), strength
    if strength == Strength.SIGN:
        return (*roman(spelling.picture), *_text(node.arguments[0], changing, strength)), strength
    left, right = node.arguments
    # Only the right side of a minus or a fraction needs parentheses at equal strength.
    least = Strength(strength + 1) if node.function in ("sub", "div") else strength
    sign = roman(f" {spelling.picture} ")
    return (*_text(left, changing, strength), *sign, *_text(right, changing, least)), strength
