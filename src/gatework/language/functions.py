"""The table of functions. A new function is a new row here.

Equations, LaTeX, pictures, gradients, bounds and the reference backend follow from the row, if torch has the function
or a definition expresses it in terms of other rows. Compiled kernels need nothing more for a definition. Any other row
needs an emitter in ``kernels/llvm``; without one, another backend runs its equations.

A row gives a function's value, its gradient, the range of its values, and its spelling for each target. Gradients and
definitions are texts in the language itself, over the arguments ``a``, ``b``, ``c``, the result ``y`` and the gradient
``d`` of the result.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

INFINITY = math.inf
NORM_EPSILON = 1e-5  # added to the variance, as torch.nn.LayerNorm does
MOST_BLOCKS = 1024
MOST_SHIFT = 1024  # positions
MOST_PERIODS = 9  # periods 1, 2, 4 ... 256: counters up to 256 are exact in every floating type


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table.

    Args:
        name: Its name in equations.
        arity: The number of its arguments.
        value: Its value for plain numbers; for a reduction, its value for a vector of equal units. None if numbers
            alone do not determine it.
        adjoints: For each argument, its gradient as text; None if it has none.
        range: The least and the greatest value.
        torch: Its name under ``torch``; None if ``definition`` expresses it in terms of other rows, or if a backend
            must know it by name (``where``, ``greater``, ``divides``, ``mean``, ``rstd``, the sources, and all that
            reads a memory).
        latex: Its LaTeX, arguments in braces.
        definition: Its meaning in terms of other rows.
        kind: ``operator``, ``pointwise``, ``reduction`` (reads all units of a vector), ``source`` (takes a plain
            number and returns a vector), ``positional`` (has a value at each position of a memory) or ``gathering``
            (sums over the positions of a memory).
        takes: For a positional or gathering row, which arguments must have a value at each position.
    """

    name: str
    arity: int
    value: Callable[..., float] | None
    adjoints: tuple[str | None, ...]
    range: tuple[float, float]
    torch: str | None
    latex: str
    definition: str | None = None
    kind: str = "pointwise"
    takes: tuple[bool, ...] = ()


def _sigmoid(a: float) -> float:
    if a >= 0:
        return 1 / (1 + math.exp(-a))
    return math.exp(a) / (1 + math.exp(a))


def _softplus(a: float) -> float:
    return max(a, 0.0) + math.log1p(math.exp(-abs(a)))


def _divides(a: float, b: float) -> float:
    return 1.0 if math.fmod(b, a) == 0 else 0.0


def _sign(a: float) -> float:
    return (a > 0) - (a < 0)


