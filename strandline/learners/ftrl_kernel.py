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

Rates = tuple[float, float, float, float]
"""alpha, beta, l1, l2."""


@njit(nogil=True, cache=True)
def _denominator(n: float, rates: Rates) -> float:
    alpha, beta, _, l2 = rates
    return (beta + math.sqrt(n)) / alpha + l2


@njit(nogil=True, cache=True)
def _weight(z: float, n: float, rates: Rates) -> float:
    l1 = rates[2]
    if abs(z) <= l1:
        return 0.0
    w: float = -(z - math.copysign(l1, z)) / _denominator(n, rates)
    return w


@njit(nogil=True, cache=True)
def _touch(  # noqa: PLR0917
    slot: int,
    zn: NDArray[np.float32],
    position: NDArray[np.int32],
    records: NDArray[np.void],
    count: int,
    event: int,
    contraction: float,
) -> int:
    """Account for one event's touch of a slot; return the number of records."""
    at = position[slot]
    if at == UNTOUCHED:
        at = count
        count += 1
        position[slot] = at
        record = records[at]
        record.slot = slot
        record.z = zn[slot, 0]
        record.n = zn[slot, 1]
        record.contraction = contraction
        record.touches = 1
        record.event = event
    elif records[at].event != event:
        records[at].contraction += contraction
        records[at].touches += 1
        records[at].event = event
    return count


@njit(nogil=True, cache=True)
def _look(  # noqa: PLR0917
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    selected: NDArray[np.bool_],
    rates: Rates,
    zn: NDArray[np.float32],
    scratch: NDArray[np.float64],
) -> tuple[float, float]:
    """Write the weights of one event's entries to `scratch`; return sum w x and sum eta x^2."""
    mask = np.uint64(len(zn) - 1)
    margin = 0.0
    curvature = 0.0
    for e in range(len(keys)):
        if selected[fields[e]]:
            slot = keys[e] & mask
            x = np.float64(values[e])
            n = np.float64(zn[slot, 1])
            w = _weight(np.float64(zn[slot, 0]), n, rates)
            scratch[e] = w
            margin += w * x
            curvature += x * x / _denominator(n, rates)
    return margin, curvature


@njit(nogil=True, cache=True)
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
    scratch: NDArray[np.float64],
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
    scratch
        At least as long as the longest event.
    predictions
        [rows], written: p of each event before its update.
    """
    alpha = rates[0]
    mask = np.uint64(len(zn) - 1)
    for row in range(len(labels)):
        first, end = starts[row], starts[row + 1]
        margin, curvature = _look(
            keys[first:end], fields[first:end], values[first:end], selected, rates, zn, scratch
        )
        p = 1.0 / (1.0 + math.exp(-margin))
        predictions[row] = p
        scale = np.float64(weights[row])
        slope = (p - np.float64(labels[row])) * scale
        contraction = p * (1.0 - p) * scale * curvature
        for e in range(first, end):
            if not selected[fields[e]]:
                continue
            slot = keys[e] & mask
            count = _touch(slot, zn, position, records, count, event + row, contraction)
            g = slope * np.float64(values[e])
            n = np.float64(zn[slot, 1])
            grown = np.float32(n + g * g)
            shift = (math.sqrt(np.float64(grown)) - math.sqrt(n)) / alpha * scratch[e - first]
            zn[slot, 0] = np.float64(zn[slot, 0]) + g - shift
            zn[slot, 1] = grown
    return count


@njit(nogil=True, cache=True)
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
                w = _weight(np.float64(zn[slot, 0]), np.float64(zn[slot, 1]), rates)
                margin += w * np.float64(values[e])
        predictions[row] = 1.0 / (1.0 + math.exp(-margin))
