"""What an epoch comes to: a delta's columns, by slot, in one pass over its records."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel
from strandline.kernels.memory import prefetch
from strandline.learners.ftrl_kernel import RECORD_BYTES, Rates, weight_at

_AHEAD: Final = 16
"""How many records before its turn a record's memory is asked for."""


@kernel
def close_epoch(  # noqa: PLR0917
    rows: NDArray[np.uint32],
    rates: Rates,
    records: NDArray[np.void],
    add: NDArray[np.float32],
    before: NDArray[np.float32],
    start: NDArray[np.float32],
    dw: NDArray[np.float32],
    contraction: NDArray[np.float32],
    touches: NDArray[np.uint32],
) -> None:
    """Write the delta's columns, make z and n `before + add`, and mark every slot as untouched.

    Parameters
    ----------
    rows
        [k] the slots that the epoch has touched, sorted.
    rates
        alpha, beta, l1, l2.
    records
        RECORD [2**bits], updated.
    add, before, start, dw, contraction, touches
        [k], written; `add` and `before` [k, 2]. Sums in float64 are rounded to their columns' type.
        The last four are left as they are if `start` is empty.
    """
    memory, last = np.int64(records.ctypes.data), len(rows) - 1
    for i in range(len(rows)):
        prefetch(memory + RECORD_BYTES * np.int64(rows[min(i + _AHEAD, last)]))
        record = records[rows[i]]
        z, n = record.z, record.n
        add[i, 0] = z - record.z_before
        add[i, 1] = n - record.n_before
        before[i, 0] = record.z_before
        before[i, 1] = record.n_before
        if len(start):
            w_start = weight_at(record.z_before, record.n_before, rates)
            start[i] = w_start
            dw[i] = weight_at(z, n, rates) - w_start
            contraction[i] = record.contraction
            touches[i] = record.touches
        record.z = record.z_before + add[i, 0]
        record.n = record.n_before + add[i, 1]
        record.touches = 0


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
    touched: NDArray[np.uint32], rates: Rates, records: NDArray[np.void], *, sums: bool
) -> Columns:
    """Return the columns of the slots that the epoch has touched; `records` forget that it has.

    Rows become what readers will have, who add: in float32 z + (z' - z) may be another number
    than z'. Without `sums` all after `before` are empty.
    """
    count = len(touched)
    summed = count if sums else 0
    columns = Columns(
        np.sort(touched),
        np.empty((count, 2), np.float32),
        np.empty((count, 2), np.float32),
        np.empty(summed, np.float32),
        np.empty(summed, np.float32),
        np.empty(summed, np.float32),
        np.empty(summed, np.uint32),
    )
    close_epoch(columns.rows, rates, records, *columns[1:])
    return columns
