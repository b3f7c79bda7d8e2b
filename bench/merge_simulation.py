"""Workers, merger and published versions of one FTRL table in one process, without files.

The learner, the deltas, `merge_table` and the application of changes are the library's own. What a
cluster adds is only when a worker sees a version: `delay` 1 means that at an epoch's begin a
worker stands on the version that holds every epoch before, `delay` 2 that this version misses the
last one, of which the worker has its own delta only. Flink's timing is mostly the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.learning_streams import select
from strandline.features import Batch
from strandline.learners.ftrl import Ftrl
from strandline.manifest import Prequential
from strandline.merge import WorkerChange
from strandline.metrics.prequential import add_sums
from strandline.metrics.scoring import prequential_sums
from strandline.spec import FtrlSpec
from strandline.tables.changes import Changes, TableDelta
from strandline.tables.table import DenseTable, Table

Rule = Callable[[Ftrl, Table, Sequence[WorkerChange], int], Changes]
"""(learner, merger's parameters, parts, events of the epoch) -> change."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a stream is learned."""

    workers: int
    epoch_events: int
    delay: int
    alpha: float
    bits: int = 18


@dataclass(frozen=True, slots=True)
class Served:
    """What the published versions predicted of the epoch that came next, second half only."""

    log_loss: float
    calibration: float  # Σ p / Σ y

    @staticmethod
    def of(sums: Prequential) -> "Served":
        """Divide the sums."""
        assert sums.log_loss is not None, "FTRL predicts probabilities"
        return Served(sums.log_loss / sums.weight, sums.predictions / max(sums.labels, 1.0))


def simulate(stream: Batch, setting: Setting, rule: Rule) -> Served:
    """Learn a stream and return how well its published versions served it."""
    spec = FtrlSpec(features=("any",), alpha=setting.alpha, bits=setting.bits)
    learner = Ftrl("ctr", spec, range(64))
    (schema,) = learner.tables
    adopted, merged = DenseTable(schema), DenseTable(schema)
    local = DenseTable(schema)  # `adopted`, but for the rows of the worker at work
    own: list[TableDelta | None] = [None] * setting.workers
    unseen: Changes | None = None  # merged, and not adopted yet
    sums = []
    for begin in range(0, stream.rows, setting.epoch_events):
        rows = np.arange(begin, min(begin + setting.epoch_events, stream.rows))
        learner.bind({schema.name: merged})
        if begin >= stream.rows // 2:
            events = select(stream, rows)
            sums.append(prequential_sums(learner.predict(events), events.labels, events.weights))
        parts = []
        for worker in range(setting.workers):
            mine = rows[worker :: setting.workers]
            pending = own[worker]
            if pending is not None:
                local.add(pending.rows, pending.values)
            learner.bind({schema.name: local})
            learner.learn(select(stream, mine))
            delta = learner.take_delta()[schema.name]
            for touched in (delta, pending):
                if touched is not None:
                    local.assign(touched.rows, adopted.gather(touched.rows))
            parts.append(WorkerChange(worker, len(mine), delta))
        change = rule(learner, merged, parts, len(rows))
        merged.add(change.rows, change.values)
        if setting.delay == 2:
            unseen, change = change, unseen
            own = [part.delta for part in parts]
        if change is not None:
            for table in (adopted, local):
                table.add(change.rows, change.values)
    return Served.of(add_sums(sums))
