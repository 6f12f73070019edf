"""A hypothesis strategy that draws whole cells from the grammar."""

import re

from hypothesis import strategies as st

_UNARY = ["sigmoid", "tanh", "softplus", "sin", "cos", "gelu", "log_sigmoid", "norm", "mean", "rstd", "abs", "erf"]
_UNARY += ["relu"]
_BINARY = [" + ", " - ", " * "]
_NUMBERS = ["0.7", "-2", "sin(2)", "0", "1", "(1 - sigmoid(100))"]
_LEAVES = ["{n}", "v{k}", "(M{k} @ {n})", "(M{k}.T @ {n})", "(M{k} @ v{k})", "(M{k}.T @ v{k})"]
_LEAVES += ["({s}(S{k}_{s}, 2) @ {n})", "({s}(S{k}_{s}, 2).T @ {n})"]
# Names like those that the library makes up: of gradients, of lines that are split, of constants, of a layer's tensors.
_LIKE_MADE_UP = ["d_h", "d_x", "d_c_1", "d_x_1", "h_prev", "back_h", "grad_h", "again", "again_", "h_1", "c_1", "c_1_1"]
_LIKE_MADE_UP += [
    "constant1",
    "weight_ih",
    "bias",
    "initial_h",
    "h_2",
    "back_c_below",
    "a_c",
    "d_d_h",
    "part1",
    "free1",
]
_LIKE_MADE_UP += ["a_name_of_forty_letters_in_all_ending_so", "d_a_name_of_forty_letters_in_all_ending_"]


@st.composite
def expressions(draw, names, number, depth=3):
    """Draw the text of an expression over names; ``number`` makes the parameters' names differ between lines."""
    kind = draw(st.integers(0, 7)) if depth else 0
    if kind <= 1:
        # A bare name as often as not, as in cells that people write.
        leaf = draw(st.sampled_from(["{n}"] * len(_LEAVES) + _LEAVES))
        structure = draw(st.sampled_from(["block_diagonal", "block_upper"]))
        return leaf.format(n=draw(st.sampled_from(names)), k=f"{number}_{draw(st.integers(0, 1))}", s=structure)
    below = expressions(names, number, depth - 1)
    if kind == 2:
        # The sum with x keeps the argument a vector of more than one value, where norm is smooth.
        return f"{draw(st.sampled_from(_UNARY))}(x + {draw(below)})"
    if kind == 3:
        return f"{draw(st.sampled_from(['maximum', 'minimum']))}({draw(below)}, {draw(below)})"
    if kind == 4:
        return f"({draw(below)} / (2 + sin({draw(below)})))"
    if kind == 5:
        return f"({draw(below)}{draw(st.sampled_from(_BINARY))}{draw(st.sampled_from(_NUMBERS))})"
    if kind == 6:
        return f"(M{number}_{draw(st.integers(0, 1))} @ (x + {draw(below)}))"
    if kind == 7 and draw(st.booleans()):
        return f"where(greater({draw(below)}, 0.3), {draw(below)}, {draw(below)})"
    return f"({draw(below)}{draw(st.sampled_from(_BINARY))}{draw(below)})"


@st.composite
def cells(draw):
    """Draw (text, states): two states and up to three further lines, every line read, x of the size of the states.

    Now and then a line or a state is constant, a mask, or a learned vector; and names are like those that are made up.
    """
    extra = [f"q{index}" for index in range(draw(st.integers(0, 3)))]
    lines, names = [], ["x", "h", "c"]
    fixed = st.sampled_from(["0.5", "sin(2)", "v9_0", "-v9_0", "bernoulli(0.3)", "0", "1"])
    for name in extra:
        common = draw(st.integers(0, 3))
        lines.append(f"{name} = " + (f"{draw(expressions(names, len(lines)))} + 0.5 * x" if common else draw(fixed)))
        names.append(name)
    read_all = " + ".join(["0.1 * x", "c", *extra])
    if draw(st.integers(0, 7)):
        lines.append(f"c = tanh({draw(expressions(names, len(lines)))} + {read_all})")
        lines.append(f"h = tanh({draw(expressions(names, len(lines)))} + 0.3 * c)")
    else:
        lines.append(f"c = {draw(st.sampled_from(['sin(1)', '0.5', 'v9_0', 'prev(h)', '0']))}")
        lines.append(f"h = tanh({draw(expressions(names, len(lines)))} + {read_all})")
    text = "\n".join(lines)
    if draw(st.booleans()):
        own = sorted(set(re.findall(r"\b(?:[qv]\d\w*|[MS]\d\w*)\b", text)))
        taken = dict(zip(own, draw(st.permutations(_LIKE_MADE_UP)), strict=False))
        text = re.sub(r"\b\w+\b", lambda word: taken.get(word[0], word[0]), text)
    return text, ("h", "c")


@st.composite
def widened(draw, text):
    """Let some products go through the units of an input ``u``, which has a size of its own; give text and inputs."""
    forms = ["{0}", "(N{1} @ u)", "(N{1} @ (u * (N{1}.T @ {2})))", "(N{1} @ (w{1} + norm(u + A{1}.T @ {2})))"]

    def product(found):
        form = draw(st.sampled_from(forms))
        return form.format(found[0], found[1], found[2])

    wide = re.sub(r"\(M(\w+) @ (\w+)\)", product, text)
    return wide, ("x", "u") if re.search(r"\bu\b", wide) else ("x",)
