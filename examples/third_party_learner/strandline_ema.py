"""A learner that another package brings: the moving average of the label, by category.

It predicts the label of an event as the average of those before it with the same category. Rows
are replaced, not added to, so events should be keyed to partitions by that category, and a store
with such a learner takes one stream.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from strandline.features import Batch
from strandline.spec import PluginSpec, Predicts, Spec
from strandline.spec.convert import check_word
from strandline.spec.legality import categories
from strandline.tables.changes import TableDelta
from strandline.tables.table import Parameters, Table, TableSchema


class EmaSpec(PluginSpec, frozen=True, kw_only=True, tag="ema"):
    """The label's moving average for each value of the category `feature`.

    An event moves the average by `share` of the way to its label, the first 1 / `share` events of
    a value by more, so that they are averaged plainly. Of several values the first one counts;
    weights do not.
    """

    feature: str
    share: Annotated[float, Meta(gt=0, le=1)] = 0.01

    def check(self, where: str, spec: Spec) -> None:
        check_word(f"{where}.feature", self.feature, categories(spec), "a category")

    def make(self, name: str, spec: Spec) -> "Ema":
        return Ema(name, self.share, list(spec.features).index(self.feature))


class Ema:
    """One table ``<name>.averages``, rows [average, events] float64 by category key."""

    def __init__(self, name: str, share: float, field: int) -> None:
        table = f"{name}.averages"
        self.tables = (TableSchema(table, 2, "float64", operation="set"),)
        self.rules: Mapping[str, str] = {table: "replace"}
        self.predicts: Predicts | None = "value"
        self._share, self._field = share, field
        self._touched: set[int] = set()
        self._table: Table | None = None

    def bind(self, parameters: Parameters) -> None:
        self._table = parameters[self.tables[0].name]
        self._touched = set()

    def learn(self, batch: Batch) -> NDArray[np.float32]:
        events, keys = self._values(batch)
        rows, index = np.unique(keys, return_inverse=True)
        values = self._bound().gather(rows)
        predictions = np.zeros(batch.rows, np.float32)
        for event, at in zip(events.tolist(), index.tolist(), strict=True):
            average, count = values[at].tolist()
            predictions[event] = average
            share = max(self._share, 1 / (count + 1))
            values[at] = average + share * (float(batch.labels[event]) - average), count + 1
        self._bound().assign(rows, values)
        self._touched.update(rows.tolist())
        return predictions

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        events, keys = self._values(batch)
        predictions = np.zeros(batch.rows, np.float32)
        predictions[events] = self._bound().gather(keys)[:, 0]
        return predictions

    def take_delta(self) -> dict[str, TableDelta]:
        rows = np.array(sorted(self._touched), np.uint64)
        self._touched = set()
        return {self.tables[0].name: TableDelta(rows, self._bound().gather(rows))}

    def _bound(self) -> Table:
        assert self._table is not None, "the learner is bound to no parameters"
        return self._table

    def _values(self, batch: Batch) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        """Return the events that have a value of the feature, and the key of the first."""
        entries = np.flatnonzero(batch.fields == self._field)
        events = np.searchsorted(batch.starts, entries, side="right") - 1
        events, first = np.unique(events, return_index=True)
        return events, batch.keys[entries[first]]
