"""FTRL-Proximal one number at a time, in plain Python: slow and obvious.

Python floats are float64; `float32` rounds to the nearest float32 as a store does. It agrees with
the kernel bit for bit, since both call the C library's `exp` and `sqrt` and add in one order.
"""

import math
import struct
from dataclasses import dataclass, field

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
        return 1.0 / (1.0 + exp(-margin))

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


def exp(x: float) -> float:
    """fdlibm's formula, operation by operation as in `strandline.kernels.exponential`."""
    if x > 710.0:
        return math.inf
    if x < -746.0:
        return 0.0
    k = round(x * 1.4426950408889634)
    high, low = x - k * 0.6931471803691238, k * 1.9082149292705877e-10
    r = high - low
    t = r * r
    c = r - t * (
        0.16666666666666602
        + t
        * (
            -0.0027777777777015593
            + t
            * (6.613756321437934e-05 + t * (-1.6533902205465252e-06 + t * 4.1381367970572385e-08))
        )
    )
    return math.ldexp(1.0 - ((low - r * c / (2.0 - c)) - high), k)