_REAL = (-INFINITY, INFINITY)
_ROWS = (
    Function("add", 2, lambda a, b: a + b, ("d", "d"), _REAL, "add", "{0} + {1}", kind="operator"),
    Function("sub", 2, lambda a, b: a - b, ("d", "-d"), _REAL, "sub", "{0} - {1}", kind="operator"),
    Function("mul", 2, lambda a, b: a * b, ("d * b", "d * a"), _REAL, "mul", r"{0} \odot {1}", kind="operator"),
    Function("div", 2, lambda a, b: a / b, ("d / b", "-d * y / b"), _REAL, "div", r"\frac{{{0}}}{{{1}}}",
             kind="operator"),
    Function("neg", 1, lambda a: -a, ("-d",), _REAL, "neg", "-{0}", kind="operator"),
    Function("sigmoid", 1, _sigmoid, ("d * y * (1 - y)",), (0, 1), "sigmoid", r"\sigma({0})"),
    Function("tanh", 1, math.tanh, ("d * (1 - y * y)",), (-1, 1), "tanh", r"\tanh({0})"),
    Function("relu", 1, lambda a: max(a, 0.0), ("d * greater(y, 0)",), (0, INFINITY), "relu", r"\mathrm{{relu}}({0})"),
    Function("exp", 1, math.exp, ("d * y",), (0, INFINITY), "exp", r"\exp({0})"),
    Function("log", 1, math.log, ("d / a",), _REAL, "log", r"\log({0})"),
    Function("sqrt", 1, math.sqrt, ("0.5 * d / y",), (0, INFINITY), "sqrt", r"\sqrt{{{0}}}"),
    Function("abs", 1, abs, ("d * sign(a)",), (0, INFINITY), "abs", r"\lvert {0} \rvert"),
    Function("sin", 1, math.sin, ("d * cos(a)",), (-1, 1), "sin", r"\sin({0})"),
    Function("cos", 1, math.cos, ("-d * sin(a)",), (-1, 1), "cos", r"\cos({0})"),
    Function("erf", 1, math.erf, ("d * 1.1283791670955126 * exp(-a * a)",), (-1, 1), "erf", r"\mathrm{{erf}}({0})"),
    Function("softplus", 1, _softplus, ("d * sigmoid(a)",), (0, INFINITY), "nn.functional.softplus",
             r"\mathrm{{softplus}}({0})"),
    Function("log_sigmoid", 1, lambda a: -_softplus(-a), ("d * sigmoid(-a)",), (-INFINITY, 0),
             "nn.functional.logsigmoid", r"\log\sigma({0})"),
    # torch's hard sigmoid, a line from (-3, 0) to (3, 1); ONNX's default has another slope.
    Function("hard_sigmoid", 1, lambda a: min(max(a / 6 + 0.5, 0.0), 1.0), ("where(greater(3, abs(a)), d / 6, 0)",),
             (0, 1), "nn.functional.hardsigmoid", r"\mathrm{{hard}}\,\sigma({0})"),
    Function("gelu", 1, lambda a: a * 0.5 * (1 + math.erf(a / math.sqrt(2))),
             ("d * (0.5 * (1 + erf(a * 0.7071067811865476)) + a * 0.3989422804014327 * exp(-0.5 * a * a))",),
             (-0.17, INFINITY), "nn.functional.gelu", r"\mathrm{{gelu}}({0})"),
    # If both are equal, each takes half the gradient, as in torch.
    Function("maximum", 2, max, ("d * (0.5 + 0.5 * sign(a - b))", "d * (0.5 + 0.5 * sign(b - a))"), _REAL, "maximum",
             r"\max({0}, {1})"),
    Function("minimum", 2, min, ("d * (0.5 + 0.5 * sign(b - a))", "d * (0.5 + 0.5 * sign(a - b))"), _REAL, "minimum",
             r"\min({0}, {1})"),
    Function("where", 3, lambda a, b, c: b if a != 0 else c, (None, "where(a, d, 0)", "where(a, 0, d)"), _REAL, None,
             r"\mathrm{{where}}({0}, {1}, {2})"),
    Function("greater", 2, lambda a, b: float(a > b), (None, None), (0, 1), None, "[{0} > {1}]"),
    Function("sign", 1, _sign, (None,), (-1, 1), "sign", r"\mathrm{{sign}}({0})"),
    Function("mod", 2, lambda a, b: a % b, ("d", "d * (y - a) / b"), _REAL, "remainder", r"({0} \bmod {1})"),
    Function("divides", 2, _divides, (None, None), (0, 1), None, r"[{0} \mid {1}]"),
    Function("mean", 1, lambda a: a, ("mean(d)",), _REAL, None, r"\mathrm{{mean}}({0})", kind="reduction"),
    Function("rstd", 1, lambda a: NORM_EPSILON**-0.5, ("-(y * y * y) * (a - mean(a)) * mean(d)",), (0, INFINITY), None,
             r"\mathrm{{std}}^{{-1}}({0})", kind="reduction"),
    Function("norm", 1, lambda a: 0.0, ("rstd(a) * (d - mean(d) - y * mean(d * y))",), _REAL, None,
             r"\mathrm{{norm}}({0})", definition="(a - mean(a)) * rstd(a)", kind="reduction"),
    # A memory is a bank: a vector at each position. `m @ q` is written match(m, q), and `a @ m` is weigh(a, m).
    Function("match", 2, None, ("spread(d, b)", "weigh(d, a)"), _REAL, None, r"\langle {0}, {1} \rangle",
             kind="positional",
             takes=(True, False)),
    Function("weigh", 2, None, ("match(b, d)", "spread(a, d)"), _REAL, None, r"\sum_l {0}\, {1}", kind="gathering",
             takes=(True, True)),
    Function("spread", 2, None, ("match(d, b)", "weigh(a, d)"), _REAL, None, r"{0} \otimes {1}", kind="positional",
             takes=(True, False)),
    Function("softmax", 1, None, ("y * (d - total(d * y))",), (0, 1), None, r"\mathrm{{softmax}}_l({0})",
             kind="positional", takes=(True,)),
    Function("total", 1, None, ("spread(exists(a), d)",), _REAL, None, r"\sum_l {0}",
             definition="weigh(exists(a), a)", kind="gathering", takes=(True,)),
    Function("exists", 1, None, (None,), (0, 1), None, r"[l \in {0}]", kind="positional", takes=(True,)),
    Function("place", 1, None, (None,), (0, INFINITY), None, r"\mathrm{{place}}_l({0})", kind="positional",
             takes=(True,)),
    Function("shift", 2, None, ("shift(d, -b)", None), _REAL, None, r"\mathrm{{shift}}_{{{1}}}({0})",
             kind="positional", takes=(True, False)),
    Function("bernoulli", 1, None, (None,), (0, 1), None, r"\mathrm{{Bernoulli}}({0})", kind="source"),
    Function("period", 1, None, (None,), (1, 2 ** (MOST_PERIODS - 1)), None, r"\mathrm{{period}}_{{{0}}}",
             kind="source"),
)  # fmt: skip

FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}
OPERATORS = frozenset(row.name for row in _ROWS if row.kind == "operator")
WRITABLE = tuple(row.name for row in _ROWS if row.kind != "operator")
"""The functions that may be called by name in equations."""
