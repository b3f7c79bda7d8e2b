"""scikit-learn estimators as learners, on hashed slots.

Every mini-batch and every delta costs the whole table: scikit-learn's penalties touch all weights.
"""

import copy
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strandline.features import BIAS_FIELD, Batch, selected_fields, slots
from strandline.learners.sklearn_estimators import (
    adapter_of,
    import_estimator,
    make_estimator,
    schemas_of_adapter,
    sparse_matrix,
    stack,
)
from strandline.spec import Predicts, SklearnSpec
from strandline.spec.estimators import NaiveBayes
from strandline.tables.changes import TableDelta, Values
from strandline.tables.table import DenseTable, Parameters


class SklearnLearner:
    """A learner of the tables of its estimator's family, see `sklearn_estimators`.

    Events are learned in mini-batches of `batch_events`, counted from the epoch's begin, however
    they arrive; the last one of an epoch is as short as it is. A prediction is made by the state
    before the event's mini-batch. The bias entry of events is left out: estimators have their own.

    Parameters
    ----------
    name
        Of the learner.
    spec
        Estimator, bits of the slot, size of a mini-batch.
    fields
        Indices of the features it learns from, as in `Batch.fields`.

    Raises
    ------
    EnvironmentUnfit
        If scikit-learn is not installed.
    """

    def __init__(self, name: str, spec: SklearnSpec, fields: Iterable[int]) -> None:
        import_estimator(spec.estimator)
        self._adapter = adapter_of(spec.estimator, spec.bits)
        self.tables = schemas_of_adapter(self._adapter, name)
        self.rules: Mapping[str, str] = {
            f"{name}.{table}": rule for table, rule in self._adapter.rules.items()
        }
        self.predicts: Predicts | None = spec.estimator.predicts
        self._name, self._spec = name, spec
        self._counting = isinstance(spec.estimator, NaiveBayes)  # entries, whatever their value
        self._selected = selected_fields(fields)
        assert not self._selected[BIAS_FIELD], "the bias is the estimator's own"
        self._arrays: dict[str, Values] = {}
        self._start: dict[str, Values] = {}
        self._estimator: Any = None
        self._attached = False
        self._lock = threading.Lock()
        self._waiting: list[tuple[Any, Values, Values]] = []
        self._waiting_events = 0

    def bind(self, parameters: Parameters) -> None:
        for schema in self.tables:
            table = parameters[schema.name]
            assert isinstance(table, DenseTable), f"{schema.name} is a dense table"
            assert table.schema == schema, f"{table.schema} is bound to {schema}"
            self._arrays[schema.name.removeprefix(f"{self._name}.")] = table.values
        self._attached = False
        self._forget()

    def learn(self, batch: Batch) -> NDArray[np.float32]:
        x = self.matrix(batch)
        y, weights = batch.labels.astype(np.float64), batch.weights.astype(np.float64)
        predictions = np.empty(batch.rows, np.float32)
        if batch.rows and not self._start:
            self._start = {name: values.copy() for name, values in self._arrays.items()}
        first = 0
        while first < batch.rows:
            end = min(batch.rows, first + self._spec.batch_events - self._waiting_events)
            piece = slice(first, end)
            predictions[piece] = self._scores(x[piece])
            self._waiting.append((x[piece], y[piece], weights[piece]))
            self._waiting_events += end - first
            if self._waiting_events == self._spec.batch_events:
                self._fit()
            first = end
        return predictions

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        return self._scores(self.matrix(batch)) if batch.rows else np.empty(0, np.float32)

    def take_delta(self) -> dict[str, TableDelta]:
        if self._waiting:
            self._fit()
        deltas = {}
        for schema in self.tables:
            name = schema.name.removeprefix(f"{self._name}.")
            end = self._arrays[name]
            start = self._start.get(name, end)
            # NaN differs from itself, so an overflow is in the delta and the delta is refused.
            rows = np.flatnonzero((end != start).any(axis=1)) if self._start else np.empty(0, int)
            change = end[rows] - start[rows]
            deltas[schema.name] = TableDelta(rows.astype(schema.row_dtype), change)
        self._forget()
        return deltas

    def matrix(self, batch: Batch) -> Any:
        """Return the events [rows, 2^bits] as the estimator takes them, in scipy's CSR form."""
        chosen = self._selected[batch.fields]
        kept = np.concatenate(([0], np.cumsum(chosen)))
        bits = self._spec.bits
        return sparse_matrix(
            np.ones(kept[-1]) if self._counting else batch.values[chosen].astype(np.float64),
            slots(batch.keys[chosen], bits).astype(np.int32),
            kept[batch.starts].astype(np.int32),
            1 << bits,
        )

    def estimator(self) -> Any:
        """Return a fitted scikit-learn object of the bound parameters, which is the caller's."""
        return copy.deepcopy(self._ready())

    def _ready(self) -> Any:
        with self._lock:
            if not self._attached:
                assert self._arrays, "the learner is bound to no parameters"
                if self._estimator is None:
                    self._estimator = make_estimator(self._spec.estimator, 1 << self._spec.bits)
                self._adapter.attach(self._estimator, self._arrays)
                self._attached = True
            return self._estimator

    def _scores(self, x: Any) -> NDArray[np.float32]:
        estimator = self._ready()
        counted = self._arrays.get("class_count")
        if counted is not None and not counted.any():
            return np.full(x.shape[0], 0.5, np.float32)  # naive Bayes of nothing has no odds
        probable = self.predicts == "probability"
        scores = estimator.predict_proba(x)[:, 1] if probable else estimator.predict(x)
        return np.asarray(scores, np.float32)

    def _fit(self) -> None:
        matrices, labels, weights = zip(*self._waiting, strict=True)
        self._waiting, self._waiting_events = [], 0  # an estimator that raises is asked once
        self._adapter.fit(
            self._ready(),
            self._arrays,
            stack(list(matrices)),
            np.concatenate(labels),
            np.concatenate(weights),
        )

    def _forget(self) -> None:
        self._start = {}
        self._waiting = []
        self._waiting_events = 0
