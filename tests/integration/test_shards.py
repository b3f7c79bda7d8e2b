"""Any number of workers and shards, in a real Flink: exact counts, and what one pass learns."""

from pathlib import Path

import pytest

from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(("workers", "shards"), [(2, 3)])
def test_grid(broker: Broker, tmp_path: Path, workers: int, shards: int) -> None:
    topic = f"grid-{workers}-{shards}"
    broker.create_topic(topic, 4)
    produce(broker, topic, clicks(8000), partitions=4)
    options = ("--bounded", f"--parallelism={workers}", f"--shards={shards}")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        summary = run.summary()
    assert summary["ended"] == "finished"
    check_exact(broker, topic, run.store_url)
