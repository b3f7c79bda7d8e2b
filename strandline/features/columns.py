"""Columns of feature entries: numbers, categories, crosses, and their assembly into rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from strandline.features.batch import BIAS_FIELD, Batch
from strandline.features.hashing import BIAS_KEY, KeyCache
from strandline.kernels.logarithm import write_odd_logs
from strandline.spec import Number

_SINGLES = {str, int}


@dataclass(frozen=True, slots=True)
class Column:
    """The entries of one feature: row ``i`` has ``counts[i]`` of them, row after row."""

    keys: NDArray[np.uint64]
    values: NDArray[np.float32]
    counts: NDArray[np.int64]

    def kept(self, keep: NDArray[np.bool_]) -> "Column":
        """Return the column of the rows where `keep` is true."""
        entries = np.repeat(keep, self.counts)
        return Column(self.keys[entries], self.values[entries], self.counts[keep])


def number_values(values: Sequence[float | None], number: Number) -> NDArray[np.float32]:
    """Return the transformed numbers: NaN where absent, infinity where float32 ends; no -0."""
    exact = np.array(values, dtype=np.float64)
    if number.transform == "sqrt":
        exact = np.copysign(np.sqrt(np.abs(exact)), exact)
    elif number.transform == "log1p":
        logs = np.empty_like(exact)
        write_odd_logs(exact, logs)
        exact = logs
    with np.errstate(over="ignore", under="ignore"):
        exact = (exact - number.offset) * number.scale
        if number.clip is not None:
            exact = np.clip(exact, *number.clip)
        return exact.astype(np.float32) + np.float32(0)


def number_column(values: NDArray[np.float32], seed: int) -> Column:
    """Return the entries of transformed numbers, one for each that is not NaN."""
    present = ~np.isnan(values)
    keys = np.full(np.count_nonzero(present), seed, dtype=np.uint64)
    return Column(keys, values[present], present.astype(np.int64))


def category_column(values: list[Any], cache: KeyCache) -> Column:
    """Return the entries of a category: a value, a list of values or None per row."""
    kinds = set(map(type, values))
    if kinds <= _SINGLES:
        counts = np.ones(len(values), dtype=np.int64)
    else:
        lists = [v if type(v) is list else () if v is None else (v,) for v in values]
        counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        values = list(chain.from_iterable(lists))
        if bool in set(map(type, values)):
            values = [("true" if v else "false") if type(v) is bool else v for v in values]
    keys = np.fromiter(map(cache.__getitem__, values), dtype=np.uint64, count=len(values))
    return Column(keys, np.ones(len(values), dtype=np.float32), counts)


def cross_counts(parts: Sequence[Column], bound: int) -> NDArray[np.int64]:
    """Return the number of combinations per row; what is above `bound` becomes ``bound + 1``."""
    product = np.ones_like(parts[0].counts)
    for part in parts:
        product = np.minimum(product * np.minimum(part.counts, bound + 1), bound + 1)
    return product


def cross_column(parts: Sequence[Column], seed: int) -> Column:
    """Return the entries of a cross: all combinations per row, the first part varying slowest."""
    counts = parts[0].counts
    chosen = [np.arange(len(parts[0].keys))]
    for part in parts[1:]:
        product = counts * part.counts
        step = _within(product)
        fast = np.repeat(part.counts, product)
        slow = np.repeat(np.cumsum(counts) - counts, product) + step // np.maximum(fast, 1)
        last = np.repeat(np.cumsum(part.counts) - part.counts, product) + step % np.maximum(fast, 1)
        chosen = [index[slow] for index in chosen] + [last]
        counts = product
    keys = np.empty((len(chosen[0]), len(parts)), dtype="<u8")
    for place, (part, index) in enumerate(zip(parts, chosen, strict=True)):
        keys[:, place] = part.keys[index]
    data, width = keys.tobytes(), 8 * len(parts)
    digests = [xxh64_intdigest(data[at : at + width], seed) for at in range(0, len(data), width)]
    return Column(
        np.array(digests, dtype=np.uint64), np.ones(len(digests), dtype=np.float32), counts
    )


def assemble(
    columns: Sequence[Column], labels: NDArray[np.float32], weights: NDArray[np.float32]
) -> Batch:
    """Interleave the columns of all features, and the bias, into rows."""
    rows = len(labels)
    bias = Column(
        np.full(rows, BIAS_KEY, np.uint64), np.ones(rows, np.float32), np.ones(rows, np.int64)
    )
    every = [*columns, bias]
    counts = np.concatenate([column.counts for column in every]).reshape(len(every), rows)
    owners = np.repeat(np.tile(np.arange(rows), len(every)), counts.ravel())
    order = np.argsort(owners, kind="stable")
    fields = np.array([*range(len(columns)), BIAS_FIELD], np.uint16)
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(counts.sum(axis=0), out=starts[1:])
    return Batch(
        np.concatenate([column.keys for column in every])[order],
        np.repeat(fields, counts.sum(axis=1))[order],
        np.concatenate([column.values for column in every])[order],
        starts,
        labels,
        weights,
    )


def _within(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, .. ``counts[i] - 1`` for each row in turn."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)
