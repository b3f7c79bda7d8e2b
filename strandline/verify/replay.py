"""Training versions again with the job's own workers and mergers, over the recorded spans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from strandline.errors import StoreError, StrandlineError, WrongUsage
from strandline.events.block import Mark
from strandline.learners.loading import make_learners, schemas_of
from strandline.learning.joining import PreparedShard, join_shards
from strandline.learning.merger import Merger, digests_of
from strandline.learning.worker import Worker
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import (
    DeltaEntry,
    FileEntry,
    Manifest,
    OpenBody,
    Span,
    TrainBody,
    join_spans,
)
from strandline.parameters.base import read_changes
from strandline.parameters.delta import read_origin
from strandline.store.base import Store
from strandline.store.chain import following, read_spec, read_verified
from strandline.tables.shards import Shard
from strandline.verify.difference import Difference, compare_bodies
from strandline.verify.events import EventSource
from strandline.verify.plan import DeltaKey, Plan, make_plan
from strandline.verify.view import StoreView


class Progress(msgspec.Struct, frozen=True):
    """How far it is: versions compared and events trained, of how many."""

    versions: int
    versions_total: int
    events: int
    events_total: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared, and the first difference.

    Attributes
    ----------
    store
        The store's URL.
    first, last
        The range of versions that was asked for.
    versions
        How many versions were trained again and compared.
    complete_from
        From this version on every version up to `last` was compared, if it made changes at all.
    events
        How many events were trained again.
    given
        Versions that were not compared, by reason. Their changes were taken as they are.
    difference
        The first difference, None if the bits agree.
    """

    store: str
    first: int
    last: int
    versions: int
    complete_from: int
    events: int
    given: dict[str, int]
    difference: Difference | None


