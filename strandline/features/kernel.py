"""Records in one buffer to the columns of a batch: the kernel that runs for every event."""

import numpy as np
from numpy.typing import NDArray

from strandline.features import layout
from strandline.features.row_entries import NO_ROOM, REFUSED, write_row
from strandline.features.row_scan import forget_lengths, scan_row
from strandline.kernels.compiling import kernel
from strandline.kernels.logarithm import write_odd_logs


@kernel
def decode_rows(  # noqa: PLR0917
    data: int,
    split: int,
    last: int,
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    first: int,
    end: int,
    places: int,
    values: NDArray[np.float64],
    logs: NDArray[np.float64],
    columns: int,
    starts: NDArray[np.int64],
    left: NDArray[np.bool_],
) -> int:
    """Decode the records [first, end); return the first that the columns had no room for.

    Parameters
    ----------
    data
        Address of the bytes of the records before `split`; `PADDING` readable ones follow.
    split, last
        Which records are read from the address `last` on instead: those at the buffer's end.
    begins, lengths
        Of each record, from either address on; below 1 says that there are no bytes.
    places
        Address of `layout.PLACES`, of a scratch that no other call uses.
    values, logs
        Of the same scratch.
    columns
        Address of a `layout.BATCH`. Labels and weights are written at each row, entries
        from ``starts[first]`` on.
    starts
        [records + 1], written behind `first`.
    left
        [records], written: whether the plain decoder has to read it. The row is empty then.
    """
    forget_lengths(places)
    for row in range(first, end):
        at = starts[row]
        begin = begins[row] + (data if row < split else last)
        length = lengths[row]
        stop = REFUSED
        if 0 < length <= layout.event_bytes(places) and scan_row(begin, begin + length, places):
            write_odd_logs(values, logs)
            stop = write_row(row, at, places, columns)
            if stop == NO_ROOM:
                return row
        left[row] = stop == REFUSED
        starts[row + 1] = at if stop == REFUSED else stop
    return end
