"""Eight workers: `matched` learns nearly what one worker learns where `sum` overshoots."""

import numpy as np
from numpy.typing import NDArray

from strandline.features import BIAS_FIELD, Batch
from strandline.learners.ftrl import Ftrl
from strandline.learners.loading import empty_parameters
from strandline.merge import WorkerChange, merge_table
from strandline.spec import FtrlSpec

WORKERS = 8
EPOCHS = 10
EPOCH_EVENTS = 4000
FIELDS = 24


def make_epochs(seed: int) -> list[list[Batch]]:
    """Return, per epoch, each worker's share of a stream of skewed ids under a logistic model."""
    rng = np.random.default_rng(seed)
    rows = EPOCHS * EPOCH_EVENTS
    ids = rng.zipf(1.2, (rows, FIELDS)) % 5000
    weights = rng.normal(0, 0.35, (FIELDS, 5000))
    margin = weights[np.arange(FIELDS), ids].sum(axis=1) - 1.5
    labels = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    keys = np.column_stack((np.arange(FIELDS) * 5000 + ids, np.full(rows, 2**16 - 1)))
    fields = np.array([*range(FIELDS), BIAS_FIELD], np.uint16)
    width = FIELDS + 1

    def batch(events: NDArray[np.int64]) -> Batch:
        count = len(events)
        return Batch(
            keys=keys[events].astype(np.uint64).ravel(),
            fields=np.tile(fields, count),
            values=np.ones(count * width, np.float32),
            starts=np.arange(count + 1, dtype=np.int64) * width,
            labels=labels[events],
            weights=np.ones(count, np.float32),
        )

    return [
        [batch(np.arange(first + i, first + EPOCH_EVENTS, WORKERS)) for i in range(WORKERS)]
        for first in range(0, rows, EPOCH_EVENTS)
    ]


def log_loss(learner: Ftrl, batches: list[Batch]) -> float:
    losses = []
    for batch in batches:
        p = np.clip(learner.predict(batch).astype(np.float64), 1e-7, 1 - 1e-7)
        losses.append(-np.where(batch.labels > 0, np.log(p), np.log1p(-p)))
    return float(np.concatenate(losses).mean())


def published_loss(merge: str, epochs: list[list[Batch]], *, workers: int) -> float:
    """Return the mean log-loss of each version on the next epoch, over the second half."""
    spec = FtrlSpec(features=("a",), alpha=0.1, bits=16, merge=merge)  # type: ignore[arg-type]
    learner = Ftrl("ctr", spec, range(FIELDS))
    (schema,) = learner.tables
    published = empty_parameters({"ctr": learner})
    losses = []
    for epoch in epochs:
        learner.bind(published)
        losses.append(log_loss(learner, epoch))
        parts = []
        for i in range(workers):
            learner.bind({schema.name: published[schema.name].copy()})
            mine = epoch[i::workers]
            for batch in mine:
                learner.learn(batch)
            events = sum(batch.rows for batch in mine)
            parts.append(WorkerChange(i, events, learner.take_delta()[schema.name]))
        changes = merge_table(learner, schema, published[schema.name], parts, EPOCH_EVENTS)
        published[schema.name].add(changes.rows, changes.values)
    return float(np.mean(losses[EPOCHS // 2 :]))


def test_matched_stays_close_to_one_worker_and_sum_does_not() -> None:
    epochs = make_epochs(5)
    alone = published_loss("matched", epochs, workers=1)
    matched = published_loss("matched", epochs, workers=WORKERS)
    summed = published_loss("sum", epochs, workers=WORKERS)
    mean = published_loss("mean", epochs, workers=WORKERS)
    assert matched < 1.04 * alone
    assert matched < mean
    assert summed > 1.4 * alone
