"""Sums over predictions that were made before their events were learned."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.manifest import Prequential

PREDICTION_MIN: Final = 1e-7  # a prediction of exactly 0 or 1 would make one loss infinite


def prequential_sums(
    predictions: NDArray[np.float32],
    labels: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    probabilities: bool = True,
) -> Prequential:
    """Sum one batch; all arrays have one entry per event.

    `log_loss` is Σ -w (y ln p + (1 - y) ln(1 - p)) in nats, with p kept within 1e-7 of 0 and 1, or
    None if predictions are no `probabilities`; `squared_error` is Σ w (p - y)², `labels` Σ w y,
    `predictions` Σ w p, `weight` Σ w, `events` the count. A sum over predictions that are not
    finite is not finite.

    >>> half = np.full(2, 0.5, np.float32)
    >>> sums = prequential_sums(half, np.array([0, 1], np.float32), np.ones(2, np.float32))
    >>> round(sums.log_loss / sums.weight, 6)
    0.693147
    """
    p, y, w = (values.astype(np.float64) for values in (predictions, labels, weights))
    return Prequential(
        events=len(p),
        labels=float(np.sum(w * y)),
        log_loss=_log_loss(p, y, w) if probabilities else None,
        predictions=float(np.sum(w * p)),
        squared_error=float(np.sum(w * (p - y) ** 2)),
        weight=float(np.sum(w)),
    )


def add_sums(parts: Iterable[Prequential]) -> Prequential:
    """Add sums of disjoint sets of events, in the order given."""
    events, labels, predictions, squared_error, weight = 0, 0.0, 0.0, 0.0, 0.0
    log_loss: float | None = 0.0
    for part in parts:
        events += part.events
        labels += part.labels
        if log_loss is not None:
            log_loss = None if part.log_loss is None else log_loss + part.log_loss
        predictions += part.predictions
        squared_error += part.squared_error
        weight += part.weight
    return Prequential(
        events=events,
        labels=labels,
        log_loss=log_loss,
        predictions=predictions,
        squared_error=squared_error,
        weight=weight,
    )


def is_finite(sums: Prequential) -> bool:
    """Whether every sum is a finite number."""
    values = (sums.labels, sums.log_loss or 0.0, sums.predictions, sums.squared_error, sums.weight)
    return bool(np.isfinite(values).all())


def _log_loss(p: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> float:
    kept = np.clip(p, PREDICTION_MIN, 1 - PREDICTION_MIN)
    loss = -(y * np.log(kept) + (1 - y) * np.log1p(-kept))
    return float(np.sum(w * loss))
