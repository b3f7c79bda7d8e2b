"""A job without Flink: workers, a merger, the sink's writer and its commits, one step at a time."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from msgspec import structs

from strandline.block import Block, Mark, Span, join_spans
from strandline.commit import commit
from strandline.committable import committable_from
from strandline.manifest import OpenKey
from strandline.merger import Merger
from strandline.opening import append_open
from strandline.prepared import Prepared
from strandline.records import Records as PackedRecords
from strandline.store import Store, read_manifest
from strandline.worker import Worker
from strandline.worker_delta import WorkerDelta

Records = Sequence[bytes | None]


def block(partition: int, first: int, records: Records) -> Block:
    """Records at the positions from `first` on, without holes."""
    end = first + len(records)
    return Block(
        partition, first, end, np.arange(first, end, dtype=np.int64), PackedRecords.of(records)
    )


class Job:
    """Partition p belongs to worker p modulo `workers`. Commits wait until they are asked for."""

    def __init__(
        self, store: Store, workers: int = 1, *, stream: str = "events", run: int = 1,
        positions: Mapping[str, int] | None = None, block_events: int = 700,
    ) -> None:  # fmt: skip
        self.store, self.stream, self.run = store, stream, UUID(int=run).hex
        self.block_events = block_events
        self.start = append_open(
            store,
            stream,
            run=self.run,
            key=OpenKey(restored=None, submission=self.run),
            positions=dict(positions or {str(p): 0 for p in range(workers)}),
            source={},
            time_ms=1000 * run,
            takeover=True,
        )
        self.entry = read_manifest(store, self.start).streams[stream]
        self.workers = [Worker(store, stream, index) for index in range(workers)]
        self.merger = Merger(store, stream)
        for worker in self.workers:
            worker.start(self.run, self.start)
            self.merger.start(self.run, self.start)
        self.read = dict(self.entry.positions)
        self.moves: dict[int, list[Span]] = {index: [] for index in range(workers)}
        self.prepared: list[Prepared] = []
        self.cuts = 0

    def feed(self, partition: int, records: Records) -> None:
        """Send records to the partition's worker, in blocks."""
        index = partition % len(self.workers)
        for begin in range(0, len(records), self.block_events):
            part = records[begin : begin + self.block_events]
            first = self.read.setdefault(str(partition), 0)
            self.workers[index].learn(block(partition, first, part))
            self.read[str(partition)] = first + len(part)
            self.moves[index].append(Span(partition, first, first + len(part)))

    def mark(self, index: int) -> WorkerDelta:
        """One worker's barrier; its delta reaches the merger over the wire."""
        moves = join_spans(sorted(self.moves[index]))
        self.moves[index] = []
        wire = self.workers[index].mark(Mark(None, moves)).encode()
        delta = WorkerDelta.decode(memoryview(b"D" + wire)[1:])
        self.merger.add(delta)
        return delta

    def cut(self) -> Prepared:
        """The merger's barrier."""
        self.cuts += 1
        prepared = self.merger.cut(self.cuts, 1_000_000 + self.cuts)
        assert Prepared.decode(prepared.encode()) == prepared
        self.prepared.append(prepared)
        return prepared

    def epoch(self, records: Mapping[int, Records]) -> Prepared:
        """Feed, mark every worker, cut."""
        for partition, part in records.items():
            self.feed(partition, part)
        for index in range(len(self.workers)):
            self.mark(index)
        return self.cut()

    def commit(self, keep: int = 0) -> int | None:
        """Commit the oldest epochs until `keep` are left; return the newest version made."""
        version = None
        while len(self.prepared) > keep:
            prepared = self.prepared.pop(0)
            if prepared.moves:
                data = committable_from(prepared, self.entry, self.stream)
                version = commit(self.store, data)
                moved = {str(p): end for p, _, end in prepared.moves}
                positions = self.entry.positions | moved
                self.entry = structs.replace(self.entry, positions=positions)
        return version
