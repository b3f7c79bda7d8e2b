"""Two decoders' rows of one batch, in the order of the records."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strandline.features.batch import Batch


def weave_batches(
    batch: Batch, rows: NDArray[np.int64], other: Batch, refused: NDArray[np.bool_]
) -> Batch:
    """Return `batch` with the rows of `other` in place of some empty ones, and without the rest.

    Parameters
    ----------
    batch
        Has an empty row at each of `rows`.
    rows
        Ascending.
    other
        One row for each of `rows` that is not refused.
    refused
        [rows] which of `rows` are to go.

    Examples
    --------
    >>> def batch(keys, starts, labels):
    ...     entries, events = len(keys), len(labels)
    ...     return Batch(
    ...         np.array(keys, np.uint64), np.zeros(entries, np.uint16),
    ...         np.ones(entries, np.float32), np.array(starts), np.array(labels, np.float32),
    ...         np.ones(events, np.float32),
    ...     )
    >>> woven = weave_batches(
    ...     batch([1, 2, 9], [0, 2, 2, 2, 3], [0, 7, 7, 0]), np.array([1, 2]),
    ...     batch([5], [0, 1], [1]), np.array([True, False]),
    ... )
    >>> woven.keys, woven.starts, woven.labels
    (array([1, 2, 5, 9], dtype=uint64), array([0, 2, 3, 4]), array([0., 1., 0.], dtype=float32))
    """
    kept = np.ones(batch.rows, np.bool_)
    kept[rows[refused]] = False
    taken = rows[~refused]
    lengths = np.diff(batch.starts)
    lengths[taken] = np.diff(other.starts)
    labels, weights = batch.labels.copy(), batch.weights.copy()
    labels[taken], weights[taken] = other.labels, other.weights
    starts = np.zeros(batch.rows - int(refused.sum()) + 1, np.int64)
    np.cumsum(lengths[kept], out=starts[1:])
    if not len(taken):  # nearly always: what the kernel leaves is rejected
        return replace(batch, starts=starts, labels=labels[kept], weights=weights[kept])
    at = batch.starts[taken].tolist()
    places = [0, *at, batch.entries]
    cuts = other.starts.tolist()

    def weave(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
        parts = [ours[: places[1]]]
        for index in range(len(taken)):
            parts.append(theirs[cuts[index] : cuts[index + 1]])
            parts.append(ours[places[index + 1] : places[index + 2]])
        return np.concatenate(parts)

    return Batch(
        weave(batch.keys, other.keys),
        weave(batch.fields, other.fields),
        weave(batch.values, other.values),
        starts,
        labels[kept],
        weights[kept],
    )
