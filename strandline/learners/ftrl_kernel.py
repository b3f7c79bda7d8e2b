"""FTRL-Proximal on arrays, one event after the other.

A row of `zn` is [z, n] in float32. All arithmetic is in float64; z and n are rounded when they
are stored, after each entry. For an event with entries (slot, x), label y and weight v::

    w     = 0 if |z| <= l1 else -(z - sign(z) l1) / ((beta + sqrt(n)) / alpha + l2)
    p     = 1 / (1 + exp(-sum w x))                            over all entries, in order
    g     = (p - y) v x                                        per entry
    n'    = n + g²  (rounded);   z' = z + g - (sqrt(n') - sqrt(n)) / alpha * w

Several entries of one event may share a slot (collisions, repeated values). All of them predict
with, and update by, the w from before the event; z and n they update one after the other.

The record of a slot that the epoch touched holds z and n as they were at the first touch, the
events that touched it, and the sum over these of the event's contraction ::

    p (1 - p) v sum x² / ((beta + sqrt(n)) / alpha + l2)       before the event's update

Strict maths: the same events make the same bits, and nothing that is not finite is hidden.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.features.memory import prefetch

RECORD: Final = np.dtype(
    [
        ("contraction", np.float64),
        ("event", np.int64),  # the last event that touched the slot, counted within the epoch
        ("z", np.float32),
        ("n", np.float32),
        ("slot", np.uint32),
        ("touches", np.uint32),
    ]
)
assert RECORD.itemsize == 32, "two records to a cache line"

UNTOUCHED: Final = -1
AHEAD: Final = 2
"""How many events before its turn an event's memory is asked for."""

Rates = tuple[float, float, float, float]
"""alpha, beta, l1, l2."""


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _denominator(root: float, rates: Rates) -> float:
    """Return (beta + sqrt(n)) / alpha + l2 for the root of n; it is above 0."""
    alpha, beta, _, l2 = rates
    return (beta + root) / alpha + l2


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _weight(z: float, denominator: float, rates: Rates) -> float:
    l1 = rates[2]
    w = -(z - math.copysign(l1, z)) / denominator
    return 0.0 if abs(z) <= l1 else w


@njit(nogil=True, cache=True)
def _gather(  # noqa: PLR0917
    first: int,
    end: int,
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    selected: NDArray[np.bool_],
    zn: NDArray[np.float32],
    slots: NDArray[np.uint64],
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
) -> np.int64:
    """Copy what the selected entries of one event need; return how many they are."""
    mask = np.uint64(len(zn) - 1)
    count = np.uint64(0)
    for e in range(np.uint64(first), np.uint64(end)):
        slot = keys[e] & mask
        slots[count] = slot
        z[count] = zn[slot, 0]
        n[count] = zn[slot, 1]
        x[count] = values[e]
        count += np.uint64(selected[fields[e]])
    return np.int64(count)


@njit(nogil=True, cache=True, error_model="numpy")
def _look(  # noqa: PLR0917
    count: int,
    rates: Rates,
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    w: NDArray[np.float64],
    share: NDArray[np.float64],
) -> tuple[float, float]:
    """Write the weights; return sum w x and sum eta x^2.

    The first loop has no order, so that the processor divides several at once; the sums have.
    """
    for k in range(count):
        root = math.sqrt(n[k])
        denominator = _denominator(root, rates)
        w[k] = _weight(z[k], denominator, rates)
        share[k] = x[k] * x[k] / denominator
    margin = 0.0
    curvature = 0.0
    for k in range(count):
        margin += w[k] * x[k]
        curvature += share[k]
    return margin, curvature


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _updated(z: float, n: float, w: float, g: float, alpha: float) -> tuple[np.float32, np.float32]:
    """Return z and n after a gradient."""
    grown = np.float32(n + g * g)
    shift = (math.sqrt(np.float64(grown)) - math.sqrt(n)) / alpha * w
    return np.float32(z + g - shift), grown


@njit(nogil=True, cache=True, error_model="numpy")
def _step(  # noqa: PLR0917
    count: int,
    slope: float,
    alpha: float,
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    w: NDArray[np.float64],
    after: NDArray[np.float32],
) -> None:
    """Write z and n of every entry as they are after the event, if its slot is its alone."""
    for k in range(count):
        after[0, k], after[1, k] = _updated(z[k], n[k], w[k], slope * x[k], alpha)


