"""`strandline verify` reads a real topic again, and trains what a real job has trained."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, ends, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)

EVENTS, ROUNDS = 6000, 6
EACH = EVENTS // ROUNDS


def verify(store: str, bootstrap: str, *options: str, code: int = 0) -> dict[str, Any]:
    """Run the command; return its document, or what it said as `error`."""
    command = [sys.executable, "-m", "strandline.cli", "verify", store, "--json"]
    done = subprocess.run(
        [*command, "--bootstrap", bootstrap, *options],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return document | {"error": done.stderr.decode()}


def learned(broker: Broker, topic: str, folder: Path, mode: str) -> str:
    """Learn with 2 workers, then with 1 and 2 shards; return the store."""
    broker.create_topic(topic, 2)
    events = [*clicks(EVENTS - 1), b"no json"]
    for half, options in ((0, ("--parallelism=2",)), (1, ("--parallelism=1", "--shards=2"))):
        with Run(broker.bootstrap, topic, folder, f"--mode={mode}", *options) as run:
            for at in range(half * EVENTS // 2, (half + 1) * EVENTS // 2, EACH):
                produce(broker, topic, events[at : at + EACH], 2)
                run.wait_for_events(ends(broker, topic))
            run.stop()
    return run.store_url


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("thread", marks=pytest.mark.long),
        pytest.param("process", marks=pytest.mark.rare),
    ],
)
def test_a_run_that_was_rescaled_verifies(broker: Broker, tmp_path: Path, mode: str) -> None:
    topic = f"verify-{tmp_path.name}"
    store = learned(broker, topic, tmp_path, mode)
    whole = verify(store, broker.bootstrap)
    assert whole["agrees"]
    assert (whole["events"], whole["given"]) == (EVENTS, {})
    assert whole["versions"] >= ROUNDS
    part = verify(store, broker.bootstrap, "--from", str(whole["last"] - 2))
    assert part["agrees"]
    assert part["events"] < EVENTS

    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, 200)]).values():
        future.result()
    left = verify(store, broker.bootstrap)
    assert left["agrees"]
    assert 0 < left["versions"] < whole["versions"]
    assert left["complete_from"] > whole["complete_from"]

    for future in admin.delete_topics([topic]).values():
        future.result()
    deadline_s = time.monotonic() + 60
    while topic in admin.list_topics(timeout=10).topics and time.monotonic() < deadline_s:
        time.sleep(0.1)
    broker.create_topic(topic, 2)
    assert "created anew" in verify(store, broker.bootstrap, code=6)["error"]
