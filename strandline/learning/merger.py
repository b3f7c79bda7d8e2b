"""A merger: makes one change of the workers' deltas of a cut, for one shard, and stages it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

from strandline.commit.prepared import Prepared
from strandline.learners.base import Learner
from strandline.learners.loading import make_learners, schemas_of
from strandline.learning.joining import (
    PreparedShard,
    join_moves,
    newest_seqs,
    newest_time_ms,
    prepared_from,
)
from strandline.learning.replica import Replica
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import FileEntry, Manifest, Span, TrainBody
from strandline.merge import WorkerChange, check_merged, compose, merge_table
from strandline.parameters.delta import DeltaFile, ModelChanges
from strandline.store.base import Store
from strandline.store.chain import read_spec
from strandline.tables.changes import Changes
from strandline.tables.shards import WHOLE, Shard
from strandline.tables.table import Parameters, TableSchema


@dataclass(frozen=True, slots=True)
class CutTimes:
    """How long the parts of a cut took, in whole milliseconds."""

    merge_ms: int = 0
    prepare_ms: int = 0


class Merger:
    """The merger of one shard of a stream's job.

    It stands on a published version plus its own files that no adopted version names yet, so that
    rules which need the parameters they change see every cut before this one. It takes up
    published versions only between cuts. It holds the rows of its shard and no others.

    Parameters
    ----------
    store
        Where versions are read from and files are staged.
    stream
        Name of the stream.
    shard
        The rows that it merges. Every delta that is added holds rows of this shard only.

    Attributes
    ----------
    times
        Of the newest cut: merging, and making the result durable.
    """

    def __init__(self, store: Store, stream: str, shard: Shard = WHOLE) -> None:
        self._store, self._stream, self._shard = store, stream, shard
        self.times = CutTimes()
        self._learners = make_learners(read_spec(store))
        self._schemas = schemas_of(self._learners)
        self._rules = {
            name: rule for each in self._learners.values() for name, rule in each.rules.items()
        }
        self._run, self._start = "", 0
        self._replica: Replica[str] | None = None
        self._waiting: dict[int, list[WorkerDelta]] = {}

    def start(self, run: str, version: int) -> None:
        """Begin a run on the parameters of a version; every worker's START says the same."""
        if self._replica is None:
            self._run, self._start = run, version
            self._replica = Replica(self._store, self._learners, version, self._shard)
        started = (self._run, self._start)
        assert started == (run, version), f"started as {started}, then as {(run, version)}"

    def add(self, delta: WorkerDelta) -> None:
        """Keep a delta for the next cut."""
        assert self._replica is not None, "start comes before the first delta"
        self._waiting.setdefault(delta.worker, []).append(delta)

    def cut(self) -> PreparedShard:
        """Merge what was added since the last cut, and write it where nobody reads it yet.

        The files are durable when this returns. The result depends on the deltas and on the
        replica, not on the order in which deltas arrived. An empty cut is answered too,
        even before the start.

        Raises
        ------
        MergeError
            If a merged value is not finite: the epoch must not be committed. `forget` gives it up.
        Gap
            If a partition's moves do not join.
        """
        deltas = [
            delta
            for worker in sorted(self._waiting)
            for delta in sorted(self._waiting[worker], key=lambda delta: delta.seq)
        ]
        self._waiting = {}
        moves, time_ms = join_moves(deltas), newest_time_ms(deltas)
        self._catch_up()
        begun_ns = perf_counter_ns()
        changes = self._merge(deltas, time_ms)
        merged_ns = perf_counter_ns()
        files = self._stage(changes, moves, newest_seqs(deltas), time_ms)
        rejects = b"".join(delta.rejects for delta in deltas)
        rejects_file = self._store.stage("rejects", rejects) if rejects else None
        prepare_ns = perf_counter_ns() - merged_ns
        self.times = CutTimes((merged_ns - begun_ns) // 1_000_000, prepare_ns // 1_000_000)
        return PreparedShard(
            run=self._run,
            start=self._start,
            shard=self._shard,
            deltas=tuple(delta.header for delta in deltas),
            files=tuple(files),
            rejects=rejects_file,
        )

    def prepare(self, changes: Mapping[str, Changes], move: Span, time_ms: int) -> Prepared:
        """Prepare changes that no worker learned; the positions of `move` hold no events.

        Raises
        ------
        DeltaDamaged
            If the changes cannot be added to the tables of the spec.
        MergeError
            If a changed value is not finite; `forget` gives it up.
        """
        assert self._shard == WHOLE, "changes that are handed in are not split"
        data = self._encode(changes, (move,))
        read = DeltaFile.decode(data, self._schemas).changes  # raises what readers would
        self._catch_up()
        files = self._stage(read, (move,), {}, time_ms)
        return prepared_from(self._run, self._start, [], files, moves=(move,), time_ms=time_ms)

    def resume(self, sha256: str, changes: Mapping[str, Changes]) -> None:
        """Take a file that an earlier merger of the shard staged as pending.

        Versions that the merger has not adopted yet are known to contain it.
        """
        assert self._replica is not None, "start comes before the first change"
        self._replica.push(sha256, changes)

    def forget(self) -> None:
        """Give up the deltas added since the last cut, and every file that is still pending."""
        self._waiting = {}
        if self._replica is not None:
            self._replica.drop(lambda _: True)

    def _catch_up(self) -> None:
        if self._replica is not None:
            self._replica.catch_up(self._contained, self._verbatim)

    def _merge(self, deltas: Sequence[WorkerDelta], time_ms: int) -> ModelChanges:
        learned = [delta for delta in deltas if delta.learned]
        if not learned:
            return {}
        assert self._replica is not None, "what was added was added after the start"
        changes: ModelChanges = {}
        for learner in self._learners.values():
            for schema in learner.tables:
                change = _merge_one(learner, schema, self._replica.local, learned, time_ms)
                if len(change.rows):
                    changes[schema.name] = change
        return changes

    def _stage(
        self,
        changes: Mapping[str, Changes],
        moves: Sequence[Span],
        seqs: dict[str, int],
        time_ms: int,
    ) -> list[FileEntry]:
        changed = {name: change for name, change in changes.items() if len(change.rows)}
        if not changed:
            return []
        assert self._replica is not None, "start comes before the first change"
        ref = self._store.stage("delta", self._encode(changed, moves))
        entry = FileEntry(
            bytes=ref.bytes,
            replica=self._replica.version,
            rows={name: len(change.rows) for name, change in sorted(changed.items())},
            seqs=seqs,
            sha256=ref.sha256,
            shard=self._shard.number,
            shards=self._shard.of,
            time_ms=time_ms,
        )
        self._replica.push(ref.sha256, changed)
        before = self._replica.pending[-1].before
        for name, change in changed.items():
            check_merged(self._schemas[name], self._rules[name], change, before[name])
        return [entry]

    def _encode(self, changes: Mapping[str, Changes], moves: Sequence[Span]) -> bytes:
        before = {str(move.partition): move.first for move in moves}
        file = DeltaFile(self._stream, self._run, before, dict(changes), self._shard)
        return file.encode(self._schemas)

    def _contained(self, manifest: Manifest, sha256: str) -> bool:
        body = manifest.body
        return isinstance(body, TrainBody) and any(file.sha256 == sha256 for file in body.files)

    def _verbatim(self, manifest: Manifest) -> list[str]:
        return digests_of(manifest, self._shard)


def digests_of(manifest: Manifest, shard: Shard) -> list[str]:
    """Return the digests of a version's files that hold rows of the shard: all there is to know."""
    if not isinstance(manifest.body, TrainBody):
        return []
    files = manifest.body.files
    return [file.sha256 for file in files if shard.meets(Shard(file.shard, file.shards))]


def _merge_one(
    learner: Learner,
    schema: TableSchema,
    local: Parameters,
    deltas: Sequence[WorkerDelta],
    time_ms: int,
) -> Changes:
    parts = []
    for worker in sorted({delta.worker for delta in deltas}):
        own = [delta for delta in deltas if delta.worker == worker]
        composed = compose([delta.tables[schema.name] for delta in own], schema)
        parts.append(WorkerChange(worker, sum(delta.learned for delta in own), composed))
    events = sum(part.events for part in parts)
    return merge_table(learner, schema, local[schema.name], parts, events, time_ms=time_ms)
