"""Events into a topic at a given rate, every one acknowledged by all replicas."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from strandline.errors import EnvironmentUnfit

TICK_S: Final = 0.01
CHUNK_EVENTS_MAX: Final = 500
UNACKNOWLEDGED_CHUNKS_MAX: Final = 64
FLUSH_TIMEOUT_S: Final = 30
# Big batches are what makes the client fast; 5 ms are what an event waits for one. Compression
# would cost more than all the rest.
PRODUCER: Final = {
    "acks": "all",
    "batch_size": 131_072,
    "bootstrap_timeout_ms": 10_000,
    "linger_ms": 5,
    "max_block_ms": 10_000,
    "metrics_enabled": False,
}


def paced(
    events: Iterable[bytes | None], rate: float, stop: threading.Event
) -> Iterator[list[bytes | None]]:
    """Yield chunks of events, on average `rate` events a second, until `stop` is set.

    What a slow consumer of the chunks misses is caught up with; 0 means as fast as it can.
    """
    source = iter(events)
    begin_s = time.monotonic()
    yielded = 0
    while not stop.is_set():
        due = CHUNK_EVENTS_MAX
        if rate > 0:
            due = min(due, int((time.monotonic() - begin_s) * rate) - yielded)
        if due <= 0:
            stop.wait(max(TICK_S, 1 / rate))
            continue
        chunk = list(islice(source, due))
        if not chunk:
            return
        yield chunk
        yielded += len(chunk)
        if rate > 0:
            stop.wait(TICK_S)


def produce(
    bootstrap: str, topic: str, chunks: Iterable[list[bytes | None]], **settings: Any
) -> int:
    """Send chunks of events, each to the topic's next partition; return the events acknowledged.

    Raises `EnvironmentUnfit` if the broker cannot be reached, the topic does not exist, or an
    event is not acknowledged.
    """
    try:
        producer = KafkaProducer(bootstrap_servers=bootstrap, **PRODUCER, **settings)
    except KafkaError as error:
        raise EnvironmentUnfit(f"no Kafka broker answers at {bootstrap}: {error}") from error
    try:
        partitions = partitions_of(producer, topic, bootstrap)
        unacknowledged: deque[list[Any]] = deque()
        acknowledged = 0
        for index, chunk in enumerate(chunks):
            partition = partitions[index % len(partitions)]
            unacknowledged.append([send(producer, topic, partition, event) for event in chunk])
            while unacknowledged and (
                len(unacknowledged) > UNACKNOWLEDGED_CHUNKS_MAX or unacknowledged[0][-1].is_done
            ):
                acknowledged += confirm(unacknowledged.popleft())
        producer.flush(FLUSH_TIMEOUT_S)
        return acknowledged + sum(confirm(chunk) for chunk in unacknowledged)
    except KafkaError as error:
        raise EnvironmentUnfit(
            f"topic {topic} at {bootstrap} does not take events: {type(error).__name__}: {error}"
        ) from error
    finally:
        producer.close(timeout=FLUSH_TIMEOUT_S)


def partitions_of(producer: KafkaProducer, topic: str, bootstrap: str) -> list[int]:
    """Return the topic's partitions. Raises `EnvironmentUnfit` if there is no such topic."""
    try:
        return sorted(producer.partitions_for(topic))
    except KafkaTimeoutError:
        raise EnvironmentUnfit(
            f"no topic {topic!r} at {bootstrap}: create it, or check --topic and --bootstrap"
        ) from None


def send(producer: KafkaProducer, topic: str, partition: int, event: bytes | None) -> Any:
    """Hand one event to the producer. Kafka takes a null value only with a key."""
    return producer.send(topic, event, key=b"" if event is None else None, partition=partition)


def confirm(futures: list[Any]) -> int:
    """Wait until a chunk's events are acknowledged and return how many they are."""
    for future in futures:
        future.get(FLUSH_TIMEOUT_S)
    return len(futures)
