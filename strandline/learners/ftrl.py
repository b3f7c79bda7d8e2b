"""FTRL-Proximal logistic regression on hashed slots (McMahan et al., KDD 2013)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from strandline.features import BIAS_FIELD, Batch, selected_fields
from strandline.kernels.arrays import read_only, zeros
from strandline.learners.ftrl_delta import delta_columns
from strandline.learners.ftrl_kernel import (
    EVENTS_MAX,
    RECORD,
    RECORD_BYTES,
    learn_events,
    predict_events,
)
from strandline.spec import FtrlSpec, Predicts
from strandline.tables.changes import TableDelta, Values
from strandline.tables.table import DenseTable, Parameters, TableSchema

Floats = NDArray[np.float64]

_TOUCHED_MIN: Final = 1024
_NUMBERS: Final = RECORD_BYTES // np.dtype(np.float32).itemsize


class Ftrl:
    """A learner of one table ``<name>.zn``, rows [z, n]; `ftrl_kernel` has the formulas.

    The first `learn` moves the table's rows into the learner's records, which hold 24 bytes more
    for each: what an epoch does to a slot is kept beside z and n.

    Parameters
    ----------
    name
        Of the learner.
    spec
        Rates, bits of the slot, merge rule.
    fields
        Indices of the features it learns from, as in `Batch.fields`; the bias always counts.
    """

    def __init__(self, name: str, spec: FtrlSpec, fields: Iterable[int]) -> None:
        table = f"{name}.zn"
        self.tables = (TableSchema(table, 2, "float32", 1 << spec.bits),)
        self.rules: Mapping[str, str] = {table: spec.merge}
        self.predicts: Predicts | None = "probability"
        self.remembers: Literal[True] = True
        self._rates = (spec.alpha, spec.beta, spec.l1, spec.l2)
        self._selected = read_only(selected_fields([*fields, BIAS_FIELD]), np.bool_)
        self._table: DenseTable | None = None
        self._memory: Values = np.empty((0, _NUMBERS), np.float32)
        self._records = np.empty(0, RECORD)  # the same memory
        self._touched = np.empty(0, np.uint32)
        self._count = 0
        self._events = 0

    def bind(self, parameters: Parameters) -> None:
        (schema,) = self.tables
        table = parameters[schema.name]
        assert isinstance(table, DenseTable), f"{schema.name} is a dense table"
        assert table.schema == schema, f"{table.schema} is bound to {schema}"
        self._records["touches"][self._touched[: self._count]] = 0
        self._begin_epoch()
        self._table = table

    def learn(self, batch: Batch) -> NDArray[np.float32]:
        columns = _columns(batch)
        self._reserve(batch.entries)
        assert self._events + batch.rows < EVENTS_MAX, "an epoch's events are counted in 32 bits"
        predictions = np.empty(batch.rows, np.float32)
        self._count = learn_events(
            *columns,
            read_only(batch.labels, np.float32),
            read_only(batch.weights, np.float32),
            self._selected,
            self._rates,
            self._records,
            self._touched,
            self._count,
            self._events,
            predictions,
        )
        self._events += len(predictions)
        return predictions

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        rows = read_only(self._bound().memory, np.float32)
        predictions = np.empty(len(batch.starts) - 1, np.float32)
        predict_events(*_columns(batch), self._selected, self._rates, rows, predictions)
        return predictions

    def take_delta(self) -> dict[str, TableDelta]:
        (schema,) = self.tables
        matched = self.rules[schema.name] == "matched"
        columns = delta_columns(
            self._touched[: self._count], self._rates, self._records, sums=matched
        )
        self._begin_epoch()
        names = ("start", "dw", "contraction", "touches") if matched else ()
        stats = {name: getattr(columns, name) for name in names}
        return {schema.name: TableDelta(columns.rows, columns.add, stats, columns.before)}

    def weights(self, zn: Values) -> Floats:
        """Return w of the rows [k, 2], in float64."""
        z, n = zn[:, 0].astype(np.float64), zn[:, 1].astype(np.float64)
        l1 = self._rates[2]
        return np.where(np.abs(z) <= l1, 0.0, -(z - np.copysign(l1, z)) * self.rate(n))

    def rate(self, n: Values) -> Floats:
        """Return η = alpha / (sqrt n + (beta + alpha l2)), in float64."""
        alpha, beta, _, l2 = self._rates
        eta: Floats = alpha / (np.sqrt(n, dtype=np.float64) + (beta + alpha * l2))
        return eta

    def state(self, w: Floats, n: Values) -> Floats:
        """Return z = -w / η(n) - sign(w) l1, which gives w at n; 0 where w = 0."""
        z: Floats = -w / self.rate(n) - np.sign(w) * self._rates[2]
        return z

    def _begin_epoch(self) -> None:
        self._count = 0
        self._events = 0

    def _bound(self) -> DenseTable:
        assert self._table is not None, "the learner is bound to no parameters"
        return self._table

    def _reserve(self, entries: int) -> None:
        """Move the table into records, if it is in none yet; make room for what is touched."""
        table = self._bound()
        if table.memory is not self._memory:
            assert not self._count, f"{table.schema.name} was moved while an epoch was under way"
            if not table.memory.flags.writeable:
                raise ValueError(
                    f"table {table.schema.name} is read-only, expected one to learn in"
                )
            self._memory = zeros((len(table.memory), _NUMBERS), np.dtype(np.float32))
            self._records = self._memory.view(RECORD)[:, 0]
            table.move(self._memory)
        needed = min(len(self._records), self._count + entries)
        if needed > len(self._touched):
            capacity = min(len(self._records), max(_TOUCHED_MIN, 2 * needed))
            grown = np.empty(capacity, np.uint32)
            grown[: self._count] = self._touched[: self._count]
            self._touched = grown


def _columns(batch: Batch) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return keys, fields, values and starts as kernels take them, with their bounds checked.

    Kernels check no bounds, so a batch that contradicts itself must not reach them.
    """
    starts = read_only(batch.starts, np.int64)
    entries = batch.entries
    assert len(batch.fields) == len(batch.values) == entries, "columns differ in length"
    assert batch.rows == len(batch.weights) == len(starts) - 1, "columns differ in rows"
    assert starts[0] == 0, f"starts begin at {starts[0]}"
    assert starts[-1] == entries, f"starts end at {starts[-1]} of {entries} entries"
    assert bool((starts[1:] >= starts[:-1]).all()), "starts do not rise"
    return (
        read_only(batch.keys, np.uint64),
        read_only(batch.fields, np.uint16),
        read_only(batch.values, np.float32),
        starts,
    )
