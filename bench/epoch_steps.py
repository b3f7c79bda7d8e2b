"""One epoch of a job, step by step and timed, with as many workers and rows as asked for.

The steps are the library's own: what worker, merger, commit and reader call, in their order. One
table and one replica stand for all workers: what each learns is taken back before the next learns
from the same start, and the first one's delta stays pending as a worker's own does.
"""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.commit.committable import committable_from
from strandline.commit.committing import commit
from strandline.commit.prepared import Prepared
from strandline.features import Batch
from strandline.learners.ftrl import Ftrl
from strandline.learners.loading import make_learners, schemas_of, warm_up
from strandline.learning.merger import digests_of
from strandline.learning.replica import Replica
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import Counts, FileEntry, Manifest, Rejects, Span, TrainBody
from strandline.merge import WorkerChange, check_merged, merge_table
from strandline.parameters.delta import DeltaFile, ModelChanges
from strandline.reading.reader import Follower
from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.chain import read_manifest, read_spec
from strandline.tables.changes import TableDelta
from strandline.tables.shards import Shard
from strandline.transactions.transaction import open_stream

STREAM: Final = "events"
TABLE: Final = "ctr.zn"
ENTRIES: Final = 40
"""Entries of an event; each touched slot occurs twice in an epoch."""

MERGER_STEPS: Final = ("decode", "merge", "delta file", "stage", "merger push", "merger adopt")
STEPS: Final = (
    "take delta",
    "push",
    "encode",
    "adopt",
    *MERGER_STEPS,
    "commit",
    "reader adopt",
)
"""Of one worker, of one merger, then the commit's and one reader's."""


def spec(bits: int) -> Spec:
    """Return a model of one ftrl table."""
    return Spec.parse(
        f"""
        name = "scale"
        label.path = "click"
        features.item.kind = "category"
        learners.ctr = {{type = "ftrl", bits = {bits}}}
        """
    )


class Steps:
    """The parts of a job on one store, and what each step of an epoch takes.

    Parameters
    ----------
    folder : str
        Where the store is made.
    bits : int
        The table has 2**bits rows.
    rows : int
        Rows that each worker touches in an epoch.
    workers : int
        Their deltas are merged into one.
    shards : int
        As many mergers, one after the other here.
    """

    def __init__(self, folder: str, bits: int, rows: int, workers: int, shards: int) -> None:
        self._bits, self._rows, self._workers = bits, rows, workers
        self._store = create_store(os.path.join(folder, "store"), spec(bits))
        version = open_stream(self._store, STREAM).version
        self._entry = read_manifest(self._store, version).streams[STREAM]
        learners = make_learners(read_spec(self._store))
        (learner,) = learners.values()
        assert isinstance(learner, Ftrl)
        self._learner, self._schemas = learner, schemas_of(learners)
        self._worker: Replica[int] = Replica(self._store, learners, version)
        self._mergers: dict[Shard, Replica[str]] = {
            shard: Replica(self._store, learners, version, shard)
            for shard in (Shard(number, shards) for number in range(shards))
        }
        self._reader = Follower(self._store)
        self._learner.bind(self._worker.local)
        self._rng = np.random.default_rng(bits)
        self._seq = 0

    def epoch(self) -> dict[str, float]:
        """Run an epoch of fresh events; return each step's CPU time in ms: of workers and mergers
        the mean.

        CPU time: the wait for the disk is not in it, nor for other programs.
        """
        spent = dict.fromkeys(STEPS, 0.0)
        self._seq += 1
        clock = _Clock(spent)
        sent = [self._learn(clock, worker) for worker in range(self._workers)]
        files = [
            self._merge(clock, shard, [data[shard.number] for data in sent])
            for shard in self._mergers
        ]
        clock(None)
        version = commit(self._store, self._committable(files)).version
        self._entry = read_manifest(self._store, version).streams[STREAM]
        clock("commit")
        self._worker.catch_up(_everything, self._verbatim)
        clock("adopt")
        for shard, merger in self._mergers.items():
            merger.catch_up(_everything, partial(digests_of, shard=shard))
        clock("merger adopt")
        self._reader.step()
        clock("reader adopt")
        assert self._reader.model.version == version
        of = {"take delta": self._workers, "encode": self._workers}
        of |= dict.fromkeys(MERGER_STEPS, len(self._mergers))
        return {name: ms / of.get(name, 1) for name, ms in spent.items()}

    def _merge(self, clock: "_Clock", shard: Shard, sent: Sequence[bytes]) -> FileEntry:
        merger = self._mergers[shard]
        clock(None)
        deltas = [WorkerDelta.decode(data) for data in sent]
        clock("decode")
        parts = [WorkerChange(delta.worker, delta.learned, delta.tables[TABLE]) for delta in deltas]
        events = sum(part.events for part in parts)
        table = merger.local[TABLE]
        change = merge_table(self._learner, table.schema, table, parts, events)
        clock("merge")
        before, changes = self._entry.positions, ModelChanges({TABLE: change})
        data = DeltaFile(STREAM, self._entry.run, before, changes, shard).encode(self._schemas)
        clock("delta file")
        ref = self._store.stage("delta", data)
        clock("stage")
        merger.push(ref.sha256, changes)
        (own,) = merger.pending
        check_merged(table.schema, self._learner.rules[TABLE], change, own.before[TABLE])
        clock("merger push")
        return FileEntry(
            bytes=ref.bytes,
            replica=merger.version,
            rows={TABLE: len(change.rows)},
            seqs={},
            sha256=ref.sha256,
            shard=shard.number,
            shards=shard.of,
            time_ms=0,
        )

    def _learn(self, clock: "_Clock", worker: int) -> list[bytes]:
        batch = self._events()
        self._learner.learn(batch)
        clock(None)
        tables = self._learner.take_delta()
        assert all(delta.finite for delta in tables.values())
        clock("take delta")
        if worker == 0:
            self._worker.push(self._seq, tables)
            clock("push")
        else:
            self._worker.reset(tables)
        clock(None)
        parts = self._delta(worker, batch.rows, tables).split(len(self._mergers))
        data = [part.encode() for part in parts]
        clock("encode")
        return data

    def _events(self) -> Batch:
        slots = self._rng.integers(0, 1 << self._bits, 2 * self._rows)
        slots = self._rng.permutation(np.unique(slots))[: self._rows]
        events = 2 * len(slots) // ENTRIES
        keys = np.concatenate([slots, slots[::-1]])[: events * ENTRIES].astype(np.uint64)
        return _batch(keys, events, (self._rng.random(events) < 0.2).astype(np.float32))

    def _delta(self, worker: int, events: int, tables: dict[str, TableDelta]) -> WorkerDelta:
        return WorkerDelta(
            worker=worker,
            seq=self._seq,
            adopted=self._worker.version,
            pending=(),
            moves=(),
            spans=(),
            events=events,
            learned=events,
            rejected=0,
            refused=None,
            reasons={},
            prequential={},
            event_time_ms=(0, 0),
            time_ms=0,
            tables=tables,
            rejects=b"",
        )

    def _verbatim(self, _: Manifest) -> list[int]:
        """What a version's files hold as the worker sent it: the delta of a job's only worker."""
        return [self._seq] if self._workers == len(self._mergers) == 1 else []

    def _committable(self, files: list[FileEntry]) -> bytes:
        """A version as of changes that were handed in: its positions move without deltas."""
        first = self._entry.positions["0"]
        prepared = Prepared(
            run=self._entry.run,
            start=self._entry.open,
            moves=(Span(0, first, first + 1),),
            seqs={},
            time_ms=0,
            body=TrainBody(
                checkpoint=None,
                counts=Counts(events=0, learned=0, refused=0, rejected=0),
                deltas=[],
                empty=[(0, first, first + 1)],
                event_time_ms=(0, 0),
                files=files,
                prequential={},
                rejects=Rejects(file=None, reasons={}),
            ),
        )
        return committable_from(prepared, self._entry.positions, STREAM)


