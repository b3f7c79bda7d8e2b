"""SIGKILL of everything a run consists of, while events come in and a reader follows."""

import random
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from strandline.manifest import TrainBody
from strandline.model import Model
from strandline.reader import Reader
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.store.chain import read_manifest
from strandline_flink.broker import Broker
from tests.integration.harness import Run, check_exact, produce
from tests.streams import CLICKS, clicks

KILLS = 6
TICK_EVENTS = 60
TICK_S = 0.05
ITEMS = 200


class Producing:
    """Events all the while, some of them no JSON."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic = broker, topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _produce(self) -> None:
        for tick in count():
            produce(self._broker, self._topic, [*clicks(TICK_EVENTS, seed=tick), b"{"])
            if self._stop.wait(TICK_S):
                return


class Watching:
    """A reader that checks every model it is offered against the versions up to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._learned = [0]
        self.versions: list[int] = []
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with Reader(self._store) as reader:
            while not self._stop.is_set():
                self._check(reader.model)
                if reader.error is not None:
                    self.faults.append(f"the reader met {reader.error!r}")
                time.sleep(0.01)

    def _check(self, model: Model) -> None:
        if self.versions and model.version == self.versions[-1]:
            return
        if self.versions and model.version < self.versions[-1]:
            self.faults.append(f"stepped back from {self.versions[-1]} to {model.version}")
        self.versions.append(model.version)
        for version in range(len(self._learned), model.version + 1):
            body = read_manifest(self._store, version).body
            more = body.counts.learned if isinstance(body, TrainBody) else 0
            self._learned.append(self._learned[-1] + more)
        counted = sum(model.count(f"i{item}")[0] for item in range(ITEMS))
        if counted != self._learned[model.version]:
            self.faults.append(
                f"version {model.version} counts {counted} events,"
                f" its line of versions learned {self._learned[model.version]}"
            )


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
        deadline_s = time.monotonic() + 10
        while watching.versions[-1] < store.head() and time.monotonic() < deadline_s:
            time.sleep(0.05)
    assert watching.faults == []
    assert watching.versions[-1] == store.head()
    sums = check_exact(broker, "killed", run.store_url)
    assert sums.rejected > 0
    opens = [v for v in range(store.head() + 1) if read_manifest(store, v).kind == "open"]
    assert len(opens) >= KILLS - 1
