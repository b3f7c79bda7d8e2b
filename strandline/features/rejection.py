"""Why an event is kept out of learning: a fixed list of reasons, and who has which."""

from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Reason = Literal[
    "empty",
    "too_long",
    "too_deep",
    "not_json",
    "wrong_type",
    "missing_label",
    "bad_label",
    "bad_weight",
    "missing_feature",
    "too_large",
    "too_many_entries",
    "unlearnable",
]
"""In the order of the checks: an event with several faults is rejected for the first one.

empty: null or of zero length. too_long, too_deep, too_many_entries: over a limit of the spec.
not_json: not one JSON text (RFC 8259) in UTF-8. wrong_type: a value that the spec does not admit
at its path, a number outside float64 (or an integer category outside int64) included.
missing_label, missing_feature: absent or null. bad_label: not 0 or 1 for a binary learner, or
beyond NUMBER_MAX. bad_weight: absent, null, not above 0 or beyond NUMBER_MAX. too_large: a number
whose feature value, or that times the event's weight, is beyond NUMBER_MAX. unlearnable: decoded
without a fault, but what a learner makes of it is not finite, too large or an exception.
"""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class Rejection(NamedTuple):
    """One rejected event: its index in the call, the reason, and what exactly was wrong.

    `path` is where in the event, "" for the event as a whole; `detail` begins with it.
    """

    index: int  # type: ignore[assignment]  # the record's, in place of the tuple's method
    reason: Reason
    detail: str
    path: str = ""


class Faults:
    """The faulty rows among `rows` decoded events, each with the first fault found in it."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.found: dict[int, tuple[Reason, str, str]] = {}

    def add(
        self,
        faulty: NDArray[np.bool_],
        reason: Reason,
        path: str,
        detail: str,
        got: NDArray[np.float64] | None = None,
    ) -> None:
        """Note the rows where `faulty` is true; `got` holds a value per row for the detail."""
        where = f"{path}: " if path else ""
        for row in np.flatnonzero(faulty).tolist():
            text = detail if got is None else f"{detail}, got {got[row]}"
            self.found.setdefault(row, (reason, where + text, path))

    def sound(self) -> NDArray[np.bool_]:
        """Return which rows have no fault."""
        sound = np.ones(self.rows, dtype=np.bool_)
        sound[list(self.found)] = False
        return sound
