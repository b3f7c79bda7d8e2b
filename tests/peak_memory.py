"""How much memory a test run and everything it started held at once."""

import ctypes
import threading
from collections.abc import Callable

import psutil

PR_SET_CHILD_SUBREAPER = 36
INTERVAL_S = 0.25


def adopt_orphans() -> None:
    """Children whose parent ends become children of this process, so they stay counted."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) was refused")


def tree_rss_bytes(root: psutil.Process) -> int:
    """Resident bytes of a process and all its descendants; shared pages count once for each."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


class PeakMemory:
    """Samples in a thread until `stop`; `peak_bytes` is the highest sample."""

    def __init__(self, measure: Callable[[], int], interval_s: float = INTERVAL_S) -> None:
        self.peak_bytes = 0
        self._measure = measure
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, self._measure())
            if self._stopped.wait(self._interval_s):
                return