def verify(
    store: Store,
    sources: Mapping[str, EventSource],
    *,
    first: int | None = None,
    last: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Verdict:
    """Train versions again and compare them with what the store holds.

    Every version is checked to follow from the version before it. Nothing is written to the store.
    The versions before `first` are taken as they are. If a worker held deltas that the version it
    had adopted does not contain, these deltas are trained again from the events of their versions.

    Parameters
    ----------
    store
        The store.
    sources
        The events of each stream that can be read again. Versions of other streams are taken as
        they are.
    first, last
        The range of versions, by default all that the store holds.
    progress
        Called after every version.

    Raises
    ------
    WrongUsage
        If the store holds no such range of versions.
    StoreError
        If a version or a file is missing or damaged.
    StreamUnfit
        If a source does not hold the events that the store has learned.
    """
    head, begin = store.head(), store.history_begins()
    start, end = begin if first is None else first, head if last is None else last
    if not begin <= start <= end <= head:
        raise WrongUsage(
            f"versions {start} to {end}: expected a range within {begin} to {head}, the versions"
            f" that {store.url} holds"
        )
    plan = make_plan(store, sources, start, end)
    replay = _Replay(store, sources, plan)
    compared, difference = 0, None
    if plan.compared:
        wanted = set(plan.compared)
        before = read_verified(store, plan.begin - 1)
        for version in following(store, before, end):
            difference = replay.step(version.manifest, compare=version.manifest.version in wanted)
            compared += version.manifest.version in wanted
            if progress is not None:
                progress(Progress(compared, len(wanted), replay.events, plan.events))
            if difference is not None:
                break
    return Verdict(
        store=store.url,
        first=start,
        last=end,
        versions=compared,
        complete_from=plan.complete_from,
        events=replay.events,
        given=dict(plan.given),
        difference=difference,
    )


@dataclass(slots=True)
class _Trainer:
    """A worker of a run, the versions that it has seen, and the seq of its newest delta."""

    run: str
    worker: Worker
    view: StoreView
    seq: int


@dataclass(slots=True)
class _Shard:
    run: str
    merger: Merger
    view: StoreView


class _Replay:
    """Holds the workers and mergers of every stream's newest run."""

    def __init__(self, store: Store, sources: Mapping[str, EventSource], plan: Plan) -> None:
        self._store, self._sources, self._plan = store, sources, plan
        self._schemas = schemas_of(make_learners(read_spec(store)))
        self._workers: dict[tuple[str, int], _Trainer] = {}
        self._mergers: dict[tuple[str, Shard], _Shard] = {}
        self.events = 0

    def step(self, manifest: Manifest, *, compare: bool) -> Difference | None:
        """Go on to the next version; train what the plan says; return the first difference."""
        stream, body = manifest.stream, manifest.body
        if stream is None:
            return None
        if isinstance(body, OpenBody):
            self._drop_superseded(stream, manifest.streams[stream].run)
        if not isinstance(body, TrainBody):
            return None
        trained = [
            self._train(manifest, stream, delta)
            for delta in body.deltas
            if DeltaKey(stream, delta.worker, delta.seq) in self._plan.trained
        ]
        if not compare:
            self._take_as_given(manifest, stream)
            return None
        try:
            return self._merge(manifest, stream, body, trained)
        except StoreError:
            raise
        except StrandlineError as error:
            return Difference(
                version=manifest.version, what="merge", recorded="a version", trained=str(error)
            )

    def _drop_superseded(self, stream: str, run: str) -> None:
        self._workers = {
            key: each for key, each in self._workers.items() if key[0] != stream or each.run == run
        }
        self._mergers = {
            key: each for key, each in self._mergers.items() if key[0] != stream or each.run == run
        }

    def _train(self, manifest: Manifest, stream: str, delta: DeltaEntry) -> WorkerDelta:
        worker = self._worker(manifest, stream, delta)
        source = self._sources[stream]
        for partition, first, end in delta.spans:
            for block in source.blocks(partition, first, end):
                worker.learn(block)
                self.events += len(block.records)
        moves = join_spans(sorted(Span(*span) for span in delta.spans))
        return worker.mark(Mark(None, moves, _time_ms(manifest, delta)))

    def _worker(self, manifest: Manifest, stream: str, delta: DeltaEntry) -> Worker:
        """Return the worker as it stood when the delta's first event reached it."""
        run = manifest.streams[stream].run
        trainer = self._workers.get((stream, delta.worker))
        if trainer is None or trainer.run != run or trainer.seq != delta.seq - 1:
            view = StoreView(self._store, delta.adopted)
            worker = Worker(view, stream, delta.worker, keeps_watch=False)
            worker.start(run, delta.adopted)
            trainer = _Trainer(run, worker, view, delta.seq)
            self._workers[stream, delta.worker] = trainer
        trainer.view.newest, trainer.seq = delta.adopted, delta.seq
        return trainer.worker

    def _merge(
        self, manifest: Manifest, stream: str, body: TrainBody, trained: Sequence[WorkerDelta]
    ) -> Difference | None:
        shards = body.files[0].shards if body.files else self._shards_of(stream)
        parts: list[PreparedShard] = []
        staged: dict[str, bytes] = {}
        view = StoreView(self._store, manifest.version)
        recorded = {file.sha256: self._store.read("delta", file.ref) for file in body.files}
        for cut in _cuts(manifest, trained, recorded):
            split = [delta.split(shards) for delta in cut.deltas]
            for number in range(shards):
                shard = Shard(number, shards)
                merging = self._merger(manifest, stream, shard, cut.files.get(number))
                for each in split:
                    merging.merger.add(each[number])
                parts.append(merging.merger.cut())
                staged |= merging.view.files
                merging.view.files.clear()
        view.files |= staged
        prepared = join_shards(view, stream, parts, body.checkpoint) if parts else None
        if prepared is None:
            return None
        if body.rejects.file is not None:
            self._store.read("rejects", body.rejects.file)
        return compare_bodies(
            manifest.version, body, prepared.body, (recorded, view.files), self._schemas
        )

    def _merger(
        self, manifest: Manifest, stream: str, shard: Shard, file: FileEntry | None
    ) -> _Shard:
        """Return the shard's merger as it stood at the cut that made the file."""
        run = manifest.streams[stream].run
        merging = self._mergers.get((stream, shard))
        if merging is None or merging.run != run:
            newest = manifest.version - 1 if file is None else file.replica
            view = StoreView(self._store, newest)
            merger = Merger(view, stream, shard)
            merger.start(run, newest)
            merging = _Shard(run, merger, view)
            self._mergers[stream, shard] = merging
            before = read_verified(self._store, newest)
            for version in following(self._store, before, manifest.version - 1):
                if version.manifest.stream == stream:
                    self._resume(version.manifest, merging, shard)
        if file is not None:
            merging.view.newest = max(file.replica, merging.view.newest)
        return merging

    def _take_as_given(self, manifest: Manifest, stream: str) -> None:
        for (name, shard), merging in self._mergers.items():
            if name == stream:
                self._resume(manifest, merging, shard)

    def _resume(self, manifest: Manifest, merging: _Shard, shard: Shard) -> None:
        changes = read_changes(self._store, manifest, self._schemas, shard)
        for digest, change in zip(digests_of(manifest, shard), changes, strict=True):
            merging.merger.resume(digest, change)

    def _shards_of(self, stream: str) -> int:
        return max((shard.of for name, shard in self._mergers if name == stream), default=1)


@dataclass(slots=True)
class _Cut:
    """The deltas of one cut, and the file that each shard made of them."""

    deltas: list[WorkerDelta]
    files: dict[int, FileEntry]
    before: Mapping[str, int] | None


def _cuts(
    manifest: Manifest, trained: Sequence[WorkerDelta], recorded: Mapping[str, bytes]
) -> list[_Cut]:
    """Return the cuts of a version. There are several after an aborted checkpoint.

    A file names the newest delta of each worker that was merged into it, so the files tell which
    cut a delta belongs to. Spans without events belong to the cut that begins at or before them.
    """
    body = manifest.body
    assert isinstance(body, TrainBody), "only these have cuts"
    cuts: list[_Cut] = []
    left = list(trained)
    ends = sorted({tuple(sorted(file.seqs.items())) for file in body.files}, key=_order)
    for end in ends:
        seqs = {int(worker): seq for worker, seq in end}
        mine = [delta for delta in left if delta.seq <= seqs.get(delta.worker, -1)]
        left = [delta for delta in left if delta.seq > seqs.get(delta.worker, -1)]
        files = {file.shard: file for file in body.files if file.seqs == dict(end)}
        before = read_origin(recorded[next(iter(files.values())).sha256]).before
        cuts.append(_Cut(mine, files, before))
    if left or not cuts:
        cuts.append(_Cut(left, {}, None))
    for partition, first, stop in body.empty:
        fitting = [cut for cut in cuts if (cut.before or {}).get(str(partition), stop + 1) <= first]
        chosen = fitting[-1] if fitting else cuts[-1]
        chosen.deltas.append(_without_events(Span(partition, first, stop), manifest.time_ms))
    return cuts


def _order(end: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
    """Seqs of a worker ascend from cut to cut."""
    return (sum(seq for _, seq in end),)


def _without_events(move: Span, time_ms: int) -> WorkerDelta:
    return WorkerDelta(
        worker=0, seq=0, adopted=0, pending=(), moves=(move,), spans=(move,), events=0, learned=0,
        rejected=0, refused=None, reasons={}, prequential={}, event_time_ms=(0, 0),
        time_ms=time_ms, tables={}, rejects=b"",
    )  # fmt: skip


def _time_ms(manifest: Manifest, delta: DeltaEntry) -> int:
    """Return the time of the cut that a delta was merged in: rows that carry a time have it."""
    assert isinstance(manifest.body, TrainBody), "only these have deltas"
    times = [
        file.time_ms
        for file in manifest.body.files
        if file.seqs.get(str(delta.worker), -1) >= delta.seq
    ]
    return min(times, default=manifest.time_ms)
