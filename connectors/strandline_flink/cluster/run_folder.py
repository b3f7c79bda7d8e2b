"""The folder of one local run: Flink's configuration, its temporary files, and the logs.

Nothing in it is needed to go on: a start always begins at the store's head.
"""

import os
import shutil
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import strandline
import strandline_flink
from strandline_flink.cluster.flink_configuration import machine_settings, write_configuration
from strandline_flink.failure import RUN_FOLDER
from strandline_flink.processes.java_home import java_home

PREFIX: Final = "strandline-run-"
KEPT_S: Final = 86_400
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

    @classmethod
    def make(cls) -> Self:
        """Make a new one in the temporary folder, and remove those that are a day old."""
        sweep(Path(tempfile.gettempdir()))
        folder = cls(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")))
        for name in ("conf", "tmp", "log"):
            (folder.path / name).mkdir()
        write_configuration(folder.path / "conf", folder.flink_configuration())
        (folder.path / "conf" / "log4j-cli.properties").write_text(LOGGING)
        return folder

    @property
    def log(self) -> Path:
        """What the job's process writes, and the JVM's stderr."""
        return self.path / "log" / "train.log"

    def flink_configuration(self) -> dict[str, Any]:
        """What belongs to this machine; the job's own settings are in `environment`."""
        return {
            **machine_settings(),
            # In the memory of the one process that would read them: state is a few hundred bytes.
            "execution.checkpointing.storage": "jobmanager",
            "io.tmp.dirs": str(self.path / "tmp"),
            "rest.address": "localhost",
            "rest.bind-address": "localhost",
            "rest.bind-port": "0",
            "rest.port": 0,
        }

    def environment(self) -> dict[str, str]:
        """The environment of the job's process."""
        return {
            **os.environ,
            RUN_FOLDER: str(self.path),
            "FLINK_CONF_DIR": str(self.path / "conf"),
            "FLINK_LOG_DIR": str(self.path / "log"),
            "JAVA_HOME": str(java_home()),
            "JVM_ARGS": HEAP,
            # The interpreter inside the JVM does not know of this virtual environment.
            "PYTHONPATH": os.pathsep.join(module_folders()),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.path / "tmp"),
            # In process mode real processes: PyFlink would run them as threads of the client.
            "_python_worker_execution_mode": "process",
        }

    def remove(self) -> None:
        """Remove the folder; called when a run has ended well."""
        shutil.rmtree(self.path, ignore_errors=True)


def module_folders() -> list[str]:
    """Where Python finds the installed packages and ours."""
    ours = [str(Path(module.__path__[0]).parent) for module in (strandline, strandline_flink)]
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    asked_for = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return list(dict.fromkeys(os.path.abspath(path) for path in (*ours, *installed, *asked_for)))


def sweep(parent: Path) -> None:
    """Remove the folders of processes that are gone and of which nobody read the logs for a day."""
    for path in parent.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        alive = pid.isdecimal() and Path("/proc", pid).exists()
        try:
            if not alive and time.time() - path.stat().st_mtime > KEPT_S:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # another user's, or gone meanwhile
