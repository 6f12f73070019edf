"""Constants of the vector functions: coefficients of polynomials, splittings of constants, and saturation points.

The polynomials are minimax fits by Remez's algorithm at fifty digits, with coefficients rounded to the type.
Beside each is its greatest error, relative to the value of its function, without the rounding errors of the
evaluation. One unit in the last place of 1 is 1.2e-7 in float32 and 2.2e-16 in float64.
"""

import math
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """The facts about a type of numbers that the functions need.

    Args:
        fraction: Bits of the fraction.
        bias: The number that is added to an exponent in memory.
        least: The least positive normal number.
        greatest: The greatest finite number.
        ln2: ln 2 in two parts; an exponent times the first is exact.
        half_pi: π / 2 in parts; a quarter turn's number below ``sine_bound`` times any but the last is exact.
        exp_least: The least x whose exp is a normal number.
        exp_greatest: The greatest x whose exp is finite.
        exp_zero: An x whose nearest power of two is one below the least normal one, and stored as zero.
        tanh_one: An x whose tanh rounds to 1.
        sine_bound: The greatest x whose sine is computed from ``half_pi``.
        tail_centre: k of ``tail``.
        erf_one: An x whose erf rounds to 1.
        gelu_centre: k of ``gelu_far``.
        gelu_zero: An x for which gelu(-x) is below the least normal number.
        exp: (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 2.
        tanh: The same for -ln(2) / 4 <= r <= 3 ln(2) / 4; the error is relative to exp(r) - 1 for positive r.
        log: In z = s**2, (2 atanh(s) - 2 s) / s**3 for 1/√2 <= (1 + s) / (1 - s) <= √2.
        log1p: The same for z <= 1/9: the logarithm of 1 to 2.
        sin: In z = r**2, (sin(r) - r) / r**3 for |r| <= π / 4.
        cos: In z = r**2, (cos(r) - 1 + z / 2) / z**2 for |r| <= π / 4.
        erf: In z = x**2, erf(x) / x - 1 for |x| <= 1.
        tail: In t = (x - k) / (x + k), erfc(x) exp(x**2) (x + k) for 1 <= x <= ``erf_one``.
        gelu_near: In z = x**2, erf(x / √2) / (2 x) for |x| <= 0.85; the error is relative to gelu.
        gelu_far: In t = (x - k) / (x + k), erfc(x / √2) exp(x**2 / 2) x / 2 for 0.85 <= x <= ``gelu_zero``.
    """

    fraction: int
    bias: int
    least: float
    greatest: float
    ln2: tuple[float, float]
    half_pi: tuple[float, ...]
    exp_least: float
    exp_greatest: float
    exp_zero: float
    tanh_one: float
    sine_bound: float
    tail_centre: float
    erf_one: float
    gelu_centre: float
    gelu_zero: float
    exp: tuple[float, ...]
    tanh: tuple[float, ...]
    log: tuple[float, ...]
    log1p: tuple[float, ...]
    sin: tuple[float, ...]
    cos: tuple[float, ...]
    erf: tuple[float, ...]
    tail: tuple[float, ...]
    gelu_near: tuple[float, ...]
    gelu_far: tuple[float, ...]

    @property
    def shift(self) -> float:
        """A number whose sum with a small number has the nearest integer of the small one in its lowest bits."""
        return 1.5 * 2.0**self.fraction

    @property
    def one(self) -> int:
        """The bits of 1."""
        return self.bias << self.fraction

    @property
    def shift_bits(self) -> int:
        """The bits of ``shift``."""
        return (self.bias + self.fraction << self.fraction) + (1 << self.fraction - 1)

    @property
    def root_half(self) -> int:
        """The bits of the square root of 1/2."""
        return (self.bias - 1 << self.fraction) + int((math.sqrt(2) - 1) * 2**self.fraction)


