"""A hypothesis strategy that draws whole cells from the grammar."""

from hypothesis import strategies as st

_UNARY = ["sigmoid", "tanh", "softplus", "sin", "cos", "gelu", "log_sigmoid", "norm", "mean", "abs", "erf"]
_BINARY = [" + ", " - ", " * "]


@st.composite
def expressions(draw, names, number, depth=3):
    """Draw the text of an expression over names; ``number`` makes the parameters' names differ between lines."""
    kind = draw(st.integers(0, 5)) if depth else 0
    if kind <= 1:
        name = draw(st.sampled_from(names))
        if draw(st.booleans()):
            return f"(M{number}_{draw(st.integers(0, 2))} @ {name})"
        return draw(st.sampled_from([name, f"v{number}_{draw(st.integers(0, 2))}", name]))
    below = expressions(names, number, depth - 1)
    if kind == 2:
        # The sum with x keeps the argument a vector of more than one value, where norm is smooth.
        return f"{draw(st.sampled_from(_UNARY))}(x + {draw(below)})"
    if kind == 3:
        return f"maximum({draw(below)}, {draw(below)})"
    if kind == 4:
        return f"({draw(below)} / (2 + sin({draw(below)})))"
    return f"({draw(below)}{draw(st.sampled_from(_BINARY))}{draw(below)})"


@st.composite
def cells(draw):
    """Draw (text, states): two states and up to three further lines, every line read, x of the size of the states."""
    extra = [f"q{index}" for index in range(draw(st.integers(0, 3)))]
    lines, names = [], ["x", "h", "c"]
    for name in extra:
        lines.append(f"{name} = {draw(expressions(names, len(lines)))} + 0.5 * x")
        names.append(name)
    read_all = " + ".join(["0.1 * x", "c", *extra])
    lines.append(f"c = tanh({draw(expressions(names, len(lines)))} + {read_all})")
    lines.append(f"h = tanh({draw(expressions(names, len(lines)))} + 0.3 * c)")
    return "\n".join(lines), ("h", "c")
