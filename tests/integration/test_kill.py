"""SIGKILL of everything a run consists of, while events come in and a reader follows."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.chain import read_manifest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact
from tests.integration.live import Producing, Watching
from tests.streams import CLICKS


def moments(seed: int) -> Iterator[tuple[int, float]]:
    """When to kill: after so many versions of the run, and then so many seconds."""
    rng = random.Random(seed)
    yield 0, rng.uniform(0, 4)  # while everything starts
    yield 1, rng.uniform(0, 1)  # the stream is open
    while True:
        yield rng.randint(2, 6), rng.uniform(0, 0.3)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [3, pytest.param(6, marks=pytest.mark.long)])
def test_killed_at_any_moment_the_same_command_goes_on_and_every_event_counts_once(
    kills: int, broker: Broker, tmp_path: Path
) -> None:
    topic = f"killed-{kills}"
    broker.create_topic(topic, 2)
    run = Run(broker.bootstrap, topic, tmp_path, "--parallelism=2")
    store = create_store(run.store_url, Spec.parse(CLICKS))
    with Watching(store) as watching:
        with Producing(broker, topic):
            for _, (versions, seconds) in zip(range(kills), moments(seed=kills), strict=False):
                run.start()
                if versions:
                    run.wait_for_version(versions)
                time.sleep(seconds)
                run.kill()
        with Run(broker.bootstrap, topic, tmp_path, "--parallelism=2", "--bounded") as last:
            last.summary()
        watching.catch_up()
    total = check_exact(broker, topic, run.store_url)
    assert total.rejected > 0
    opens = [v for v in range(store.head() + 1) if read_manifest(store, v).kind == "open"]
    assert len(opens) >= kills - 1
