"""The store, as the run's own process sees it: read for new versions, tried when none comes.

All of it is in a thread of its own: a disk or a mount that hangs stops that thread alone, and the
command says so.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Self

from strandline.clock import wall_clock_ms
from strandline.errors import NoStore, StoreUnavailable
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.troubles import Kind, Trouble

POLL_S: Final = 0.05
TRY_EVERY_S: Final = 1.0
STILL_S: Final = 3.0  # without a version
HANGING_S: Final = 5.0
TRIAL_BYTES_MIN: Final = 1 << 20

Access = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that the store has not answered yet."""

    access: Access
    since_s: float
    since_ms: int


class StoreWatch:
    """Follows the versions that a run commits; knows why none comes if the store is the reason.

    Used as a context manager. A store that a job cannot write to looks like an idle one: so while
    events wait and no version comes, a file as large as the largest delta is written and removed.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stop = threading.Event()
        self._call: _Call | None = None
        self._met: dict[Access, Trouble] = {}
        self._tried_s = 0.0
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="store-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # a thread that hangs in the store is not waited for

    def check(self) -> None:
        """Raise what a look found that no waiting mends, such as `StoreDamaged`."""
        if self._failure is not None:
            raise self._failure

    def look_once_more(self) -> None:
        """Take up the last versions, once the job has ended: the summary is of what was seen."""
        self._thread.join(HANGING_S)
        if self._thread.is_alive() or self._failure is not None:
            return
        last = threading.Thread(target=self._ask, args=("read", self._progress.look), daemon=True)
        last.start()
        last.join(HANGING_S)

    @property
    def trouble(self) -> Trouble | None:
        """What the store does not do now, None if all is well."""
        call = self._call
        if call is not None and time.monotonic() - call.since_s > HANGING_S:
            reason = (
                f"{self._progress.store.url} has not answered a {call.access}: its disk or its "
                "mount hangs; check it"
            )
            return Trouble(Kind.STORE, call.since_ms, reason)
        return self._met.get("read") or self._met.get("write")

    def _run(self) -> None:
        progress = self._progress
        while not self._stop.wait(POLL_S):
            try:
                version = progress.version
                self._ask("read", progress.look)
                if progress.version != version:  # it was written to
                    self._met.pop("write", None)
                elif self._is_to_be_tried():
                    self._tried_s = time.monotonic()
                    self._ask("write", lambda: progress.store.check_writable(trial_bytes(progress)))
            except Exception as error:  # noqa: BLE001  the main thread raises it
                self._failure = error
                return

    def _is_to_be_tried(self) -> bool:
        if time.monotonic() - self._tried_s < TRY_EVERY_S:
            return False
        waits = self._progress.still_s > STILL_S and self._progress.is_awaited
        return waits or "write" in self._met

    def _ask(self, access: Access, call: Callable[[], object]) -> None:
        self._call = _Call(access, time.monotonic(), wall_clock_ms())
        try:
            call()
        except (NoStore, StoreUnavailable) as error:
            since_ms = self._met[access].since_ms if access in self._met else self._call.since_ms
            self._met[access] = Trouble(Kind.STORE, since_ms, str(error))
        else:
            self._met.pop(access, None)
        finally:
            self._call = None


def trial_bytes(progress: Progress) -> int:
    """As much as the run's next delta may need."""
    return max(TRIAL_BYTES_MIN, 2 * progress.delta_bytes)
