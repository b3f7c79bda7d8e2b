"""Brokers that do not answer while a run goes on: it says so, waits, and goes on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, ends, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(240)


@contextmanager
def killed(broker: Broker) -> Iterator[None]:
    """Nobody listens at its port."""
    broker.kill()
    yield
    broker.start()


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """Connections are made, and nothing is said."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.long
def test_broker_is_killed_and_frozen_while_a_run_goes_on(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        broker.create_topic("silence", 2)
        with Run(broker.bootstrap, "silence", tmp_path) as run:
            for seed, silent in enumerate((killed, frozen)):
                produce(broker, "silence", clicks(100, seed=seed))
                run.wait_for_events(ends(broker, "silence"))
                with silent(broker):
                    said = run.wait_to_hear(" no Kafka broker answers at ")
                    assert said.startswith("warning: since 20"), said
                    assert broker.bootstrap in said
                    assert said.endswith("The job waits, and goes on by itself when one answers\n")
                assert "a Kafka broker answers again after" in run.wait_to_hear("warning: ")
            produce(broker, "silence", clicks(100, seed=2))
            run.wait_for_events(ends(broker, "silence"))
            assert run.stop()["ended"] == "stopped"
        kinds = [manifest.kind for manifest in log(run.store)]
        assert kinds.count("open") == 1, "the job was never restarted"
        check_exact(broker, "silence", run.store_url)
