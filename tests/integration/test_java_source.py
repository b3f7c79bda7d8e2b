"""Where a stream starts, and which offsets a block covers, against a real broker."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from strandline.commit.opening import Opening, append_open, check_one_stream, check_topic_free
from strandline.errors import SecondStream, TopicTaken
from strandline.events.block import Block
from strandline.manifest import OpenKey
from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.base import Store
from strandline.transactions.transaction import open_stream
from strandline_flink.dev.broker import Broker
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch.preflight import Topic
from strandline_flink.operators.wire import decode_block
from tests.golden.commit_lines import resealed
from tests.integration.java_runner import SPEC, answer, lines


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path / "store"), Spec.parse(SPEC))


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, 2)
    with producer(broker) as to:
        for index in range(10):
            to.send(name, value=b"%d" % index, partition=0, timestamp_ms=1000 + index)
    return name


@contextmanager
def producer(broker: Broker, transaction: str | None = None) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=transaction)
    try:
        yield producer
        producer.flush()
    finally:
        producer.close()


@contextmanager
def admin(broker: Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        yield client
    finally:
        client.close()


def start(
    broker: Broker, store: Store, topic: str, start_from: str = "earliest", partitions: int = 2
) -> dict[str, object]:
    """Open as a new submission; return the offsets, or the fatal error."""
    submission = uuid.uuid4().hex
    return start_again(
        submission, broker, store, topic, start_from=start_from, partitions=partitions
    )


def start_again(
    submission: str,
    broker: Broker,
    store: Store,
    topic: str,
    *,
    start_from: str = "earliest",
    partitions: int = 2,
    one_stream: tuple[str, ...] = (),
) -> dict[str, object]:
    where = (store.url, broker.bootstrap, topic)
    how = (submission, start_from, str(partitions), *one_stream)
    found: dict[str, object] = json.loads(answer("open", *where, *how, runner="SourceRunner"))
    return found


@pytest.mark.parametrize(
    ("start_from", "offsets"),
    [("earliest", {"0": 0, "1": 0}), ("latest", {"0": 10, "1": 0}), ("1004", {"0": 4, "1": 0})],
)
def test_a_new_stream_starts_where_it_is_told(
    broker: Broker, store: Store, topic: str, start_from: str, offsets: dict[str, int]
) -> None:
    assert start(broker, store, topic, start_from) == offsets
    assert store.head() == 1


def test_a_known_stream_goes_on_from_head_and_takes_new_partitions_from_their_start(
    broker: Broker, store: Store, topic: str
) -> None:
    assert start(broker, store, topic, "latest", partitions=1) == {"0": 10}
    assert start(broker, store, topic, "latest") == {"0": 10, "1": 0}


def test_an_enumerator_created_again_finds_its_open(
    broker: Broker, store: Store, topic: str
) -> None:
    submission = uuid.uuid4().hex
    first = start_again(submission, broker, store, topic)
    assert start_again(submission, broker, store, topic, start_from="latest") == first
    assert store.head() == 1


def test_an_enumerator_created_again_after_another_run_took_over(
    broker: Broker, store: Store, topic: str
) -> None:
    submission = uuid.uuid4().hex
    start_again(submission, broker, store, topic)
    start(broker, store, topic)
    assert "STRANDLINE[superseded]" in str(start_again(submission, broker, store, topic))


def test_retention_passed_a_partition_before_the_start(
    broker: Broker, store: Store, topic: str
) -> None:
    start(broker, store, topic)
    with admin(broker) as client:
        client.delete_records({TopicPartition(topic, 0): 6})
    fatal = str(start(broker, store, topic)["fatal"])
    assert fatal.startswith("STRANDLINE[retention] stream events: version 1 goes on at offset 0")
    assert "starts at 6: 6 offsets" in fatal
    assert store.head() == 1


def test_retention_passes_a_partition_after_the_start(broker: Broker, topic: str) -> None:
    with admin(broker) as client:
        client.delete_records({TopicPartition(topic, 0): 6})
    fatal = json.loads(answer("blocks", broker.bootstrap, topic, "3:10", runner="SourceRunner"))
    assert fatal["fatal"].startswith("STRANDLINE[retention] the topic no longer holds")
    assert f"{topic}-0=3" in fatal["fatal"]


def test_a_topic_created_anew_under_the_same_name(broker: Broker, store: Store, topic: str) -> None:
    start(broker, store, topic)
    other = f"{topic}-other"
    broker.create_topic(other, 2)
    assert "STRANDLINE[recreated]" in str(start(broker, store, other))
    with admin(broker) as client:
        client.delete_topics([topic])
    broker.create_topic(topic, 2)
    assert "STRANDLINE[recreated]" in str(start(broker, store, topic))
    assert store.head() == 1


def test_a_topic_that_ends_before_the_stores_positions(
    broker: Broker, store: Store, topic: str
) -> None:
    start(broker, store, topic, "latest")
    manifest = json.loads(store.manifest(1) or b"")
    path = Path(store.url, "versions", "0000000", "0000000001.json")
    text = path.read_text()
    positions = json.dumps(manifest["streams"]["events"]["positions"], separators=(",", ":"))
    path.write_bytes(resealed(text.replace(positions, '{"0":11,"1":0}').encode()))
    fatal = str(start(broker, store, topic)["fatal"])
    assert fatal.startswith("STRANDLINE[source_behind]")
    assert "at offset 11" in fatal
    assert "ends at 10" in fatal


def test_a_partition_known_to_head_is_missing(broker: Broker, store: Store, topic: str) -> None:
    start(broker, store, topic)
    fatal = str(start(broker, store, topic, partitions=1)["fatal"])
    assert fatal.startswith("STRANDLINE[stream_unfit]")
    assert "partitions [1]" in fatal


def test_a_stream_that_was_fed_from_a_file(broker: Broker, store: Store, topic: str) -> None:
    run = uuid.uuid4().hex
    append_open(
        store,
        Opening(
            "events",
            run=run,
            key=OpenKey(restored=None, submission=run),
            positions={"0": 0},
            source={"file": "clicks.jsonl"},
            time_ms=1,
        ),
    )
    assert "STRANDLINE[stream_unfit]" in str(start(broker, store, topic))


def test_a_second_stream_opened_between_the_checks_of_a_run_and_its_open(
    broker: Broker, store: Store, topic: str
) -> None:
    tables = ("last.rows",)
    check_one_stream(store, "events", tables)
    open_stream(store, "first")
    submission = uuid.uuid4().hex
    fatal = start_again(submission, broker, store, topic, one_stream=tables)["fatal"]
    with pytest.raises(SecondStream) as python:
        check_one_stream(store, "events", tables)
    assert fatal == f"STRANDLINE[second_stream] {python.value}"
    assert store.head() == 1


def test_another_stream_of_the_topic_opened_between_the_checks_of_a_run_and_its_open(
    broker: Broker, store: Store, topic: str
) -> None:
    """Python and Java call the topic alike, so each refuses what the other one opened."""
    source = Topic(broker.bootstrap, topic, KafkaSettings()).source
    check_topic_free(store, "events", source)
    open_stream(store, "first", source())
    fatal = start(broker, store, topic)["fatal"]
    with pytest.raises(TopicTaken) as python:
        check_topic_free(store, "events", source)
    assert fatal == f"STRANDLINE[topic_taken] {python.value}"
    assert store.head() == 1
    broker.create_topic(f"{topic}-other", 2)
    assert start(broker, store, f"{topic}-other") == {"0": 0, "1": 0}


def test_the_one_stream_of_a_store_goes_on(broker: Broker, store: Store, topic: str) -> None:
    for _ in range(2):
        submission = uuid.uuid4().hex
        offsets = start_again(submission, broker, store, topic, one_stream=("last.rows",))
        assert offsets == {"0": 0, "1": 0}
    assert store.head() == 2


def blocks(broker: Broker, topic: str, *splits: str) -> list[Block]:
    """Read splits `from:to` of partition 0, 1 …; -2 is earliest."""
    return blocks_at(broker.bootstrap, topic, *splits)


def blocks_at(bootstrap: str, topic: str, *splits: str) -> list[Block]:
    found = lines("blocks", bootstrap, topic, *splits, runner="SourceRunner")
    return [decode_block(bytes.fromhex(line)) for line in found]


def test_blocks_join_and_hold_every_event(broker: Broker) -> None:
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, 2)
    values = [b"%d:" % index + b"x" * (index * 37 % 3600) for index in range(3000)]
    with producer(broker) as to:
        for index, value in enumerate(values):
            to.send(name, value=value or None, partition=index % 2, timestamp_ms=5 + index)
        to.send(name, value=None, key=b"no value", partition=1, timestamp_ms=1)
    found = blocks(broker, name, "0:1500", "3:1501")
    assert len(found) > 3
    for partition, first, end in ((0, 0, 1500), (1, 3, 1501)):
        mine = [block for block in found if block.partition == partition]
        assert [block.first for block in mine] == [first, *(block.end for block in mine[:-1])]
        assert mine[-1].end == end
        assert [int(at) for block in mine for at in block.offsets] == list(range(first, end))
        records = [record for block in mine for record in block.records]
        expected = [*values[partition::2], *([None] if partition else [])]
        assert records == expected[first:]
        assert all(sum(len(r or b"") for r in block.records) <= 2 << 20 for block in mine)
    last = [block for block in found if block.partition == 1][-1]
    assert last.time_first_ms == 1
    assert last.time_last_ms == 5 + 2999


@pytest.mark.parametrize("codec", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_events_are_whole_whatever_the_topics_compression(broker: Broker, codec: str) -> None:
    """The blocks copy from views of what was fetched: of its bytes, or of what a codec made."""
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, compression_type=codec)
    # More events than one poll returns, in batches that end elsewhere than polls do.
    values = [
        b"%d:" % index + b"y" * (index % 61) if index % 7 else None for index in range(12_000)
    ]
    with producer(broker) as to:
        for index, value in enumerate(values):
            key = b"key %d" % index if index % 3 or value is None else None
            headers = [("name", b"content")] if index % 5 == 0 else []
            to.send(name, value=value, key=key, headers=headers, partition=0)
    found = blocks(broker, name, "5:11990")
    assert len(found) > 1
    assert [record for block in found for record in block.records] == values[5:11_990]
    assert [int(at) for block in found for at in block.offsets] == list(range(5, 11_990))


def test_aborted_transactions_leave_holes_in_front_of_the_next_block(broker: Broker) -> None:
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name)
    with producer(broker, f"{name}-transaction") as to:
        to.init_transactions()
        for index, commits in enumerate((False, True, False, True, False)):
            to.begin_transaction()
            for number in range(3):
                to.send(name, value=b"%d.%d" % (index, number), partition=0)
            to.flush()
            (to.commit_transaction if commits else to.abort_transaction)()
    # three events and a marker each: 0-2 aborted, 4-6 committed, 8-10 aborted, 12-14 committed
    (block,) = blocks(broker, name, "0:16")
    assert list(block.records) == [b"1.0", b"1.1", b"1.2", b"3.0", b"3.1", b"3.2"]
    assert block.offsets.tolist() == [4, 5, 6, 12, 13, 14]
    assert (block.first, block.end) == (0, 15)
    (later,) = blocks(broker, name, "-2:16")
    assert (later.first, later.end) == (4, 15), "earliest begins at the first event"


def test_lag_is_what_has_not_left_the_source_yet(broker: Broker, topic: str) -> None:
    with producer(broker) as to:
        to.send(topic, value=b"other", partition=1)
    found = lines("lag", broker.bootstrap, topic, "3:20", "0:20", runner="SourceRunner")
    assert found == ["-1 -1", "7 1", "6 0"]


@pytest.mark.parametrize("fetchers", [0, 1, 2])
def test_every_fetcher_has_a_reader_of_its_own_and_no_consumer_outlives_them(
    broker: Broker, topic: str, fetchers: int
) -> None:
    """The first one opens before any split is there, and is closed if none ever comes."""
    found = answer("fetchers", broker.bootstrap, topic, str(fetchers), runner="SourceRunner")
    assert found == f"{fetchers} 0"


def test_a_consumer_that_cannot_be_made(topic: str) -> None:
    """Its fetcher learns why, and nothing waits for ever."""
    with pytest.raises(AssertionError, match=r"Invalid url in bootstrap.servers: nowhere"):
        blocks_at("nowhere", topic, "0:10")
    assert answer("fetchers", "nowhere", topic, "1", runner="SourceRunner") == "1 0"
