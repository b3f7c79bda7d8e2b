"""The rows that several deltas touched, and sums over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strandline.errors import MergeError
from strandline.kernels.arrays import read_only
from strandline.tables import row_kernels
from strandline.tables.changes import TableDelta, Values
from strandline.tables.sorted_rows import Rows, union_of_rows
from strandline.tables.table import TableSchema

Indices = list[NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Several workers' deltas of one table, aligned.

    `rows` is the sorted union of their rows, `indices` where each delta's rows lie in it.
    """

    schema: TableSchema
    rows: Rows
    indices: Indices
    deltas: Sequence[TableDelta]

    @property
    def pieces(self) -> list[Values]:
        """The values of each delta."""
        return [delta.values for delta in self.deltas]

    def total(self) -> Values:
        """Return the sum of the values [n, width] in worker order, float64 or int64."""
        shape = (len(self.rows), self.schema.width)
        zeros = np.zeros(shape, accumulator(self.schema.value_dtype))
        return sum_pieces(self.indices, self.pieces, zeros)

    @property
    def workers(self) -> NDArray[np.float64]:
        """c_j: the number of deltas that hold each row."""
        return self._sum([np.ones(len(delta.rows), np.uint32) for delta in self.deltas])

    def stat_total(self, name: str) -> NDArray[np.float64]:
        """Return the sum of a stat per row."""
        return self._sum([delta.stats[name] for delta in self.deltas])

    def _sum(self, pieces: Sequence[Values]) -> NDArray[np.float64]:
        return sum_pieces(self.indices, pieces, np.zeros(len(self.rows)))


def gather_deltas(deltas: Sequence[TableDelta], schema: TableSchema) -> Gathered:
    """Align the deltas, in the given order."""
    rows, indices = union_of_rows([delta.rows for delta in deltas], schema.row_dtype)
    return Gathered(schema, rows, indices, deltas)


def accumulator(dtype: np.dtype[Any]) -> type[np.float64] | type[np.int64]:
    """Return the type that sums of such numbers are taken in."""
    return np.float64 if dtype.kind == "f" else np.int64


def sum_pieces(indices: Indices, pieces: Sequence[Values], total: NDArray[Any]) -> NDArray[Any]:
    """Add each piece's rows at its indices to `total`, in order, and return it.

    Raises
    ------
    MergeError
        If a sum of integers could leave the range of int64.
    """
    if total.dtype == np.int64 and sum(map(_magnitude, pieces)) > np.iinfo(np.int64).max:
        raise MergeError(
            f"the changes of {len(pieces)} deltas add up beyond int64, expected counts; the "
            "epoch is not committed: a worker's delta is damaged"
        )
    for index, piece in zip(indices, pieces, strict=True):
        changes = read_only(_two_dimensional(piece), piece.dtype)
        row_kernels.add(_two_dimensional(total), read_only(index, np.int64), changes)
    return total


def largest_pieces(indices: Indices, pieces: Sequence[Values], out: Values) -> Values:
    """Fill `out` with the largest number per element, and return it; every row is in a piece."""
    out.fill(np.iinfo(out.dtype).min if out.dtype.kind == "i" else -np.inf)
    for index, piece in zip(indices, pieces, strict=True):
        out[index] = np.maximum(out[index], piece)
    out += out.dtype.type(0)  # -0.0 becomes 0.0: np.maximum may pick either
    return out


def first_pieces(indices: Indices, pieces: Sequence[Values], out: Values) -> Values:
    """Fill `out` with each row of the first piece that holds it, and return it."""
    return last_pieces(indices[::-1], pieces[::-1], out)


def last_pieces(indices: Indices, pieces: Sequence[Values], out: Values) -> Values:
    """Fill `out` with each row of the last piece that holds it, and return it."""
    for index, piece in zip(indices, pieces, strict=True):
        out[index] = piece
    return out


def _two_dimensional(array: NDArray[Any]) -> NDArray[Any]:
    """Return stats [n] as a column, as kernels take rows; values [n, width] as they are."""
    return array if array.ndim == 2 else array[:, np.newaxis]


def _magnitude(values: Values) -> int:
    """Return the largest absolute value as a Python integer, which cannot overflow."""
    return max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))
