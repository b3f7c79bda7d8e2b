"""FTRL-Proximal one number at a time, in plain Python: slow and obvious.

Python floats are float64; `float32` rounds to the nearest float32 as a store does. It agrees with
the kernel bit for bit, since both call the C library's `exp` and `sqrt` and add in one order.
"""

import math
import struct
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

BIAS_FIELD = 65_535

Event = tuple[list[tuple[int, int, float]], float, float]
"""Entries (key, field, value), label, weight."""


def float32(x: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


@dataclass
class Record:
    """What an epoch did to one slot."""

    start: tuple[float, float]
    contraction: float = 0.0
    touches: int = 0


@dataclass
class Oracle:
    alpha: float = 0.05
    beta: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
    bits: int = 18
    fields: frozenset[int] | None = None
    state: dict[int, tuple[float, float]] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)

    def rate(self, n: float) -> float:
        return self.alpha / (math.sqrt(n) + (self.beta + self.alpha * self.l2))

    def weight(self, z: float, n: float) -> float:
        if abs(z) <= self.l1:
            return 0.0
        return -(z - math.copysign(self.l1, z)) * self.rate(n)

    def entries(self, event: Event) -> list[tuple[int, float]]:
        """Return (slot, value) of the entries that count."""
        return [
            (key % 2**self.bits, value)
            for key, of, value in event[0]
            if self.fields is None or of in self.fields or of == BIAS_FIELD
        ]

    def predict(self, event: Event) -> float:
        margin = 0.0
        for slot, x in self.entries(event):
            margin += self.weight(*self.state.get(slot, (0.0, 0.0))) * x
        return sigmoid(margin)

    def learn(self, event: Event) -> float:
        entries, (_, label, scale) = self.entries(event), event
        p = self.predict(event)
        weights = {slot: self.weight(*self.state.get(slot, (0.0, 0.0))) for slot, _ in entries}
        curvature = 0.0
        for slot, x in entries:
            curvature += x * x * self.rate(self.state.get(slot, (0.0, 0.0))[1])
        for slot in weights:
            record = self.records.setdefault(slot, Record(self.state.get(slot, (0.0, 0.0))))
            record.contraction += p * (1 - p) * scale * curvature
            record.touches += 1
        for slot, x in entries:
            z, n = self.state.get(slot, (0.0, 0.0))
            g = (p - label) * scale * x
            grown = float32(n + g * g)
            shift = (math.sqrt(grown) - math.sqrt(n)) * (1.0 / self.alpha) * weights[slot]
            self.state[slot] = (float32(z + g - shift), grown)
        return float32(p)


def sigmoid(x: float) -> float:
    """Operation by operation as in `strandline.kernels.exponential`, its table made anew."""
    x = min(max(-x, -708.0), 708.0)
    k = round(x * (128 * 1.4426950408889634))
    near = float(k)
    high, low = float.fromhex("0x1.62e42fefap-8"), float.fromhex("0x1.cf79abc9e3b39p-47")
    r = (x - near * high) - near * low
    with localcontext() as context:
        context.prec = 60
        exact = (Decimal(2).ln() * (k % 128) / 128).exp()
        power = float(exact)
        missing = float(exact / Decimal(power) - 1)
    square = r * r
    low = missing + r + square * (1 / 2 + r * (1 / 6))
    e = power + power * (low + square * square * (1 / 24 + r * (1 / 120)))
    return 1.0 / (1.0 + math.ldexp(e, k // 128))
