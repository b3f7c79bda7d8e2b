"""`PlainDecoder`: one event at a time. It says what an event is, and why it is rejected."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from strandline.features.batch import Batch
from strandline.features.columns import (
    Column,
    assemble,
    category_column,
    cross_column,
    cross_counts,
    number_column,
    number_values,
)
from strandline.features.hashing import KeyCache, field_seed
from strandline.features.plain_scan import scan
from strandline.features.rejection import Faults, Rejection
from strandline.features.shape import Shape
from strandline.limits import NUMBER_MAX
from strandline.spec import Category, Cross, Number, Spec


class PlainDecoder:
    """Decode as `Decoder` does, every event by itself, in Python: its fallback and its measure."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        paths = [(path, role) for _, path, role in spec.paths()]
        inputs = [(path, role) for path, role in paths if role in ("number", "category")]
        self._labelled = _Reader(paths)
        self._unlabelled = _Reader(inputs)
        self._seeds = {name: field_seed(name) for name in spec.features}
        self._caches = {
            name: KeyCache(self._seeds[name])
            for name, feature in spec.features.items()
            if isinstance(feature, Category)
        }

    def decode(
        self, records: Sequence[bytes | None], *, labelled: bool = True
    ) -> tuple[Batch, list[Rejection]]:
        """Decode records, in order: those that the spec admits, and the others with the reason.

        Parameters
        ----------
        records : sequence of bytes or None
            One JSON object each; None is a record without a value.
        labelled : bool
            False (for predictions): label and weight are not read; labels are 0, weights 1.

        Returns
        -------
        batch, rejections
            ``batch.rows + len(rejections) == len(records)``; rejections by ascending index.
        """
        reader = self._labelled if labelled else self._unlabelled
        events, indices, rejections = scan(records, reader.decode, self._spec.limits)
        if not events:
            return assemble([], np.zeros(0, np.float32), np.zeros(0, np.float32)), rejections
        values = reader.shape.columns(events)
        faults = Faults(len(events))
        labels = self._labels(values, faults) if labelled else np.zeros(len(events), np.float32)
        weights = self._weights(values, faults) if labelled else np.ones(len(events), np.float32)
        columns = self._columns(values, weights, faults)
        self._check_entries(columns, faults)
        if faults.found:
            sound = faults.sound()
            labels, weights = labels[sound], weights[sound]
            columns = {name: column.kept(sound) for name, column in columns.items()}
            rejections += [Rejection(indices[row], *fault) for row, fault in faults.found.items()]
            rejections.sort()
        for name, feature in self._spec.features.items():
            if isinstance(feature, Cross):
                parts = [columns[part] for part in feature.of]
                columns[name] = cross_column(parts, self._seeds[name])
        ordered = [columns[name] for name in self._spec.features]
        return assemble(ordered, labels, weights), rejections

    def _labels(self, values: dict[str, list[Any]], faults: Faults) -> NDArray[np.float32]:
        path = self._spec.label.path
        labels, exact = _as_float32(values[path])
        faults.add(np.isnan(exact), "missing_label", path, "absent or null")
        if self._spec.binary:
            wrong = (exact != 0) & (exact != 1)
            faults.add(wrong, "bad_label", path, "expected 0 or 1", exact)
        else:
            expected = f"expected {-NUMBER_MAX:g} to {NUMBER_MAX:g}"
            faults.add(~_within(labels), "bad_label", path, expected, exact)
        return labels

    def _weights(self, values: dict[str, list[Any]], faults: Faults) -> NDArray[np.float32]:
        if self._spec.weight is None:
            return np.ones(faults.rows, dtype=np.float32)
        path = self._spec.weight.path
        weights, exact = _as_float32(values[path])
        faults.add(np.isnan(exact), "bad_weight", path, "absent or null")
        wrong = ~(_within(weights) & (weights > 0))
        expected = f"expected more than 0 and at most {NUMBER_MAX:g}"
        faults.add(wrong, "bad_weight", path, expected, exact)
        return weights

    def _columns(
        self, values: dict[str, list[Any]], weights: NDArray[np.float32], faults: Faults
    ) -> dict[str, Column]:
        """Return the columns of numbers and categories; crosses wait for sound rows."""
        columns: dict[str, Column] = {}
        numbers: dict[str, tuple[str, NDArray[np.float32]]] = {}
        for name, feature in self._spec.features.items():
            match feature:
                case Number():
                    number = number_values(values[feature.path], feature)
                    numbers[name] = feature.path, number
                    columns[name] = number_column(number, self._seeds[name])
                case Category():
                    columns[name] = category_column(values[feature.path], self._caches[name])
                case Cross():
                    continue
            if feature.required:
                faults.add(
                    columns[name].counts == 0, "missing_feature", feature.path,
                    f"absent or null, and feature {name} is required",
                )  # fmt: skip
        scales = np.where(_within(weights), np.maximum(weights.astype(np.float64), 1), 1)
        for name, (path, number) in numbers.items():
            scaled = number.astype(np.float64) * scales
            wrong = ~(_within(scaled) | np.isnan(number))
            expected = (
                f"expected {-NUMBER_MAX:g} to {NUMBER_MAX:g} for feature {name},"
                " after transform, scale, clip and times the weight"
            )
            faults.add(wrong, "too_large", path, expected, scaled)
        return columns

    def _check_entries(self, columns: dict[str, Column], faults: Faults) -> None:
        bound = self._spec.limits.entries
        entries = np.zeros(faults.rows, dtype=np.int64)
        for column in columns.values():
            entries += column.counts
        for feature in self._spec.features.values():
            if isinstance(feature, Cross):
                entries += cross_counts([columns[part] for part in feature.of], bound)
        faults.add(entries > bound, "too_many_entries", "", f"more than {bound} values of features")


class _Reader:
    """The typed decoder of one shape."""

    def __init__(self, paths: list[tuple[str, str]]) -> None:
        self.shape = Shape(paths)
        self.decode = msgspec.json.Decoder(self.shape.type).decode


def _within(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values may be learned; NaN may not. In float64: the bound is no float32."""
    within: NDArray[np.bool_] = np.abs(values.astype(np.float64)) <= NUMBER_MAX
    return within


def _as_float32(values: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the values as float32, and as they are; NaN where absent."""
    exact = np.array(values, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        return exact.astype(np.float32), exact
