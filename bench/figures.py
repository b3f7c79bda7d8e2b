"""Medians and spreads. Contenders take turns, so ratios are made within a turn."""

from collections.abc import Sequence
from statistics import median
from typing import TypedDict


class Summary(TypedDict):
    """The middle and the ends of repeated measurements."""

    median: float
    min: float
    max: float
    runs: int


def summary(values: Sequence[float]) -> Summary:
    """Return median, smallest, largest and number of the values.

    >>> summary([3.0, 1.0, 2.0])
    {'median': 2.0, 'min': 1.0, 'max': 3.0, 'runs': 3}
    """
    return {"median": median(values), "min": min(values), "max": max(values), "runs": len(values)}


def ratio(values: Sequence[float], others: Sequence[float]) -> Summary:
    """Return the summary of value / other of each turn.

    What slows the machine for a while slows both contenders of a turn, and cancels out.

    >>> ratio([2.0, 6.0, 3.0], [1.0, 2.0, 1.0])["median"]
    3.0
    """
    return summary([value / other for value, other in zip(values, others, strict=True)])
