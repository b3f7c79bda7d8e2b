"""Several streams and writers feed one store at the same time: real Flinks, and this process."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store, open_store
from strandline.transactions.transaction import open_stream
from strandline_flink.cluster import flink_rest
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from tests.integration.harness import (
    Run,
    check_bits,
    check_exact,
    ends,
    items_of,
    positions,
    produce,
    read_all,
)
from tests.integration.independent import events_of, line_of, stream_of
from tests.integration.live import Background, Producing, Watching
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(300)
PAUSE_S = 0.1
THREE_SLOTS = {"taskmanager.numberOfTaskSlots": 3, "taskmanager.memory.task.heap.size": "768m"}
EVENTS = clicks(4000, seed=7)
# Other tables, other features, and learners that the neighbours do not have.
ANOTHER = (
    CLICKS.replace("bits = 18", "bits = 12").replace("log1p", "none")
    + """
[learners.linear]
type = "sklearn"
bits = 10
estimator = {name = "SGDClassifier", loss = "log_loss", learning_rate = "constant", eta0 = 0.05}
[learners.trend]
type = "counts"
feature = "user"
half_life_s = 60.0
"""
)


class Backfilling(Background):
    """A writer of the library: a transaction of a stream of its own, again and again."""

    def __init__(self, store: Store, stream: str) -> None:
        super().__init__()
        self._stream = open_stream(store, stream)
        self.events: list[bytes] = []

    def _work(self) -> None:
        for seed in count(1):
            events = [*clicks(20, seed), b"{"]
            with self._stream.begin() as transaction:
                transaction.learn(events)
            self.events += events
            if self._stop.wait(PAUSE_S):
                return


def commits(run: Run, stream: str) -> int:
    return sum(
        manifest["kind"] == "train" and stream_of(manifest) == stream
        for manifest in line_of(run.store_url)
    )


def wait_for_commits(run: Run, *streams: str, more: int = 3) -> None:
    """Wait until each of the streams has made so many commits from now on."""
    wanted = {stream: commits(run, stream) + more for stream in streams}
    run.wait_until(
        f"{more} commits of {streams}",
        lambda: all(commits(run, stream) >= least for stream, least in wanted.items()),
    )


def turns(run: Run) -> int:
    """How often a version is of another stream than the one before it."""
    streams = [stream_of(manifest) for manifest in line_of(run.store_url)[1:]]
    return sum(one != other for one, other in pairwise(streams))


def wait_for_end(broker: Broker, run: Run, stream: str) -> None:
    wanted = {str(partition): end for partition, end in ends(broker, stream).items()}
    run.wait_until(f"{stream} at {wanted}", lambda: positions(run.store_url, stream) == wanted)


def fsck(store_url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "strandline.cli", "fsck", store_url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.long
def test_two_jobs_and_a_library_writer_feed_one_store_and_one_job_is_killed(
    broker: Broker, tmp_path: Path
) -> None:
    """Every event of the three streams is in exactly one version of one line."""
    topics = ("left", "right")
    for topic in topics:
        broker.create_topic(topic, 2)
    left, right = (Run(broker.bootstrap, each, tmp_path, f"--stream={each}") for each in topics)
    store = create_store(left.store_url, Spec.parse(CLICKS))
    with Watching(store) as watching, left, right:
        with (
            Producing(broker, "left"),
            Producing(broker, "right"),
            Backfilling(store, "library") as library,
        ):
            wait_for_commits(left, *topics)
            left.kill()
            wait_for_commits(right, "right", "library")
            left.start()
            wait_for_commits(left, *topics, "library")
            left.wait_until("ten turns", lambda: turns(left) > 10)
        for run, topic in ((left, "left"), (right, "right")):
            wait_for_end(broker, run, topic)
            run.stop()
        watching.catch_up()
    check_streams(broker, left.store_url, topics, {"library": library.events})


def check_streams(
    broker: Broker, store_url: str, topics: Sequence[str], others: Mapping[str, Sequence[bytes]]
) -> None:
    """Each event of the topics and of other streams is in one version of one sound line, once.

    A topic's stream has its name.
    """
    line = line_of(store_url)
    events = {topic: read_all(broker, topic) for topic in topics}
    expected = {
        topic: Counter((partition, offset) for partition, offset, _ in events[topic])
        for topic in topics
    } | {name: Counter((0, number) for number in range(len(of))) for name, of in others.items()}
    for stream, wanted in expected.items():
        assert events_of(line, stream) == (wanted, wanted.total()), stream
    values = [value for topic in topics for _, _, value in events[topic]]
    values += [value for of in others.values() for value in of]
    model, (items, _) = open_model(open_store(store_url)), items_of(values)
    assert {item: model.count(item) for item in items} == items
    report = fsck(store_url)
    assert (report["sound"], report["head"]) == (True, len(line) - 1)


@pytest.mark.long
def test_three_jobs_of_one_interpreter_do_not_know_of_each_other(
    broker: Broker, tmp_path: Path
) -> None:
    """Two streams of one store and a job of another model in one TaskManager, in thread mode.

    A module's globals are common to them, and outlive the job that is stopped and started again.
    """
    topics = ("shared-left", "shared-right")
    for topic in topics:
        broker.create_topic(topic, 2)
    broker.create_topic("shared-alone", 1)
    alone_folder = tmp_path / "alone"
    alone_folder.mkdir()
    (alone_folder / "spec.toml").write_text(ANOTHER)
    with Cluster(tmp_path / "flink", settings=THREE_SLOTS) as cluster:
        options = (f"--flink={cluster.address}", "--mode=thread")
        left, right = (
            Run(broker.bootstrap, t, tmp_path, f"--stream={t}", *options) for t in topics
        )
        create_store(left.store_url, Spec.parse(CLICKS))
        alone = Run(broker.bootstrap, "shared-alone", alone_folder, *options)
        with left, right, alone:
            with Producing(broker, topics[0]), Producing(broker, topics[1]):
                wait_for_commits(left, *topics)
                produce(broker, "shared-alone", EVENTS[:2000], partitions=1)
                left.stop()
                alone.wait_for_events({0: 2000})
                left.start()
                wait_for_commits(left, *topics)
                produce(broker, "shared-alone", EVENTS[2000:], partitions=1)
            assert len(flink_rest.unfinished_jobs(cluster.address)) == 3
            alone.wait_for_events({0: len(EVENTS)})
            for run, topic in ((left, topics[0]), (right, topics[1])):
                wait_for_end(broker, run, topic)
                run.stop()
            alone.stop()
    check_streams(broker, left.store_url, topics, {})
    check_exact(broker, "shared-alone", alone.store_url)
    check_bits(alone.store, Spec.parse(ANOTHER), EVENTS)
