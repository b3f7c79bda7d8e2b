"""What `strandline top` has seen of a store: totals of its versions, in all and of late."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Self

from strandline.clock import wall_clock_ms
from strandline.errors import HistoryGone
from strandline.manifest import Manifest, StreamEntry, TrainBody
from strandline.metrics.record_times import wrong_unit
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.store import Store
from strandline.store.chain import read_manifest

RECENT_MS: Final = 10_000
SPAN_MS_MIN: Final = 1000  # a rate over less says little
TAKEN_MAX: Final = 1000  # versions per look, so that a long way behind stays responsive


@dataclass(frozen=True, slots=True)
class Seen:
    """A version and when it came; `freshness_ms` None if it was there before, or has no times."""

    manifest: Manifest
    at_ms: int
    totals: Totals
    freshness_ms: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands, and when its newest version was made."""

    entry: StreamEntry
    time_ms: int


@dataclass(slots=True)
class Watch:
    """Totals of the versions of a store from `since` on; `look` takes up those that are new.

    `freshness_ms` is that of the newest commit that was seen to come, None before the first one.
    `wrong_time` is the newest record time if it is not in milliseconds, and its unit.
    """

    store: Store
    since: int
    newest: Manifest
    began_ms: int
    total: Totals = field(default_factory=Totals)
    streams: dict[str, Standing] = field(default_factory=dict)
    freshness_ms: int | None = None
    wrong_time: tuple[str, int] | None = None
    _recent: deque[Seen] = field(default_factory=deque)

    @classmethod
    def begin(cls, store: Store, history: int) -> Self:
        """Take up the newest `history` versions, at least head."""
        head = store.head()
        since = max(store.history_begins(), head - max(1, history) + 1)
        now_ms = wall_clock_ms()
        first = read_manifest(store, since)
        watch = cls(store, since, first, first.time_ms or now_ms)
        watch._take(first, first.time_ms, live=False)
        for version in range(since + 1, head + 1):
            manifest = read_manifest(store, version)
            watch._take(manifest, min(manifest.time_ms, now_ms), live=False)
        for name, entry in watch.newest.streams.items():
            if name not in watch.streams:
                watch.streams[name] = Standing(entry, _time_ms(store, entry.version))
        return watch

    def look(self) -> list[Seen]:
        """Return the versions that came since the last look, oldest first, at most TAKEN_MAX."""
        known = self.newest.version
        last = min(self.store.head(known), known + TAKEN_MAX)
        return [
            self._take(read_manifest(self.store, version), wall_clock_ms(), live=True)
            for version in range(known + 1, last + 1)
        ]

    @property
    def recent(self) -> Totals:
        """Totals of the versions of the last RECENT_MS."""
        return add_totals(seen.totals for seen in self._of_late())

    @property
    def recent_freshness_ms(self) -> int | None:
        """The median over the versions of the last RECENT_MS that were seen to come."""
        known = [seen.freshness_ms for seen in self._of_late() if seen.freshness_ms is not None]
        return round(median(known)) if known else None

    @property
    def span_s(self) -> float:
        """How long `recent` reaches back: RECENT_MS, or to the first version that is known."""
        return min(RECENT_MS, max(SPAN_MS_MIN, wall_clock_ms() - self.began_ms)) / 1000

    def _take(self, manifest: Manifest, at_ms: int, *, live: bool) -> Seen:
        body, freshness_ms = manifest.body, None
        newest_ms = body.event_time_ms[1] if isinstance(body, TrainBody) else 0
        if newest_ms > 0:
            unit = wrong_unit(newest_ms, at_ms)
            self.wrong_time = None if unit is None else (unit, newest_ms)
            if live and unit is None:
                freshness_ms = self.freshness_ms = max(0, at_ms - newest_ms)
        seen = Seen(manifest, at_ms, totals_of(body), freshness_ms)
        self.newest = manifest
        self.total = add_totals((self.total, seen.totals))
        name = manifest.stream
        if name is not None:
            self.streams[name] = Standing(manifest.streams[name], manifest.time_ms)
        self._recent.append(seen)
        self._of_late()
        return seen

    def _of_late(self) -> deque[Seen]:
        oldest_ms = wall_clock_ms() - RECENT_MS
        while self._recent and self._recent[0].at_ms < oldest_ms:
            self._recent.popleft()
        return self._recent


def _time_ms(store: Store, version: int) -> int:
    """Return when a version was made: of one that was dropped, when history begins."""
    try:
        return read_manifest(store, version).time_ms
    except HistoryGone:
        return read_manifest(store, store.history_begins()).time_ms
