"""What is seen of a running job, and told: versions, troubles, restarts."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strandline.clock import wall_clock_ms
from strandline.errors import EnvironmentUnfit
from strandline.metrics import record_times
from strandline_flink.launch.preflight import Topic
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.restarts import WAITED_FOR, Restarts
from strandline_flink.launch.stop import Stop
from strandline_flink.launch.store_watch import StoreWatch
from strandline_flink.launch.troubles import Kind, Told, Trouble

POLL_S: Final = 0.05
# How long a stop waits for one more version: checkpoint intervals, and a little for a slow disk.
STOP_INTERVALS: Final = 4
STOP_EXTRA_S: Final = 2.0
# Without a version while events wait, and without a reason: longer than a loaded machine takes.
STALL_S: Final = 60.0
STALL_INTERVALS: Final = 10

Report = Callable[[Progress], None]
Warn = Callable[[str], None]


@dataclass(slots=True)
class Watch:
    """A running job and who wants to know about it."""

    child: subprocess.Popen[bytes]
    progress: Progress
    report: Report
    warn: Warn
    stop: Stop
    logs: Path
    checkpoint_ms: int
    _told: Told = field(default_factory=Told)
    _told_of_times: bool = False
    _seen: tuple[StoreWatch, Restarts] | None = None

    def follow(self, store: StoreWatch, restarts: Restarts) -> None:
        """Report every new version until the job ends or a stop is asked for."""
        self._seen = (store, restarts)
        while self.child.poll() is None and not self.stop.asked:
            self._look()

    def wait_for_last(self, topic: Topic) -> None:
        """Wait for a version that began after the stop was asked for, or until nothing is unread.

        A second signal, and a few checkpoint intervals without one, end the wait.
        """
        progress = self.progress
        progress.stopping = True
        self.report(progress)
        deadline_s = time.monotonic() + STOP_INTERVALS * self.checkpoint_ms / 1000 + STOP_EXTRA_S
        if progress.opened is None or progress.troubles.keys() & {Kind.BROKER, Kind.STORE}:
            return  # no version will come
        try:
            ends = topic.ends()
        except EnvironmentUnfit:
            return
        while self._goes_on(deadline_s):
            self._look()
            positions = progress.positions
            read_all = all(positions.get(str(each), 0) >= end for each, end in ends.items())
            if read_all or progress.newest_cut_ms >= self.stop.at_ms:
                return

    def _goes_on(self, deadline_s: float) -> bool:
        in_time = time.monotonic() < deadline_s
        return in_time and self.child.poll() is None and self.stop.asked < 2

    def _look(self) -> None:
        assert self._seen is not None, "follow comes first"
        store, restarts = self._seen
        store.check()
        restarts.check()
        troubles = dict(self.progress.heard)
        if met := store.trouble:
            troubles[met.kind] = met
        if stall := self._stall(troubles):
            troubles[stall.kind] = stall
        self.progress.troubles = troubles
        for text in self._told.news(troubles, wall_clock_ms()):
            self.warn(text)
        for restart in restarts.news():
            if restart.failure.code not in WAITED_FOR or restart.repeats == 1:
                self.warn(restart.words)
        self._tell_of_times()
        self.report(self.progress)
        time.sleep(POLL_S)

    def _tell_of_times(self) -> None:
        """Say once that the records' times are not in milliseconds."""
        newest_ms = self.progress.newest_time_ms
        unit = record_times.wrong_unit(newest_ms, wall_clock_ms())
        if unit is not None and not self._told_of_times:
            self._told_of_times = True
            self.warn(record_times.words(unit, newest_ms))

    def _stall(self, troubles: dict[Kind, Trouble]) -> Trouble | None:
        """No version, though events wait and nothing is known to be in the way."""
        progress = self.progress
        patience_s = max(STALL_S, STALL_INTERVALS * self.checkpoint_ms / 1000)
        if troubles or progress.still_s < patience_s or not progress.is_awaited:
            return None
        since_ms = wall_clock_ms() - int(progress.still_s * 1000)
        what = "the stream is not open" if progress.opened is None else "events wait unread"
        return Trouble(
            Kind.STALL, since_ms, f"{what} and no version comes; logs are in {self.logs}"
        )
