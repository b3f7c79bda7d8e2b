"""An independent reading of a topic: what a store must hold after the events of some offsets.

It counts `lost` and `duplicated` for the demo and for tests, so it shares neither decoding nor
counting with what it checks.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from strandline.errors import EnvironmentUnfit
from strandline.spec import Spec
from strandline_flink.dev.quick_events import EventReader

Record = tuple[int, int, bytes | None]
"""(partition, offset, value)"""
Ranges = Mapping[int, tuple[int, int]]
"""partition -> offsets [from, to)"""

POLL_S: Final = 0.05
POLL_RECORDS: Final = 5000
CONSUMER: Final = {
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.partition.eof": True,  # a partition may end with what is no record
    "group.id": "strandline-reading",  # the client asks for one; nothing is joined or committed
    "isolation.level": "read_committed",
}


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
    read = EventReader(spec, feature).read
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
        found = read(record)
        if found is None:
            malformed += 1
            continue
        for text in found.values:
            seen, positives = counts.get(text, (0, 0))
            counts[text] = (seen + 1, positives + found.positive)
    return Reading(events, malformed, counts)


def read_topic(
    bootstrap: str,
    topic: str,
    ranges: Ranges,
    *,
    timeout_s: float = 60.0,
    options: Mapping[str, Any] | None = None,
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
    options : mapping, optional
        More of librdkafka's settings, for instance its security.

    Raises
    ------
    EnvironmentUnfit
        If the broker does not give all of it in time, or no longer has it.
    """
    ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
    deadline_s = time.monotonic() + timeout_s
    consumer = Consumer(
        {
            **CONSUMER,
            **(options or {}),
            "bootstrap.servers": bootstrap,
            "error_cb": lambda _: None,  # a broker that is away shows in the time that it takes
        },
        logger=logging.getLogger("kafka"),
    )
    try:
        consumer.assign([TopicPartition(topic, each, ranges[each][0]) for each in ends])
        positions = {each: ranges[each][0] for each in ends}
        yield from _poll(consumer, positions, ends, deadline_s, f"{topic} at {bootstrap}")
    except KafkaException as error:
        raise EnvironmentUnfit(
            f"cannot read {topic} at {bootstrap}: {error.args[0].str()}. Is the broker up, and does"
            f" it still hold the offsets {dict(ranges)}?"
        ) from error
    finally:
        consumer.close()


def _poll(
    consumer: Consumer,
    positions: dict[int, int],
    ends: Mapping[int, int],
    deadline_s: float,
    where: str,
) -> Iterator[Record]:
    """Yield records and move the positions, until each has come to its end."""
    pending = set(ends)
    while pending:
        if time.monotonic() > deadline_s:
            come = {each: positions[each] for each in sorted(pending)}
            wanted = {each: ends[each] for each in sorted(pending)}
            raise EnvironmentUnfit(
                f"the reading of {where} came to offsets {come} in time, expected {wanted}: give it"
                " longer, or look for a broker that is away or an open transaction that holds the"
                " readers back"
            )
        for message in consumer.consume(POLL_RECORDS, POLL_S):
            partition, offset, error = message.partition(), message.offset(), message.error()
            if partition not in pending:
                continue
            if error is None and offset < ends[partition]:
                positions[partition] = offset + 1
                yield partition, offset, message.value()
            elif error is None or error.code() == KafkaError._PARTITION_EOF:
                positions[partition] = offset
            else:
                raise KafkaException(error)
            if positions[partition] >= ends[partition]:
                pending.discard(partition)


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
