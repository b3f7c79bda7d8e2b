"""What a run has done so far, read from the versions it commits."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from strandline.cli.figures import log_loss, rmse
from strandline.manifest import Manifest, Prequential, TrainBody
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.store import Store
from strandline.store.chain import read_manifest
from strandline_flink.job.execution_mode import Mode
from strandline_flink.launch.preflight import Ends
from strandline_flink.launch.troubles import Kind, Trouble

WINDOW_S: Final = 5.0


@dataclass(slots=True)
class Progress:
    """Totals of the versions of one run; `look` takes up those that are new."""

    store: Store
    stream: str
    run: str
    mode: Mode | None = None
    started_s: float = field(default_factory=time.monotonic)
    head: int = 0
    opened: int | None = None
    version: int | None = None
    total: Totals = field(default_factory=Totals)
    positions: dict[str, int] = field(default_factory=dict)
    first_version_s: float | None = None
    newest_cut_ms: int = 0
    newest_time_ms: int = 0
    stopping: bool = False
    restarts: int = 0
    delta_bytes: int = 0
    ends: dict[int, Ends] = field(default_factory=dict)
    heard: dict[Kind, Trouble] = field(default_factory=dict)  # of the brokers
    troubles: dict[Kind, Trouble] = field(default_factory=dict)  # of all, as the user is told
    _moved_s: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self) -> bool:
        """Read the versions that came since the last look; whether one was this run's."""
        found = False
        head = self.store.head(self.head)
        for version in range(self.head + 1, head + 1):
            found |= self._take(read_manifest(self.store, version))
        self.head = head
        return found

    def hear(self, kind: Kind, trouble: Trouble | None) -> None:
        """Keep what the brokers' answer means; what lasts keeps the words it began with."""
        others = {each: found for each, found in self.heard.items() if each != kind}
        self.heard = others if trouble is None else {**others, kind: self.heard.get(kind, trouble)}

    @property
    def is_awaited(self) -> bool:
        """Whether the next version is waited for: the run's open, or one of unread events."""
        if self.opened is None:
            return True
        positions = self.positions
        return any(end.stable > positions.get(str(each), 0) for each, end in self.ends.items())

    @property
    def still_s(self) -> float:
        """Seconds since a look found a version of this run, or since the start."""
        return time.monotonic() - self._moved_s

    @property
    def events_per_s(self) -> float:
        """Events per second over the last seconds."""
        now_s = time.monotonic()
        while self._recent and self._recent[0][0] < now_s - WINDOW_S:
            self._recent.popleft()
        if not self._recent or self.first_version_s is None:
            return 0.0
        since_first_s = now_s - self.started_s - self.first_version_s
        return sum(events for _, events in list(self._recent)) / min(
            WINDOW_S, max(since_first_s, 0.5)
        )

    def mean(self, measure: Callable[[Prequential], float | None]) -> dict[str, float]:
        """Return a measure per learner, of predictions made before each event was learned."""
        return {
            name: value
            for name, sums in self.total.prequential.items()
            if (value := measure(sums)) is not None
        }

    def summary(self) -> dict[str, Any]:
        """The run as JSON."""
        seconds = time.monotonic() - self.started_s
        return {
            "events": self.total.events,
            "events_per_s": round(self.total.events / seconds, 1),
            "first_version_s": self.first_version_s and round(self.first_version_s, 3),
            "learned": self.total.learned,
            "log_loss": self.mean(log_loss),
            "mode": self.mode and self.mode.name,
            "opened": self.opened,
            "positions": self.positions,
            "refused": self.total.refused,
            "rejected": self.total.rejected,
            "rmse": self.mean(rmse),
            "run": self.run,
            "seconds": round(seconds, 3),
            "store": self.store.url,
            "stream": self.stream,
            "version": self.version,
            "versions": self.total.versions,
        }

    def _take(self, manifest: Manifest) -> bool:
        entry = manifest.streams.get(self.stream)
        if entry is None or entry.version != manifest.version or entry.run != self.run:
            return False
        self._moved_s = time.monotonic()
        self.version, self.positions = manifest.version, entry.positions
        body = manifest.body
        if not isinstance(body, TrainBody):
            self.opened = manifest.version
            return True
        self.newest_cut_ms = manifest.time_ms
        self.newest_time_ms = body.event_time_ms[1] or self.newest_time_ms
        if self.first_version_s is None:
            self.first_version_s = self._moved_s - self.started_s
        self.total = add_totals((self.total, totals_of(body)))
        self._recent.append((self._moved_s, body.counts.events))
        self.delta_bytes = max([self.delta_bytes, *(file.bytes for file in body.files)])
        return True
