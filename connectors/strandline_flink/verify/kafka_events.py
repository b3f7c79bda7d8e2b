"""The events of recorded spans, read again from a topic."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from strandline.errors import EnvironmentUnfit, RetentionPassed, SourceBehind
from strandline.events.block import Block
from strandline.events.records import Records, Value
from strandline.verify.events import BLOCK_EVENTS
from strandline_flink.dev.reading import CONSUMER, POLL_RECORDS

POLL_S: Final = 0.5
SILENCE_S_MAX: Final = 60.0
AHEAD_EVENTS_MAX: Final = 20_000
"""Events of a partition that are kept until they are asked for; then the partition is paused."""


class _Partition:
    """What was read of a partition and not asked for yet, and the next position to read."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.waiting: deque[tuple[int, Value]] = deque()
        self.ended = False
        self.paused = False


class KafkaEvents:
    """One topic's committed events. Close it at the end.

    Parameters
    ----------
    bootstrap, topic
        Where to read.
    options
        More of librdkafka's settings, for instance its security.
    """

    def __init__(self, bootstrap: str, topic: str, options: Mapping[str, Any]) -> None:
        self._topic, self._where = topic, f"topic {topic} at {bootstrap}"
        self._partitions: dict[int, _Partition] = {}
        self._begins: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **CONSUMER,
                **options,
                "bootstrap.servers": bootstrap,
                "error_cb": lambda _: None,  # a broker that is away shows in the time it takes
            },
            logger=logging.getLogger("kafka"),
        )

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def begin(self, partition: int) -> int:
        if partition not in self._begins:
            with self._errors():
                found = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=SILENCE_S_MAX
                )
            if found is None:
                raise EnvironmentUnfit(f"{self._where} does not answer: is the broker up?")
            self._begins[partition] = found[0]
        return self._begins[partition]

    def blocks(self, partition: int, first: int, end: int) -> Iterator[Block]:
        state = self._partitions.get(partition)
        if state is None:
            state = self._partitions[partition] = _Partition(first)
            with self._errors():
                self._consumer.incremental_assign([TopicPartition(self._topic, partition, first)])
        begin = first
        while begin < end:
            self._fill(partition, state, end)
            offsets, values = _taken(state, first, end)
            done = state.at >= end and not (state.waiting and state.waiting[0][0] < end)
            if not offsets and not done:
                continue
            until = end if done else offsets[-1] + 1
            yield Block(partition, begin, until, np.array(offsets, np.int64), Records.of(values))
            begin = until

    def _fill(self, partition: int, state: _Partition, end: int) -> None:
        """Read until the partition has a block of events, or all up to `end`."""
        deadline_s = time.monotonic() + SILENCE_S_MAX
        while len(state.waiting) < BLOCK_EVENTS and state.at < end:
            if state.ended:
                raise SourceBehind(
                    f"{self._where}, partition {partition} ends at {state.at}, the store has"
                    f" learned it up to {end}: the topic has lost events, or it is another topic"
                )
            if state.paused:
                self._set_paused(partition, state, paused=False)
            with self._errors():
                messages = self._consumer.consume(POLL_RECORDS, POLL_S)
            for message in messages:
                self._take(message)
            if messages:
                deadline_s = time.monotonic() + SILENCE_S_MAX
            elif time.monotonic() > deadline_s:
                raise EnvironmentUnfit(
                    f"{self._where} gave no events for {SILENCE_S_MAX:.0f} s, partition {partition}"
                    f" stands at {state.at}, expected {end}: is the broker up?"
                )

    def _take(self, message: Message) -> None:
        number, offset, error = message.partition(), message.offset(), message.error()
        state = self._partitions.get(-1 if number is None else number)
        if state is None or offset is None or number is None:
            if error is not None:
                raise self._error(error)
            return
        if error is None:
            value = message.value()
            assert value is None or isinstance(value, bytes), "no deserializer is set"
            state.waiting.append((offset, value))
            state.at = offset + 1
            if len(state.waiting) >= AHEAD_EVENTS_MAX and not state.paused:
                self._set_paused(number, state, paused=True)
        elif error.code() == KafkaError._PARTITION_EOF:
            state.at, state.ended = max(state.at, offset), True
        else:
            raise self._error(error)

    def _set_paused(self, partition: int, state: _Partition, *, paused: bool) -> None:
        these = [TopicPartition(self._topic, partition)]
        state.paused = paused
        if paused:
            self._consumer.pause(these)
        else:
            self._consumer.resume(these)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._error(error.args[0]) from None

    def _error(self, error: KafkaError) -> Exception:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            return RetentionPassed(
                f"{self._where}: events were removed while they were read ({error.str()}): start"
                " again, it verifies what is left"
            )
        return EnvironmentUnfit(
            f"cannot read {self._where}: {error.str()}. Is the broker up, and are --bootstrap and"
            " --kafka-config right?"
        )


def _taken(state: _Partition, first: int, end: int) -> tuple[list[int], list[Value]]:
    """Take at most a block of the events in [first, end); drop those before."""
    offsets: list[int] = []
    values: list[Value] = []
    while state.waiting and state.waiting[0][0] < end and len(offsets) < BLOCK_EVENTS:
        offset, value = state.waiting.popleft()
        if offset >= first:
            offsets.append(offset)
            values.append(value)
    return offsets, values
