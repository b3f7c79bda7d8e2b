"""A job without Flink: workers, mergers, the sink's writer and its commits, one step at a time."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from msgspec import structs

from strandline.commit.committable import committable_from
from strandline.commit.committing import commit
from strandline.commit.opening import Opening, append_open
from strandline.commit.prepared import Prepared
from strandline.events.block import Block, Mark
from strandline.events.records import Records as PackedRecords
from strandline.learning.joining import PreparedShard, join_shards
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import OpenKey, Span, join_spans
from strandline.store import Store, read_manifest
from strandline.tables.shards import Shard

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
        positions: Mapping[str, int] | None = None, block_events: int = 700, shards: int = 1,
    ) -> None:  # fmt: skip
        self.store, self.stream, self.run = store, stream, UUID(int=run).hex
        self.block_events = block_events
        self.start = append_open(
            store,
            Opening(
                stream,
                run=self.run,
                key=OpenKey(restored=None, submission=self.run),
                positions=dict(positions or {str(p): 0 for p in range(workers)}),
                source={},
                time_ms=1000 * run,
                takeover=True,
            ),
        )
        self.entry = read_manifest(store, self.start).streams[stream]
        alone = workers == 1
        self.workers = [Worker(store, stream, index, alone=alone) for index in range(workers)]
        self.mergers = [Merger(store, stream, Shard(index, shards)) for index in range(shards)]
        for worker in self.workers:
            worker.start(self.run, self.start)
            for merger in self.mergers:
                merger.start(self.run, self.start)
        self.parts: list[PreparedShard] = []
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

    @property
    def merger(self) -> Merger:
        """The merger of shard 0."""
        return self.mergers[0]

    def mark(self, index: int) -> WorkerDelta:
        """One worker's barrier; its delta reaches the mergers over the wire."""
        moves = join_spans(sorted(self.moves[index]))
        self.moves[index] = []
        whole = self.workers[index].mark(Mark(None, moves, 1_000_001 + self.cuts))
        for merger, part in zip(self.mergers, whole.split(len(self.mergers)), strict=True):
            merger.add(WorkerDelta.decode(memoryview(b"D" + part.encode())[1:]))
        return whole

    def cut_shard(self, shard: int) -> PreparedShard:
        """One merger's barrier."""
        part = self.mergers[shard].cut()
        assert PreparedShard.decode(part.encode()) == part
        self.parts.append(part)
        return part

    def cut(self) -> Prepared:
        """Every merger's barrier, and the one behind them."""
        self.cuts += 1
        for shard in reversed(range(len(self.mergers))):
            self.cut_shard(shard)
        parts, self.parts = self.parts, []
        prepared = join_shards(self.store, self.stream, parts, self.cuts)
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
                data = committable_from(prepared, self.entry.positions, self.stream)
                version = commit(self.store, data).version
                moved = {str(p): end for p, _, end in prepared.moves}
                positions = self.entry.positions | moved
                self.entry = structs.replace(self.entry, positions=positions)
        return version
