"""What an epoch's records come to: a delta's columns, by slot, in one pass."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.learners.ftrl_kernel import UNTOUCHED, Rates


@njit(nogil=True, cache=True)
def slots_and_places(records: NDArray[np.void], packed: NDArray[np.uint64]) -> None:
    """Write (slot << 32 | place) of every record: sorted, it names the records by slot."""
    for i in range(len(records)):
        packed[i] = np.uint64(records[i].slot) << np.uint64(32) | np.uint64(i)


@njit(nogil=True, cache=True)
def _merge_weight(z: float, n: float, rates: Rates) -> float:
    """The weight to the bits of `Ftrl.weights`, which multiplies by the rate."""
    alpha, beta, l1, l2 = rates
    if abs(z) <= l1:
        return 0.0
    w: float = -(z - math.copysign(l1, z)) * (1.0 / ((beta + math.sqrt(n)) / alpha + l2))
    return w


@njit(nogil=True, cache=True)
def close_epoch(  # noqa: PLR0917
    packed: NDArray[np.uint64],
    records: NDArray[np.void],
    rates: Rates,
    zn: NDArray[np.float32],
    position: NDArray[np.int32],
    rows: NDArray[np.uint32],
    add: NDArray[np.float32],
    before: NDArray[np.float32],
    start: NDArray[np.float32],
    dw: NDArray[np.float32],
    contraction: NDArray[np.float32],
    touches: NDArray[np.uint32],
) -> None:
    """Write the delta's columns and mark every slot as untouched.

    Parameters
    ----------
    packed
        [k], sorted, of `slots_and_places`.
    records
        RECORD [k].
    rates
        alpha, beta, l1, l2.
    zn
        [2**bits, 2], as they are at the end of the epoch.
    position
        [2**bits], updated.
    rows, add, before, start, dw, contraction, touches
        [k], written; `add` and `before` [k, 2]. Sums in float64 are rounded to their columns' type.
    """
    for i in range(len(packed)):
        record = records[packed[i] & np.uint64(0xFFFFFFFF)]
        slot = record.slot
        z, n = zn[slot, 0], zn[slot, 1]
        rows[i] = slot
        add[i, 0] = z - record.z
        add[i, 1] = n - record.n
        before[i, 0] = record.z
        before[i, 1] = record.n
        w_end = _merge_weight(np.float64(z), np.float64(n), rates)
        w_start = _merge_weight(np.float64(record.z), np.float64(record.n), rates)
        start[i] = w_start
        dw[i] = w_end - w_start
        contraction[i] = record.contraction
        touches[i] = record.touches
        position[slot] = UNTOUCHED


class Columns(NamedTuple):
    """A delta's columns by slot, as `close_epoch` writes them."""

    rows: NDArray[np.uint32]
    add: NDArray[np.float32]
    before: NDArray[np.float32]
    start: NDArray[np.float32]
    dw: NDArray[np.float32]
    contraction: NDArray[np.float32]
    touches: NDArray[np.uint32]


def delta_columns(
    records: NDArray[Any], rates: Rates, zn: NDArray[np.float32], position: NDArray[np.int32]
) -> Columns:
    """Return the columns of the epoch's records; `position` forgets their slots."""
    count = len(records)
    packed = np.empty(count, np.uint64)
    slots_and_places(records, packed)
    packed.sort()
    columns = Columns(
        np.empty(count, np.uint32),
        np.empty((count, 2), np.float32),
        np.empty((count, 2), np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.uint32),
    )
    close_epoch(packed, records, rates, zn, position, *columns)
    return columns
