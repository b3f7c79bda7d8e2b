"""``log1p`` of features, the same bits on every machine.

A C library's own differs in last bits from the next one's, and a replay elsewhere would learn
other parameters. This one is strict float64 arithmetic: fdlibm's formula (Sun Microsystems, 1993;
Remez polynomial of degree 14), without branches. It is within one unit in the last place.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.memory import bits_of, float_of

_LN2_HIGH: Final = float.fromhex("0x1.62e42feep-1")  # times an exponent: exact
_LN2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
_ROOT_HALF: Final = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
_1, _2, _3, _4, _5, _6, _7 = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
    1.479819860511658591e-01,
)  # fmt: skip


@njit(nogil=True, forceinline=True, error_model="numpy")
def log1p(x: float) -> float:
    """Return the logarithm of 1 + x, for a finite x from 0 on; NaN for NaN.

    ``1 + x = 2^k (1 + f) + rest`` with ``1 + f`` from sqrt(1/2) to sqrt(2), and with
    ``s = f / (2 + f)``: ``log(1 + f) = f - f^2/2 + s (f^2/2 + polynomial(s^2))``.
    """
    whole = 1.0 + x
    one = whole - x
    rest = (1.0 - one) + (x - (whole - one))
    bits = bits_of(whole)
    exponent = (bits - _ROOT_HALF) >> 52
    k = np.float64(exponent)
    f = float_of(np.uint64(bits - (exponent << 52))) - 1.0
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_2 + w * (_4 + w * _6))
    odd = z * (_1 + w * (_3 + w * (_5 + w * _7)))
    low = s * (half + (even + odd)) + (k * _LN2_LOW + rest / whole)
    return k * _LN2_HIGH - ((half - low) - f)


@njit(nogil=True, cache=True, error_model="numpy")
def write_odd_logs(values: NDArray[np.float64], logs: NDArray[np.float64]) -> None:
    """Write ``sign(x) * log1p(|x|)`` of as many values as `logs` has: side by side, in vectors."""
    for at in range(len(logs)):
        logs[at] = math.copysign(log1p(abs(values[at])), values[at])
