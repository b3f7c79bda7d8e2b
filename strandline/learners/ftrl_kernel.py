"""FTRL-Proximal on arrays, one event after the other.

A row is [z, n] in float32. All arithmetic is in float64; z and n are rounded when they are stored,
after each entry. For an event with entries (slot, x), label y and weight v::

    eta   = alpha / (sqrt(n) + (beta + alpha l2))
    w     = 0 if |z| <= l1 else -(z - sign(z) l1) eta
    p     = 1 / (1 + exp(-sum w x))                            over all entries, in order
    g     = (p - y) v x                                        per entry
    n'    = n + g²  (rounded);   z' = z + g - (sqrt(n') - sqrt(n)) (1 / alpha) w

Several entries of one event may share a slot (collisions, repeated values). All of them predict
with, and update by, the w from before the event; z and n they update one after the other.

A slot's record is its row and what the epoch did to it: z and n as they were at the first touch,
the events that touched it, and the sum over these of the event's contraction ::

    p (1 - p) v sum x² eta                                     before the event's update

A record lies in one line of the processor's cache, which is all that an entry costs of memory.

Strict maths: the same events make the same bits, and nothing that is not finite is hidden.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.exponential import sigmoid
from strandline.kernels.memory import prefetch

RECORD: Final = np.dtype(
    [
        ("z", np.float32),
        ("n", np.float32),
        ("z_before", np.float32),
        ("n_before", np.float32),
        ("contraction", np.float64),
        ("event", np.uint32),  # the last event that touched the slot, counted within the epoch
        ("touches", np.uint32),  # 0: the epoch has not touched the slot, the rest means nothing
    ]
)
RECORD_BYTES: Final = 32
assert RECORD.itemsize == RECORD_BYTES, "two records to a cache line"

EVENTS_MAX: Final = 1 << 32
"""An epoch's events that `event` and `touches` can count."""

_AHEAD: Final = 96
"""How many entries before its turn an entry's memory is asked for."""

Rates = tuple[float, float, float, float]
"""alpha, beta, l1, l2."""


@njit(nogil=True, error_model="numpy", forceinline=True)
def _rate(root: float, rates: Rates) -> float:
    """Return eta for the root of n; beta is above 0."""
    alpha, beta, _, l2 = rates
    return alpha / (root + (beta + alpha * l2))


@njit(nogil=True, error_model="numpy", forceinline=True)
def _weight(z: float, rate: float, rates: Rates) -> float:
    l1 = rates[2]
    w = -(z - math.copysign(l1, z)) * rate
    return 0.0 if abs(z) <= l1 else w


@njit(nogil=True, error_model="numpy", forceinline=True)
def weight_at(z: np.float32, n: np.float32, rates: Rates) -> float:
    """Return w of a row."""
    w: float = _weight(np.float64(z), _rate(math.sqrt(np.float64(n)), rates), rates)
    return w


@kernel
def _gather(  # noqa: PLR0917
    first: int,
    end: int,
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    selected: NDArray[np.bool_],
    records: NDArray[np.void],
    slots: NDArray[np.uint64],
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
) -> np.int64:
    """Copy what the selected entries of one event need; return how many they are.

    Asks, entry by entry, for the memory of entries to come, which is all over the table.
    """
    mask, last = np.uint64(len(records) - 1), np.uint64(len(keys) - 1)
    memory = np.int64(records.ctypes.data)
    count = np.uint64(0)
    for e in range(np.uint64(first), np.uint64(end)):
        ahead = keys[min(e + np.uint64(_AHEAD), last)] & mask
        prefetch(memory + RECORD_BYTES * np.int64(ahead))
        slot = keys[e] & mask
        slots[count] = slot
        z[count] = records[slot].z
        n[count] = records[slot].n
        x[count] = values[e]
        count += np.uint64(selected[fields[e]])
    return np.int64(count)


@kernel
def _look(  # noqa: PLR0917
    count: int,
    rates: Rates,
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    root: NDArray[np.float64],
    w: NDArray[np.float64],
    share: NDArray[np.float64],
) -> tuple[float, float]:
    """Write the roots of n and the weights; return sum w x and sum x² eta.

    The first loop has no order, so that the processor divides several at once; the sums have.
    """
    for k in range(count):
        root[k] = math.sqrt(n[k])
        rate = _rate(root[k], rates)
        w[k] = _weight(z[k], rate, rates)
        share[k] = x[k] * x[k] * rate
    margin = 0.0
    curvature = 0.0
    for k in range(count):
        margin += w[k] * x[k]
        curvature += share[k]
    return margin, curvature


