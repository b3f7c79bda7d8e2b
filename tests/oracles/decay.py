"""Decayed counts the slow way: every row is multiplied in every version."""

from collections.abc import Iterable, Mapping

Counted = Mapping[int, tuple[int, int]]


def decayed(
    versions: Iterable[tuple[int, Counted]], half_life_ms: float
) -> dict[int, tuple[float, float]]:
    """Return the counts per key at the last of the (time, counts) of versions, oldest first."""
    found: dict[int, tuple[float, float]] = {}
    before_ms: int | None = None
    for time_ms, counted in versions:
        share = 1.0 if before_ms is None else 0.5 ** ((time_ms - before_ms) / half_life_ms)
        found = {
            key: (events * share, positives * share) for key, (events, positives) in found.items()
        }
        for key, (events, positives) in counted.items():
            old = found.get(key, (0.0, 0.0))
            found[key] = old[0] + events, old[1] + positives
        before_ms = time_ms
    return found
