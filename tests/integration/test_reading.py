"""The independent reading on a real broker: transactions, holes, ends, and bounded time."""

import gc
import time

import pytest
from kafka import KafkaProducer

from strandline.errors import EnvironmentUnfit
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.reading import read_topic

TOPIC = "reading"


@pytest.fixture(scope="module")
def topic(broker: Broker) -> Broker:
    """Partition 0: 100 committed, a control record, 50 aborted, one, 30 committed, one."""
    broker.create_topic(TOPIC, 2, retention_ms=3_600_000)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id="reading")
    producer.init_transactions()
    for count, commit in ((100, True), (50, False), (30, True)):
        producer.begin_transaction()
        for number in range(count):
            producer.send(TOPIC, value=b"%d" % number, partition=0)
        producer.flush()
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    return broker


def test_aborted_transactions_are_not_read_and_an_end_on_a_control_record_is_reached(
    topic: Broker,
) -> None:
    records = list(read_topic(topic.bootstrap, TOPIC, {0: (0, 183), 1: (0, 0)}, timeout_s=30))
    assert [offset for _, offset, _ in records] == [*range(100), *range(152, 182)]
    assert [value for _, _, value in records[-2:]] == [b"28", b"29"]


def test_a_range_ends_before_its_end(topic: Broker) -> None:
    records = list(read_topic(topic.bootstrap, TOPIC, {0: (90, 155)}, timeout_s=30))
    assert [offset for _, offset, _ in records] == [*range(90, 100), 152, 153, 154]


def test_offsets_that_are_not_there_yet_end_in_bounded_time(topic: Broker) -> None:
    started = time.monotonic()
    with pytest.raises(EnvironmentUnfit, match=r"came to offsets \{1: 0\} in time, expected"):
        list(read_topic(topic.bootstrap, TOPIC, {1: (0, 5)}, timeout_s=2))
    assert time.monotonic() - started < 60


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # kafka-python's, when it gives up
def test_an_absent_broker_is_named() -> None:
    with pytest.raises(EnvironmentUnfit, match=r"127\.0\.0\.1:9"):
        list(read_topic("127.0.0.1:9", TOPIC, {0: (0, 5)}, timeout_s=2))
    gc.collect()
