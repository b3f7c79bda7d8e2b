"""The folder of one local run: Flink's configuration, its temporary files, and the logs.

Nothing in it is needed to go on: a start always begins at the store's head.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from strandline.errors import EnvironmentUnfit
from strandline_flink import jars
from strandline_flink.cluster.dead_runs import PREFIX, hold, sweep
from strandline_flink.cluster.flink_configuration import machine_settings, write_configuration
from strandline_flink.cluster.lib_folder import FLINK_HOME, link_jars
from strandline_flink.failure import RUN_FOLDER
from strandline_flink.jars.cache import cache_dir
from strandline_flink.processes.child_environment import child_environment

# Tens of megabytes of blocks are in flight, each for tens of milliseconds: in a young generation
# that holds them they die there; in one of the JVM's own choice every collection copies them.
# Classes have all their room at once: else a start stops three times to collect for more.
HEAP: Final = (
    "-Xms640m -Xmn384m -Xmx896m -XX:MetaspaceSize=256m -XX:MaxMetaspaceSize=256m "
    "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
)

LOGGING: Final = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = RollingFile
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %-5p %c{1} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 16MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
logger.checkpoints.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.checkpoints.level = WARN
# One or two lines for each checkpoint of an idle job.
logger.coordinator.name = org.apache.flink.runtime.source.coordinator.SourceCoordinator
logger.coordinator.level = WARN
logger.metrics.name = org.apache.flink.metrics.MetricGroup
logger.metrics.level = ERROR
# Thousands of lines a second while no broker answers.
logger.admin.name = \
org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.internals.AdminMetadataManager
logger.admin.level = WARN
"""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run's processes keep what dies with it."""

    path: Path
    lock: int | None = None

    @classmethod
    def make(cls) -> Self:
        """Make a new one in the temporary folder, and remove what dead runs left there.

        Raises `EnvironmentUnfit` if there is no folder that it can be made in.
        """
        parent = temporary_folder()
        sweep(parent)
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        folder = cls(path, hold(path))
        for name in ("conf", "tmp", "log"):
            (folder.path / name).mkdir()
        link_jars(folder.path / "lib", [*jars.paths("connector"), jars.compiled()])
        write_configuration(folder.path / "conf", folder.flink_configuration())
        (folder.path / "conf" / "log4j-cli.properties").write_text(LOGGING)
        return folder

    @property
    def log(self) -> Path:
        """What the job's process writes, and the JVM's stderr."""
        return self.logs / "train.log"

    @property
    def logs(self) -> Path:
        """The folder of all logs: Flink's own are in it, too."""
        return self.path / "log"

    def flink_configuration(self) -> dict[str, Any]:
        """What belongs to this machine; the job's own settings are in `environment`."""
        return {
            **machine_settings(),
            # In the memory of the one process that would read them: state is a few hundred bytes.
            "execution.checkpointing.storage": "jobmanager",
            "io.tmp.dirs": str(self.path / "tmp"),
            # The blob server, RPC, data and REST: for this machine alone.
            "jobmanager.bind-host": "localhost",
            "taskmanager.bind-host": "localhost",
            "rest.address": "localhost",
            "rest.bind-address": "localhost",
            "rest.bind-port": "0",
            "rest.port": 0,
            "strandline.rest": "answers",  # see ReadOnlyRest.java
            "web.access-control-allow-origin": "",
            "web.cancel.enable": "false",
            "web.rescale.enable": "false",
            "web.submit.enable": "false",
            "web.tmpdir": str(self.path / "tmp"),
            "web.upload.dir": str(self.path / "tmp"),
        }

    def environment(self) -> dict[str, str]:
        """The environment of the job's process."""
        return {
            **child_environment(self.path / "tmp"),
            RUN_FOLDER: str(self.path),
            "FLINK_CONF_DIR": str(self.path / "conf"),
            "FLINK_HOME": str(FLINK_HOME),  # without it PyFlink takes no other lib folder
            "FLINK_LIB_DIR": str(self.path / "lib"),
            "FLINK_LOG_DIR": str(self.path / "log"),
            "JVM_ARGS": HEAP,
            "PYTHONUNBUFFERED": "1",
            "STRANDLINE_CACHE": str(cache_dir()),
            # In process mode real processes: PyFlink would run them as threads of the client.
            "_python_worker_execution_mode": "process",
        }

    def remove(self) -> None:
        """Remove the folder; called when a run has ended well."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)


def temporary_folder() -> Path:
    """The temporary folder; where it forbids programs, which Java's libraries are, another one.

    Raises `EnvironmentUnfit` if none can be written.
    """
    for folder in candidates():
        try:
            with tempfile.TemporaryFile(dir=folder):
                runs_programs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
        except OSError:
            continue
        if runs_programs:
            return folder
    raise EnvironmentUnfit(
        "no temporary folder can be written, or all are mounted noexec: set TMPDIR to a folder of "
        "a file system that is neither full nor read-only, and mounted without noexec"
    )


def candidates() -> Iterator[Path]:
    """Where a run's folder may be, the usual place first."""
    with contextlib.suppress(FileNotFoundError):  # that it finds none it says only once
        yield Path(tempfile.gettempdir())
    with contextlib.suppress(EnvironmentUnfit):
        yield cache_dir("runs")
