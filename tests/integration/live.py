"""What goes on while a run is killed: events come in, and a reader follows."""

import threading
import time
from abc import ABC, abstractmethod
from itertools import count
from typing import Self

from strandline.manifest import TrainBody
from strandline.model import Model
from strandline.reader import Reader
from strandline.store import Store
from strandline.store.chain import read_manifest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import produce
from tests.streams import clicks

TICK_EVENTS = 60
TICK_S = 0.05
ITEMS = 200
CATCH_UP_S = 10


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

    def _work(self) -> None:
        for tick in count():
            produce(self._broker, self._topic, [*clicks(TICK_EVENTS, seed=tick), b"{"])
            if self._stop.wait(TICK_S):
                return


class Watching(Background):
    """A reader that checks every model it is offered against the versions up to it."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._learned = [0]
        self.versions: list[int] = []
        self.faults: list[str] = []

    def _work(self) -> None:
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

    def catch_up(self) -> None:
        """Wait until the reader has the head; nothing it saw on its way was wrong."""
        deadline_s = time.monotonic() + CATCH_UP_S
        while self.versions[-1] < self._store.head() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert self.faults == []
        assert self.versions[-1] == self._store.head()