# fmt: off
FORMATS = {
    "float32": Format(
        fraction=23,
        bias=127,
        least=2.0**-126,
        greatest=3.4028235e+38,
        ln2=(0.69311523, 3.1946183e-05),
        half_pi=(1.5706787, 0.000117614865, 9.920313e-10, 6.223372e-14),
        exp_least=-87.33654,
        exp_greatest=88.72283,
        exp_zero=-88.0,
        tanh_one=9.02,
        sine_bound=1600.0,
        tail_centre=3.0,
        erf_one=4.0,
        gelu_centre=1.7734375,
        gelu_zero=14.2,
        exp=(  # 4e-9
            0.49999994, 0.16666521, 0.041668393, 0.008368745, 0.001381453,
        ),
        tanh=(  # 2e-8
            0.49999997, 0.16666903, 0.04166417, 0.008263938, 0.0016253556,
        ),
        log=(  # 2.5e-11
            0.6666666, 0.40000972, 0.284988, 0.242785,
        ),
        log1p=(  # 3e-11
            0.6666667, 0.39999768, 0.28579953, 0.22095983, 0.18811356, 0.1677318,
        ),
        sin=(  # 1.6e-10
            -0.16666667, 0.008333379, -0.00019853066, 2.8325258e-06,
        ),
        cos=(  # 1.3e-10
            0.041666646, -0.0013887308, 2.4432169e-05,
        ),
        erf=(  # 3.1e-9
            0.12837917, -0.37612626, 0.11283579, -0.026853353, 0.0051871752, -0.0007998004, 7.8075085e-05,
        ),
        tail=(  # 1.2e-8
            1.0740069, -0.8833945, 0.5902284, -0.3104673, 0.119525135, -0.026833383, -0.0011559002, 0.0033460741,
        ),
        gelu_near=(  # 6.2e-9
            0.39894226, -0.06648983, 0.009969357, -0.0011743404, 9.7622724e-05,
        ),
        gelu_far=(  # 1.1e-8
            0.32541454, 0.18832774, -0.14436892, 0.009973159, 0.022096235, 0.0029305893, -0.0037773685, -0.002500233,
            -0.00022369454, 0.0012315937, -0.00015500166,
        ),
    ),
    "float64": Format(
        fraction=52,
        bias=1023,
        least=2.0**-1022,
        greatest=1.7976931348623157e+308,
        ln2=(0.6931471805592082, 7.371002565167799e-13),
        half_pi=(1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32),
        exp_least=-708.3964185322641,
        exp_greatest=709.782712893384,
        exp_zero=-709.0,
        tanh_one=19.1,
        sine_bound=1600000.0,
        tail_centre=2.0,
        erf_one=6.2,
        gelu_centre=2.35703125,
        gelu_zero=38.5,
        exp=(  # 1.1e-17
            0.5000000000000011, 0.1666666666666641, 0.04166666666652974, 0.008333333333495077, 0.001388888894375819,
            0.0001984126950559847, 2.4801492950781633e-05, 2.7557586936430686e-06, 2.7630306013028954e-07,
            2.4999982429473276e-08,
        ),
        tanh=(  # 3.5e-17
            0.5000000000000014, 0.16666666666665947, 0.041666666666432865, 0.008333333334638303,
            0.0013888888977271995, 0.00019841262713473582, 2.4801602609670082e-05, 2.7567843648220858e-06,
            2.720472735910743e-07, 2.9662318792688855e-08,
        ),
        log=(  # 1.2e-18
            0.6666666666666735, 0.3999999999940934, 0.28571428743691263, 0.22222198428399167, 0.1818357238284934,
            0.15313831652060744, 0.14798260577692443,
        ),
        log1p=(  # 1.3e-18
            0.6666666666666631, 0.4000000000015622, 0.2857142854795652, 0.22222223964365678, 0.1818174408949944,
            0.1538655679925736, 0.13301010742637925, 0.12105816612042103, 0.08341192964769881, 0.17016686478690005,
        ),
        sin=(  # 9.5e-20
            -0.16666666666666666, 0.008333333333333042, -0.00019841269840962576, 2.7557319074103336e-06,
            -2.505207097154253e-08, 1.605431987255749e-10, -7.389972806927678e-13,
        ),
        cos=(  # 6.1e-20
            0.04166666666666659, -0.0013888888888872186, 2.4801587288295657e-05, -2.75573140153218e-07,
            2.087567813288893e-09, -1.1357340485326788e-11,
        ),
        erf=(  # 1.3e-17
            0.1283791670955126, -0.376126389031841, 0.11283791670971095, -0.02686617064803021, 0.005223977652679499,
            -0.0008548328534834094, 0.00012055386150866632, -1.4926880276741044e-05, 1.6481037326627418e-06,
            -1.655687643056685e-07, 1.601137072026948e-08, -1.645700523171485e-09, 1.4329594802312717e-10,
        ),
        tail=(  # 4.3e-17
            1.021582705242023, -0.6871606844138108, 0.2794720925560483, -0.03644223150679579, -0.021510661888685324,
            0.006479185060386619, 0.003090612023571206, -0.0008372957666770068, -0.0006630728328964155,
            3.436520122480559e-05, 0.000144466418553077, 3.4220066040739366e-05, -2.1720785935438324e-05,
            -1.6536234954016162e-05, -6.754608917537305e-07, 4.6089509874265645e-06, 3.3030940853855193e-07,
        ),
        gelu_near=(  # 3.4e-18
            0.39894228040143265, -0.06649038006690305, 0.009973557009979032, -0.0011873282148524638,
            0.00011543468376415931, -9.444641989858277e-06, 6.659361625817191e-07, -4.117794417211534e-08,
            2.229673562050323e-09, -9.077246232607324e-11,
        ),
        gelu_far=(  # 9.7e-18
            0.3491784074308699, 0.14542083642259107, -0.15255165772368096, 0.06166484692979252, 0.0036081538219378292,
            -0.0089307349830677, -0.001207246350510644, 0.0014831172461884255, 0.0006071934399746546,
            -0.00014367721971163242, -0.00019671407317032054, -4.5807653118037446e-05, 3.0587724601143644e-05,
            2.792094988259651e-05, 6.326551103035532e-06, -4.703831816520192e-06, -4.616502102324516e-06,
            -1.1820397471148502e-06, 1.1122841620281618e-07, 3.6998748202523694e-07, 1.3236931147181507e-06,
            4.220899129090043e-08, -9.426560323922288e-07, 3.2580039315354814e-07,
        ),
    ),
}

