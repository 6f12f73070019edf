"""The emitters: for each pointwise row of the table of functions, the vector instructions that compute it.

Every lane uses the same instructions, so a result depends only on its own arguments. The few lanes that need the C
library (sines of huge arguments, remainders of huge quotients) are replaced afterwards.

The error is below 2 units in the last place, and below 2.5 if the machine has no fused multiply-add ("sse"). This
holds for both types, and in the far tails of sigmoid, gelu and the logarithms too.

A result too small for a normal number may become zero, and an argument too small for one may be read as zero, as if
the processor flushed denormals.
"""

import math
import operator
from collections.abc import Callable, Sequence

from gatework.errors import KernelError
from gatework.kernels.llvm.code import Code
from gatework.kernels.llvm.polynomials import (
    FORMATS,
    POWER_ERRORS,
    POWER_REST,
    POWERS,
    TANH_CENTRES,
    TANH_LIMIT,
    TANH_PIECES,
    TANH_SCALE,
    Format,
)
from gatework.kernels.llvm.vectors import Vector, from_bits, fused, integers, polynomial

LOG2_E = math.log2(math.e)


def _format(x: Vector) -> Format:
    return FORMATS[x.code.dtype]


# --- exponentials


def _reduced(x: Vector, sign: int = 1, low: Vector | None = None) -> tuple[Vector, Vector]:
    """Split ±(x + low) into n ln 2 + r with |r| <= ln(2) / 2.

    Args:
        x: The number, with n small enough for an exponent; the caller discards other results.
        sign: 1 to split x, -1 to split -x.
        low: The rounding error of x.

    Returns:
        r (-r for a sign of -1), and a number with n in its lowest bits.
    """
    form = _format(x)
    shifted = fused(x, sign * LOG2_E, form.shift)
    n = shifted - form.shift
    r = fused(n, -sign * form.ln2[0], x)  # exact
    if low is not None:
        return r + fused(n, -sign * form.ln2[1], low), shifted
    return fused(n, -sign * form.ln2[1], r), shifted


def _expm1_near_zero(r: Vector, sign: int = 1) -> Vector:
    square = polynomial(r, [value * sign**power for power, value in enumerate(_format(r).exp)])
    return fused(r * r, square, r if sign == 1 else -r)


def _power_of_two(shifted: Vector) -> Vector:
    """Return 2**n for the n in the lowest bits; an n below the least exponent gives 0."""
    code, form = shifted.code, _format(shifted)
    moved = integers(code, "shl", shifted.bits(), form.fraction)
    return from_bits(code, integers(code, "add", moved, form.one))


def _exp(x: Vector) -> Vector:
    if _looks_up(x.code):
        power, rest, n = _power_by_table(x.at_least(-104.0).at_most(89.0))
        return _scaled(fused(power, rest, power), n)
    code, form = x.code, _format(x)
    r, shifted = _reduced(x)
    near = polynomial(r, (1.0, 1.0, *form.exp))
    # Add to the exponent instead of multiplying: 2**128 is no float32, yet exp(r) times 2**128 may be.
    moved = integers(code, "shl", shifted.bits(), form.fraction)
    value = from_bits(code, integers(code, "add", near.bits(), moved))
    value = x.like(0.0).where(x.compare("olt", form.exp_least), value)
    return (x + math.inf).where(x.compare("ugt", form.exp_greatest), value)  # NaN stays


def _times_exp(factor: Vector, x: Vector, low: Vector | None = None) -> Vector:
    """Compute factor * exp(x + low) for x <= 0."""
    r, shifted = _reduced(x.at_least(_format(x).exp_zero), low=low)
    return fused(_expm1_near_zero(r), factor, factor) * _power_of_two(shifted)


def _sigmoid(x: Vector) -> Vector:
    form = _format(x)
    bounded = x.at_most(-form.exp_least)  # below this any result may occur, and is replaced at the end
    if _looks_up(x.code):
        power, rest, n = _power_by_table(bounded, sign=-1)
        value = _scaled(fused(power, rest, power), n)
        # One step of Newton's method, on the unrounded exp(-x) + 1.
        guess = _reciprocal_guess(value + 1.0)
        value = fused(guess, fused(-value, guess, 1.0) - guess, guess)
    else:
        # 1 + 2**n (1 + w) with w = exp(r) - 1, rounded once: 1 + 2**n is exact, or its rounding error is added back.
        r, shifted = _reduced(bounded, sign=-1)
        power = _power_of_two(shifted)
        total = power + 1.0
        lost = x.like(1.0) - (total - power)
        value = x.like(1.0) / (total + fused(_expm1_near_zero(r, sign=-1), power, lost))
    return value.where(x.compare("uge", form.exp_least), 0.0)


