"""The source's enumerator, in Java, restored from what a checkpoint took of it, beside a broker."""

import json
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from strandline.manifest import OpenBody
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.store.chain import log, read_manifest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import produce
from tests.integration.java_runner import SPEC, answer

RUN = "a" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path / "store"), Spec.parse(SPEC))


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, 2)
    produce(broker, name, [b"%d" % index for index in range(10)])
    return name


def enumerator(step: str, store: Store, broker: Broker, topic: str, *args: str) -> dict[str, Any]:
    where = (store.url, broker.bootstrap, topic)
    return dict(json.loads(answer(step, *where, *args, runner="EnumeratorRunner")))


def writer_state(store: Store) -> str:
    """What the sink's writer holds before anything was read: the open's run and positions."""
    opened = read_manifest(store, 1).streams["events"]
    return json.dumps({"positions": opened.positions, "run": opened.run}, separators=(",", ":"))


@pytest.mark.parametrize("submission", [RUN, "b" * 32], ids=["failover", "savepoint"])
def test_checkpoint_triggered_before_partition_discovery_ends_is_restored(
    broker: Broker, store: Store, topic: str, submission: str
) -> None:
    """It knows no partition. "latest" has moved on meanwhile; the open says what it was."""
    taken = enumerator("undiscovered", store, broker, topic, RUN, "latest")
    assert taken["offsets"] == {"0": 5, "1": 5}
    assert len(bytes.fromhex(taken["state"])) < len(topic), "it names no split"
    produce(broker, topic, [b"%d" % index for index in range(6)])
    state = (taken["state"], writer_state(store))
    for _ in range(2):  # the second time as after a failover before the next checkpoint
        offsets = enumerator("restored", store, broker, topic, submission, *state)
        assert offsets == {"0": 5, "1": 5}
    opens = [manifest.body for manifest in log(store) if isinstance(manifest.body, OpenBody)]
    assert [each.key.restored for each in opens] == [1, None]


def test_no_broker_answers_while_partitions_are_looked_for(
    broker: Broker, store: Store, topic: str
) -> None:
    """Kafka's client gives up after each timeout; the job is not restarted for it."""
    timeout_ms = 1000
    with ThreadPoolExecutor(1) as thread:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            asked = (store, broker, topic, RUN, "earliest", str(timeout_ms))
            found = thread.submit(enumerator, "undiscovered", *asked)
            time.sleep(8 * timeout_ms / 1000)
            assert not found.done(), found.exception()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert found.result()["offsets"] == {"0": 0, "1": 0}


def test_topic_created_anew_between_savepoint_and_restore(
    broker: Broker, store: Store, topic: str
) -> None:
    taken = enumerator("undiscovered", store, broker, topic, RUN, "earliest")
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.delete_topics([topic])
    admin.close()
    broker.create_topic(topic, 2)
    produce(broker, topic, [b"%d" % index for index in range(10)])
    state = (taken["state"], writer_state(store))
    fatal = enumerator("restored", store, broker, topic, "b" * 32, *state)["fatal"]
    assert fatal.startswith("STRANDLINE[recreated] stream events: version 1 has read ")
    assert "start a new store" in fatal
    assert store.head() == 1
