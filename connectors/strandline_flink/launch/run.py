"""A run: the parent of the process that submits the job, which follows what it commits."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from strandline.cli.output import age
from strandline.cli.version_view import moment
from strandline.clock import wall_clock_ms
from strandline.errors import EnvironmentUnfit, NoStore, StoreError, StoreUnavailable
from strandline.store import Store
from strandline.upkeep.compactor import Compactor
from strandline_flink.cluster.run_folder import RunFolder
from strandline_flink.failure import as_error, read_failure
from strandline_flink.job.execution_mode import chosen
from strandline_flink.job.options import JobOptions
from strandline_flink.launch.cluster_check import check_cluster
from strandline_flink.launch.listening import listening
from strandline_flink.launch.preflight import Topic, check
from strandline_flink.launch.progress import Progress, Silence
from strandline_flink.processes.children import dying_with_parent, end

POLL_S: Final = 0.05
# How long a stop waits for one more version: checkpoint intervals, and a little for a slow disk.
STOP_INTERVALS: Final = 4
STOP_EXTRA_S: Final = 2.0
CHILD_EXIT_S: Final = 30.0
COMPACT_EVERY: Final = 100
COMPACT_AGAIN_S: Final = 5.0

Report = Callable[[Progress], None]


class Stop:
    """SIGTERM or Ctrl-C: once asks for a stop after one more version, twice for one now."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_ms = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals, and give them back."""
        before = {number: signal.signal(number, self._ask) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self.at_ms = self.at_ms or time.time_ns() // 1_000_000


STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run(options: JobOptions, report: Report, warn: Callable[[str], None]) -> dict[str, Any]:
    """Run the job until its input ends or it is told to stop; return the run's summary.

    Raises
    ------
    StrandlineError
        What was wrong with the arguments or the machine, or why the job ended.
    """
    stop = Stop()
    with stop.listening():
        # Before the store is made: a run that is refused leaves nothing behind.
        mode = check_cluster(options) if options.flink else chosen(options.mode)
        checked = check(options)
        if checked.topic.settings.warning:
            warn(checked.topic.settings.warning)
        if options.parallelism > checked.partitions:
            warn(
                f"{options.parallelism} workers for {checked.partitions} partitions: "
                f"{options.parallelism - checked.partitions} will be idle"
            )
        options = replace(options, mode=mode.name)
        progress = Progress(checked.store, options.stream, options.submission, mode)
        progress.head = checked.store.head()
        folder = RunFolder.make()
        child = start(options, folder)
        try:
            with compacting(checked.store, warn), listening(checked.topic, progress):
                watch = Watch(child, progress, report, warn, stop)
                watch.follow()
                if stop.asked:
                    watch.wait_for_last(checked.topic, options.checkpoint_ms)
        finally:
            exit_code = end(child, CHILD_EXIT_S)
        failure = read_failure(folder.path)
        if failure is not None or (exit_code != 0 and not stop.asked):
            raise as_error(failure, folder.log)
        progress.look()
        if exit_code != 0 and options.flink:
            warn(f"the job was not seen to end; look for it at {options.flink} and cancel it there")
    folder.remove()
    return progress.summary() | {"ended": "stopped" if stop.asked else "finished"}


def start(options: JobOptions, folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start the job's process. It dies with this one, and is in the same process group."""
    program = [str(train_script()), *options.resolved().to_args()]
    command = [sys.executable, "-P", "-m", "strandline_flink.job.job_process", *program]
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            dying_with_parent(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=folder.environment(),
            cwd=folder.path / "log",  # where a crash of Java leaves its report
        )


def train_script() -> Path:
    """`jobs/train.py`: inside the package in a wheel, beside `connectors` in a checkout."""
    package = Path(__file__).parents[1]
    for path in (package / "jobs" / "train.py", package.parents[1] / "jobs" / "train.py"):
        if path.is_file():
            return path
    raise EnvironmentUnfit(
        f"jobs/train.py is missing near {package}; install strandline[flink] anew"
    )


@dataclass(slots=True)
class Watch:
    """A running job and who wants to know about it."""

    child: subprocess.Popen[bytes]
    progress: Progress
    report: Report
    warn: Callable[[str], None]
    stop: Stop
    _away: bool = False
    _silence: Silence | None = None

    def follow(self) -> None:
        """Report every new version until the job ends or a stop is asked for."""
        while self.child.poll() is None and not self.stop.asked:
            self._look()

    def wait_for_last(self, topic: Topic, checkpoint_ms: int) -> None:
        """Wait for a version that began after the stop was asked for, or until nothing is unread.

        A second signal, and a few checkpoint intervals without one, end the wait.
        """
        self.progress.stopping = True
        self.report(self.progress)
        if self.progress.opened is None or self.progress.silence is not None:
            return
        deadline_s = time.monotonic() + STOP_INTERVALS * checkpoint_ms / 1000 + STOP_EXTRA_S
        try:
            ends = topic.ends()
        except EnvironmentUnfit:
            return  # without a broker no version will come
        while self.child.poll() is None and self.stop.asked < 2 and time.monotonic() < deadline_s:
            self._look()
            positions = self.progress.positions
            read_all = all(
                positions.get(str(partition), 0) >= end for partition, end in ends.items()
            )
            if read_all or self.progress.newest_cut_ms >= self.stop.at_ms:
                return

    def _look(self) -> None:
        try:
            self.progress.look()
            self._away = False
        except (NoStore, StoreUnavailable) as error:
            # A mount may come back: how long that is waited for is the job's to decide.
            if not self._away:
                self.warn(f"the store does not answer, the job goes on when it does: {error}")
            self._away = True
        self._tell_of_silence()
        self.report(self.progress)
        time.sleep(POLL_S)

    def _tell_of_silence(self) -> None:
        """Say when brokers fell silent and when one answers again; the job waits for them."""
        was, self._silence = self._silence, self.progress.silence
        if was is None and self._silence is not None:
            self.warn(
                f"since {moment(self._silence.since_ms)} {self._silence.reason}. "
                "The job waits, and goes on by itself when one answers"
            )
        elif was is not None and self._silence is None:
            silent = age(was.since_ms, wall_clock_ms())
            self.warn(f"a Kafka broker answers again after {silent}, and the job goes on")


@contextmanager
def compacting(store: Store, warn: Callable[[str], None]) -> Iterator[None]:
    """Write bases in a thread. A base only makes opening cheaper: its failure stops nothing."""
    stop = threading.Event()

    def compact() -> None:
        while not stop.is_set():
            try:
                Compactor(store, COMPACT_EVERY).follow(stop)
            except (NoStore, StoreUnavailable):
                stop.wait(COMPACT_AGAIN_S)  # the watch says that the store does not answer
            except StoreError as error:
                warn(f"no more bases are written by this run: {error}")
                return

    thread = threading.Thread(target=compact, name="compactor")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
