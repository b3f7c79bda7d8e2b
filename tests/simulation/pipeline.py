"""Jobs whose epochs are learned by real workers and merged by real mergers."""

import json
from typing import Any, Final

from strandline.commit.prepared import Prepared
from strandline.events.block import Mark
from strandline.features import Decoder
from strandline.learners.loading import make_learners, schemas_of
from strandline.learning.joining import join_shards
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import Span
from strandline.spec import Spec
from strandline.store.base import Store
from strandline.tables.shards import Shard
from tests.jobs import block
from tests.simulation.job import STREAMS, Job, Kind

SPEC: Final = Spec.parse("""
name = "simulated"
label.path = "y"
features.item.kind = "category"
learners.seen = { type = "counts", feature = "item" }
learners.ctr = { type = "ftrl", bits = 6 }
""")


class Door:
    """The store of a job's present life, for workers and mergers that are made once a life."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job.store, name)


class PipelineJob(Job):
    """A job with workers and mergers; every event is a category of its partition."""

    def begin(self, store: Store) -> None:
        super().begin(store)
        door: Any = Door(self)
        alone, shards = self.workers == 1, 1 + self.workers % 2
        self._workers = [Worker(door, self.stream, n, alone=alone) for n in range(self.workers)]
        self._mergers = [Merger(door, self.stream, Shard(n, shards)) for n in range(shards)]
        for worker in self._workers:
            worker.start(self.run, self.open_version)
        for merger in self._mergers:
            merger.start(self.run, self.open_version)

    def consume(self, partition: int, end: int) -> None:
        first = self.read.get(partition, 0)
        if end > first:
            events = [event(partition, offset) for offset in range(first, end)]
            self._workers[partition % self.workers].learn(block(partition, first, events))
        super().consume(partition, end)

    def _prepare(self, moves: tuple[Span, ...]) -> Prepared:
        for index, worker in enumerate(self._workers):
            own = tuple(move for move in moves if move.partition % self.workers == index)
            whole = worker.mark(Mark(None, own, self.number))
            for merger, part in zip(self._mergers, whole.split(len(self._mergers)), strict=True):
                merger.add(WorkerDelta.decode(memoryview(b"D" + part.encode())[1:]))
        parts = [merger.cut() for merger in self._mergers]
        return join_shards(self.store, self.stream, parts, self.number)


def event(partition: int, offset: int) -> bytes:
    """Return an event: the same at the same place."""
    return json.dumps({"item": f"p{partition}", "y": offset % 2}).encode()


def rows() -> dict[int, int]:
    """Return the partition whose events each row of the counts is for."""
    decoder, found = Decoder(SPEC), {}
    for partition in (p for partitions in STREAMS.values() for p in partitions):
        batch, _ = decoder.decode([event(partition, 0)])
        found[int(batch.keys[0])] = partition
    return found


LEARNERS: Final = make_learners(SPEC)
PIPELINE: Final = Kind("pipeline", SPEC, LEARNERS, schemas_of(LEARNERS), rows(), PipelineJob)
