"""Epochs as a job of many partitions and workers writes them, without learning anything.

Modelled on a job of 16 workers on a topic of 64 partitions, with a checkpoint every 200 ms: workers
read their partitions in turn, in batches of a producer that lingers, stand one or two versions
back, and reject few events. Here every partition moves in every epoch.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from strandline.manifest import StreamEntry
from strandline.manifest.continuity import render_committable
from strandline.parameters.delta import DeltaFile, Schemas
from strandline.store import Store
from strandline.tables.changes import Changes

REJECTING: Final = 0.5
"""The share of epochs that reject an event: of 2,000 events each, with one bad event of 3,000."""

ROWS_MAX: Final = 64
EPOCH_MS: Final = 200


class Epochs:
    """The epochs of one stream, one after the other, from a seed."""

    def __init__(self, partitions: int, workers: int, run: str, seed: int = 0) -> None:
        self.positions = {str(partition): 0 for partition in range(partitions)}
        self._workers, self._run = workers, run
        self._random = random.Random(seed)
        self._seqs = dict.fromkeys(range(workers), 0)
        self._cut_ms = 1_800_000_000_000

    def goes_on(self, entry: StreamEntry) -> None:
        """Begin where a stream stands."""
        self.positions = dict(entry.positions)
        self._seqs |= {int(worker): seq for worker, seq in entry.seqs.items()}

    def committables(self, store: Store, schemas: Schemas, version: int) -> Iterator[bytes]:
        """Yield committables, of which the first becomes this version; their files are staged."""
        while True:
            before = dict(self.positions)
            took_ms = EPOCH_MS + int(self._random.expovariate(0.05))
            self._cut_ms += took_ms
            deltas = [self._delta(worker, version) for worker in range(self._workers)]
            yield render_committable(
                after=self.positions,
                before=before,
                body=self._body(
                    deltas,
                    self._file(store, schemas, version, before),
                    self._reject(store, deltas[0]),
                    took_ms,
                )
                | {"checkpoint": version},
                first={},
                run=self._run,
                seqs={str(delta["worker"]): delta["seq"] for delta in deltas},
                stream="events",
                time_ms=self._cut_ms,
            )
            version += 1

    def _delta(self, worker: int, version: int) -> dict[str, Any]:
        self._seqs[worker] += 1
        partitions = [int(p) for p in self.positions if int(p) % self._workers == worker]
        turn = self._random.randrange(max(1, len(partitions)))
        spans = [self._span(partition) for partition in partitions[turn:] + partitions[:turn]]
        events = sum(end - begin for _, begin, end in spans)
        behind = self._random.choice((1, 1, 2))
        return {
            "adopted": max(0, version - behind),
            "events": events,
            "learned": events,
            "pending": [self._seqs[worker] - 1] if behind > 1 else [],
            "refused": None,
            "rejected": 0,
            "seq": self._seqs[worker],
            "spans": spans,
            "worker": worker,
        }

    def _span(self, partition: int) -> list[int]:
        begin = self.positions[str(partition)]
        end = begin + 82 + int(self._random.expovariate(0.05))
        self.positions[str(partition)] = end
        return [partition, begin, end]

    def _body(
        self,
        deltas: list[dict[str, Any]],
        file: dict[str, Any],
        rejects: dict[str, Any],
        took_ms: int,
    ) -> dict[str, Any]:
        counts = {
            name: sum(delta[name] for delta in deltas) for name in ("events", "learned", "rejected")
        }
        newest_ms = self._cut_ms - self._random.randrange(10, 60)
        return {
            "counts": counts | {"refused": 0},
            "deltas": deltas,
            "empty": [],
            "event_time_ms": [newest_ms - took_ms, newest_ms],
            "files": [file],
            "prequential": {"ctr": self._sums(counts["learned"])},
            "rejects": rejects,
        }

    def _reject(self, store: Store, delta: dict[str, Any]) -> dict[str, Any]:
        if self._random.random() > REJECTING:
            return {"file": None, "reasons": {}}
        delta["rejected"], delta["learned"] = 1, delta["learned"] - 1
        line = self._random.randbytes(self._random.randrange(100, 300))
        ref = store.stage("rejects", line)
        file = {"bytes": ref.bytes, "sha256": ref.sha256}
        return {"file": file, "reasons": {self._random.choice(("not_json", "missing_label")): 1}}

    def _file(
        self, store: Store, schemas: Schemas, version: int, before: Mapping[str, int]
    ) -> dict[str, Any]:
        rows = np.unique(np.random.default_rng(version).integers(0, 1000, ROWS_MAX, np.uint64))
        add = np.ones((len(rows), 2), np.int64)
        changes = {"popularity.counts": Changes(rows, add)}
        ref = store.stage(
            "delta", DeltaFile("events", self._run, dict(before), changes).encode(schemas)
        )
        return {
            "bytes": ref.bytes,
            "replica": version - 1,
            "rows": {"popularity.counts": len(rows)},
            "seqs": {str(worker): seq for worker, seq in self._seqs.items()},
            "sha256": ref.sha256,
            "shard": 0,
            "shards": 1,
            "time_ms": self._cut_ms,
        }

    def _sums(self, events: int) -> dict[str, Any]:
        labels = int(self._random.gauss(0.2 * events, (0.16 * events) ** 0.5))
        return {
            "events": events,
            "labels": float(labels),
            "log_loss": events * self._random.gauss(0.42, 0.01),
            "predictions": events * self._random.gauss(0.2, 0.005),
            "squared_error": events * self._random.gauss(0.13, 0.003),
            "weight": float(events),
        }