# For processors that can look up a register's numbers in another register: float32 only, sixteen entries.
# exp: x = n ln 2 / 16 + r, and the lowest four bits of n are the index of a power.
POWERS = tuple(struct.unpack("f", struct.pack("f", 2.0 ** (k / 16)))[0] for k in range(16))
POWER_ERRORS = tuple(2.0 ** (k / 16) / power - 1.0 for k, power in enumerate(POWERS))  # relative
POWER_REST = (0.5000162, 0.1666607)  # (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 32; 1.7e-9

# tanh: sixteen polynomials in |x|, four for each binade of y = 1 + TANH_SCALE |x|. The two lowest bits of y's exponent
# and the two highest bits of its fraction are the index. The indices for [1, 2) have exponent bits 11: they are last.
# Each is in |x| - centre, with a centre whose tanh is very nearly a float32; about zero it is x - x**3 / 3 ...
# The greatest relative error is 2.2e-8, between 4.2 and 5.4.
TANH_SCALE = 1.6556291
TANH_LIMIT = 9.055  # its tanh rounds to 1
TANH_CENTRES = (
    0.75074446, 1.056755, 1.3623698, 1.6606648, 2.1037567, 2.7047324, 3.3271875, 3.929335, 4.821226, 6.0678587,
    7.278042, 8.317818, 0.0, 0.22336717, 0.3760181, 0.5259467,
)
TANH_PIECES = (  # from the constant coefficient up
    (
        0.6355929, 0.7844187, 0.87694156, 0.9303067, 0.97066987, 0.9910918, 0.99742657, 0.9992275, 0.9998702,
        0.9999893, 0.99999905, 0.9999999, 0.0, 0.21972503, 0.35924444, 0.48227662,
    ),
    (
        0.5960217, 0.38468727, 0.23097347, 0.13452949, 0.05779994, 0.017737027, 0.005140253, 0.0015443594,
        0.00025962974, 2.1462978e-05, 1.90786e-06, 2.3831372e-07, 1.0, 0.9517209, 0.8709434, 0.76740927,
    ),
    (
        -0.37882695, -0.3017602, -0.2025528, -0.12515445, -0.05610304, -0.01757705, -0.0051262523, -0.0015429205,
        -0.00025890776, -2.1401922e-05, -1.902534e-06, -2.3805346e-07, 7.948341e-07, -0.20911597, -0.3128806,
        -0.3701029,
    ),
    (
        0.042095333, 0.10847654, 0.10064218, 0.07158963, 0.03519808, 0.011512962, 0.0033993404, 0.0010269011,
        0.00017279493, 1.42045155e-05, 1.2622871e-06, 1.6061982e-07, -0.3333804, -0.27129084, -0.17791423, -0.0773097,
    ),
    (
        0.09948182, 0.016105708, -0.020373357, -0.024772389, -0.015520254, -0.005619982, -0.0017094652,
        -0.00052056485, -9.2443755e-05, -7.641595e-06, -6.7899356e-07, -8.279933e-08, 0.0008271375, 0.1287914,
        0.16765612, 0.16029821,
    ),
    (
        -0.063150965, -0.039861854, -0.0107106855, 0.0021595464, 0.004466638, 0.0020292774, 0.00067548983,
        0.00020820799, 3.6129208e-05, 3.2334146e-06, 2.8870085e-07, 2.630521e-08, 0.1284779, 0.08258162, 0.018275054,
        -0.034795865,
    ),
)
# fmt: on
