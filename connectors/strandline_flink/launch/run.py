"""A run: the parent of the process that submits the job, which follows what it commits."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from strandline.errors import EnvironmentUnfit, NoStore, StoreError, StoreUnavailable
from strandline.store import Store
from strandline.upkeep.compactor import Compactor
from strandline_flink.cluster.run_folder import RunFolder
from strandline_flink.failure import as_error, read_failure
from strandline_flink.job.execution_mode import chosen
from strandline_flink.job.options import JobOptions
from strandline_flink.launch.cluster_check import check_cluster
from strandline_flink.launch.listening import listening
from strandline_flink.launch.preflight import check
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.restarts import Restarts
from strandline_flink.launch.stop import Stop
from strandline_flink.launch.store_watch import StoreWatch
from strandline_flink.launch.watch import Report, Warn, Watch
from strandline_flink.processes.children import dying_with_parent, end

CHILD_EXIT_S: Final = 30.0
COMPACT_EVERY: Final = 100
COMPACT_AGAIN_S: Final = 5.0
COMPACTED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its summary, and the exit code that tells a supervisor."""

    summary: dict[str, Any]
    exit_code: int


def run(options: JobOptions, report: Report, warn: Warn) -> Ended:
    """Run the job until its input ends or it is told to stop.

    Raises
    ------
    StrandlineError
        What was wrong with the arguments or the machine, or why the job ended.
    """
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
    head = checked.store.head()
    options = replace(options, mode=mode.name).submitted(head)
    progress = Progress(checked.store, options.stream, options.submission, mode, head=head)
    stop = Stop()
    with stop.listening():
        folder = RunFolder.make()
        child = start(options, folder)
        watch = Watch(child, progress, report, warn, stop, folder.logs, options.checkpoint_ms)
        store = StoreWatch(progress)
        try:
            with (
                store,
                Restarts(folder.path, folder.logs, progress) as restarts,
                compacting(checked.store, warn),
                listening(checked.topic, progress),
            ):
                watch.follow(store, restarts)
                if stop.asked:
                    watch.wait_for_last(checked.topic)
                ended_by_itself = child.poll() is not None
        finally:
            exit_code = end(child, CHILD_EXIT_S)
        failure = read_failure(folder.path)
        if failure is not None or (exit_code != 0 and not stop.asked):
            raise as_error(failure, folder.logs)
        if exit_code != 0 and options.flink:
            warn(f"the job was not seen to end; look for it at {options.flink} and cancel it there")
    store.look_once_more()
    folder.remove()
    finished = ended_by_itself and exit_code == 0
    done = finished or (not options.bounded and progress.opened is not None)
    summary = progress.summary() | {"ended": "finished" if finished else "stopped"}
    return Ended(summary, stop.exit_code(done=done))


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
        f"jobs/train.py is missing near {package};"
        " install Strandline anew, in a clone: make setup, or pip install '.[flink]'"
    )


@contextmanager
def compacting(store: Store, warn: Warn) -> Iterator[None]:
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

    thread = threading.Thread(target=compact, name="compactor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(COMPACTED_S)  # a store that hangs is not waited for
