"""A savepoint restored with other numbers of workers and shards, on a real cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from tests.integration.flink_command import PATIENT, FlinkCommand
from tests.integration.harness import check_exact, produce, restored_opens
from tests.streams import clicks

pytestmark = [pytest.mark.rare, pytest.mark.timeout(400)]
SCALES = [(1, 1), (4, 3), (2, 4), (1, 1)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    slots = {**PATIENT, "taskmanager.numberOfTaskSlots": 4}
    with Cluster(tmp_path / "flink", settings=slots) as running:
        yield running


def test_restores_with_other_numbers_of_workers_and_shards(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """More workers than partitions, more shards and fewer; events come before and after each."""
    topic = "rescaled-savepoint"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    savepoint = ""
    with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
        for seed, (workers, shards) in enumerate(SCALES, start=1):
            scale = (f"--parallelism={workers}", f"--shards={shards}")
            job = flink.run(*scale, savepoint=savepoint)
            flink.wait_for_all()
            produce(broker, topic, clicks(500, seed))
            flink.wait_for_all()
            savepoint = flink.stop(job)
    runs = {each.streams["events"].run for each in log(flink.store) if each.streams}
    assert (restored_opens(flink.store), len(runs)) == (len(SCALES) - 1, 1)
    check_exact(broker, topic, flink.store_url)
