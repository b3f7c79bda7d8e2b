"""2^x and the logistic function with the same bits on every machine, as `logarithm` has its own.

x is split into k / 128 and a rest: 2^(k / 128) comes from a table, and e^rest from its series. That
is strict float64 arithmetic without branches, within one unit in the last place.
"""

import math
from decimal import Decimal, localcontext
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.memory import bits_of, float_of

_PARTS: Final = 128


def _powers() -> tuple[list[float], list[float]]:
    """Return 2^(k / 128), rounded, and what is missing, as a share of it."""
    with localcontext() as context:
        context.prec = 50
        exact = [Decimal(2) ** (Decimal(k) / _PARTS) for k in range(_PARTS)]
        rounded = [float(power) for power in exact]
        missing = [
            float(power / Decimal(near) - 1) for power, near in zip(exact, rounded, strict=True)
        ]
    return rounded, missing


_POWER, _MISSING = map(np.array, _powers())
_LN2: Final = 6.93147180559945286227e-01
_HIGH: Final = float.fromhex("0x1.62e42fefap-1") / _PARTS  # ln 2 / 128; times k it is exact
_LOW: Final = float.fromhex("0x1.cf79abc9e3b39p-40") / _PARTS
_1_LN2: Final = _PARTS * 1.44269504088896338700
_2, _3, _4, _5 = (1.0 / math.factorial(n) for n in (2, 3, 4, 5))

_EXP_MAX: Final = 708.0  # of which e^x and e^-x are normal
_EXP2_MIN, _EXP2_MAX = -1076.0, 1025.0  # beyond, it is 0 or infinite

_ROUND: Final = 1.5 * 2.0**52
"""Added to a small number, its sum has the nearest integer in its low bits."""

_ROUND_BITS: Final = 0x4338000000000000
_ONE: Final = 1023  # the exponent in the bits of 1


@njit(nogil=True, forceinline=True, error_model="numpy")
def _clipped(x: float, low: float, high: float) -> float:
    x = low if x < low else x  # NaN stays
    return high if x > high else x


@njit(nogil=True, forceinline=True, error_model="numpy")
def _power(k: int, rest: float) -> float:
    """Return 2^(k / 128 - whole) e^rest, with `whole` 128ths left out: from 1 to 2, nearly."""
    part = k & (_PARTS - 1)
    square = rest * rest
    low = _MISSING[part] + rest + square * (_2 + rest * _3)
    return _POWER[part] + _POWER[part] * (low + square * square * (_4 + rest * _5))


@njit(nogil=True, forceinline=True, error_model="numpy")
def _whole(exponent: int) -> float:
    """Return 2^exponent, of which the result is normal."""
    return float_of(np.uint64((exponent + _ONE) << 52))


@njit(nogil=True, forceinline=True, error_model="numpy")
def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x), with x kept within 708 of 0; NaN for NaN."""
    x = _clipped(-x, -_EXP_MAX, _EXP_MAX)
    rounded = x * _1_LN2 + _ROUND
    near = rounded - _ROUND
    k = bits_of(rounded) - _ROUND_BITS
    return 1.0 / (1.0 + _power(k, (x - near * _HIGH) - near * _LOW) * _whole(k >> 7))


@njit(nogil=True, forceinline=True, error_model="numpy")
def exp2(x: float) -> float:
    """Return 2^x, exact for an integer x; NaN for NaN."""
    x = _clipped(x, _EXP2_MIN, _EXP2_MAX)
    rounded = x * _PARTS + _ROUND
    k = bits_of(rounded) - _ROUND_BITS
    rest = (x - (rounded - _ROUND) / _PARTS) * _LN2
    half = k >> 8  # two steps reach what is not normal
    return _power(k, rest) * _whole(half) * _whole((k >> 7) - half)


@kernel
def write_powers_of_2(exponents: NDArray[np.float64], powers: NDArray[np.float64]) -> None:
    """Write 2^x of each exponent."""
    for at in range(len(exponents)):
        powers[at] = exp2(exponents[at])
