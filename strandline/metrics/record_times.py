"""Whether the times of records can be what they must be: milliseconds since 1970."""

from typing import Final

_SECONDS_MAX: Final = 10**11  # in 1973 as milliseconds, in the year 5138 as seconds
_FACTORS: Final = (("microseconds", 1000), ("nanoseconds", 1_000_000))


def wrong_unit(time_ms: int, now_ms: int) -> str | None:
    """Return the unit that a record's time has in place of milliseconds, None if it looks right.

    >>> now_ms = 1_796_130_000_000
    >>> [wrong_unit(t, now_ms) for t in (0, now_ms, now_ms // 1000, now_ms * 1000, now_ms * 10**6)]
    [None, None, 'seconds', 'microseconds', 'nanoseconds']
    """
    if 0 < time_ms < _SECONDS_MAX:
        return "seconds"
    found = None
    for unit, factor in _FACTORS:
        if time_ms > now_ms * factor // 2:
            found = unit
    return found


def words(unit: str, time_ms: int) -> str:
    """Say what is wrong, and what to do."""
    return (
        f"the newest record's time is {time_ms}: that looks like {unit}, expected milliseconds"
        " since 1970, so freshness is unknown; nothing that is learned depends on it: set"
        " the records' timestamps in milliseconds where they are produced"
    )
