"""The sums of one batch's predictions, with the same bits on every machine."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.arrays import read_only
from strandline.kernels.compiling import kernel
from strandline.kernels.logarithm import log
from strandline.manifest import Prequential

PREDICTION_MIN: Final = 1e-7  # a prediction of exactly 0 or 1 would make one loss infinite
_PREDICTION_MAX: Final = 1 - PREDICTION_MIN

Floats = NDArray[np.float32]


def prequential_sums(
    predictions: Floats, labels: Floats, weights: Floats, *, probabilities: bool = True
) -> Prequential:
    """Sum one batch, in its order; all arrays have one entry per event.

    `log_loss` is Σ -w (y ln p + (1 - y) ln(1 - p)) in nats, with p kept within 1e-7 of 0 and 1, or
    None if predictions are no `probabilities`; `squared_error` is Σ w (p - y)², `labels` Σ w y,
    `predictions` Σ w p, `weight` Σ w, `events` the count. A sum over predictions that are not
    finite is not finite.

    >>> half = np.full(2, 0.5, np.float32)
    >>> sums = prequential_sums(half, np.array([0, 1], np.float32), np.ones(2, np.float32))
    >>> round(sums.log_loss / sums.weight, 6)
    0.693147
    """
    p, y, w = (read_only(values, np.float32) for values in (predictions, labels, weights))
    assert len(p) == len(y) == len(w), "columns differ in length"
    label, loss, predicted, squared_error, weight = _sums(p, y, w)
    return Prequential(
        events=len(p),
        labels=label,
        log_loss=loss if probabilities else None,
        predictions=predicted,
        squared_error=squared_error,
        weight=weight,
    )


@kernel
def _sums(
    predictions: Floats, labels: Floats, weights: Floats
) -> tuple[float, float, float, float, float]:
    """Return the sums of labels, losses, predictions, squared errors and weights.

    The first loop has no order, so that the processor takes several logarithms at once.
    """
    losses = np.empty(len(predictions))
    for at in range(len(predictions)):
        p = float(predictions[at])
        p = PREDICTION_MIN if p < PREDICTION_MIN else p  # NaN stays
        p = _PREDICTION_MAX if p > _PREDICTION_MAX else p
        y = float(labels[at])
        losses[at] = -(y * log(p) + (1.0 - y) * log(1.0 - p))
    label, loss, predicted, squared_error, weight = 0.0, 0.0, 0.0, 0.0, 0.0
    for at in range(len(predictions)):
        p, y, w = float(predictions[at]), float(labels[at]), float(weights[at])
        label += w * y
        loss += w * losses[at]
        predicted += w * p
        squared_error += w * ((p - y) * (p - y))
        weight += w
    return label, loss, predicted, squared_error, weight
