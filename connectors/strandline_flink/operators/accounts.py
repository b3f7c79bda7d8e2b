"""What the Python operators say of their epochs, for Flink's metrics and the log.

The names are those of `docs/observability.md`. An account travels in-band to the Java operator
behind (`Accounts`): that works in both modes, and costs one element per epoch.
"""

from time import perf_counter_ns
from types import TracebackType

import msgspec

from strandline.learning.joining import PreparedShard
from strandline.learning.merger import CutTimes
from strandline.learning.worker_delta import WorkerDelta


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch of one operator.

    `of` tells it from other accounts and is only logged; `counts` add up from epoch to epoch;
    `gauges` are those of the newest epoch.
    """

    operator: str
    of: dict[str, str | int]
    counts: dict[str, int]
    gauges: dict[str, int]


class Stopwatch:
    """Adds up the time spent in `with` blocks."""

    def __init__(self) -> None:
        self._spent_ns = 0

    def __enter__(self) -> None:
        self._begun_ns = perf_counter_ns()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spent_ns += perf_counter_ns() - self._begun_ns

    def take_ms(self) -> int:
        """Return the whole milliseconds spent, and begin again at 0."""
        spent_ms, self._spent_ns = self._spent_ns // 1_000_000, 0
        return spent_ms


def of_worker(stream: str, checkpoint: int, delta: WorkerDelta, learn_ms: int) -> Account:
    """The account of a delta that holds events."""
    tables = delta.tables.values()
    return Account(
        operator="worker",
        of={"stream": stream, "worker": delta.worker, "seq": delta.seq},
        counts={
            "events": delta.events,
            "learned": delta.learned,
            "rejected": delta.rejected,
            "refused": delta.events - delta.learned - delta.rejected,
            "delta_rows": sum(len(table.rows) for table in tables),
            "delta_bytes": sum(table.nbytes for table in tables),
        },
        gauges={"epoch": checkpoint, "adopted": delta.adopted, "learn_ms": learn_ms},
    )


def of_merger(stream: str, checkpoint: int, prepared: PreparedShard, times: CutTimes) -> Account:
    """The account of a cut that holds events."""
    files = prepared.files
    return Account(
        operator="merger",
        of={"stream": stream, "run": prepared.run, "shard": prepared.shard.number},
        counts={
            "delta_rows": sum(sum(file.rows.values()) for file in files),
            "delta_bytes": sum(file.bytes for file in files),
        },
        gauges={
            "epoch": checkpoint,
            "adopted": max((file.replica for file in files), default=prepared.start),
            "merge_ms": times.merge_ms,
            "prepare_ms": times.prepare_ms,
        },
    )
