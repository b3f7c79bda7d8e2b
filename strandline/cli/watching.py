"""What `strandline top` has seen of a store: sums over its versions, in all and of late."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Self

from strandline.clock import wall_clock_ms
from strandline.manifest import Manifest, Prequential, StreamEntry, TrainBody
from strandline.prequential import add_sums
from strandline.store import Store
from strandline.store.chain import read_manifest

RECENT_MS: Final = 10_000
SPAN_MS_MIN: Final = 1000  # a rate over less says little
TAKEN_MAX: Final = 1000  # versions per look, so that a long way behind stays responsive


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over versions; `versions` counts commits, `bytes` those of their delta files."""

    versions: int = 0
    events: int = 0
    rejected: int = 0
    refused: int = 0
    files: int = 0
    bytes: int = 0
    prequential: Mapping[str, Prequential] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A version and when it came; `freshness_ms` None if it was there before, or has no times."""

    manifest: Manifest
    at_ms: int
    sums: Sums
    freshness_ms: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands, and when its newest version was made."""

    entry: StreamEntry
    time_ms: int


@dataclass(slots=True)
class Watch:
    """Sums over the versions of a store from `since` on; `look` takes up those that are new.

    `freshness_ms` is that of the newest commit that was seen to come, None before the first one.
    """

    store: Store
    since: int
    newest: Manifest
    began_ms: int
    total: Sums = field(default_factory=Sums)
    streams: dict[str, Standing] = field(default_factory=dict)
    freshness_ms: int | None = None
    _recent: deque[Seen] = field(default_factory=deque)

    @classmethod
    def begin(cls, store: Store, history: int) -> Self:
        """Take up the newest `history` versions, at least head."""
        head = store.head()
        since = max(0, head - max(1, history) + 1)
        now_ms = wall_clock_ms()
        first = read_manifest(store, since)
        watch = cls(store, since, first, first.time_ms or now_ms)
        watch._take(first, first.time_ms, live=False)
        for version in range(since + 1, head + 1):
            manifest = read_manifest(store, version)
            watch._take(manifest, min(manifest.time_ms, now_ms), live=False)
        for name, entry in watch.newest.streams.items():
            if name not in watch.streams:
                watch.streams[name] = Standing(entry, read_manifest(store, entry.version).time_ms)
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
    def recent(self) -> Sums:
        """Sums over the versions of the last RECENT_MS."""
        return add(seen.sums for seen in self._of_late())

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
        if live and isinstance(body, TrainBody) and body.event_time_ms[1] > 0:
            freshness_ms = self.freshness_ms = max(0, at_ms - body.event_time_ms[1])
        seen = Seen(manifest, at_ms, sums_of(manifest), freshness_ms)
        self.newest = manifest
        self.total = add((self.total, seen.sums))
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


def sums_of(manifest: Manifest) -> Sums:
    """Return the sums of one version; nothing but a commit has any."""
    body = manifest.body
    if not isinstance(body, TrainBody):
        return Sums()
    return Sums(
        versions=1,
        events=body.counts.events,
        rejected=body.counts.rejected,
        refused=body.counts.refused,
        files=len(body.files),
        bytes=sum(file.bytes for file in body.files),
        prequential=body.prequential,
    )


def add(parts: Iterable[Sums]) -> Sums:
    """Add sums of disjoint sets of versions, in the order given.

    >>> add([Sums(versions=1, events=3), Sums(versions=1, events=4, files=2)])
    Sums(versions=2, events=7, rejected=0, refused=0, files=2, bytes=0, prequential={})
    """
    listed = list(parts)
    names = sorted({name for each in listed for name in each.prequential})
    return Sums(
        versions=sum(each.versions for each in listed),
        events=sum(each.events for each in listed),
        rejected=sum(each.rejected for each in listed),
        refused=sum(each.refused for each in listed),
        files=sum(each.files for each in listed),
        bytes=sum(each.bytes for each in listed),
        prequential={
            name: add_sums(each.prequential[name] for each in listed if name in each.prequential)
            for name in names
        },
    )
