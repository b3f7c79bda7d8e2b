"""Several streams and writers feed one store at the same time: real Flinks, and this process."""

import json
import subprocess
import sys
from collections import Counter
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from strandline.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.transaction import open_stream
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, ends, items_of, positions, read_all
from tests.integration.independent import events_of, line_of, stream_of
from tests.integration.live import Background, Producing, Watching
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(300)
PAUSE_S = 0.1


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


def wait_for_end(broker: Broker, run: Run, stream: str) -> None:
    wanted = {str(partition): end for partition, end in ends(broker, stream).items()}
    run.wait_until(f"{stream} at {wanted}", lambda: positions(run.store_url, stream) == wanted)


def fsck(store_url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "strandline.cli", "fsck", store_url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


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
        for run, topic in ((left, "left"), (right, "right")):
            wait_for_end(broker, run, topic)
            run.stop()
        watching.catch_up()
    line = line_of(left.store_url)
    events = {topic: read_all(broker, topic) for topic in topics}
    expected = {
        topic: Counter((partition, offset) for partition, offset, _ in events[topic])
        for topic in topics
    } | {"library": Counter((0, number) for number in range(len(library.events)))}
    for stream, wanted in expected.items():
        assert events_of(line, stream) == (wanted, wanted.total()), stream
    values = [value for topic in topics for _, _, value in events[topic]] + library.events
    model, (items, _) = open_model(store), items_of(values)
    assert {item: model.count(item) for item in items} == items
    streams = [stream_of(manifest) for manifest in line[1:]]
    assert sum(one != other for one, other in pairwise(streams)) > 10, "they took turns"
    report = fsck(left.store_url)
    assert (report["sound"], report["head"]) == (True, len(line) - 1)