@njit(nogil=True, error_model="numpy", forceinline=True)
def _updated(  # noqa: PLR0917
    z: float, n: float, root: float, w: float, g: float, inverse: float
) -> tuple[np.float32, np.float32]:
    """Return z and n after a gradient; `root` is of n, `inverse` 1 / alpha."""
    grown = np.float32(n + g * g)
    shift = (math.sqrt(np.float64(grown)) - root) * inverse * w
    return np.float32(z + g - shift), grown


@kernel
def _step(  # noqa: PLR0917
    count: int,
    slope: float,
    inverse: float,
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    root: NDArray[np.float64],
    w: NDArray[np.float64],
    after: NDArray[np.float32],
) -> None:
    """Write z and n of every entry as they are after the event, if its slot is its alone."""
    for k in range(count):
        after[0, k], after[1, k] = _updated(z[k], n[k], root[k], w[k], slope * x[k], inverse)


@kernel
def learn_events(  # noqa: PLR0917
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    starts: NDArray[np.int64],
    labels: NDArray[np.float32],
    weights: NDArray[np.float32],
    selected: NDArray[np.bool_],
    rates: Rates,
    records: NDArray[np.void],
    touched: NDArray[np.uint32],
    count: int,
    event: int,
    predictions: NDArray[np.float32],
) -> int:
    """Learn the events in order; return the number of slots that the epoch has touched.

    Parameters
    ----------
    keys, fields, values, starts, labels, weights
        A batch.
    selected
        [65536] whether entries of a field count.
    rates
        alpha, beta, l1, l2.
    records
        RECORD [2**bits], updated. A key's slot is its low bits.
    touched
        [at least count + entries, or 2**bits], of which the first `count` are the slots that the
        epoch has touched; updated.
    event
        Number of the first event within the epoch.
    predictions
        [rows], written: p of each event before its update.
    """
    inverse = 1.0 / rates[0]
    longest = 0
    for row in range(len(labels)):
        longest = max(longest, starts[row + 1] - starts[row])
    slots = np.empty(longest + 1, np.uint64)
    z, n, x = np.empty(longest + 1), np.empty(longest + 1), np.empty(longest + 1)
    root, w, share = np.empty(longest + 1), np.empty(longest + 1), np.empty(longest + 1)
    after = np.empty((2, longest + 1), np.float32)
    for row in range(len(labels)):
        used = _gather(
            starts[row], starts[row + 1], keys, fields, values, selected, records, slots, z, n, x
        )
        margin, curvature = _look(used, rates, z, n, x, root, w, share)
        p = sigmoid(margin)
        predictions[row] = p
        scale = np.float64(weights[row])
        slope = (p - np.float64(labels[row])) * scale
        contraction = p * (1.0 - p) * scale * curvature
        _step(used, slope, inverse, z, n, x, root, w, after)
        count = _store(
            used, slots, np.uint32(event + row), contraction, after, slope, inverse, x, w,
            records, touched, count,
        )  # fmt: skip
    return count


@kernel
def _store(  # noqa: PLR0917
    used: int,
    slots: NDArray[np.uint64],
    event: np.uint32,
    contraction: float,
    after: NDArray[np.float32],
    slope: float,
    inverse: float,
    x: NDArray[np.float64],
    w: NDArray[np.float64],
    records: NDArray[np.void],
    touched: NDArray[np.uint32],
    count: int,
) -> int:
    """Store an event's update in its slots' records; return how many the epoch has touched."""
    for k in range(np.uint64(used)):
        slot = slots[k]
        record = records[slot]
        if record.touches == 0:
            touched[np.uint64(count)] = slot
            count += 1
            record.z_before, record.n_before = record.z, record.n
            record.contraction = 0.0
        elif record.event == event:
            # Another entry of the event has been here: one touch, one update after the other.
            z, n = np.float64(record.z), np.float64(record.n)
            record.z, record.n = _updated(z, n, math.sqrt(n), w[k], slope * x[k], inverse)
            continue
        record.contraction += contraction
        record.touches += 1
        record.event = event
        record.z, record.n = after[0, k], after[1, k]
    return count


@kernel
def predict_events(  # noqa: PLR0917
    keys: NDArray[np.uint64],
    fields: NDArray[np.uint16],
    values: NDArray[np.float32],
    starts: NDArray[np.int64],
    selected: NDArray[np.bool_],
    rates: Rates,
    rows: NDArray[np.float32],
    predictions: NDArray[np.float32],
) -> None:
    """Write p of each event to `predictions`.

    `rows` [2**bits, 2 or more] begin with z and n; the other parameters are as of `learn_events`.
    """
    mask = np.uint64(len(rows) - 1)
    for event in range(len(predictions)):
        margin = 0.0
        for e in range(starts[event], starts[event + 1]):
            if selected[fields[e]]:
                slot = keys[e] & mask
                margin += weight_at(rows[slot, 0], rows[slot, 1], rates) * np.float64(values[e])
        predictions[event] = sigmoid(margin)
