"""Rows of arrays, moved by index: one pass over memory each, without the interpreter's lock.

`values` are C-contiguous [n, width or more]; only the first columns are a row's. Indices are not
checked here: callers have bounds checked. Sums are taken in the type of what is added to, after
the change was cast to it, as numpy does.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.memory import prefetch

_AHEAD: Final = 32
"""Rows for whose memory a kernel asks before their turn: a large table lies in no cache."""


@njit(nogil=True, forceinline=True)
def _fetch(values: NDArray[Any], rows: NDArray[Any], at: int) -> None:
    if at < len(rows):
        prefetch(values.ctypes.data + np.int64(rows[at]) * values.strides[0])


@kernel
def gather(values: NDArray[Any], rows: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the values of the rows to `out`."""
    for i in range(len(rows)):
        _fetch(values, rows, i + _AHEAD)
        for k in range(out.shape[1]):
            out[i, k] = values[rows[i], k]


@kernel
def assign(values: NDArray[Any], rows: NDArray[Any], new: NDArray[Any]) -> None:
    """Set the values of the rows."""
    for i in range(len(rows)):
        _fetch(values, rows, i + _AHEAD)
        for k in range(new.shape[1]):
            values[rows[i], k] = new[i, k]


@kernel
def add(values: NDArray[Any], rows: NDArray[Any], changes: NDArray[Any]) -> None:
    """Add to the values of the rows, in order."""
    for i in range(len(rows)):
        _fetch(values, rows, i + _AHEAD)
        for k in range(changes.shape[1]):
            values[rows[i], k] += values.dtype.type(changes[i, k])


@kernel
def fetch_add(
    values: NDArray[Any], rows: NDArray[Any], changes: NDArray[Any], before: NDArray[Any]
) -> None:
    """Write the values of the rows to `before`, then add to them, in order."""
    for i in range(len(rows)):
        _fetch(values, rows, i + _AHEAD)
        for k in range(changes.shape[1]):
            before[i, k] = values[rows[i], k]
            values[rows[i], k] += values.dtype.type(changes[i, k])


@kernel
def sums_are_finite(before: NDArray[Any], changes: NDArray[Any]) -> bool:
    """Whether every element of `before` [n] + `changes` [n], of one type, is finite."""
    fit = True
    for i in range(len(changes)):
        fit &= math.isfinite(before[i] + changes[i])
    return fit


@kernel
def ascend(rows: NDArray[Any]) -> bool:
    """Whether every row is above the one before it."""
    fit = True
    for i in range(1, len(rows)):
        fit &= rows[i] > rows[i - 1]
    return fit


@kernel
def number_rows(
    rows: NDArray[Any], order: NDArray[np.int64], union: NDArray[Any], places: NDArray[np.int64]
) -> int:
    """Write the distinct rows to `union` and each row's place there to `places`.

    `order` sorts `rows`. Returns the number of distinct rows, of which `union` has room for all.
    """
    count = 0
    for at in order:
        if count == 0 or union[count - 1] != rows[at]:
            union[count] = rows[at]
            count += 1
        places[at] = count - 1
    return count
