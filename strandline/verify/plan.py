"""Which deltas have to be trained again so that versions can be compared.

A worker's state is a version that the store can open, plus the worker's own deltas that this
version does not contain. The store keeps what was merged, not what each worker learned. So a delta
can be trained if the delta before it is contained in the version that the worker had adopted, or
can be trained itself. The walk back from `first` ends where a worker had adopted all of its deltas,
at the latest where its run began.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strandline.errors import FileMissing
from strandline.manifest import DeltaEntry, Manifest, TrainBody
from strandline.store.base import Store
from strandline.store.chain import log
from strandline.verify.events import EventSource

NO_EVENTS: Final = "no events of the stream were given"
HANDED_IN: Final = "changes that were not learned from events"
RETENTION: Final = "events are no longer kept, of this version or of one before it"
COMPACTED: Final = "the parameters before it were removed by compaction"


class DeltaKey(NamedTuple):
    """Names a worker's delta in all versions of a store."""

    stream: str
    worker: int
    seq: int


@dataclass(slots=True)
class Plan:
    """What is trained, what is compared, and why the rest is taken as it is.

    `given` counts versions by the reason why they are not compared; none is given from
    `complete_from` on. `begin` is the version from which on something is trained.
    """

    first: int
    last: int
    compared: list[int] = field(default_factory=list)
    trained: set[DeltaKey] = field(default_factory=set)
    begin: int = 0
    events: int = 0
    given: Counter[str] = field(default_factory=Counter)
    complete_from: int = 0


class _Planner:
    def __init__(self, store: Store, sources: Mapping[str, EventSource]) -> None:
        self._store, self._sources = store, sources
        self._bases = set(store.bases())
        self._open = store.history_begins() == 0
        self._closed: set[int] = set()
        self._missing = -1  # the newest version whose files are gone
        self._where: dict[DeltaKey, int] = {}
        self._before: dict[DeltaKey, DeltaKey | None] = {}
        self._fault: dict[DeltaKey, str | None] = {}
        self._events: dict[DeltaKey, int] = {}

    def note(self, manifest: Manifest) -> str | None:
        """Take in the next version; return why it cannot be compared."""
        version, body = manifest.version, manifest.body
        self._note_open(manifest)
        if not isinstance(body, TrainBody):
            return None
        assert manifest.stream is not None, "a train version has a stream"
        faults = [self._note_delta(manifest.stream, version, delta) for delta in body.deltas]
        if body.files and not body.deltas:
            return HANDED_IN
        if any(self._is_gone(file.replica) for file in body.files) or version == self._missing:
            faults.append(COMPACTED)
        return next((fault for fault in faults if fault), None)

    def add_needed(self, manifest: Manifest, plan: Plan) -> None:
        """Add to the plan the deltas that must be trained for a version."""
        assert isinstance(manifest.body, TrainBody), "only these have deltas"
        assert manifest.stream is not None, "a train version has a stream"
        for delta in manifest.body.deltas:
            key: DeltaKey | None = DeltaKey(manifest.stream, delta.worker, delta.seq)
            while key is not None and key not in plan.trained:
                plan.trained.add(key)
                plan.begin = min(plan.begin, self._where[key])
                plan.events += self._events[key]
                key = self._before[key]

    def _is_gone(self, version: int) -> bool:
        """Whether the way from this version's parameters to the next versions' is gone."""
        return version in self._closed or version < self._missing

    def _note_open(self, manifest: Manifest) -> None:
        body = manifest.body
        if isinstance(body, TrainBody):
            try:
                for file in body.files:
                    self._store.check_there("delta", file.ref)
            except FileMissing:
                self._open, self._missing = False, manifest.version
        self._open = self._open or manifest.version in self._bases
        if not self._open:
            self._closed.add(manifest.version)

    def _note_delta(self, stream: str, version: int, delta: DeltaEntry) -> str | None:
        key = DeltaKey(stream, delta.worker, delta.seq)
        before = key._replace(seq=delta.seq - 1)
        pending = self._where.get(before, -1) > delta.adopted
        self._where[key], self._events[key] = version, delta.events
        self._before[key] = before if pending else None
        source = self._sources.get(stream)
        fault = None
        if source is None:
            fault = NO_EVENTS
        elif self._is_gone(delta.adopted):
            fault = COMPACTED
        elif any(first < source.begin(each) for each, first, end in delta.spans if first < end):
            fault = RETENTION
        elif pending:
            fault = self._fault[before]
        self._fault[key] = fault
        return fault


def make_plan(store: Store, sources: Mapping[str, EventSource], first: int, last: int) -> Plan:
    """Return the plan for the versions [first, last]."""
    planner, plan = _Planner(store, sources), Plan(first, last, begin=last + 1, complete_from=first)
    for manifest in log(store, newest_first=False):
        if manifest.version > last:
            break
        fault = planner.note(manifest)
        if manifest.version < first or not isinstance(manifest.body, TrainBody):
            continue
        if fault is not None:
            plan.given[fault] += 1
            plan.complete_from = manifest.version + 1
            continue
        plan.compared.append(manifest.version)
        plan.begin = min(plan.begin, manifest.version)
        planner.add_needed(manifest, plan)
    return plan
