"""A real Flink cluster: a JobManager and TaskManagers, from the scripts that came with PyFlink."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from strandline.errors import EnvironmentUnfit
from strandline_flink.cluster import flink_rest
from strandline_flink.cluster.flink_configuration import (
    java_options,
    machine_settings,
    write_configuration,
)
from strandline_flink.cluster.lib_folder import FLINK_HOME, link_jars, python_jar
from strandline_flink.processes.child_environment import child_environment
from strandline_flink.processes.children import dying_with_parent
from strandline_flink.processes.ports import check_free, free_port

READY_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 15
POLL_S: Final = 0.1
# What a JobManager runs in application mode: Python, with a script and its arguments.
PYTHON_DRIVER: Final = ("--job-classname", "org.apache.flink.client.python.PythonDriver", "-py")
JAVA_OPTIONS: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# Heaps by name: Flink's own defaults take 3.3 GB for one JobManager and one TaskManager.
SETTINGS: Final = {
    "heartbeat.interval": 500,  # two that nobody answers, and a killed TaskManager is known
    "heartbeat.timeout": 10_000,
    "jobmanager.bind-host": "localhost",
    "jobmanager.memory.heap.size": "256m",
    "jobmanager.memory.jvm-metaspace.size": "192m",
    "jobmanager.memory.jvm-overhead.min": "64m",
    "jobmanager.memory.off-heap.size": "64m",
    "jobmanager.rpc.address": "localhost",
    "rest.address": "localhost",
    "rest.bind-address": "localhost",
    "taskmanager.bind-host": "localhost",
    "taskmanager.host": "localhost",
    "taskmanager.memory.jvm-metaspace.size": "192m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.managed.size": "64m",  # process mode's share: it must not be 0
    "taskmanager.memory.network.max": "32m",
    "taskmanager.memory.network.min": "32m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "128m",
    # One interpreter for all slots of a TaskManager, and one lock: a second slot adds nothing.
    "taskmanager.numberOfTaskSlots": 1,
    "web.access-control-allow-origin": "",
    "web.submit.enable": False,
}

LOGGING: Final = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %c{1} - %m%n
logger.checkpoints.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.checkpoints.level = WARN
"""


