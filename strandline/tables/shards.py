"""Shards: the rows of every table, dealt out to the mergers of a job.

Row r belongs to shard r mod S of S, whatever table it is of. Row ids are hashes or slots of hashed
features, so shards are of about one size. Files of two jobs with other numbers of shards share rows
only if their indices agree modulo the greatest common divisor of both numbers.
"""

from math import gcd
from typing import Any, Final, NamedTuple, Self

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from strandline.tables.changes import Changes, Values
from strandline.tables.sorted_rows import Rows
from strandline.tables.table import Table, TableSchema, empty_table


class Shard(NamedTuple):
    """Shard `number`, from 0, `of` so many: the rows that are `number` modulo `of`."""

    number: int
    of: int

    def holds(self, rows: Rows) -> NDArray[Any]:
        """Return for each row whether it is of this shard."""
        mine: NDArray[Any] = shard_of(rows, self.of) == self.number
        return mine

    def places(self, rows: Rows) -> NDArray[np.intp]:
        """Return where in `rows` this shard's are: two-dimensional arrays take these faster."""
        return np.flatnonzero(self.holds(rows))

    def meets(self, other: "Shard") -> bool:
        """Whether any row could be of both shards.

        >>> Shard(0, 2).meets(Shard(2, 4)), Shard(0, 2).meets(Shard(3, 4))
        (True, False)
        """
        return (self.number - other.number) % gcd(self.of, other.of) == 0

    def select(self, change: Changes) -> Changes:
        """Return the part of a table's change that is of this shard's rows."""
        if self.of == 1:
            return change
        mine = self.places(change.rows)
        return Changes(change.rows.take(mine), change.values.take(mine, axis=0))


WHOLE: Final = Shard(0, 1)
"""Every row: the one shard of one."""


def shard_of(rows: Rows, shards: int) -> Rows:
    """Return the index of each row's shard, in [0, shards). Part of the store's format.

    >>> import numpy as np
    >>> shard_of(np.array([0, 5, 2**64 - 1], np.uint64), 3).tolist()
    [0, 2, 0]
    """
    return rows % rows.dtype.type(shards)


def shard_table(schema: TableSchema, shard: Shard) -> Table:
    """Return an empty table for the rows of a shard."""
    if schema.row_count is None or shard.of == 1:
        return empty_table(schema)
    return DenseShard(schema, shard)


class DenseShard:
    """The rows of one shard of a dense table, in 1/S of its memory: row r lies at r div S.

    Takes and returns no rows of other shards.
    """

    def __init__(self, schema: TableSchema, shard: Shard, inner: Table | None = None) -> None:
        assert schema.row_count is not None, "a dense table has a row count"
        rows = len(range(shard.number, schema.row_count, shard.of))
        self.schema, self._shard = schema, shard
        self._inner = inner or empty_table(structs.replace(schema, row_count=rows))

    def gather(self, rows: Rows) -> Values:
        return self._inner.gather(self._places(rows))

    def add(self, rows: Rows, changes: Values) -> None:
        self._inner.add(self._places(rows), changes)

    def fetch_add(self, rows: Rows, changes: Values) -> Values:
        return self._inner.fetch_add(self._places(rows), changes)

    def assign(self, rows: Rows, values: Values) -> None:
        self._inner.assign(self._places(rows), values)

    def items(self) -> tuple[Rows, Values]:
        places, values = self._inner.items()
        count = places.dtype.type(self._shard.of)
        return places * count + places.dtype.type(self._shard.number), values

    def copy(self) -> Self:
        return type(self)(self.schema, self._shard, self._inner.copy())

    def _places(self, rows: Rows) -> Rows:
        self.schema.check_rows(rows)
        assert self._shard.holds(rows).all(), f"rows of other shards than {self._shard}"
        return rows // rows.dtype.type(self._shard.of)
