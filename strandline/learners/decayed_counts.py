"""Counts that fade: an event weighs half as much after every half-life."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from strandline.features import Batch
from strandline.kernels.arrays import read_only
from strandline.kernels.exponential import write_powers_of_2
from strandline.learners.counts import count_values
from strandline.spec import CountsSpec, Predicts
from strandline.tables.changes import TableDelta, Values
from strandline.tables.table import Parameters, SparseTable, TableSchema, apply_changes


class DecayedCounts:
    """A learner of one table ``<name>.counts``, rows [events, positives, time_ms] float64.

    A row holds its counts as of its own time, that of the last version that changed it, and is read
    by `at`: so a version costs the rows it touches, however large the table. The merger alone
    decays; between versions a worker adds to rows as they stand.

    Parameters
    ----------
    name
        Of the learner.
    spec
        Half-life.
    field
        Index of the category, as in `Batch.fields`.
    """

    def __init__(self, name: str, spec: CountsSpec, field: int) -> None:
        assert spec.half_life_s is not None, "counts without a half-life are `Counts`"
        table = f"{name}.counts"
        self.tables = (TableSchema(table, 3, "float64", operation="set"),)
        self.rules: Mapping[str, str] = {table: "decay"}
        self.predicts: Predicts | None = None
        self.half_life_ms = 1000 * spec.half_life_s
        self._field = np.uint16(field)
        self._fresh = TableSchema(table, 2, "int64")
        self._learned = SparseTable(self._fresh)
        self._parameters: Parameters | None = None

    def bind(self, parameters: Parameters) -> None:
        (schema,) = self.tables
        assert parameters[schema.name].schema == schema, f"{parameters[schema.name].schema}"
        self._parameters = parameters
        self._learned = SparseTable(self._fresh)

    def learn(self, batch: Batch) -> None:
        (schema,) = self.tables
        assert self._parameters is not None, "the learner is bound to no parameters"
        rows, counts = count_values(batch, self._field)
        self._learned.add(rows, counts)
        values = self._parameters[schema.name].gather(rows)
        values[:, :2] += counts
        apply_changes(self._parameters, [{schema.name: TableDelta(rows, values)}])

    def predict(self, batch: Batch) -> None:
        """Counts do not predict."""

    def take_delta(self) -> dict[str, TableDelta]:
        (schema,) = self.tables
        assert self._parameters is not None, "the learner is bound to no parameters"
        rows, counts = self._learned.items()
        self._learned = SparseTable(self._fresh)
        stats = {"events": counts[:, 0].copy(), "positives": counts[:, 1].copy()}
        return {schema.name: TableDelta(rows, self._parameters[schema.name].gather(rows), stats)}

    def at(self, rows: Values, time_ms: int) -> Values:
        """Return the rows [k, 3] as of a time: counts times 2^(-Δt / half-life).

        Rows newer than that stay as they are: a clock that was set back undoes nothing.
        """
        later = rows.copy()
        later[:, 2] = np.maximum(rows[:, 2], time_ms)
        age_ms: NDArray[np.float64] = later[:, 2] - rows[:, 2]
        shares = np.empty(len(rows))
        write_powers_of_2(read_only(-age_ms / self.half_life_ms, np.float64), shares)
        later[:, :2] *= shares[:, None]
        return later
