"""JSON numbers in kernels: the float64 nearest to the text, or none where that is not certain."""

from typing import Final

import numpy as np
from numba import njit

from strandline.kernels.memory import (
    byte_at,
    float_of,
    high_product,
    leading_zeros,
    lowest_bit,
    no_digits,
    word_at,
)

DIGITS_MAX: Final = 19
"""So many digits always fit into 64 bits."""

_DOT, _MINUS, _PLUS, _ZERO, _E_LOWER, _E_UPPER, _COMMA, _CLOSE = b".-+0eE,}"
_EACH_BYTE: Final = 0x0101010101010101
_ZEROS, _ABOVE_NINE, _HIGH_BITS = (np.uint64(byte * _EACH_BYTE) for byte in (0x30, 0x76, 0x80))
_LOW_BYTE, _SECOND_BYTE = np.uint64(0xFF), np.uint64(0xFF00)
_WHOLE_BYTES: Final = 0x78  # of the index of a bit, 64 included
_EXACT_POWER: Final = 22  # 10^22 is the largest power of ten that a float64 holds
_EXACT_INTEGER: Final = np.uint64(1 << 53)
_POWERS: Final = np.array([float(10**k) for k in range(_EXACT_POWER + 1)])
_WHOLE_POWERS: Final = np.array([10**k for k in range(DIGITS_MAX + 1)], np.uint64)
_FAR: Final = 64
_FRACTION_MAX: Final = 29  # that one mask of 32 bytes sees the end of, behind "0."


def _wide_power(exponent: int) -> tuple[int, int]:
    """Return the upper and lower half of the leading 128 bits of 10^exponent, rounded down."""
    bits = 1 << 512
    value = bits * 10**exponent if exponent >= 0 else bits // 10**-exponent
    lead = value >> (value.bit_length() - 128)
    return lead >> 64, lead & (1 << 64) - 1


_WIDE: Final = np.array([_wide_power(k) for k in range(-_FAR, _FAR + 1)], np.uint64)


@njit(nogil=True, forceinline=True)
def _eight_digits(word: np.uint64) -> np.uint64:
    """Return the number that 8 digits make, the first in the lowest byte; zero bytes are zeros."""
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    return (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)


@njit(nogil=True, forceinline=True)
def _digits(at: int, count: int) -> np.uint64:
    """Return the number that `count` digits make, 1 to `DIGITS_MAX`."""
    if count <= 8:
        return _eight_digits(word_at(at) << np.uint64(64 - 8 * count))
    return _many_digits(at, count)


@njit(nogil=True)
def _many_digits(at: int, count: int) -> np.uint64:
    value = np.uint64(0)
    while count > 8:
        value = value * np.uint64(100_000_000) + _eight_digits(word_at(at))
        at += 8
        count -= 8
    last = _eight_digits(word_at(at) << np.uint64(64 - 8 * count))
    return value * _WHOLE_POWERS[count] + last


@njit(nogil=True)
def _nearest(digits: np.uint64, exponent: int) -> float:
    """Return the float64 nearest to digits * 10^exponent, NaN if that is not certain.

    Lemire, Number Parsing at a Gigabyte per Second, 2021: digits times the leading 128 bits of
    the power; where the bits that were cut off could change the rounding, there is no answer.
    """
    while exponent < 0 and digits % np.uint64(10) == 0:  # 90071993.00000000
        digits //= np.uint64(10)
        exponent += 1
    if digits <= _EXACT_INTEGER and -_EXACT_POWER <= exponent <= 0:
        return np.float64(digits) / _POWERS[-exponent]
    if exponent < -_FAR or exponent > _FAR:
        return np.nan
    shift = leading_zeros(digits)
    digits <<= np.uint64(shift)
    binary = ((217706 * exponent) >> 16) + 64 + 1023 - shift
    low_bits = np.uint64(0x1FF)
    power, rest = _WIDE[exponent + _FAR]
    high, low = high_product(digits, power), digits * power
    if high & low_bits == low_bits and low + digits < digits:
        carried = low + high_product(digits, rest)
        high += np.uint64(carried < low)
        low = carried
        if high & low_bits == low_bits and low + np.uint64(1) == np.uint64(0):
            return np.nan
    top = high >> np.uint64(63)
    mantissa = high >> (top + np.uint64(9))
    binary -= 1 - np.int64(top)
    if low == np.uint64(0) and high & low_bits == 0 and mantissa & np.uint64(3) == np.uint64(1):
        return np.nan
    mantissa = (mantissa + (mantissa & np.uint64(1))) >> np.uint64(1)
    if mantissa >> np.uint64(53) > 0:
        mantissa >>= np.uint64(1)
        binary += 1
    return float_of(np.uint64(binary) << np.uint64(52) | mantissa & np.uint64((1 << 52) - 1))


@njit(nogil=True)
def number_end(at: int) -> int:
    """Return where a JSON number ends, 0 if `read_number` does not read it."""
    return read_number(at)[0]


