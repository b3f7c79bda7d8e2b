import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from strandline.errors import EnvironmentUnfit
from strandline_flink.dev.broker import Broker

HOLD = """
import sys
from pathlib import Path
from strandline_flink.dev.broker import Broker
print(Broker(Path(sys.argv[1])).start().pid, flush=True)
sys.stdin.read()
"""


def produce(broker: Broker, topic: str, values: list[bytes], partition: int = 0) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", linger_ms=5)
    for value in values:
        producer.send(topic, value=value, partition=partition)
    producer.flush()
    producer.close()


def consume(broker: Broker, topic: str, partition: int, count: int) -> list[tuple[int, bytes]]:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition)])
    got: list[tuple[int, bytes]] = []
    deadline_s = time.monotonic() + 30
    while len(got) < count and time.monotonic() < deadline_s:
        for records in consumer.poll(timeout_ms=200).values():
            got += [(record.offset, record.value) for record in records]
    consumer.close()
    return got


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_is_produced_is_consumed_in_order(broker: Broker) -> None:
    broker.create_topic("round-trip", 2, retention_ms=3_600_000)
    values = [b"event %d" % number for number in range(1000)]
    produce(broker, "round-trip", values, partition=1)
    assert consume(broker, "round-trip", 1, 1000) == list(enumerate(values))


def test_a_killed_broker_comes_back_with_its_data_on_its_port(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka") as broker:
        address = broker.bootstrap
        broker.create_topic("kept")
        produce(broker, "kept", [b"before"])
        broker.kill()
        broker.start()
        assert broker.bootstrap == address
        produce(broker, "kept", [b"after"])
        assert consume(broker, "kept", 0, 2) == [(0, b"before"), (1, b"after")]
        pid = broker.pid
    assert is_gone(pid)
    with Broker(tmp_path / "kafka") as later:
        assert consume(later, "kept", 0, 2) == [(0, b"before"), (1, b"after")]


def test_a_broker_dies_with_its_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(30)
        deadline_s = time.monotonic() + 30
        while not is_gone(pid) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert is_gone(pid)


def test_a_broker_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka", properties={"log.retention.bytes": "many"})
    with pytest.raises(EnvironmentUnfit, match="Its log is") as said:
        broker.start()
    assert str(tmp_path / "kafka" / "broker.log") in str(said.value)


def test_a_port_named_by_the_user_that_is_taken(broker: Broker, tmp_path: Path) -> None:
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    with pytest.raises(EnvironmentUnfit, match=f"port {port} is taken"):
        Broker(tmp_path / "kafka", port=port).start()


def test_a_second_broker_leaves_the_folder_of_the_first_alone(broker: Broker) -> None:
    broker.create_topic("held")
    with pytest.raises(EnvironmentUnfit, match="another one runs in this folder"):
        Broker(broker.folder).start()
    produce(broker, "held", [b"still served"])
    assert consume(broker, "held", 0, 1) == [(0, b"still served")]
