"""`strandline run --flink` on a real cluster of processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline_flink.broker import Broker
from strandline_flink.cluster import Cluster
from tests.integration.harness import Run, check_exact, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)
FAST = {"heartbeat.interval": 500, "heartbeat.timeout": 4000}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("flink"), taskmanagers=1, settings=FAST) as running:
        yield running


@pytest.mark.parametrize("mode", ["thread", "process", "thread"])
def test_a_bounded_run_learns_the_topic_exactly_once(
    broker: Broker, cluster: Cluster, tmp_path: Path, mode: str, request: pytest.FixtureRequest
) -> None:
    topic = f"cluster-{tmp_path.name.replace('[', '').replace(']', '')}"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(20_000))
    options = ("--bounded", f"--mode={mode}", f"--flink={cluster.address}")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        summary = run.summary()
    assert (summary["ended"], summary["events"], summary["mode"]) == ("finished", 20_000, mode)
    check_exact(broker, topic, run.store_url)
