"""Logarithms with the same bits on every machine.

A C library's own differ in last bits from the next one's, and from one processor to another: a
replay elsewhere would learn other parameters. These are strict float64 arithmetic: fdlibm's formula
(Sun Microsystems, 1993; Remez polynomial of degree 14), without branches. They are within one unit
in the last place.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.memory import bits_of, float_of

_LN2_HIGH: Final = float.fromhex("0x1.62e42feep-1")  # times an exponent: exact
_LN2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
_1, _2, _3, _4, _5, _6, _7 = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
    1.479819860511658591e-01,
)  # fmt: skip

# Of a positive x, bits - bits(sqrt(1/2)), shifted, is its exponent k with x / 2^k from sqrt(1/2) to
# sqrt(2). 1024 is added before and taken away after: AVX2 shifts no sign, converts no 64-bit
# integer to float64, and does both where an integer is written into the bits of 2^52.
_BIAS: Final = 1024
_SHIFT: Final = np.uint64(52)
_TO_EXPONENT: Final = np.uint64((_BIAS << 52) - 0x3FE6A09E667F3BCD)
_TO_FLOAT: Final = np.uint64(0x4330000000000000)
_FROM_FLOAT: Final = 2.0**52 + _BIAS
_BIAS_BITS: Final = np.uint64(_BIAS)


@njit(nogil=True, forceinline=True, error_model="numpy")
def _split(x: float) -> tuple[float, float]:
    """Return k and f with ``x = 2^k (1 + f)`` and ``1 + f`` from sqrt(1/2) to sqrt(2)."""
    bits = np.uint64(bits_of(x))
    exponent = (bits + _TO_EXPONENT) >> _SHIFT
    k = float_of(exponent | _TO_FLOAT) - _FROM_FLOAT
    return k, float_of(bits - ((exponent - _BIAS_BITS) << _SHIFT)) - 1.0


@njit(nogil=True, forceinline=True, error_model="numpy")
def _joined(k: float, f: float, rest: float) -> float:
    """Return ``log(2^k (1 + f)) + rest``.

    With ``s = f / (2 + f)``: ``log(1 + f) = f - f^2/2 + s (f^2/2 + polynomial(s^2))``.
    """
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_2 + w * (_4 + w * _6))
    odd = z * (_1 + w * (_3 + w * (_5 + w * _7)))
    low = s * (half + (even + odd)) + (k * _LN2_LOW + rest)
    return k * _LN2_HIGH - ((half - low) - f)


@njit(nogil=True, forceinline=True, error_model="numpy")
def log1p(x: float) -> float:
    """Return the logarithm of 1 + x, for a finite x from 0 on; NaN for NaN.

    ``1 + x = whole + rest``, of which ``rest / whole`` is the logarithm's share.
    """
    whole = 1.0 + x
    one = whole - x
    rest = (1.0 - one) + (x - (whole - one))
    k, f = _split(whole)
    return _joined(k, f, rest / whole)


@njit(nogil=True, forceinline=True, error_model="numpy")
def log(x: float) -> float:
    """Return the logarithm of a normal x above 0; NaN for NaN."""
    k, f = _split(x)
    return _joined(k, f, 0.0) + (x - x)


@kernel
def write_odd_logs(values: NDArray[np.float64], logs: NDArray[np.float64]) -> None:
    """Write ``sign(x) * log1p(|x|)`` of as many values as `logs` has: side by side, in vectors."""
    for at in range(len(logs)):
        logs[at] = math.copysign(log1p(abs(values[at])), values[at])
