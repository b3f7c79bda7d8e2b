"""Sets of row ids as sorted arrays: their union, and where each lies in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.arrays import read_only
from strandline.tables import row_kernels

Rows = NDArray[np.unsignedinteger[Any]]
Places = NDArray[np.int64]


def union_of_rows(pieces: Sequence[Rows], dtype: np.dtype[Any]) -> tuple[Rows, list[Places]]:
    """Return the rows of any piece, sorted and unique as they are, and where each piece lies."""
    if len(pieces) < 2:
        return (*pieces, np.empty(0, dtype))[0], [np.arange(len(piece)) for piece in pieces]
    rows = np.concatenate(pieces)
    union, places = np.empty_like(rows), np.empty(len(rows), np.int64)
    order = read_only(np.argsort(rows), np.int64)
    count = row_kernels.number_rows(read_only(rows, dtype), order, union, places)
    bounds = np.cumsum([len(piece) for piece in pieces])
    return union[:count], np.split(places, bounds[:-1])
