"""Events into a topic at a given rate, every one acknowledged by all replicas."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from strandline.errors import EnvironmentUnfit
from strandline_flink.job.kafka_reason import not_allowed, reason
from strandline_flink.job.kafka_settings import KafkaSettings

TICK_S: Final = 0.01
CHUNK_EVENTS_MAX: Final = 500
ANSWER_TIMEOUT_S: Final = 10
FLUSH_TIMEOUT_S: Final = 30
# 5 ms are what an event waits for others. Compression would cost more than all the rest.
PRODUCER: Final = {
    "acks": "all",
    "delivery.report.only.error": True,
    "enable.idempotence": True,
    "linger.ms": 5,
    "message.timeout.ms": 1000 * FLUSH_TIMEOUT_S,
    "queue.buffering.max.messages": 32_768,
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
    bootstrap: str,
    topic: str,
    chunks: Iterable[list[bytes | None]],
    settings: KafkaSettings | None = None,
) -> int:
    """Send chunks of events, each to the topic's next partition; return the events acknowledged.

    Raises `EnvironmentUnfit` if the broker cannot be reached or refuses us, the topic does not
    exist, or an event is not acknowledged.
    """
    sending = Sending(bootstrap, topic, settings or KafkaSettings())
    try:
        for index, chunk in enumerate(chunks):
            sending.send(sending.partitions[index % len(sending.partitions)], chunk)
        sending.finish()
    except KafkaException as error:
        raise EnvironmentUnfit(
            f"topic {topic} at {bootstrap} does not take events: {error.args[0].str()}"
        ) from error
    return sending.sent


class Sending:
    """A producer of one topic. `sent` counts what was handed to it."""

    def __init__(self, bootstrap: str, topic: str, settings: KafkaSettings) -> None:
        self.sent = 0
        self._topic = topic
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {
                **PRODUCER,
                **settings.librdkafka_options(),
                "bootstrap.servers": bootstrap,
                "on_delivery": self._report,
            },
            logger=logging.getLogger("kafka"),
        )
        self.partitions = partitions_of(self._producer, topic, bootstrap, settings)

    def send(self, partition: int, events: Iterable[bytes | None]) -> None:
        """Hand events to the client, and wait while it holds too many. Raises `KafkaException`."""
        produce, topic = self._producer.produce, self._topic
        for event in events:
            key = b"" if event is None else None  # Kafka takes a null value only with a key
            while True:
                try:
                    produce(topic, event, key, partition)
                    break
                except BufferError:
                    self._producer.poll(TICK_S)
                    self._check()
            self.sent += 1
        self._producer.poll(0)
        self._check()

    def finish(self) -> None:
        """Wait until every event is acknowledged. Raises `KafkaException` if one is not."""
        if left := self._producer.flush(FLUSH_TIMEOUT_S):
            self._failed = KafkaError(
                KafkaError._MSG_TIMED_OUT, f"{left} events not acknowledged in {FLUSH_TIMEOUT_S} s"
            )
        self._check()

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        self._failed = self._failed or error

    def _check(self) -> None:
        if self._failed is not None:
            raise KafkaException(self._failed)


def partitions_of(client: Any, topic: str, bootstrap: str, settings: KafkaSettings) -> list[int]:
    """Return the topic's partitions. Raises `EnvironmentUnfit` if it is not there for this user."""
    try:
        topics = client.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics
    except KafkaException as error:
        raise EnvironmentUnfit(reason(bootstrap, settings)) from error
    refused = topics[topic].error if topic in topics else None
    if refused is not None and refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise EnvironmentUnfit(not_allowed(topic, bootstrap, settings))
    if refused is not None or topic not in topics:
        raise EnvironmentUnfit(
            f"no topic {topic!r} at {bootstrap}: create it, or check --topic and --bootstrap"
        )
    return sorted(topics[topic].partitions)
