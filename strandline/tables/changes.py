"""Changes of rows: what a delta holds of a table, a worker's and a version's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strandline.tables.sorted_rows import Rows

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """Change per row: what a delta file holds of one table.

    `rows` are sorted and unique; `values` [n, width] in the table's dtype are what the table's
    operation takes: what is added, or the largest value seen, or the new row.
    """

    rows: Rows
    values: Values

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return bool(np.isfinite(self.values).all())

    @property
    def nbytes(self) -> int:
        """The bytes that the arrays take."""
        return self.rows.nbytes + self.values.nbytes


@dataclass(frozen=True, slots=True)
class TableDelta(Changes):
    """What one worker learned in one table: changes, and the per-row sums that its rule needs.

    `stats` are arrays [n]; ftrl under rule `matched` has ``start`` float32 (the weight before the
    epoch), ``dw`` float32 (its change), ``contraction`` float32 (T_j) and ``touches`` uint32 (k_j).
    `before` are the rows' values [n, width] when the epoch began, of a learner that remembers them:
    its table's rows are `before`, changed by this, bit for bit. They stay with the worker.
    """

    stats: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    before: Values | None = None

    @property
    def finite(self) -> bool:
        """Whether every number that changes anything is finite, the stats' too."""
        return all(bool(np.isfinite(a).all()) for a in (self.values, *self.stats.values()))

    @property
    def nbytes(self) -> int:
        """The bytes that the merger gets, the stats' too."""
        return sum(a.nbytes for a in (self.rows, self.values, *self.stats.values()))


def same_changes(one: Mapping[str, Changes], other: Mapping[str, Changes]) -> bool:
    """Return whether both change the same rows of the same tables by the same bits."""
    changed = [{name for name, change in each.items() if len(change.rows)} for each in (one, other)]
    return changed[0] == changed[1] and all(
        np.array_equal(one[name].rows, other[name].rows)
        and np.array_equal(_bits(one[name].values), _bits(other[name].values))
        for name in changed[0]
    )


def _bits(values: Values) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)
