"""The share of a run's events that are not learned: counted, and told when it is too large."""

from collections import Counter
from typing import Final

from strandline.errors import StoreUnavailable, TooManyRejected
from strandline.learning.epoch import REJECTS_SHOWN_MAX, Epoch
from strandline.limits import REJECTED_SHARE_EVENTS_MIN
from strandline.store.base import Store

PATHS_SHOWN_MAX: Final = 10
KEPT_MAX: Final = 1000
"""Rejected events of a run that ends because of them which are kept outside of a version."""


class RejectedShare:
    """What a worker's run has read and not learned, over its epochs.

    Parameters
    ----------
    of_a_file
        Whether an event's offset is the number of its line.
    """

    def __init__(self, *, of_a_file: bool = False) -> None:
        self._of_a_file = of_a_file
        self.read = 0
        self.rejected = 0
        self.refused = 0
        self.causes: Counter[tuple[str, str]] = Counter()
        self.first: list[tuple[int, int, str]] = []

    def with_epoch(self, epoch: Epoch, refused: int = 0) -> "RejectedShare":
        """Return these counts and those of an epoch."""
        both = RejectedShare(of_a_file=self._of_a_file)
        both.read = self.read + epoch.events
        both.rejected = self.rejected + epoch.rejected
        both.refused = self.refused + refused
        both.causes = self.causes + epoch.causes
        both.first = [*self.first, *epoch.first][:REJECTS_SHOWN_MAX]
        return both

    def too_many(self, share: float) -> bool:
        """Whether more than this share is not learned, once there are enough to say so."""
        lost = self.rejected + self.refused
        return self.read >= REJECTED_SHARE_EVENTS_MIN and lost > share * self.read

    def error(self, store: Store, stream: str, epoch: Epoch, share: float) -> TooManyRejected:
        """Return the error that ends the run; the newest rejected events are kept in the store."""
        refused = f" and {self.refused} refused" if self.refused else ""
        lines = [
            f"stream {stream}: {self.rejected} of the run's {self.read} events are"
            f" rejected{refused}; limits.rejected_share of the spec allows {share:g} of them",
        ]
        if self.first:
            lines += ["The first:", *(f"  {self._place(*each)}" for each in self.first)]
            lines += ["All of them, by path and reason:", *self._causes()]
        lines += _kept(store, epoch)
        lines.append(
            "Compare these events with the spec: its paths, the kinds of its features, the topic or"
            " file that is read. If so many faults are normal, raise limits.rejected_share in a"
            " new store's spec"
        )
        return TooManyRejected("\n".join(lines))

    def _place(self, partition: int, offset: int, fault: str) -> str:
        where = (
            f"line {offset + 1}" if self._of_a_file else f"partition {partition}, offset {offset}"
        )
        return f"{where}: {fault}"

    def _causes(self) -> list[str]:
        shown = sorted(self.causes.items(), key=lambda item: (-item[1], item[0]))
        lines = [f"  {n} {path or 'event'}: {reason}" for (path, reason), n in shown]
        more = len(lines) - PATHS_SHOWN_MAX
        return lines[:PATHS_SHOWN_MAX] + ([f"  and {more} others"] if more > 0 else [])


def _kept(store: Store, epoch: Epoch) -> list[str]:
    """Keep the epoch's rejected events, which no version will name; say where."""
    if not epoch.rejects:
        return []
    kept = epoch.rejects[-KEPT_MAX:]
    try:
        file = store.stage("rejects", b"".join(kept))
    except StoreUnavailable as error:
        return [f"The rejected events could not be kept: {error}"]
    return [
        f"The last {len(kept)} rejected events are kept, with their bytes:"
        f" strandline show {store.url} --rejects --file {file.sha256}"
    ]
