"""`strandline dev events` into a real topic: every event acknowledged, and what it cannot do."""

import json
import subprocess
import sys
import time
from pathlib import Path

from strandline_flink.dev.broker import Broker
from strandline_flink.dev.events import EventStream
from strandline_flink.dev.reading import read_topic
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch.preflight import Topic

RIDES = Path(__file__).parents[2] / "examples/rides/rides.ndjson"


def dev_events(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "strandline.cli", "dev", "events", "--json", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_every_event_of_the_seed_is_in_the_topic_once(broker: Broker) -> None:
    topic = f"dev-{time.time_ns()}"
    broker.create_topic(topic, 3)
    options = ["--bootstrap", broker.bootstrap, "--topic", topic, "--rate", "0", "--seed", "9"]
    for first, events in ((0, 3000), (3000, 2000)):
        done = dev_events(*options, "--first", str(first), "--events", str(events))
        assert json.loads(done.stdout) == {"produced": events}, done.stderr
    wanted = EventStream(9).events(0, 5000)
    ends = Topic(broker.bootstrap, topic, KafkaSettings()).ends()
    assert all(ends.values()), "every partition gets its share"
    ranges = {partition: (0, end) for partition, end in ends.items()}
    found = [value or b"" for _, _, value in read_topic(broker.bootstrap, topic, ranges)]
    assert sorted(found) == sorted(wanted)


def test_the_lines_of_a_file_and_of_a_pipe_are_sent_as_they_are(
    broker: Broker, tmp_path: Path
) -> None:
    topic = f"sent-{time.time_ns()}"
    broker.create_topic(topic, 2)
    rides = RIDES.read_bytes()
    (tmp_path / "rides.ndjson").write_bytes(rides + b"\n")
    place = ["--bootstrap", broker.bootstrap, "--topic", topic, "--json"]
    command = [sys.executable, "-m", "strandline.cli", "dev", "send"]
    for file, data in ((str(tmp_path / "rides.ndjson"), b""), ("-", b'{"last": 1}')):
        done = subprocess.run(
            [*command, file, *place], input=data, capture_output=True, timeout=60, check=False
        )
        assert json.loads(done.stdout)["produced"] == (1 if data else 300), done.stderr
    ends = Topic(broker.bootstrap, topic, KafkaSettings()).ends()
    ranges = {partition: (0, end) for partition, end in ends.items()}
    found = [value or b"" for _, _, value in read_topic(broker.bootstrap, topic, ranges)]
    assert sorted(found) == sorted([*rides.splitlines(), b'{"last": 1}'])


def test_no_topic_and_no_broker_are_one_message_each(broker: Broker) -> None:
    missing = dev_events("--bootstrap", broker.bootstrap, "--topic", "no-such-topic")
    assert missing.returncode == 3
    assert missing.stderr.startswith(b"error: no topic 'no-such-topic'")
    nobody = dev_events("--bootstrap", "127.0.0.1:1", "--topic", "clicks")
    assert nobody.returncode == 3
    assert nobody.stderr.startswith(b"error: no Kafka broker answers at 127.0.0.1:1")
    assert missing.stderr.count(b"\n") == nobody.stderr.count(b"\n") == 1
