"""What processes and a store take over time, and whether it stays flat."""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import psutil

from tests.integration.live import Background

EVERY_S: Final = 2.0
GROWTH_MAX: Final = 1.25
"""Of a median, from the second quarter of the samples to the last one."""
SLACK: Final = {"MB": 30.0, "descriptors": 10.0, "threads": 5.0, "files": 100.0}
"""What may be added on top of that: small numbers waver."""

Processes = Callable[[], Mapping[str, psutil.Process]]


class Growth(NamedTuple):
    """A measure of something: its median early and late."""

    what: str
    unit: str
    early: float
    late: float

    @property
    def flat(self) -> bool:
        """Whether it did not grow."""
        return self.late <= self.early * GROWTH_MAX + SLACK[self.unit]


class Sampling(Background):
    """Samples memory, descriptors and threads of processes by their role, and a store's files."""

    def __init__(self, processes: Processes, store: Path) -> None:
        super().__init__()
        self._processes, self._store = processes, store
        self._samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def growth(self) -> list[Growth]:
        """Return early and late of everything that was sampled often enough."""
        found = []
        with self._lock:
            for (what, unit), values in sorted(self._samples.items()):
                quarter = len(values) // 4
                if quarter:
                    early, late = values[quarter : 2 * quarter], values[-quarter:]
                    found.append(Growth(what, unit, median(early), median(late)))
        return found

    def _work(self) -> None:
        while not self._stop.wait(EVERY_S):
            for role, process in self._processes().items():
                with suppress(psutil.Error):
                    self._take(role, process)
            files = sum(len(names) for _, _, names in os.walk(self._store))
            with self._lock:
                self._samples["store", "files"].append(files)

    def _take(self, role: str, process: psutil.Process) -> None:
        with process.oneshot():
            values = {
                "MB": process.memory_info().rss / 1e6,
                "descriptors": process.num_fds(),
                "threads": process.num_threads(),
            }
        with self._lock:
            for unit, value in values.items():
                self._samples[role, unit].append(value)