@njit(nogil=True, cache=True, forceinline=True)
def _touch(  # noqa: PLR0917
    slot: np.uint64,
    zn: NDArray[np.float32],
    position: NDArray[np.int32],
    records: NDArray[np.void],
    count: int,
    event: int,
    contraction: float,
) -> int:
    """Account for an event's touch of a slot: 1 if it is the epoch's first, 0 if only the event's,
    -1 if the event has touched the slot before.
    """
    at = position[slot]
    if at == UNTOUCHED:
        position[slot] = count
        record = records[np.uint64(count)]
        record.slot = slot
        record.z = zn[slot, 0]
        record.n = zn[slot, 1]
        record.contraction = contraction
        record.touches = 1
        record.event = event
        return 1
    record = records[np.uint64(at)]
    if record.event == event:
        return -1
    record.contraction += contraction
    record.touches += 1
    record.event = event
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def learn_events(  # noqa: PLR0917
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    starts: NDArray[np.int64],
    labels: NDArray[np.float32],
    weights: NDArray[np.float32],
    selected: NDArray[np.bool_],
    rates: Rates,
    zn: NDArray[np.float32],
    position: NDArray[np.int32],
    records: NDArray[np.void],
    count: int,
    event: int,
    predictions: NDArray[np.float32],
) -> int:
    """Learn the events in order; return the number of records.

    Parameters
    ----------
    keys, fields, values, starts, labels, weights
        A batch.
    selected
        [65536] whether entries of a field count.
    rates
        alpha, beta, l1, l2.
    zn
        [2**bits, 2], updated. A key's slot is its low bits.
    position
        [2**bits] index of the slot's record, or UNTOUCHED; updated.
    records
        RECORD [at least count + entries, or 2**bits], of which `count` are in use; updated.
    event
        Number of the first event within the epoch.
    predictions
        [rows], written: p of each event before its update.
    """
    alpha = rates[0]
    longest = 0
    for row in range(len(labels)):
        longest = max(longest, starts[row + 1] - starts[row])
    slots = np.empty(longest + 1, np.uint64)
    z, n, x = np.empty(longest + 1), np.empty(longest + 1), np.empty(longest + 1)
    w, share = np.empty(longest + 1), np.empty(longest + 1)
    after = np.empty((2, longest + 1), np.float32)
    for row in range(len(labels)):
        _fetch(row + AHEAD, keys, starts, zn, position)
        used = _gather(
            starts[row], starts[row + 1], keys, fields, values, selected, zn, slots, z, n, x
        )
        margin, curvature = _look(used, rates, z, n, x, w, share)
        p = 1.0 / (1.0 + math.exp(-margin))
        predictions[row] = p
        scale = np.float64(weights[row])
        slope = (p - np.float64(labels[row])) * scale
        contraction = p * (1.0 - p) * scale * curvature
        _step(used, slope, alpha, z, n, x, w, after)
        for k in range(np.uint64(used)):
            slot = slots[k]
            touched = _touch(slot, zn, position, records, count, event + row, contraction)
            if touched >= 0:
                count += touched
                zn[slot, 0] = after[0, k]
                zn[slot, 1] = after[1, k]
            else:
                zn[slot, 0], zn[slot, 1] = _updated(
                    np.float64(zn[slot, 0]), np.float64(zn[slot, 1]), w[k], slope * x[k], alpha
                )
    return count


@njit(nogil=True, cache=True)
def _fetch(
    row: int,
    keys: NDArray[np.uint64],
    starts: NDArray[np.int64],
    zn: NDArray[np.float32],
    position: NDArray[np.int32],
) -> None:
    """Ask for the memory of an event's slots, which are all over the table."""
    if row + 1 >= len(starts):
        return
    mask = np.uint64(len(zn) - 1)
    table, index = np.int64(zn.ctypes.data), np.int64(position.ctypes.data)
    for e in range(np.uint64(starts[row]), np.uint64(starts[row + 1])):
        slot = np.int64(keys[e] & mask)
        prefetch(table + 8 * slot)
        prefetch(index + 4 * slot)


@njit(nogil=True, cache=True, error_model="numpy")
def predict_events(  # noqa: PLR0917
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    starts: NDArray[np.int64],
    selected: NDArray[np.bool_],
    rates: Rates,
    zn: NDArray[np.float32],
    predictions: NDArray[np.float32],
) -> None:
    """Write p of each event to `predictions`; parameters as of `learn_events`."""
    mask = np.uint64(len(zn) - 1)
    for row in range(len(predictions)):
        margin = 0.0
        for e in range(starts[row], starts[row + 1]):
            if selected[fields[e]]:
                slot = keys[e] & mask
                root = math.sqrt(np.float64(zn[slot, 1]))
                w = _weight(np.float64(zn[slot, 0]), _denominator(root, rates), rates)
                margin += w * np.float64(values[e])
        predictions[row] = 1.0 / (1.0 + math.exp(-margin))
