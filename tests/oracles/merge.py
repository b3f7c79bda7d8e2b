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
    c = len(parts)
    if c == 1:
        return z + parts[0].dz, n + q
    w = 0.0 if abs(z) <= l1 else -(z - math.copysign(l1, z)) / denominator(n)
    touching = sum(p.touches for p in parts) / events
    s = q / denominator(n + q / c) + touching**0.25 * math.fsum(p.contraction for p in parts)
    summed = w + math.fsum(p.dw for p in parts)
    mean = math.fsum(x for p in parts for x in (p.start, p.dw)) / c
    w = (summed + s * mean) / (1 + s)
    if w == 0:
        return merged_sum(z, n, parts)
    n += ((1 + s / c) / (1 + s)) ** 2 * q
    return -w * denominator(n) - math.copysign(l1, w), n
