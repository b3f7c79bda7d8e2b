"""Where the row of a 64-bit id lies: an open-addressing index in plain arrays.

`slots` has a power of two of cells; a cell holds the position of a row, or `FREE`. The multiplier
is odd and random per table, so that nobody can choose ids that fall on one another: ids are hashes
of event content under public seeds. It decides where a cell is, never what a table holds.
"""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.compiling import kernel

FREE: Final = -1


def random_multiplier() -> np.uint64:
    """Return a fresh odd 64-bit multiplier."""
    return np.uint64(secrets.randbits(64) | 1)


@kernel
def _cell(
    slots: NDArray[np.int64], ids: NDArray[np.uint64], row: np.uint64, multiplier: np.uint64
) -> np.uint64:
    """Return the cell that holds `row`, or the free cell where it belongs."""
    mask = np.uint64(len(slots) - 1)
    cell = ((row * multiplier) >> np.uint64(32)) & mask
    while slots[cell] != FREE and ids[slots[cell]] != row:
        cell = (cell + np.uint64(1)) & mask
    return cell


@kernel
def find(
    slots: NDArray[np.int64],
    ids: NDArray[np.uint64],
    rows: NDArray[np.uint64],
    multiplier: np.uint64,
    positions: NDArray[np.int64],
) -> None:
    """Write each row's position, or `FREE`, to `positions`."""
    for i in range(len(rows)):
        positions[i] = slots[_cell(slots, ids, rows[i], multiplier)]


@kernel
def find_or_insert(  # noqa: PLR0917
    slots: NDArray[np.int64],
    ids: NDArray[np.uint64],
    count: int,
    rows: NDArray[np.uint64],
    multiplier: np.uint64,
    positions: NDArray[np.int64],
) -> int:
    """As `find`, but give absent rows the positions from `count` on; return the new count.

    `ids` must have room for `count + len(rows)` rows and `slots` for twice as many.
    """
    for i in range(len(rows)):
        cell = _cell(slots, ids, rows[i], multiplier)
        if slots[cell] == FREE:
            ids[count] = rows[i]
            slots[cell] = count
            count += 1
        positions[i] = slots[cell]
    return count
