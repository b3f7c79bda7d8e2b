"""Events and positive events per value of one category: exact under any merge."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from strandline.features import Batch
from strandline.spec import CountsSpec, Predicts
from strandline.tables.changes import TableDelta
from strandline.tables.sorted_rows import Rows
from strandline.tables.table import Parameters, SparseTable, TableSchema


class Counts:
    """A learner of one table ``<name>.counts``, rows [events, positives] int64 by category key.

    An event counts once for each distinct value of its feature, without its weight, and is
    positive when its label is above 0.

    Parameters
    ----------
    name
        Of the learner.
    spec
        Merge rule.
    field
        Index of the category, as in `Batch.fields`.
    """

    def __init__(self, name: str, spec: CountsSpec, field: int) -> None:
        table = f"{name}.counts"
        self.tables = (TableSchema(table, 2, "int64"),)
        self.rules: Mapping[str, str] = {table: spec.merge}
        self.predicts: Predicts | None = None
        self._field = np.uint16(field)
        self._table: SparseTable | None = None
        self._learned = SparseTable(self.tables[0])

    def bind(self, parameters: Parameters) -> None:
        (schema,) = self.tables
        table = parameters[schema.name]
        assert isinstance(table, SparseTable), f"{schema.name} is a sparse table"
        assert table.schema == schema, f"{table.schema} is bound to {schema}"
        self._table = table
        self._learned = SparseTable(schema)

    def learn(self, batch: Batch) -> None:
        assert self._table is not None, "the learner is bound to no parameters"
        rows, changes = count_values(batch, self._field)
        self._table.add(rows, changes)
        self._learned.add(rows, changes)

    def predict(self, batch: Batch) -> None:
        """Counts do not predict."""

    def take_delta(self) -> dict[str, TableDelta]:
        (schema,) = self.tables
        rows, add = self._learned.items()
        self._learned = SparseTable(schema)
        return {schema.name: TableDelta(rows, add)}


def count_values(batch: Batch, field: np.uint16) -> tuple[Rows, NDArray[np.int64]]:
    """Return the field's keys, sorted, and the events and positive events of each."""
    events, keys = _distinct(batch, field)
    rows, index = np.unique(keys, return_inverse=True)
    positive = batch.labels[events] > 0
    counts = np.empty((len(rows), 2), np.int64)
    counts[:, 0] = np.bincount(index, minlength=len(rows))
    counts[:, 1] = np.bincount(index[positive], minlength=len(rows))
    return rows, counts


def _distinct(batch: Batch, field: np.uint16) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return (event, key) of each distinct value of the field in each event."""
    chosen = batch.fields == field
    events = np.repeat(np.arange(len(batch.labels)), np.diff(batch.starts))[chosen]
    keys = batch.keys[chosen]
    if len(events) and bool((events[1:] == events[:-1]).any()):
        order = np.lexsort((keys, events))
        events, keys = events[order], keys[order]
        fresh = np.ones(len(events), np.bool_)
        fresh[1:] = (events[1:] != events[:-1]) | (keys[1:] != keys[:-1])
        events, keys = events[fresh], keys[fresh]
    return events, keys