def _tanh(x: Vector) -> Vector:
    size = x.intrinsic("fabs")
    if _looks_up(x.code):
        size = size.at_most(TANH_LIMIT)
        index = integers(x.code, "lshr", fused(size, TANH_SCALE, 1.0).bits(), 21)
        distance = size - _look_up(x.code, index, TANH_CENTRES)
        return polynomial(distance, [_look_up(x.code, index, row) for row in TANH_PIECES]).intrinsic("copysign", x)
    # With h = (exp(2|x|) - 1) / 2: tanh|x| = h / (1 + h) = h - h tanh|x|. The last form is closer if h is small.
    # 2|x| = n ln 2 + 2u, and n is 0 up to 3/4 ln 2, where a rounding error of u has the largest effect.
    form = _format(x)
    size = size.at_most(form.tanh_one)
    shifted = fused(size, 2.0 * LOG2_E, -0.25) + form.shift
    n = shifted - form.shift
    u = fused(n, -0.5 * form.ln2[0], size)
    u = fused(n, -0.5 * form.ln2[1], u)
    near = fused(u * u, polynomial(u, [value * 2.0**power for power, value in enumerate(form.tanh, 1)]), u)
    power = _power_of_two(shifted)
    h = fused(near, power, fused(power, 0.5, -0.5))
    quotient = h / (h + 1.0)
    return fused(-h, quotient, h).where(h.compare("olt", 0.5), quotient).intrinsic("copysign", x)


# --- functions with AVX-512 instructions, in float32


def _looks_up(code: Code) -> bool:
    return code.target.level == "avx512" and code.dtype == "float32"


def _look_up(code: Code, index: str, table: Sequence[float]) -> Vector:
    """Look up numbers in a table of sixteen, by the lowest four bits of integers."""
    numbers = f"<{', '.join(f'{code.scalar} {code.number(number)}' for number in table)}>"
    arguments = (code.vector, numbers), (code.integers, index)
    return Vector(code, code.call(code.vector, "llvm.x86.avx512.permvar.sf.512", *arguments))


def _scaled(x: Vector, exponent: Vector) -> Vector:
    """Compute x * 2**n, for n the floor of a number."""
    code, none = x.code, "zeroinitializer"
    arguments = (code.vector, x.name), (code.vector, exponent.name), (code.vector, none), ("i16", "-1"), ("i32", "4")
    return Vector(code, code.call(code.vector, "llvm.x86.avx512.mask.scalef.ps.512", *arguments))


def _reciprocal_guess(x: Vector) -> Vector:
    """Compute 1 / x to within 2**-14."""
    code = x.code
    arguments = (code.vector, x.name), (code.vector, "zeroinitializer"), ("i16", "-1")
    return Vector(code, code.call(code.vector, "llvm.x86.avx512.rcp14.ps.512", *arguments))


def _power_by_table(x: Vector, sign: int = 1) -> tuple[Vector, Vector, Vector]:
    """Split exp(±x) into p * (1 + w) * 2**n, with p from the table and n rounded down; return p, w and n."""
    code, form = x.code, _format(x)
    shift = form.shift / 16.0
    shifted = fused(x, sign * LOG2_E, shift)
    n = shifted - shift
    r = fused(n, -sign * form.ln2[0], x)
    r = fused(n, -sign * form.ln2[1], r)
    index = shifted.bits()
    slope = polynomial(r, (sign, POWER_REST[0], sign * POWER_REST[1]))
    return _look_up(code, index, POWERS), fused(slope, r, _look_up(code, index, POWER_ERRORS)), n


# --- logarithms


def _log1p_shortfall(x: Vector, coefficients: Sequence[float]) -> tuple[Vector, Vector]:
    """Return two factors whose product is x - log(1 + x)."""
    s = x / (x + 2.0)
    z = s * s
    return s, x - z * polynomial(z, coefficients)


def _log(x: Vector) -> Vector:
    code, form = x.code, _format(x)
    bits = x.bits()
    exponent = integers(code, "ashr", integers(code, "sub", bits, form.root_half), form.fraction)
    n = from_bits(code, integers(code, "add", exponent, form.shift_bits)) - form.shift
    moved = integers(code, "shl", exponent, form.fraction)
    rest = from_bits(code, integers(code, "sub", bits, moved)) - 1.0
    shortfall = fused(*_log1p_shortfall(rest, form.log), n * -form.ln2[1])
    value = fused(n, form.ln2[0], rest - shortfall)
    small = x.like(math.nan).where(x.compare("ult", 0.0), -math.inf)
    value = small.where(x.compare("ult", form.least), value)
    return x.where(x.compare("ogt", form.greatest), value)


