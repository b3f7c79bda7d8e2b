"""`strandline run` against a real broker: it learns every event once, whatever ends it."""

import math
import os
import signal
from pathlib import Path

import pytest

from strandline.cli.figures import log_loss
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, ends, items_of, positions, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(240)


def with_rejects(count: int, seed: int) -> list[bytes]:
    """Clicks, and every hundredth is no JSON."""
    return [b"{" if index % 100 == 7 else each for index, each in enumerate(clicks(count, seed))]


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_bounded_run_learns_the_topic_exactly_once(
    broker: Broker, tmp_path: Path, parallelism: int
) -> None:
    topic = f"bounded-{parallelism}"
    broker.create_topic(topic, 2)
    produce(broker, topic, with_rejects(20_000, seed=parallelism))
    options = ("--bounded", f"--parallelism={parallelism}")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        summary = run.summary()
    assert summary["ended"] == "finished"
    assert (summary["events"], summary["rejected"]) == (20_000, 200)
    total = check_exact(broker, topic, run.store_url)
    # Better than knowing only how often people click, and not by looking at the answers.
    items, _ = items_of(clicks(20_000, parallelism))
    rate = sum(clicked for _, clicked in items.values()) / 20_000
    constant = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    loss = log_loss(total.prequential["ctr"])
    assert loss is not None
    assert 0.5 * constant < loss < constant


def test_a_stopped_run_goes_on_where_the_store_stands(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("stopped", 2)
    produce(broker, "stopped", with_rejects(3000, seed=3))
    with Run(broker.bootstrap, "stopped", tmp_path) as first:
        first.wait_for_version(2)
        summary = first.stop()
    assert summary["ended"] == "stopped"
    assert summary["version"] == first.head()
    assert summary["positions"] == positions(first.store_url)
    produce(broker, "stopped", with_rejects(3000, seed=4))
    with Run(broker.bootstrap, "stopped", tmp_path) as second:
        second.wait_for_events(ends(broker, "stopped"))
        os.killpg(second.pid, signal.SIGTERM)  # to all its processes, as a service manager does
        assert second.summary()["ended"] == "stopped"
    check_exact(broker, "stopped", second.store_url)
