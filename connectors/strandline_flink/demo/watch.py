"""What the demo has seen of its store: totals of the versions, and how fresh each one was."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from strandline.cli.figures import log_loss
from strandline.manifest import Manifest, Prequential, TrainBody
from strandline.metrics.prequential import add_sums
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.store import Store, read_manifest

LEARNER: Final = "ctr"  # the learner that predicts in the demo's spec
RECENT_S: Final = 5.0
LOSSES_KEPT: Final = 60
NOTHING: Final = add_sums([])


@dataclass(frozen=True, slots=True)
class Seen:
    """One version as it was seen; `at_s` on the monotonic clock."""

    at_s: float
    totals: Totals
    freshness_ms: int | None


@dataclass(slots=True)
class Watch:
    """Totals of the versions of a new store; `look` takes up those that are new."""

    store: Store
    version: int = 0
    opened: bool = False
    total: Totals = field(default_factory=Totals)
    positions: dict[int, int] = field(default_factory=dict)
    freshness_ms: list[int] = field(default_factory=list)
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=LOSSES_KEPT))
    changed_s: float = field(default_factory=time.monotonic)
    _recent: deque[Seen] = field(default_factory=deque)
    _flow: tuple[float, float, int] | None = None

    def look(self) -> bool:
        """Read the versions that came since the last look; whether there were any."""
        head = self.store.head(self.version)
        for version in range(self.version + 1, head + 1):
            self._take(read_manifest(self.store, version))
        found = head > self.version
        if found:
            self.version = head
            self.changed_s = time.monotonic()
        return found

    @property
    def sums(self) -> Prequential:
        """The quality of the predictions of all versions."""
        return quality(self.total)

    @property
    def recent_sums(self) -> Prequential:
        """The quality of the predictions of the versions of the last seconds."""
        return quality(add_totals(seen.totals for seen in self._recent))

    @property
    def recent_freshness_ms(self) -> list[int]:
        """The freshness of the versions of the last seconds."""
        return [seen.freshness_ms for seen in self._recent if seen.freshness_ms is not None]

    @property
    def events_per_s(self) -> float:
        """Events per second over the last seconds, from version to version."""
        if len(self._recent) < 2:
            return 0.0
        passed_s = self._recent[-1].at_s - self._recent[0].at_s
        events = sum(seen.totals.events for seen in self._recent) - self._recent[0].totals.events
        return events / passed_s if passed_s > 0 else 0.0

    def begin_flow(self) -> None:
        """Forget how fresh and how fast the versions so far were: the next ones are at work."""
        self.freshness_ms.clear()
        self._flow = None

    @property
    def flow_per_s(self) -> float:
        """Events per second from the first version of the flow to the last one."""
        begin_s, end_s, events = self._flow or (0.0, 0.0, 0)
        return events / (end_s - begin_s) if end_s > begin_s else 0.0

    def _take(self, manifest: Manifest) -> None:
        for entry in manifest.streams.values():
            self.positions = {int(p): offset for p, offset in entry.positions.items()}
        body = manifest.body
        if not isinstance(body, TrainBody):
            self.opened = True
            return
        now_s, totals = time.monotonic(), totals_of(body)
        self.total = add_totals((self.total, totals))
        freshness_ms = None
        if body.event_time_ms[1] > 0:
            freshness_ms = time.time_ns() // 1_000_000 - body.event_time_ms[1]
            self.freshness_ms.append(freshness_ms)
        loss = log_loss(quality(totals))
        if loss is not None:
            self.losses.append(loss)
        begin_s, _, events = self._flow or (now_s, now_s, -totals.events)
        self._flow = begin_s, now_s, events + totals.events
        self._recent.append(Seen(now_s, totals, freshness_ms))
        while self._recent[0].at_s < now_s - RECENT_S:
            self._recent.popleft()


def quality(totals: Totals) -> Prequential:
    """The sums of the demo's learner."""
    return totals.prequential.get(LEARNER, NOTHING)


def percentile(values: list[int], share: float) -> int | None:
    """Return the value that this share of the values does not exceed; None without values.

    >>> percentile([30, 10, 20, 40], 0.5), percentile([], 0.5)
    (20, None)
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
