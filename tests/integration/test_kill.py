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

KILLS = 6


def moments(seed: int) -> Iterator[tuple[int, float]]:
    """When to kill: after so many versions of the run, and then so many seconds."""
    rng = random.Random(seed)
    yield 0, rng.uniform(0, 4)  # while everything starts
    yield 1, rng.uniform(0, 1)  # the stream is open
    while True:
        yield rng.randint(2, 6), rng.uniform(0, 0.3)


@pytest.mark.timeout(600)
def test_killed_at_any_moment_the_same_command_goes_on_and_every_event_counts_once(
    broker: Broker, tmp_path: Path
) -> None:
    broker.create_topic("killed", 2)
    run = Run(broker.bootstrap, "killed", tmp_path, "--parallelism=2")
    store = create_store(run.store_url, Spec.parse(CLICKS))
    with Watching(store) as watching:
        with Producing(broker, "killed"):
            for _, (versions, seconds) in zip(range(KILLS), moments(seed=20), strict=False):
                run.start()
                if versions:
                    run.wait_for_version(versions)
                time.sleep(seconds)
                run.kill()
        with Run(broker.bootstrap, "killed", tmp_path, "--parallelism=2", "--bounded") as last:
            last.summary()
        watching.catch_up()
    total = check_exact(broker, "killed", run.store_url)
    assert total.rejected > 0
    opens = [v for v in range(store.head() + 1) if read_manifest(store, v).kind == "open"]
    assert len(opens) >= KILLS - 1
