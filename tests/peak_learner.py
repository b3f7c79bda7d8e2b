"""A learner for tests: the largest label seen, by category. Its rule is `max`."""

from collections.abc import Mapping

import numpy as np

from strandline.features import Batch
from strandline.spec import PluginSpec, Predicts, Spec
from strandline.tables.changes import TableDelta
from strandline.tables.table import Parameters, TableSchema, apply_changes


class PeakSpec(PluginSpec, frozen=True, kw_only=True, tag="peak"):
    feature: str

    def make(self, name: str, spec: Spec) -> "Peak":
        return Peak(name, list(spec.features).index(self.feature))


class WrongSpec(PeakSpec, frozen=True, kw_only=True, tag="wrong"):
    """Its learner's table adds, its rule does not."""

    def make(self, name: str, spec: Spec) -> "Peak":
        peak = super().make(name, spec)
        peak.rules = dict.fromkeys(peak.rules, "sum")
        return peak


class Peak:
    def __init__(self, name: str, field: int) -> None:
        self.tables = (TableSchema(f"{name}.labels", 1, "float64", operation="max"),)
        self.rules: Mapping[str, str] = {f"{name}.labels": "max"}
        self.predicts: Predicts | None = None
        self._field = field
        self._peaks: dict[int, float] = {}
        self._parameters: Parameters = {}

    def bind(self, parameters: Parameters) -> None:
        self._parameters, self._peaks = parameters, {}

    def learn(self, batch: Batch) -> None:
        for i in range(batch.rows):
            for e in range(batch.starts[i], batch.starts[i + 1]):
                if batch.fields[e] == self._field:
                    key, label = int(batch.keys[e]), float(batch.labels[i])
                    self._peaks[key] = max(self._peaks.get(key, 0.0), label)
        apply_changes(self._parameters, [self._changes()])

    def predict(self, batch: Batch) -> None:
        """Peaks do not predict."""

    def take_delta(self) -> dict[str, TableDelta]:
        changes = self._changes()
        self._peaks = {}
        return changes

    def _changes(self) -> dict[str, TableDelta]:
        rows = np.array(sorted(self._peaks), np.uint64)
        values = np.array([[self._peaks[row]] for row in sorted(self._peaks)], np.float64)
        return {self.tables[0].name: TableDelta(rows, values.reshape(-1, 1))}