class Cluster:
    """A JobManager and TaskManagers as child processes, for this machine only.

    Used as a context manager, or with `start` and `stop`. All of it is killed when this process
    ends in any way, and when the thread that started it does.

    Parameters
    ----------
    folder
        Holds configuration, temporary files and logs; made if it is not there.
    taskmanagers
        How many to start; each has one slot.
    port
        Of the JobManager's REST interface. Default: a free one.
    python_jar
        Whether flink-python's jar is in the cluster's lib folder. Without it a TaskManager runs
        one job in thread mode, and no second one.
    settings
        Flink's configuration where it differs from ours.
    application
        A script and its arguments: the JobManager runs this one job and ends with it
        (application mode). Started again, it goes on from the store's head.
    """

    def __init__(
        self,
        folder: Path,
        *,
        taskmanagers: int = 1,
        port: int | None = None,
        python_jar: bool = True,
        settings: Mapping[str, Any] | None = None,
        application: Sequence[str | Path] = (),
    ) -> None:
        self.folder = folder.resolve()
        self._wanted = taskmanagers
        self._port = port
        self._rpc_port = 0
        self._python_jar = python_jar
        self._settings = dict(settings or {})
        self.jobmanager: subprocess.Popen[bytes] | None = None
        self.taskmanagers: list[subprocess.Popen[bytes]] = []
        self._application = application
        self._started = 0

    @property
    def address(self) -> str:
        """`host:port` of the JobManager's REST interface, for `--flink` and `flink run -m`."""
        return f"localhost:{self._port}"

    @property
    def logs(self) -> Path:
        """The folder of all processes' logs."""
        return self.folder / "log"

    @property
    def configuration(self) -> Path:
        """The configuration folder, FLINK_CONF_DIR for `flink run`."""
        return self.folder / "conf"

    def start(self) -> Self:
        """Start everything and wait until the slots are there.

        Raises `EnvironmentUnfit`, naming the log, if a process ends or takes too long.
        """
        if self._port is not None:
            check_free(self._port, f"the Flink cluster in {self.folder}")
        self._port = self._port or free_port()
        self._rpc_port = self._rpc_port or free_port()
        self._prepare()
        try:
            self.start_jobmanager()
            for _ in range(self._wanted):
                self.start_taskmanager()
            self.wait_for_slots(self._wanted)
        except BaseException:
            self.kill()
            raise
        return self

    def start_jobmanager(self) -> None:
        """Start the JobManager, on the ports of the one before; TaskManagers find it again."""
        assert self.jobmanager is None or self.jobmanager.poll() is not None, "it is running"
        if self._application:
            command = [*PYTHON_DRIVER, *self._application]
            self.jobmanager = self._launch("jobmanager", "standalone-job.sh", *command)
        else:
            self.jobmanager = self._launch("jobmanager", "jobmanager.sh")

    def start_taskmanager(
        self, settings: Mapping[str, Any] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one more TaskManager; `settings` are its own, where they differ from the cluster's.

        A cluster of `taskmanagers=0` has only those.
        """
        self._started += 1
        own = [f"-D{key}={value}" for key, value in (settings or {}).items()]
        process = self._launch(f"taskmanager-{self._started}", "taskmanager.sh", *own)
        self.taskmanagers.append(process)
        return process

    def wait_for_slots(self, slots: int) -> None:
        """Wait until the JobManager knows of so many slots."""
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while (found := self.slots()) < slots:
            if ended := self.ended():
                raise self._failed(f"{ended} ended")
            if time.monotonic() > deadline_s:
                raise self._failed(f"{found} of {slots} slots after {READY_TIMEOUT_S} s")
            time.sleep(POLL_S)

    def ended(self) -> str:
        """Words for a process that ended by itself, "" if all run."""
        named = [("the JobManager", self.jobmanager)]
        named += [("a TaskManager", process) for process in self.taskmanagers]
        codes = [(name, process.poll()) for name, process in named if process is not None]
        return next((f"{name} (exit code {code})" for name, code in codes if code is not None), "")

    def slots(self) -> int:
        """How many slots the JobManager knows of, 0 while it does not answer."""
        try:
            return flink_rest.slots(self.address)[0]
        except EnvironmentUnfit:
            return 0

    def stop(self) -> None:
        """End all of it in order, by force what takes too long; wait until it is gone."""
        processes = [*self.taskmanagers, *filter(None, [self.jobmanager])]
        for process in processes:
            process.terminate()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for process in processes:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.jobmanager, self.taskmanagers = None, []

    def kill(self) -> None:
        """End all of it as a crash would; wait until it is gone."""
        processes = [*self.taskmanagers, *filter(None, [self.jobmanager])]
        for process in processes:
            process.kill()
            process.wait()
        self.jobmanager, self.taskmanagers = None, []

    def environment(self) -> dict[str, str]:
        """For the cluster's processes, and for `flink run` against it."""
        return {
            **child_environment(self.folder / "tmp"),
            "FLINK_CONF_DIR": str(self.configuration),
            "FLINK_LIB_DIR": str(self.folder / "lib"),
            "FLINK_LOG_DIR": str(self.logs),
            "FLINK_PID_DIR": str(self.folder / "tmp"),
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self) -> None:
        for name in ("conf", "lib", "log", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        link_jars(self.folder / "lib", [python_jar()] if self._python_jar else [])
        settings = {
            **machine_settings(),
            **SETTINGS,
            "env.java.opts.all": " ".join([*java_options(), *JAVA_OPTIONS]),
            "io.tmp.dirs": str(self.folder / "tmp"),
            "jobmanager.rpc.port": self._rpc_port,
            "rest.bind-port": str(self._port),
            "rest.port": self._port,
            "web.tmpdir": str(self.folder / "tmp"),
            "web.upload.dir": str(self.folder / "tmp"),
            **self._settings,
        }
        write_configuration(self.configuration, settings)
        for name in ("log4j-console", "log4j-cli"):
            (self.configuration / f"{name}.properties").write_text(LOGGING)

    def _launch(self, name: str, script: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                dying_with_parent([FLINK_HOME / "bin" / script, "start-foreground", *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.logs,  # where a crash of Java leaves its report
                start_new_session=True,  # Ctrl-C is for the parent, which stops the cluster
            )

    def _failed(self, what: str) -> EnvironmentUnfit:
        return EnvironmentUnfit(
            f"the Flink cluster in {self.folder} is not ready: {what}. Its logs are in {self.logs}"
        )
