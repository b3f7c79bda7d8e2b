"""What goes on while something is killed: events come in, a run learns, a reader follows."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

from kafka.errors import KafkaError

from strandline.manifest import TrainBody
from strandline.reading.model import Model
from strandline.reading.reader import Reader
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.store.chain import read_manifest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, produce
from tests.streams import CLICKS, clicks

TICK_EVENTS = 60
TICK_S = 0.05
ITEMS = 200
CATCH_UP_S = 60


class Background(ABC):
    """Goes on in a thread of its own while the block of `with` lasts."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    @abstractmethod
    def _work(self) -> None:
        """What goes on until `_stop` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Producing(Background):
    """Events all the while, some of them no JSON."""

    def __init__(self, broker: Broker, topic: str) -> None:
        super().__init__()
        self._broker, self._topic = broker, topic
        self.partitions = 2

    def _work(self) -> None:
        for tick in count():
            events = [*clicks(TICK_EVENTS, seed=tick), b"{"]
            with suppress(KafkaError):  # the broker may be what is killed
                produce(self._broker, self._topic, events, self.partitions)
            if self._stop.wait(TICK_S):
                return


class Watching(Background):
    """A reader that checks every model it is offered against the versions up to it.

    Errors of `tolerated` types are what a reader may meet while it serves on.
    """

    def __init__(self, store: Store, *tolerated: type[Exception]) -> None:
        super().__init__()
        self._store, self._tolerated = store, tolerated
        self._learned = [0]
        self.versions: list[int] = []
        self.faults: list[str] = []

    def _work(self) -> None:
        with Reader(self._store) as reader:
            while not self._stop.is_set():
                with suppress(*self._tolerated):
                    self._check(reader.model)
                error = reader.error
                if error is not None and not isinstance(error, self._tolerated):
                    self.faults.append(f"the reader met {error!r}")
                time.sleep(0.01)

    def _check(self, model: Model) -> None:
        if self.versions and model.version == self.versions[-1]:
            return
        if self.versions and model.version < self.versions[-1]:
            self.faults.append(f"stepped back from {self.versions[-1]} to {model.version}")
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
        self.versions.append(model.version)

    def catch_up(self) -> None:
        """Wait until the reader has the head; nothing it saw on its way was wrong."""
        deadline_s = time.monotonic() + CATCH_UP_S
        while self.versions[-1] < self._store.head() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert self.faults == []
        assert self.versions[-1] == self._store.head()


@contextmanager
def live_run(broker: Broker, topic: str, folder: Path, *options: str) -> Iterator[Run]:
    """A run that has begun to commit a new topic, while events come in and a reader follows.

    After the block it commits a few versions more and is stopped, and a bounded run learns the
    rest: every event is in exactly one version, and the reader saw nothing else.
    """
    broker.create_topic(topic, 2)
    run = Run(broker.bootstrap, topic, folder, *options)
    store = create_store(run.store_url, Spec.parse(CLICKS))
    with Watching(store) as watching:
        with Producing(broker, topic), run:
            run.wait_for_version(3)
            yield run
            run.wait_for_more(3)
            run.stop()
        with Run(broker.bootstrap, topic, folder, *options, "--bounded") as last:
            last.summary()
        watching.catch_up()
    check_exact(broker, topic, run.store_url)