def _everything(*_: object) -> bool:
    """What a version contains here: every delta before it."""
    return True


class _Clock:
    """Adds the CPU time since the last call to a step's; None: to no step's."""

    def __init__(self, spent: dict[str, float]) -> None:
        self._spent, self._at = spent, time.thread_time()

    def __call__(self, step: str | None) -> None:
        now = time.thread_time()
        if step is not None:
            self._spent[step] += 1e3 * (now - self._at)
        self._at = time.thread_time()


def memory_per_slot(folder: str, bits: int) -> dict[str, float]:
    """Return the resident bytes per slot of a worker, a merger and a reader; few rows touched."""
    store = create_store(os.path.join(folder, f"memory-{bits}"), spec(bits))
    version = open_stream(store, STREAM).version
    warm_up()  # what code takes is no table's
    slots = 1 << bits
    at = _resident_bytes()
    learners = make_learners(read_spec(store))
    worker = Replica[int](store, learners, version)
    for learner in learners.values():
        learner.bind(worker.local)
        learner.learn(_batch(np.arange(ENTRIES, dtype=np.uint64), events=1))
    worker_bytes, at = _resident_bytes() - at, _resident_bytes()
    merger = Replica[str](store, make_learners(read_spec(store)), version)
    merger_bytes, at = _resident_bytes() - at, _resident_bytes()
    reader = Follower(store)
    open_stream(store, STREAM)  # a version to take up
    reader.step()
    reader_bytes = _resident_bytes() - at
    assert worker.version == merger.version == reader.model.version - 1
    return {
        "worker": worker_bytes / slots,
        "merger": merger_bytes / slots,
        "reader": reader_bytes / slots,
    }


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _batch(
    keys: NDArray[np.uint64], events: int, labels: NDArray[np.float32] | None = None
) -> Batch:
    """Return events of `ENTRIES` entries each."""
    return Batch(
        keys=keys,
        fields=np.zeros(len(keys), np.uint16),
        values=np.ones(len(keys), np.float32),
        starts=np.arange(events + 1, dtype=np.int64) * ENTRIES,
        labels=np.zeros(events, np.float32) if labels is None else labels,
        weights=np.ones(events, np.float32),
    )
