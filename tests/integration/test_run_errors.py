"""What ends a run of `strandline run`, or keeps it from starting: one message, one exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from strandline.commit.opening import Opening, append_open
from strandline.manifest import OpenKey
from strandline.spec import Spec
from strandline.store import create_store
from strandline.transactions.transaction import open_stream
from strandline_flink.dev.broker import Broker
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch.preflight import Topic
from strandline_flink.processes.ports import free_port
from tests.integration.harness import Run, check_exact, positions, produce
from tests.integration.live import Producing
from tests.integration.machines import staged, two_machines
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(400)
RUN = "0" * 31 + "1"


def refused(run: Run) -> tuple[int, str]:
    """Exit code and message of a run that must fail; nothing else is printed."""
    with run:
        code, out, err = run.finish()
    assert out == ""
    lines = err.strip().splitlines()
    assert lines[-1].startswith("error: ") or "error: " in err, err
    assert "Traceback" not in err, err
    return code, err


def opened_at(run: Run, broker: Broker, topic: str, at: dict[str, int]) -> None:
    """A store whose stream stands there, as an earlier run would have left it."""
    store = create_store(run.store_url, Spec.parse(CLICKS))
    append_open(
        store,
        Opening(
            "events",
            run=RUN,
            key=OpenKey(restored=None, submission=RUN),
            positions=at,
            source=Topic(broker.bootstrap, topic, KafkaSettings()).source(),
            time_ms=1,
        ),
    )


def test_no_broker(tmp_path: Path) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    code, err = refused(Run(bootstrap, "clicks", tmp_path))
    assert code == 3
    assert bootstrap in err
    assert not (tmp_path / "store").exists()


def test_wrong_topic(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("right-topic")
    code, err = refused(Run(broker.bootstrap, "no-such-topic", tmp_path))
    assert code == 3
    assert "'no-such-topic' does not exist" in err
    assert "right-topic" in err


def test_spec_that_does_not_fit_the_store(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("other-spec")
    run = Run(broker.bootstrap, "other-spec", tmp_path)
    create_store(run.store_url, Spec.parse(CLICKS.replace("bits = 18", "bits = 17")))
    code, err = refused(run)
    assert code == 4
    assert "learners.ctr.bits is 17 there and 18 here" in err


def test_second_stream_where_the_order_of_commits_counts(broker: Broker, tmp_path: Path) -> None:
    topic = "fading"
    broker.create_topic(topic, 1)
    (tmp_path / "spec.toml").write_text(CLICKS + "half_life_s = 60\n")
    run = Run(broker.bootstrap, topic, tmp_path, "--stream=second", "--bounded")
    store = create_store(run.store_url, Spec.load(tmp_path / "spec.toml"))
    open_stream(store, "first")
    code, err = refused(run)
    assert code == 6
    assert "is fed by stream first, and what table popularity.counts holds depends on" in err
    assert store.head() == 1


@pytest.mark.long
def test_same_topic_under_two_streams(broker: Broker, tmp_path: Path) -> None:
    """Refused, for its events would count twice; with the flag they do."""
    topic = "read-twice"
    broker.create_topic(topic, 1)
    produce(broker, topic, clicks(100), partitions=1)
    run = Run(broker.bootstrap, topic, tmp_path, "--stream=again", "--bounded")
    opened_at(run, broker, topic, {"0": 40})
    code, err = refused(run)
    assert code == 6
    assert "topic read-twice is read by stream events already" in err
    assert "--topic-again" in err
    assert run.head() == 1
    options = ("--stream=again", "--topic-again", "--bounded")
    with Run(broker.bootstrap, topic, tmp_path, *options) as meant:
        assert meant.summary()["events"] == 100
    assert positions(run.store_url, "again") == {"0": 100}
    assert positions(run.store_url, "events") == {"0": 40}


def test_second_job_supersedes_the_first(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("contended", 1)
    produce(broker, "contended", clicks(500), partitions=1)
    with Run(broker.bootstrap, "contended", tmp_path) as first:
        first.wait_for_version(2)
        with Run(broker.bootstrap, "contended", tmp_path) as second:
            second.wait_for_version(1)
            produce(broker, "contended", clicks(500, seed=1), partitions=1)
            code, _, err = first.finish()
            second.wait_for_events({0: 1000})
            summary = second.stop()
    assert code == 9, err
    assert "superseded" in err or "is held by" in err
    assert summary["events"] == 500


def test_events_passed_retention_before_they_were_read(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("expired", 1)
    produce(broker, "expired", clicks(300), partitions=1)
    run = Run(broker.bootstrap, "expired", tmp_path)
    opened_at(run, broker, "expired", {"0": 100})
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.delete_records({TopicPartition("expired", 0): 200})
    admin.close()
    code, err = refused(run)
    assert code == 6
    assert "100" in err
    assert "200" in err
    assert "retention" in err
    assert positions(run.store_url) == {"0": 100}


def test_topic_was_created_anew(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("again", 1)
    produce(broker, "again", clicks(300), partitions=1)
    run = Run(broker.bootstrap, "again", tmp_path)
    opened_at(run, broker, "again", {"0": 100})
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.delete_topics(["again"])
    admin.close()
    broker.create_topic("again", 1)
    produce(broker, "again", clicks(300), partitions=1)
    code, err = refused(run)
    assert code == 6
    assert "created anew" in err


def test_store_is_ahead_of_the_topic(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("behind", 1)
    produce(broker, "behind", clicks(50), partitions=1)
    run = Run(broker.bootstrap, "behind", tmp_path)
    opened_at(run, broker, "behind", {"0": 70})
    code, err = refused(run)
    assert code == 6
    assert "offset 70" in err
    assert "ends at 50" in err


def test_too_many_events_are_rejected(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("wrong-events", 1)
    produce(broker, "wrong-events", [b'{"temperature": 20}'] * 2000, partitions=1)
    run = Run(broker.bootstrap, "wrong-events", tmp_path)
    code, err = refused(run)
    assert code == 5
    assert "partition 0, offset 0: missing_label: click: absent or null" in err
    assert re.search(r"(?m)^  \d+ click: missing_label$", err)
    (command,) = re.findall(
        r"strandline (show .* --rejects --file [0-9a-f]{64})$", err, re.MULTILINE
    )
    shown = subprocess.run(
        [sys.executable, "-m", "strandline.cli", *command.split(), "--json"],
        check=True, capture_output=True,
    )  # fmt: skip
    kept = json.loads(shown.stdout)["rejects"]
    assert {(event["path"], event["reason"]) for event in kept} == {("click", "missing_label")}
    assert positions(run.store_url) in ({"0": 0}, {"0": 2000})


@pytest.mark.long
def test_prepared_file_is_lost_before_its_commit(broker: Broker, tmp_path: Path) -> None:
    """Its checkpoint waits for another shard; the same command reads the events again."""
    topic = "lost-file"
    broker.create_topic(topic, 2)
    with two_machines(tmp_path / "flink") as machines:
        run = Run(broker.bootstrap, topic, tmp_path, *machines.options)
        with Producing(broker, topic), run:
            run.wait_for_version(3)
            with machines.apart(run):
                lost, *_ = staged(run)
                lost.unlink()
            code, out, err = run.finish()
    assert (code, out) == (4, "")
    assert f"{lost} is missing; " in err
    assert "start again without a savepoint" in err
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as again:
        again.summary()
    check_exact(broker, topic, again.store_url)
