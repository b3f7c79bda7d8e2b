"""Sums over predictions that were made before their events were learned."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.manifest import Prequential

PREDICTION_MIN: Final = 1e-7  # a prediction of exactly 0 or 1 would make one loss infinite


def prequential_sums(
    predictions: NDArray[np.float32], labels: NDArray[np.float32], weights: NDArray[np.float32]
) -> Prequential:
    """Sum one batch; all arrays have one entry per event, predictions are probabilities.

    `log_loss` is Σ -w (y ln p + (1 - y) ln(1 - p)) in nats, with p kept within 1e-7 of 0 and 1;
    `labels` is Σ w y, `predictions` Σ w p, `weight` Σ w, `events` the count. A sum over
    predictions that are not finite is not finite.

    >>> half = np.full(2, 0.5, np.float32)
    >>> sums = prequential_sums(half, np.array([0, 1], np.float32), np.ones(2, np.float32))
    >>> round(sums.log_loss / sums.weight, 6)
    0.693147
    """
    p, y, w = (values.astype(np.float64) for values in (predictions, labels, weights))
    kept = np.clip(p, PREDICTION_MIN, 1 - PREDICTION_MIN)
    loss = -(y * np.log(kept) + (1 - y) * np.log1p(-kept))
    return Prequential(
        events=len(p),
        labels=float(np.sum(w * y)),
        log_loss=float(np.sum(w * loss)),
        predictions=float(np.sum(w * p)),
        weight=float(np.sum(w)),
    )


def add_sums(parts: Iterable[Prequential]) -> Prequential:
    """Add sums of disjoint sets of events, in the order given."""
    events, labels, log_loss, predictions, weight = 0, 0.0, 0.0, 0.0, 0.0
    for part in parts:
        events += part.events
        labels += part.labels
        log_loss += part.log_loss
        predictions += part.predictions
        weight += part.weight
    return Prequential(
        events=events, labels=labels, log_loss=log_loss, predictions=predictions, weight=weight
    )


def is_finite(sums: Prequential) -> bool:
    """Whether every sum is a finite number."""
    values = (sums.labels, sums.log_loss, sums.predictions, sums.weight)
    return bool(np.isfinite(values).all())
