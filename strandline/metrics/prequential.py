"""Sums over predictions that were made before their events were learned."""

import math
from collections.abc import Iterable

from strandline.manifest import Prequential


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
    return all(map(math.isfinite, values))
