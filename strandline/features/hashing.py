"""Feature keys: XXH64 with one seed per field, as docs/format.md defines them.

::

    seed(field)         = XXH64(utf8(field name), seed 0)
    key of a category   = XXH64(utf8(text of the value), seed(field))
    key of a number     = seed(field)
    key of a cross      = XXH64(le64(key 1) + le64(key 2) + ..., seed(field))
    key of the bias     = XXH64("", seed 0)
    dense slot          = key & (2**bits - 1)

The text of an integer is its decimal digits, of a bool "true" or "false": the integer 7 and the
string "7" are one value.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

BIAS_KEY: Final = xxh64_intdigest(b"", 0)


def field_seed(name: str) -> int:
    """Return the seed of a field: the key of its one entry if it is a number."""
    return xxh64_intdigest(name.encode(), 0)


def category_key(value: str | int | bool, seed: int) -> int:
    """Return the 64-bit key of a category's value.

    Examples
    --------
    >>> seed = field_seed("item")
    >>> category_key(7, seed) == category_key("7", seed)
    True
    >>> f"{category_key('7', seed):016x}"
    '...'
    """
    if isinstance(value, bool):
        value = "true" if value else "false"
    return xxh64_intdigest(str(value).encode(), seed)


def slots(keys: NDArray[np.uint64], bits: int) -> NDArray[np.uint32]:
    """Return the dense slots, below ``2**bits``, of the keys. `bits` is at most 32."""
    return (keys & np.uint64((1 << bits) - 1)).astype(np.uint32)


class KeyCache(dict[str | int, int]):
    """The keys of one category by value, so that frequent values are hashed once.

    Bools do not belong in: True equals 1 in a dict. When full it begins anew; only short texts
    stay, so its memory is bounded whatever the stream holds.
    """

    __slots__ = ("_seed",)
    VALUES_MAX: Final = 1 << 16
    CHARS_MAX: Final = 64

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __missing__(self, value: str | int) -> int:
        """Hash a value that is not kept yet."""
        key = category_key(value, self._seed)
        if len(self) >= self.VALUES_MAX:
            self.clear()
        if not isinstance(value, str) or len(value) <= self.CHARS_MAX:
            self[value] = key
        return key
