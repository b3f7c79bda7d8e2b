"""Streams to measure merge rules on: decoded events, drawn from a seed.

=========  ==================================================================================
stream     what it asks of a rule
=========  ==================================================================================
clicks     13 numbers and 26 categories by Zipf's law, one event in five is a click
rare       5 clicks in 1,000 events, 12 categories of few values: every row is hot
drift      10 of 12 categories change sign half way, 4 clicks in 100
sensors    20 numbers that all events share: dense rows only
tail       20 categories of up to a million values, hardly any of them frequent
mixed      4 numbers, 8 categories by a steep law, 2 of them change sign half way
=========  ==================================================================================

Rules were chosen on the first four with seeds 7 and 11; the others, and other seeds, are held out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.features import BIAS_FIELD, Batch

Floats = NDArray[np.float64]

_BIAS_KEY: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class _World:
    """What the events of a stream are drawn from."""

    numbers: int
    values: tuple[int, ...]  # per category, how many there are
    zipf: float
    bias: float
    number_scale: float
    category_scale: float
    flipping: int = 0  # so many categories change sign half way


_CARDINALITIES: Final = (20, 60, 200, 1_000, 5_000, 50_000)

WORLDS: Final = {
    "clicks": _World(13, tuple(_CARDINALITIES[i % 6] for i in range(26)), 1.1, -1.9, 0.25, 0.25),
    "rare": _World(0, (3, 5, 8, 10, 12, 20, 30, 34, 40, 60, 80, 100), 1.1, -5.6, 0.0, 0.25),
    "drift": _World(0, (20,) * 6 + (200,) * 6, 1.3, -3.8, 0.0, 0.4, flipping=10),
    "sensors": _World(20, (), 1.0, -0.5, 0.3, 0.0),
    "tail": _World(0, (1_000, 30_000, 1_000_000, 200) * 5, 1.05, -2.5, 0.0, 0.3),
    "mixed": _World(4, (10, 100, 1_000, 10_000) * 2, 1.5, -3.0, 0.3, 0.5, flipping=2),
}
TUNED_ON: Final = ("clicks", "rare", "drift", "sensors")


def draw(name: str, events: int, seed: int) -> Batch:
    """Return the events of a stream; label 1 with the probability of a logistic model."""
    world = WORLDS[name]
    rng = np.random.default_rng([seed, events])
    fields = world.numbers + len(world.values)
    values = np.ones((events, fields + 1), np.float32)
    keys = np.empty((events, fields + 1), np.uint64)
    logit = np.full(events, world.bias)
    for field in range(world.numbers):
        drawn = rng.normal(0.0, 1.0, events)
        values[:, field], keys[:, field] = drawn, _key(field, np.zeros(1, np.int64))
        logit += world.number_scale * rng.normal() * drawn
    sign = np.where(np.arange(events) < events // 2, 1.0, -1.0)
    for place, count in enumerate(world.values):
        field = world.numbers + place
        drawn_values = _zipf(rng, count, world.zipf, events)
        keys[:, field] = _key(field, drawn_values)
        effect = world.category_scale * rng.normal(0.0, 1.0, count)[drawn_values]
        logit += effect * sign if place < world.flipping else effect
    keys[:, -1] = _BIAS_KEY
    order = np.append(np.arange(fields), BIAS_FIELD).astype(np.uint16)
    return Batch(
        keys=keys.reshape(-1),
        fields=np.tile(order, events),
        values=values.reshape(-1),
        starts=np.arange(events + 1, dtype=np.int64) * (fields + 1),
        labels=(rng.random(events) < 1.0 / (1.0 + np.exp(-logit))).astype(np.float32),
        weights=np.ones(events, np.float32),
    )


def select(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """Return the events with these indices, in the given order."""
    counts = np.diff(batch.starts)[rows]
    starts = np.concatenate(([0], np.cumsum(counts)))
    entries = np.arange(starts[-1]) + np.repeat(batch.starts[rows] - starts[:-1], counts)
    return Batch(
        keys=batch.keys[entries],
        fields=batch.fields[entries],
        values=batch.values[entries],
        starts=starts,
        labels=batch.labels[rows],
        weights=batch.weights[rows],
    )


def _key(field: int, values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return well-mixed 64-bit keys (the finalizer of SplitMix64)."""
    x = values.astype(np.uint64) + np.uint64(field << 32) + np.uint64(1)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def _zipf(rng: np.random.Generator, count: int, exponent: float, events: int) -> NDArray[np.int64]:
    weights = 1.0 / np.arange(1, count + 1) ** exponent
    until = np.cumsum(weights) / weights.sum()
    return np.minimum(np.searchsorted(until, rng.random(events)), count - 1)
