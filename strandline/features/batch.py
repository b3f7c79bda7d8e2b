"""`Batch`: decoded events in columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BIAS_FIELD: Final = 65_535


def selected_fields(fields: Iterable[int]) -> NDArray[np.bool_]:
    """Return [65536], true at the given indices: every uint16 has an answer, so none is checked."""
    selected = np.zeros(BIAS_FIELD + 1, np.bool_)
    selected[[*fields]] = True
    return selected


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in columns: `rows` events with `entries` feature entries together.

    Row ``i`` has the entries ``starts[i]:starts[i + 1]``: the features in the spec's order, each
    with its values in the order of the event, then the bias (key `BIAS_KEY`, value 1).

    Parameters
    ----------
    keys : uint64 [entries]
        Full 64-bit hash of field and value.
    fields : uint16 [entries]
        Index of the feature in the spec's order; `BIAS_FIELD` for the bias.
    values : float32 [entries]
        Finite; 1 for categories and crosses.
    starts : int64 [rows + 1]
        First entry of each row, ascending from 0.
    labels : float32 [rows]
        Finite; 0 or 1 where the spec has a binary learner.
    weights : float32 [rows]
        Finite, above 0.
    """

    keys: NDArray[np.uint64]
    fields: NDArray[np.uint16]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def rows(self) -> int:
        """The number of events."""
        return len(self.labels)

    @property
    def entries(self) -> int:
        """The number of feature entries of all events together."""
        return len(self.keys)
