"""The restarts of a run's job: what Flink says of each, and when there is no point in one more."""

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from strandline.errors import EnvironmentUnfit, StoreUnavailable, StrandlineError
from strandline_flink.cluster import flink_rest
from strandline_flink.failure import Failure, as_error, cause_of
from strandline_flink.job.handle import JobHandle, find_handle
from strandline_flink.launch.progress import Progress

ASK_EVERY_S: Final = 0.5
IDENTICAL_MAX: Final = 4
# A store may come back after any time, and then the job goes on by itself.
WAITED_FOR: Final = (StoreUnavailable.code, "no_store")
_CHANGING: Final = re.compile(r"[0-9a-f]{6,}|\d+")


@dataclass(frozen=True, slots=True)
class Restart:
    """One failure of the job that Flink answered with a restart."""

    failure: Failure
    repeats: int

    @property
    def words(self) -> str:
        """What the user is told."""
        nth = "" if self.repeats == 1 else f", {self.repeats} times in the same way"
        return f"the job failed and restarts{nth}: {self.failure.message}"


class Restarts:
    """Follows a job's failures over REST, in a thread of its own. Used as a context manager."""

    def __init__(self, folder: Path, logs: Path, progress: Progress) -> None:
        self._folder, self._logs, self._progress = folder, logs, progress
        self._stop = threading.Event()
        self._news: list[Restart] = []
        self._newest_ms = 0
        self._last = ""
        self._repeats = 0
        self._versions = 0
        self._error: StrandlineError | None = None
        self._thread = threading.Thread(target=self._run, name="restarts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def check(self) -> None:
        """Raise the failure that came again and again."""
        if self._error is not None:
            raise self._error

    def news(self) -> list[Restart]:
        """The restarts since the last call. Of several that are alike in a row the last one."""
        news, self._news = self._news, []
        return news

    def _run(self) -> None:
        handle: JobHandle | None = None
        while not self._stop.wait(ASK_EVERY_S):
            handle = handle or find_handle(self._folder)
            if handle is None:
                continue
            try:
                self.take(flink_rest.failures(handle.address, handle.job, self._newest_ms))
            except EnvironmentUnfit:
                time.sleep(ASK_EVERY_S)  # the job's own client says that the cluster is gone

    def take(self, failures: list[tuple[int, str]]) -> None:
        """Take up failures, oldest first: when, and the stack trace."""
        for time_ms, trace in failures:
            self._newest_ms = time_ms
            failure = cause_of(trace)
            likeness = failure.code + _CHANGING.sub("#", failure.message)
            versions, before = self._progress.total.versions, self._versions
            alike = likeness == self._last and versions == before
            self._repeats = self._repeats + 1 if alike else 1
            self._last, self._versions = likeness, versions
            self._progress.restarts += 1
            self._news = [*(self._news if not alike else ()), Restart(failure, self._repeats)]
            if self._repeats >= IDENTICAL_MAX and failure.code not in WAITED_FOR:
                times = f"{self._repeats} times in the same way, and made no version in between: "
                again = Failure(failure.code, f"the job failed {times}{failure.message}")
                self._error = as_error(again, self._logs)
                return  # what came meanwhile is more of the same
