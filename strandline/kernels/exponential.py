"""exp and 2^x with the same bits on every machine, as `logarithm` has its functions.

fdlibm's formula (Sun Microsystems, 1993; Remez polynomial of degree 5 in r^2), without branches.
They are within one unit in the last place.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.memory import bits_of, float_of

_LN2: Final = 6.93147180559945286227e-01
_LN2_HIGH: Final = 6.93147180369123816490e-01  # times an exponent: exact
_LN2_LOW: Final = 1.90821492927058770002e-10
_1_LN2: Final = 1.44269504088896338700
_1, _2, _3, _4, _5 = (
    1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
    -1.65339022054652515390e-06, 4.13813679705723846039e-08,
)  # fmt: skip
_EXP_MIN, _EXP_MAX = -746.0, 710.0  # beyond, it is 0 or infinite
_EXP2_MIN, _EXP2_MAX = -1076.0, 1025.0

_ROUND: Final = 1.5 * 2.0**52
"""Added to a small number, its sum has the nearest integer in its low bits."""

_ROUND_BITS: Final = 0x4338000000000000
_ONE: Final = 1023  # the exponent in the bits of 1


@njit(nogil=True, forceinline=True, error_model="numpy")
def _clipped(x: float, low: float, high: float) -> float:
    x = low if x < low else x  # NaN stays
    return high if x > high else x


@njit(nogil=True, forceinline=True, error_model="numpy")
def _exp(high: float, low: float) -> float:
    """Return exp of r = `high` - `low`, from -ln2 / 2 to ln2 / 2.

    With ``c = r - r^2 polynomial(r^2)``: ``exp(r) = 1 + r + r c / (2 - c)``.
    """
    r = high - low
    t = r * r
    c = r - t * (_1 + t * (_2 + t * (_3 + t * (_4 + t * _5))))
    return 1.0 - ((low - (r * c) / (2.0 - c)) - high)


@njit(nogil=True, forceinline=True, error_model="numpy")
def _times_power(y: float, rounded: float) -> float:
    """Return y 2^k for the k that `_ROUND` was added to; two steps reach what is subnormal."""
    k = bits_of(rounded) - _ROUND_BITS
    half = k >> 1
    first = float_of(np.uint64((half + _ONE) << 52))
    return y * first * float_of(np.uint64((k - half + _ONE) << 52))


@njit(nogil=True, forceinline=True, error_model="numpy")
def exp(x: float) -> float:
    """Return e^x; NaN for NaN."""
    x = _clipped(x, _EXP_MIN, _EXP_MAX)
    rounded = x * _1_LN2 + _ROUND
    k = rounded - _ROUND
    return _times_power(_exp(x - k * _LN2_HIGH, k * _LN2_LOW), rounded)


@njit(nogil=True, forceinline=True, error_model="numpy")
def exp2(x: float) -> float:
    """Return 2^x, exact for an integer x; NaN for NaN."""
    x = _clipped(x, _EXP2_MIN, _EXP2_MAX)
    rounded = x + _ROUND
    return _times_power(_exp((x - (rounded - _ROUND)) * _LN2, 0.0), rounded)


@njit(nogil=True, forceinline=True, error_model="numpy")
def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-x))


@kernel
def write_powers_of_2(exponents: NDArray[np.float64], powers: NDArray[np.float64]) -> None:
    """Write 2^x of each exponent."""
    for at in range(len(exponents)):
        powers[at] = exp2(exponents[at])
