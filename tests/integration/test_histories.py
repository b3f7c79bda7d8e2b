"""Histories that a run must survive, each in a real Flink: what restores, moves, idles and ends."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewPartitions

from strandline.manifest import OpenBody
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.store.chain import log
from strandline.transactions.transaction import open_stream
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, items_of, positions, produce, restored_opens
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(300)


@contextmanager
def rejects_that_cannot_be_written(run: Run) -> Iterator[None]:
    """The epoch of the first event that is no JSON fails until the job was restored once.

    Commits go on: they look at the files of epochs before it.
    """
    rejects = Path(create_store(run.store_url, Spec.parse(CLICKS)).url, "rejects")
    before = restored_opens(run.store)
    rejects.rmdir()
    rejects.write_text("in the way")
    yield
    run.wait_until("the restore", lambda: restored_opens(run.store) > before)
    rejects.unlink()
    rejects.mkdir()


def send(broker: Broker, topic: str, values: Sequence[bytes], partition: int) -> None:
    """Send values to one partition, every one acknowledged."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    for value in values:
        producer.send(topic, value=value, partition=partition)
    producer.flush()
    producer.close()


def epochs_before_the_restore(store: Store, partition: str, at: int) -> int:
    """How many epochs the restored run had committed with the partition at this position."""
    count = 0
    for manifest in log(store, newest_first=False):
        body = manifest.body
        if isinstance(body, OpenBody) and body.key.restored is not None:
            break
        entry = manifest.streams.get("events")
        count += entry is not None and entry.positions.get(partition) == at
    return count


@pytest.mark.long
def test_a_subtask_that_had_finished_is_restarted(broker: Broker, tmp_path: Path) -> None:
    """One subtask ends long before the other; the restore of a later checkpoint starts both."""
    topic = "finished"
    broker.create_topic(topic, 2)
    send(broker, topic, clicks(100), partition=0)
    # A key with an escape is left to the plain decoder, which takes its time.
    slow = [event.replace(b"{", b'{"no\\u0074e": 1, ', 1) for event in clicks(4000, seed=1)]
    send(broker, topic, [*slow * 50, b"{"], partition=1)
    options = ("--bounded", "--parallelism=2", "--checkpoint=50ms")
    run = Run(broker.bootstrap, topic, tmp_path, *options)
    with rejects_that_cannot_be_written(run):
        run.start()
    summary = run.summary()
    assert summary["ended"] == "finished"
    assert epochs_before_the_restore(run.store, "0", 100) >= 4
    check_exact(broker, topic, run.store_url)


def elsewhere(count: int) -> list[bytes]:
    """Events of items that the topic does not have."""
    return [event.replace(b'"item": "i', b'"item": "x') for event in clicks(count, seed=9)]


@pytest.mark.long
def test_partitions_that_come_stand_still_and_idle_beside_another_streams_commits(
    broker: Broker, tmp_path: Path
) -> None:
    """A restore in the middle, and a transaction that every commit of the job overtakes."""
    topic = "partitions"
    broker.create_topic(topic, 3)
    produce(broker, topic, clicks(600))  # partition 2 stays idle
    with Run(broker.bootstrap, topic, tmp_path, "--parallelism=2") as run:
        run.wait_for_events({0: 300, 1: 300, 2: 0})
        other = open_stream(run.store, "backfill")
        transaction = other.begin()
        transaction.learn(elsewhere(400))
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_partitions({topic: NewPartitions(4)})
        admin.close()
        send(broker, topic, clicks(100, seed=1), partition=3)
        run.wait_for_events({0: 300, 1: 300, 2: 0, 3: 100})
        transaction.commit()
        with rejects_that_cannot_be_written(run):
            send(broker, topic, [*clicks(50, seed=2), b"{"], partition=0)
        run.wait_for_events({0: 351, 1: 300, 2: 0, 3: 100})
        with other.begin() as transaction:
            transaction.learn(elsewhere(200))
        send(broker, topic, clicks(70, seed=3), partition=1)
        send(broker, topic, clicks(80, seed=4), partition=3)
        run.wait_for_events({0: 351, 1: 370, 2: 0, 3: 180})
        summary = run.stop()
    assert (summary["events"], summary["rejected"]) == (901, 1)
    assert restored_opens(run.store) >= 1
    assert epochs_before_the_restore(run.store, "3", 100) >= 1
    assert positions(run.store_url, "backfill") == {"0": 600}
    check_exact(broker, topic, run.store_url)
    model, (items, _) = open_model(run.store), items_of([*elsewhere(400), *elsewhere(200)])
    assert {item: model.count(item) for item in items} == items


@pytest.mark.long  # the default tests ask the writer alone, in test_java_writer.py
def test_idle_job_learns_that_a_second_job_superseded_it(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("idle", 1)
    produce(broker, "idle", clicks(100), partitions=1)
    with Run(broker.bootstrap, "idle", tmp_path) as first:
        first.wait_for_events({0: 100})
        with Run(broker.bootstrap, "idle", tmp_path) as second:
            second.wait_for_version(1)
            code, out, err = first.finish()
            second.stop()
    assert (code, out) == (9, "")
    assert "\nerror: stream events: this is run " in f"\n{err}", err
    assert "Traceback" not in err


def test_store_that_is_away_for_a_while(broker: Broker, tmp_path: Path) -> None:
    """A mount that comes back: barriers pass or fail meanwhile, and no event is lost."""
    broker.create_topic("away", 2)
    produce(broker, "away", clicks(500))
    with Run(broker.bootstrap, "away", tmp_path, "--parallelism=2") as run:
        run.wait_for_events({0: 250, 1: 250})
        store, away = Path(run.store_url), Path(f"{run.store_url}.away")
        store.rename(away)
        produce(broker, "away", clicks(500, seed=1))
        time.sleep(2)
        away.rename(store)
        run.wait_for_events({0: 500, 1: 500})
        run.stop()
    check_exact(broker, "away", run.store_url)
