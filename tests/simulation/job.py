"""Flink's part, modelled: source, workers, merger and sink of one job, and its checkpoints.

What a real job asks of a store, this one asks through the same calls (`commit.agent_calls`), in
the order in which the Java roles ask. Modelled are barriers that complete or abort, notifications
that come late or never, restores that commit again, savepoints, and other numbers of workers.

A change adds the events of each partition to the row of that number, so that the parameters of
every version tell which events are in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np

from strandline.commit.agent_calls import Call, CheckInForce, Commit, FindOpen, Open
from strandline.commit.prepared import Prepared
from strandline.errors import StoreUnavailable
from strandline.learners.loading import make_learners, schemas_of
from strandline.manifest import Span, TrainBody
from strandline.parameters.delta import DeltaFile
from strandline.spec import Spec
from strandline.store.base import Store
from strandline.store.chain import read_manifest
from strandline.tables.changes import Changes

SPEC: Final = Spec.parse("""
name = "simulated"
label.path = "y"
features.item.kind = "category"
learners.seen = { type = "counts", feature = "item" }
""")
SCHEMAS: Final = schemas_of(make_learners(SPEC))
(TABLE,) = SCHEMAS
TRIES: Final = 6
"""How often a call is repeated before the job fails over: a real one repeats it for ever."""

Positions = dict[int, int]


@dataclass(frozen=True)
class Epoch:
    """A committable: positions before it, and the text of what was prepared."""

    before: Positions
    prepared: str


@dataclass(frozen=True)
class Checkpoint:
    """What a completed checkpoint or a savepoint holds."""

    number: int
    run: str
    read: Positions
    written: Positions
    pending: tuple[tuple[int, Epoch], ...]


@dataclass
class Job:
    """One submission. `store` is the mount of its current life.

    Attributes
    ----------
    read, written
        Where the source and the sink's writer stand.
    moves
        Spans read since the last barrier.
    pending
        Epochs that are not committed, with the checkpoints that have to complete first.
    triggered, completed, savepoints
        The checkpoint whose outcome is open; the one that a failover restores; those kept for ever.
    restored
        The checkpoint that this life was restored from.
    """

    store: Store
    stream: str
    submission: str
    workers: int
    partitions: tuple[int, ...]
    origin: Checkpoint | None = None
    run: str = ""
    open_version: int = 0
    read: Positions = field(default_factory=dict)
    written: Positions = field(default_factory=dict)
    seqs: dict[int, int] = field(default_factory=dict)
    moves: list[Span] = field(default_factory=list)
    pending: list[tuple[int, Epoch]] = field(default_factory=list)
    triggered: Checkpoint | None = None
    completed: Checkpoint | None = None
    restored: int | None = None
    number: int = 0
    committed: list[int] = field(default_factory=list)

    def begin(self, store: Store) -> None:
        """Begin a life: fresh, found again, or restored from the last completed checkpoint."""
        self.store, self.triggered, self.moves = store, None, []
        checkpoint = self.completed or self.origin
        if checkpoint is None:
            self._begin_fresh()
        else:
            self._restore(checkpoint)
        entry = read_manifest(store, self.open_version).streams[self.stream]
        self.seqs = {int(worker): seq for worker, seq in entry.seqs.items()}

    def consume(self, partition: int, end: int) -> None:
        """Read a partition up to an offset."""
        first = self.read.get(partition, 0)
        if end > first:
            self.moves.append(Span(partition, first, end))
            self.read[partition] = end

    def barrier(self, number: int) -> None:
        """A barrier passes: the epoch is prepared, and the checkpoint's outcome is open."""
        self.number = number
        moves = _joined(self.moves)
        self.moves = []
        if moves:
            text = self._prepare(moves).encode().decode()
            self.pending.append((number, Epoch(dict(self.written), text)))
            self.written |= {move.partition: move.end for move in moves}
        else:
            self._ask(CheckInForce(stream=self.stream, run=self.run, head=self.open_version))
        state = Checkpoint(
            number, self.run, dict(self.read), dict(self.written), tuple(self.pending)
        )
        self.triggered = state

    def complete(self) -> None:
        """The checkpoint completes; who is told of it, and when, is another matter."""
        if self.triggered is not None:
            self.completed, self.triggered = self.triggered, None

    def abort(self) -> None:
        """The checkpoint is aborted: its epoch waits for the next one."""
        self.triggered = None

    def notify(self) -> None:
        """The committer is told of the last completed checkpoint."""
        if self.completed is not None:
            self._commit_up_to(self.completed.number, self.restored)

    def _begin_fresh(self) -> None:
        call = FindOpen(stream=self.stream, submission=self.submission, restored=None)
        found = self._ask(call)
        if found is None:
            found = self._ask(self._open(self.submission, None, dict.fromkeys(self.partitions, 0)))
        self.run, self.open_version = found["run"], found["version"]
        self.written = {int(p): at for p, at in found["positions"].items()}
        self.read, self.pending, self.restored = dict(self.written), [], None

    def _restore(self, state: Checkpoint) -> None:
        self.pending = list(state.pending)
        self._commit_up_to(state.number, state.number)
        found = self._ask(self._open(state.run, state.number, state.written))
        self.run, self.open_version, self.restored = state.run, found["version"], state.number
        self.read, self.written = dict(state.read), dict(state.written)

    def _commit_up_to(self, number: int, restored: int | None) -> None:
        while self.pending and self.pending[0][0] <= number:
            epoch = self.pending[0][1]
            answer = self._ask(
                Commit(
                    stream=self.stream,
                    before=_texts(epoch.before),
                    prepared=epoch.prepared,
                    restored=restored,
                )
            )
            self.committed.append(answer["version"])
            self.pending.pop(0)

    def _open(self, run: str, restored: int | None, positions: Positions) -> Open:
        return Open(
            stream=self.stream,
            run=run,
            submission=self.submission,
            restored=restored,
            positions=_texts(positions),
            source={"topic": self.stream} if restored is None else None,
            time_ms=self.number,
            takeover=True,
            topic_again=False,
            one_stream=(),
        )

    def _ask(self, call: Call) -> Any:
        """Ask until there is an answer, as Java does."""
        return _until_answered(lambda: call.answer(self.store))  # type: ignore[attr-defined]

    def _prepare(self, moves: tuple[Span, ...]) -> Prepared:
        deltas, seqs = [], {}
        for worker in sorted({move.partition % self.workers for move in moves}):
            own = [move for move in moves if move.partition % self.workers == worker]
            seqs[str(worker)] = self.seqs[worker] = self.seqs.get(worker, 0) + 1
            deltas.append(_delta(worker, self.seqs[worker], self.open_version, own))
        events = sum(move.end - move.first for move in moves)
        rows = np.array([move.partition for move in moves], np.uint64)
        counts = np.array([[move.end - move.first, 0] for move in moves], np.int64)
        before = {str(move.partition): move.first for move in moves}
        changes = {TABLE: Changes(rows, counts)}
        data = DeltaFile(self.stream, self.run, before, changes).encode(SCHEMAS)
        ref = _until_answered(lambda: self.store.stage("delta", data))
        file = {
            "bytes": ref.bytes,
            "replica": self.open_version,
            "rows": {TABLE: len(rows)},
            "seqs": seqs,
            "sha256": ref.sha256,
            "shard": 0,
            "shards": 1,
            "time_ms": self.number,
        }
        body = {
            "checkpoint": self.number,
            "counts": {"events": events, "learned": events, "refused": 0, "rejected": 0},
            "deltas": deltas,
            "empty": [],
            "event_time_ms": [0, 0],
            "files": [file],
            "prequential": {},
            "rejects": {"file": None, "reasons": {}},
        }
        return Prepared(
            run=self.run,
            start=self.open_version,
            moves=moves,
            seqs=seqs,
            time_ms=self.number,
            body=msgspec.convert(body, TrainBody),
        )


def savepoint(job: Job) -> Checkpoint | None:
    """Return a copy of the last completed checkpoint, to be restored by whoever wants to."""
    return None if job.completed is None else replace(job.completed)


def _until_answered(ask: Callable[[], Any]) -> Any:
    for _ in range(TRIES):
        try:
            return ask()
        except StoreUnavailable as error:
            lost = error
    raise lost


def _texts(positions: Positions) -> dict[str, int]:
    return {str(partition): at for partition, at in positions.items()}


def _joined(moves: list[Span]) -> tuple[Span, ...]:
    found: dict[int, Span] = {}
    for move in moves:
        first = found[move.partition].first if move.partition in found else move.first
        found[move.partition] = Span(move.partition, first, move.end)
    return tuple(found[partition] for partition in sorted(found))


def _delta(worker: int, seq: int, adopted: int, spans: list[Span]) -> dict[str, Any]:
    events = sum(span.end - span.first for span in spans)
    return {
        "adopted": adopted,
        "events": events,
        "learned": events,
        "pending": [],
        "refused": None,
        "rejected": 0,
        "seq": seq,
        "spans": [list(span) for span in spans],
        "worker": worker,
    }
