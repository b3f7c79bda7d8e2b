"""Learners for tests that cannot learn some events: their labels say which, and how they fail."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.features import Batch
from strandline.spec import PluginSpec, Predicts, Spec
from strandline.tables.changes import TableDelta
from strandline.tables.table import Parameters, TableSchema, apply_changes

NAN_CHANGE: Final = 1001.0
RAISES: Final = 1002.0
RAISES_LATE: Final = 1003.0
NAN_PREDICTION: Final = 1004.0
TOO_FEW_PREDICTIONS: Final = 1005.0


class FaultySpec(PluginSpec, frozen=True, kw_only=True, tag="faulty"):
    feature: str

    def make(self, name: str, spec: Spec) -> "Faulty":
        return Faulty(name, list(spec.features).index(self.feature))


class Faulty:
    """Adds labels up by category."""

    def __init__(self, name: str, field: int) -> None:
        self.tables = (TableSchema(f"{name}.labels", 1, "float64"),)
        self.rules: Mapping[str, str] = {f"{name}.labels": "sum"}
        self.predicts: Predicts | None = "value"
        self._field = field
        self._sums: dict[int, float] = {}
        self._late: str | None = None
        self._parameters: Parameters = {}

    def bind(self, parameters: Parameters) -> None:
        self._parameters, self._sums, self._late = parameters, {}, None

    def learn(self, batch: Batch) -> NDArray[np.float32]:
        predictions = self.predict(batch)
        labels = batch.labels.tolist()
        for row, label in enumerate(labels):
            if label == NAN_PREDICTION:
                predictions[row] = np.nan
            if label == RAISES_LATE:
                self._late = f"label {label:g} of {self!r}"
            for entry in range(batch.starts[row], batch.starts[row + 1]):
                if batch.fields[entry] == self._field:
                    change = np.nan if label == NAN_CHANGE else label
                    self._add(int(batch.keys[entry]), change)
            if label == RAISES:
                raise ValueError(f"cannot learn {label:g}\n  at {self!r}")
        return predictions[:-1] if TOO_FEW_PREDICTIONS in labels else predictions

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        return np.full(batch.rows, 0.5, np.float32)

    def take_delta(self) -> dict[str, TableDelta]:
        if self._late is not None:
            raise RuntimeError(self._late)
        rows = np.array(sorted(self._sums), np.uint64)
        values = np.array([[self._sums[row]] for row in sorted(self._sums)], np.float64)
        self._sums = {}
        return {self.tables[0].name: TableDelta(rows, values.reshape(-1, 1))}

    def _add(self, key: int, change: float) -> None:
        self._sums[key] = self._sums.get(key, 0.0) + change
        row = TableDelta(np.array([key], np.uint64), np.array([[change]]))
        apply_changes(self._parameters, [{self.tables[0].name: row}])
