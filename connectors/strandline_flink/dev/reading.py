"""An independent reading of a topic: what a store must hold after the events of some offsets.

It counts `lost` and `duplicated` for the demo and for tests, so it shares neither decoding nor
counting with what it checks.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from strandline.errors import EnvironmentUnfit
from strandline.spec import Category, Spec
from strandline_flink.dev.plain_events import read_event

Record = tuple[int, int, bytes | None]
"""(partition, offset, value)"""
Ranges = Mapping[int, tuple[int, int]]
"""partition -> offsets [from, to)"""

POLL_MS: Final = 200
POLL_RECORDS: Final = 5000


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in a topic: events in all, malformed ones, and (events, positives) per value.

    An event counts once for each distinct value of the category; it is positive when its label
    is above 0.
    """

    events: int
    malformed: int
    counts: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Sums over all values of what the store holds too little (lost) or too much (duplicated)."""

    lost: int
    duplicated: int
    positives_lost: int
    positives_duplicated: int

    @property
    def none(self) -> bool:
        """Whether the store holds exactly what was read."""
        return not (
            self.lost or self.duplicated or self.positives_lost or self.positives_duplicated
        )


def read_counts(records: Iterable[Record], ranges: Ranges, spec: Spec, feature: str) -> Reading:
    """Count the records within `ranges` by the values of one category.

    Raises
    ------
    ValueError
        If the offsets of a partition do not ascend: a record read twice would count twice.
    """
    category = spec.features[feature]
    assert isinstance(category, Category), f"{feature} is a category"
    events = malformed = 0
    counts: dict[str, tuple[int, int]] = {}
    last: dict[int, int] = {}
    for partition, offset, record in records:
        if offset <= last.get(partition, -1):
            raise ValueError(f"partition {partition}: offset {offset} after {last[partition]}")
        last[partition] = offset
        first, end = ranges.get(partition, (0, 0))
        if not first <= offset < end:
            continue
        events += 1
        values = read_event(record, spec)
        if values is None:
            malformed += 1
            continue
        positive = int(values[spec.label.path] > 0)
        for text in set(values[category.path]):
            seen, positives = counts.get(text, (0, 0))
            counts[text] = (seen + 1, positives + positive)
    return Reading(events, malformed, counts)


def read_topic(
    bootstrap: str,
    topic: str,
    ranges: Ranges,
    *,
    timeout_s: float = 60.0,
    client_options: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Yield the committed records of a topic within `ranges`, offsets ascending per partition.

    Parameters
    ----------
    bootstrap : str
        `host:port` of the broker.
    topic : str
        Name of the topic.
    ranges : mapping of partition to (from, to)
        Half-open; holes of aborted transactions and of compaction are skipped.
    timeout_s : float
        For the whole reading, in seconds.
    client_options : mapping, optional
        More options for kafka-python's consumer, for instance its security.

    Raises
    ------
    EnvironmentUnfit
        If the broker does not give all of it in time, or no longer has it.
    """
    ends = {TopicPartition(topic, p): end for p, (first, end) in ranges.items() if first < end}
    deadline = time.monotonic() + timeout_s
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            bootstrap_timeout_ms=int(timeout_s * 1000),
            **(client_options or {}),
        )
        try:
            consumer.assign(list(ends))
            for place in ends:
                consumer.seek(place, ranges[place.partition][0])
            yield from _poll(consumer, ends, deadline)
        finally:
            consumer.close()
    except KafkaError as error:
        raise EnvironmentUnfit(
            f"cannot read {topic} at {bootstrap}: {error!r}. Is the broker up, and does it still "
            f"hold the offsets {dict(ranges)}?"
        ) from error


def _poll(
    consumer: KafkaConsumer, ends: dict[TopicPartition, int], deadline: float
) -> Iterator[Record]:
    pending = dict(ends)
    while pending:
        if time.monotonic() > deadline:
            places = {place.partition: consumer.position(place) for place in pending}
            wanted = {place.partition: end for place, end in pending.items()}
            raise EnvironmentUnfit(
                f"the reading came to offsets {places} in time, expected {wanted}: give it longer, "
                "or look for an open transaction that holds the readers back"
            )
        for place, records in consumer.poll(POLL_MS, max_records=POLL_RECORDS).items():
            for record in records:
                if record.offset < ends[place]:
                    yield record.partition, record.offset, record.value
        for place in [p for p, end in pending.items() if consumer.position(p) >= end]:
            del pending[place]
            consumer.pause(place)


def compare(
    reading: Reading, rows: NDArray[np.uint64], values: NDArray[np.int64], feature: str
) -> Difference:
    """Compare a reading with a store's counts.

    Parameters
    ----------
    reading : Reading
        Of exactly the events that the store's positions cover.
    rows : uint64 [n]
        Row ids of the counts table: XXH64(utf8(value), seed XXH64(utf8(feature), seed 0)).
    values : int64 [n, 2]
        Events and positives per row.
    feature : str
        Name of the category that is counted.
    """
    seed = xxh64_intdigest(feature.encode("utf-8"), 0)
    expected = {
        xxh64_intdigest(text.encode("utf-8"), seed): pair for text, pair in reading.counts.items()
    }
    stored = dict(zip(rows.tolist(), values.tolist(), strict=True))
    keys = list(expected.keys() | stored.keys())
    wanted = np.array([expected.get(key, (0, 0)) for key in keys], dtype=np.int64).reshape(-1, 2)
    found = np.array([stored.get(key, (0, 0)) for key in keys], dtype=np.int64).reshape(-1, 2)
    lost = np.maximum(wanted - found, 0).sum(axis=0).tolist()
    more = np.maximum(found - wanted, 0).sum(axis=0).tolist()
    return Difference(
        lost=lost[0], duplicated=more[0], positives_lost=lost[1], positives_duplicated=more[1]
    )
