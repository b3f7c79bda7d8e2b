"""Records in one buffer to the columns of a batch: the kernel that runs for every event."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from strandline.features import layout
from strandline.features.row_entries import NO_ROOM, REFUSED, write_row
from strandline.features.row_scan import forget_lengths, scan_row
from strandline.kernels.logarithm import write_odd_logs

_SOURCES: Final = (
    "features/kernel", "features/layout", "features/leaf_values", "features/numbers",
    "features/plan", "features/row_entries", "features/row_scan", "features/tokens",
    "kernels/logarithm", "kernels/memory", "limits",
)  # fmt: skip


def _sources_digest() -> int:
    """Return a number that changes when a file does whose code ends up in the kernel."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((Path(__file__).parents[1] / f"{name}.py").read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")


def _compiled(sources: int) -> Callable[..., Any]:
    """Return the kernel, as numba keeps it on disk for these sources.

    By itself numba looks at the one file that a kernel is defined in, and would go on with old
    code after a change in another; the values of a closure are part of its key.
    """

    @njit(nogil=True, cache=True)
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
        if sources == 0:
            return first
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

    return decode_rows


decode_rows: Final = _compiled(_sources_digest())