def _log1p_exp(x: Vector) -> Vector:
    """Compute log(1 + exp(-|x|))."""
    power = _times_exp(x.like(1.0), -x.intrinsic("fabs"))
    left, right = _log1p_shortfall(power, _format(x).log1p)
    return fused(-left, right, power)


def _softplus(x: Vector) -> Vector:
    return x.at_least(0.0) + _log1p_exp(x)


def _log_sigmoid(x: Vector) -> Vector:
    return x.at_most(0.0) - _log1p_exp(x)


# --- the error function


def _from_centre(x: Vector, centre: float) -> Vector:
    return (x - centre) / (x + centre)


def _erf(x: Vector) -> Vector:
    form = _format(x)
    size = x.intrinsic("fabs")
    bounded = size.at_most(form.erf_one)
    tail = polynomial(_from_centre(bounded, form.tail_centre), form.tail) / (bounded + form.tail_centre)
    far = x.like(1.0) - _times_exp(tail, -(bounded * bounded))
    near = fused(x, polynomial(x * x, form.erf), x)
    return near.where(size.compare("olt", 1.0), far.intrinsic("copysign", x))


def _square(x: Vector) -> tuple[Vector, Vector]:
    """Compute x * x as a rounded number and its rounding error."""
    if x.code.target.level != "sse":
        square = x * x
        return square, x.intrinsic("fma", x, -square)
    upper = from_bits(x.code, integers(x.code, "and", x.bits(), -1 << (_format(x).fraction + 2) // 2))
    return upper * upper, (x - upper) * (x + upper)


def _gelu(x: Vector) -> Vector:
    # x / 2 + x erf(x / √2) / 2 near zero. Elsewhere relu(x) - |x| erfc(|x| / √2) / 2. On the left the second term is
    # all: nothing is lost there, however small it is.
    form = _format(x)
    size = x.intrinsic("fabs")
    bounded = size.at_most(form.gelu_zero)
    square, low = _square(bounded)
    below = polynomial(_from_centre(bounded, form.gelu_centre), form.gelu_far)
    far = x.at_least(0.0) - _times_exp(below, square * -0.5, low * -0.5)
    z = x * x
    return fused(z, polynomial(z, form.gelu_near), x * 0.5).where(size.compare("olt", 0.85), far)


# --- sines


def _quarter_turns(x: Vector) -> tuple[Vector, Vector]:
    """Split x into n π / 2 + r; return r, and a number with n in its lowest bits."""
    form = _format(x)
    shifted = fused(x, 2.0 / math.pi, form.shift)
    n = shifted - form.shift
    r, lost = x, x.like(0.0)
    *parts, last = form.half_pi
    for part in parts:
        product = n * part  # exact
        following = r - product
        lost = lost + (product - (r - following))
        r = following
    return r - fused(n, last, lost), shifted


def _sine(x: Vector, turns: int) -> Vector:
    """Compute the sine of x plus a number of quarter turns."""
    code, form = x.code, _format(x)
    r, shifted = _quarter_turns(x)
    z = r * r
    sine = fused(r * z, polynomial(z, form.sin), r)
    cosine = fused(z * z, polynomial(z, form.cos), fused(z, -0.5, 1.0))
    quarter = integers(code, "add", shifted.bits(), turns)
    odd = code.let(f"trunc {code.integers} {quarter} to {code.mask}")
    width = 8 * code.bytes
    sign = integers(code, "and", integers(code, "shl", quarter, width - 2), -1 << (width - 1))
    return from_bits(code, integers(code, "xor", cosine.where(odd, sine).bits(), sign))


def _sin(x: Vector) -> Vector:
    value = x.where(x.compare("oeq", 0.0), _sine(x, 0))  # keep the sign of zero
    return _by_library(value, x.intrinsic("fabs").compare("ogt", _format(x).sine_bound), "sin", x)


def _cos(x: Vector) -> Vector:
    return _by_library(_sine(x, 1), x.intrinsic("fabs").compare("ogt", _format(x).sine_bound), "cos", x)


def _by_library(value: Vector, mask: str, name: str, *arguments: Vector) -> Vector:
    """Replace a vector's numbers by the C library's where the mask holds. The code is skipped if it holds nowhere."""
    code = value.code
    result = code.slot(code.vector)
    code.store(value.name, result)
    places = [code.slot(code.vector) for _ in arguments]
    with code.when(code.call("i1", f"llvm.vector.reduce.or.v{code.lanes}i1", (code.mask, mask))):
        for place, argument in zip(places, arguments, strict=True):
            code.store(argument.name, place)
        with code.loop("0", str(code.lanes)) as lane:
            numbers = [code.load(code.offset(place, lane), code.scalar) for place in places]
            if name == "frem":
                number = code.let(f"frem {code.scalar} {', '.join(numbers)}")
            else:
                number = code.call(code.scalar, f"llvm.{name}.f{8 * code.bytes}", (code.scalar, numbers[0]))
            code.do(f"store {code.scalar} {number}, ptr {code.offset(places[0], lane)}")
        replaced = Vector(code, code.load(places[0])).where(mask, value)
        code.store(replaced.name, result)
    return Vector(code, code.load(result))


# --- comparisons and remainders


def _maximum(left: Vector, right: Vector) -> Vector:
    return left.where(left.compare("uno", left), left.where(left.compare("ogt", right), right))


def _minimum(left: Vector, right: Vector) -> Vector:
    return left.where(left.compare("uno", left), left.where(left.compare("olt", right), right))


def _where(condition: Vector, chosen: Vector, otherwise: Vector) -> Vector:
    return chosen.where(condition.compare("une", 0.0), otherwise)


def _greater(left: Vector, right: Vector) -> Vector:
    return left.like(1.0).where(left.compare("ogt", right), 0.0)


def _sign(x: Vector) -> Vector:
    return x.like(1.0).where(x.compare("ogt", 0.0), x.like(-1.0).where(x.compare("olt", 0.0), 0.0))


def _hard_sigmoid(x: Vector) -> Vector:
    return (x + 3.0).at_least(0.0).at_most(6.0) * (1.0 / 6.0)


def _fmod(dividend: Vector, divisor: Vector) -> Vector:
    """Compute the exact remainder of a division rounded towards zero."""
    code = dividend.code
    if code.target.level == "sse":  # without fused multiply-add the remainder would be rounded
        return _by_library(dividend, dividend.compare("true", 0.0), "frem", dividend, divisor)
    size, unit = dividend.intrinsic("fabs"), divisor.intrinsic("fabs")
    quotient = size / unit
    count = quotient.intrinsic("trunc")
    rest = (-count).intrinsic("fma", unit, size)
    rest = (rest + unit).where(rest.compare("olt", 0.0), rest)  # the quotient was rounded up to the next integer
    rest = size.where(count.compare("oeq", 0.0), rest).intrinsic("copysign", dividend)
    huge = quotient.compare("uge", 2.0 ** (_format(dividend).fraction - 1))
    return _by_library(rest, huge, "frem", dividend, divisor)


def _mod(dividend: Vector, divisor: Vector) -> Vector:
    code = dividend.code
    rest = _fmod(dividend, divisor)
    differ = code.let(f"xor {code.mask} {rest.compare('olt', 0.0)}, {divisor.compare('olt', 0.0)}")
    wrong = code.let(f"and {code.mask} {differ}, {rest.compare('une', 0.0)}")
    return (rest + divisor).where(wrong, rest)


def _divides(divisor: Vector, dividend: Vector) -> Vector:
    return divisor.like(1.0).where(_fmod(dividend, divisor).compare("oeq", 0.0), 0.0)


EMITTERS: dict[str, Callable[..., Vector]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": lambda x: x.at_least(0.0),
    "exp": _exp,
    "log": _log,
    "sqrt": lambda x: x.intrinsic("sqrt"),
    "abs": lambda x: x.intrinsic("fabs"),
    "sin": _sin,
    "cos": _cos,
    "erf": _erf,
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "gelu": _gelu,
    "maximum": _maximum,
    "minimum": _minimum,
    "where": _where,
    "greater": _greater,
    "sign": _sign,
    "mod": _mod,
    "divides": _divides,
}
"""Every row of the function table of kind ``operator`` or ``pointwise``."""


def emit(code: Code, name: str, arguments: Sequence[str]) -> str:
    """Write a row of the function table on vectors.

    code: The function to write to.
        code: The function that is being written.
        name: The row, of kind ``operator`` or ``pointwise``.
        arguments: Names or constants of the code's vector type, one for each argument of the row.

    Returns:
        The name of the value, of the same type.

    Raises:
        KernelError: If the row has no machine code; another backend then runs the equations.
    """
    emitter = EMITTERS.get(name)
    if emitter is None:
        raise KernelError(f"There is no machine code for the function `{name}`.")
    return emitter(*(Vector(code, argument) for argument in arguments)).name
