"""Which version is wanted: the one of a time, or one that has certain events."""

from collections.abc import Mapping
from datetime import UTC, datetime

from strandline.errors import StoreError, WrongUsage
from strandline.manifest import Manifest
from strandline.store.base import Store
from strandline.store.chain import read_manifest

Positions = Mapping[str, Mapping[int, int]]
"""By stream and partition, the position of the next event: one more than the newest that is in."""


def positions_of(manifest: Manifest) -> Positions:
    """Return where the streams of a version stand."""
    return {
        name: {int(partition): at for partition, at in entry.positions.items()}
        for name, entry in manifest.streams.items()
    }


def missing(positions: Positions, wanted: Positions) -> Positions:
    """Return what of the wanted positions is not reached.

    Examples
    --------
    >>> missing({"events": {0: 7, 1: 3}}, {"events": {0: 7, 1: 4}})
    {'events': {1: 4}}
    """
    found = {
        stream: {
            partition: at
            for partition, at in partitions.items()
            if positions.get(stream, {}).get(partition, 0) < at
        }
        for stream, partitions in wanted.items()
    }
    return {stream: partitions for stream, partitions in found.items() if partitions}


def version_as_of(store: Store, as_of: datetime) -> int:
    """Return the newest version that is not later than this time.

    A version's time is that of its epoch's end, by the clock of the machine that ended it. Where
    clocks stepped back, the answer is a version of that time whose next one is later.

    Raises
    ------
    WrongUsage
        If the time says no time zone.
    StoreError
        If the store has no version that old.
    """
    if as_of.tzinfo is None:
        raise WrongUsage(
            f"as_of is {as_of.isoformat()} without a time zone, expected one, as in"
            f" {as_of.isoformat()}+00:00"
        )
    wanted_ms = as_of.timestamp() * 1000
    first, last = store.history_begins(), store.head()
    if read_manifest(store, first).time_ms > wanted_ms:
        oldest = datetime.fromtimestamp(read_manifest(store, first).time_ms / 1000, UTC)
        raise StoreError(
            f"{store.url} has no version as of {as_of.isoformat()}: its oldest, version {first}, is"
            f" of {oldest.isoformat()}"
        )
    while first < last:  # version `first` is not later than the time
        middle = (first + last + 1) // 2
        if read_manifest(store, middle).time_ms <= wanted_ms:
            first = middle
        else:
            last = middle - 1
    return first