@njit(nogil=True, forceinline=True)
def read_number(at: int) -> tuple[int, float]:
    """Read a JSON number; return where it ends and its value, (0, 0) if it is none or unsure."""
    negative = byte_at(at) == _MINUS
    first = at + 1 if negative else at
    stop, digits, decimals = _short_number(word_at(first))
    end = first + stop
    if stop == 0 or (byte_at(end) != _COMMA and byte_at(end) != _CLOSE):
        return _read_any_number(at)
    value = float(digits)
    if decimals:
        value /= _POWERS[decimals]
    return end, -value if negative else value


@njit(nogil=True, forceinline=True)
def _short_number(word: np.uint64) -> tuple[int, np.uint64, int]:
    """Read a number without sign and exponent that ends in a word's first 7 bytes.

    Return its bytes, its digits and how many of them are decimals; 0 bytes if it is none. All at
    once in a word, as `_eight_digits`: whatever its length is, no branch depends on it.
    """
    value = word ^ _ZEROS  # a digit's byte becomes the digit
    others = (value | value + _ABOVE_NINE) & _HIGH_BITS  # exact up to the first two that are none
    whole = lowest_bit(others) & _WHOLE_BYTES
    zero_first = word & _LOW_BYTE == np.uint64(_ZERO) and others & _SECOND_BYTE == 0
    if whole == 0 or others == 0 or zero_first:
        return 0, np.uint64(0), 0
    if word >> np.uint64(whole) & _LOW_BYTE != np.uint64(_DOT):
        return whole >> 3, _eight_digits(word << np.uint64(64 - whole)), 0
    others &= others - np.uint64(1)
    stop = lowest_bit(others) & _WHOLE_BYTES
    decimals = (stop - whole >> 3) - 1
    if others == 0 or decimals == 0:
        return 0, np.uint64(0), 0
    before_dot = word & ((np.uint64(1) << np.uint64(whole)) - np.uint64(1))
    after_dot = word >> np.uint64(whole + 8) << np.uint64(whole + 8)
    together = after_dot | before_dot << np.uint64(8)
    return stop >> 3, _eight_digits(together << np.uint64(64 - stop)), decimals


@njit(nogil=True)
def _read_any_number(at: int) -> tuple[int, float]:
    negative = byte_at(at) == _MINUS
    if negative:
        at += 1
    stops = no_digits(at)
    whole = lowest_bit(stops)
    if whole == 0 or whole > DIGITS_MAX or (whole > 1 and byte_at(at) == _ZERO):
        return 0, 0.0
    digits = _digits(at, whole)
    significant = whole - (byte_at(at) == _ZERO)
    at += whole
    exponent = np.int64(0)
    if byte_at(at) == _DOT:
        fraction = lowest_bit(stops >> np.uint64(whole + 1))
        zeros = 0
        if significant + fraction > DIGITS_MAX and not significant:
            zeros = _leading_zeros(at + 1, fraction)  # 0.00034768553763295576
        figures = fraction - zeros
        if figures == 0 or significant + figures > DIGITS_MAX or fraction > _FRACTION_MAX:
            return 0, 0.0
        digits = digits * _WHOLE_POWERS[figures] + _digits(at + 1 + zeros, figures)
        at += 1 + fraction
        exponent = np.int64(-fraction)
    if byte_at(at) == _E_LOWER or byte_at(at) == _E_UPPER:
        at, power = _read_exponent(at + 1)
        if at == 0:
            return 0, 0.0
        exponent += power
    value = _value(digits, exponent)
    if np.isnan(value):
        return 0, 0.0
    return at, -value if negative else value


@njit(nogil=True)
def _leading_zeros(at: int, count: int) -> int:
    zeros = 0
    while zeros < count and byte_at(at + zeros) == _ZERO:
        zeros += 1
    return zeros


@njit(nogil=True)
def _read_exponent(at: int) -> tuple[int, np.int64]:
    """Return where an exponent of at most 3 digits ends, and its value; (0, 0) for others."""
    negative = byte_at(at) == _MINUS
    if negative or byte_at(at) == _PLUS:
        at += 1
    count = lowest_bit(no_digits(at))
    if count == 0 or count > 3:
        return 0, np.int64(0)
    power = np.int64(_digits(at, count))
    return at + count, -power if negative else power


@njit(nogil=True, forceinline=True)
def _value(digits: np.uint64, exponent: np.int64) -> np.float64 | float:
    """Return the float64 nearest to digits * 10^exponent, NaN if that is not certain."""
    if exponent == 0 or digits == 0:
        return np.float64(digits)
    if digits <= _EXACT_INTEGER and -_EXACT_POWER <= exponent <= _EXACT_POWER:
        # Both numbers are exact, so that the one operation rounds once.
        if exponent < 0:
            return np.float64(digits) / _POWERS[-exponent]
        return np.float64(digits) * _POWERS[exponent]
    return _nearest(digits, exponent)


@njit(nogil=True)
def read_integer(at: int) -> int:
    """Return where an integer in its one decimal form ends, within 18 digits; 0 for others."""
    negative = byte_at(at) == _MINUS
    if negative:
        at += 1
    count = lowest_bit(no_digits(at))
    if count == 0 or count > DIGITS_MAX - 1:
        return 0
    if byte_at(at) == _ZERO and (count > 1 or negative):
        return 0
    at += count
    after = byte_at(at)
    return 0 if after in (_DOT, _E_LOWER, _E_UPPER) else at
