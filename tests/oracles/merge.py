"""Merge rules one row at a time, in plain Python, written from the formulas."""

import math
from dataclasses import dataclass


@dataclass
class RowPart:
    """What one worker learned of one row, and the events it learned in all."""

    events: int
    dz: float
    dn: float
    dw: float = 0.0
    contraction: float = 0.0
    touches: int = 0
    start: float = 0.0


def gamma(s: float, workers: int) -> float:
    """The matched share, from its definition; s of at least 1e-6."""
    s = max(s, 1e-6)
    return math.expm1(-s) / (workers * math.expm1(-s / workers))


def merged_sum(z: float, n: float, parts: list[RowPart]) -> tuple[float, float]:
    return z + math.fsum(p.dz for p in parts), n + math.fsum(p.dn for p in parts)


def merged_mean(z: float, n: float, parts: list[RowPart], events: int) -> tuple[float, float]:
    """`events` are the epoch's; only workers that touched the row have a part."""
    return (
        z + math.fsum(p.events / events * p.dz for p in parts),
        n + math.fsum(p.events / events * p.dn for p in parts),
    )


Row = tuple[float, float]


def merged_max(values: list[Row]) -> Row:
    """An absent row is zero, so nothing is below it."""
    return max([0.0, *(a for a, _ in values)]), max([0.0, *(b for _, b in values)])


def merged_replace(values: list[Row]) -> Row:
    """`values` in worker order, the parameters first."""
    return values[-1] if values else (0.0, 0.0)


def merged_matched(
    z: float,
    n: float,
    parts: list[RowPart],
    events: int,
    *,
    alpha: float,
    beta: float,
    l1: float,
    l2: float,
) -> tuple[float, float]:
    def denominator(n: float) -> float:
        return (beta + math.sqrt(n)) / alpha + l2

    q = math.fsum(p.dn for p in parts)
    k = sum(p.touches for p in parts)
    contraction = math.fsum(p.contraction for p in parts)
    if len(parts) == 1:
        return z + parts[0].dz, n + q
    w = 0.0 if abs(z) <= l1 else -(z - math.copysign(l1, z)) / denominator(n)
    s = q / denominator(n + q) + math.sqrt(k / events) * contraction
    unseen = w - math.fsum(p.start for p in parts) / len(parts)
    w += gamma(s, len(parts)) * math.fsum(p.dw for p in parts) + math.expm1(-s) * unseen
    if w == 0:
        return merged_sum(z, n, parts)
    return -w * denominator(n + q) - math.copysign(l1, w), n + q
