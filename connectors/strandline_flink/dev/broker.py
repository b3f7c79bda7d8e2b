"""A real Kafka broker on this machine, for the demo, for development and for tests."""

import base64
import fcntl
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from strandline.errors import EnvironmentUnfit
from strandline_flink.jars import paths
from strandline_flink.processes.child_environment import child_environment
from strandline_flink.processes.children import dying_with_parent, end
from strandline_flink.processes.java_home import java
from strandline_flink.processes.ports import HOST, check_free, free_port

NODE = 1
PORT_ATTEMPTS = 3
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
FOLDER_TIMEOUT_S = 5  # a broker that was just killed holds its folder until the kernel is done
# The quick compiler alone: a broker that lives for minutes spends less on it than it gains.
JVM: Final = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROTOCOLS = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
# A node of its own that needs little memory; every internal topic has one partition.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": str(NODE),
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",  # how long a killed broker keeps its successor waiting
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.index.size.max.bytes": "1048576",
    "log.retention.ms": "-1",  # records of any time stay
    "num.io.threads": "2",
    "num.network.threads": "2",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
}

LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c %m%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
logger.life.name = kafka.server.KafkaRaftServer
logger.life.level = INFO
"""


class Broker:
    """One Kafka broker (KRaft, a node of its own) as a child process.

    Used as a context manager, or with `start` and `stop`. After `stop` or `kill` it can be
    started again: same folder, same port, same data. It is killed when this process ends in any
    way, and when the thread that started it does.

    Parameters
    ----------
    folder
        Holds the broker's data, configuration and `broker.log`; made if it is not there. A
        folder of an earlier broker is taken up with its topics.
    port
        Default: a free one, chosen at the first start.
    properties
        Broker properties that override the defaults, with Kafka's names.
    listeners
        More listeners than the plain one: their names and security protocols. See `address`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.properties = {**PROPERTIES, **(properties or {})}
        self._fixed_port = port
        self._ports: tuple[int, int] | None = None
        self._listeners = {name: (protocol, 0) for name, protocol in (listeners or {}).items()}
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, listener: str) -> str:
        """`host:port` of one of `listeners`. Known after the first `start`."""
        return f"{HOST}:{self._listeners[listener][1]}"

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients. Known after the first `start`."""
        assert self._ports is not None, "start() chooses the port"
        return f"{HOST}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        return self.folder / "broker.log"

    def start(self) -> Self:
        """Start the broker and wait until it answers.

        Raises `EnvironmentUnfit`, naming the log file, if it ends or does not answer in time.
        """
        assert self._process is None, "the broker is running"
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = self._ports[0] if self._ports else self._fixed_port
        if wanted is not None:
            check_free(wanted, f"the Kafka broker in {self.folder}")
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            ports = self._ports or (self._fixed_port or free_port(), free_port())
            with held(self.folder) as lock:
                self._configure(ports)
                log_from = self.log_file.stat().st_size if self.log_file.exists() else 0
                self._process = self._launch(lock)
            try:
                self._wait_until_ready(ports[0])
            except BaseException as error:
                self.kill()
                lost_race = port_was_taken(self.log_file, log_from) and self._ports is None
                if lost_race and attempts_left and isinstance(error, EnvironmentUnfit):
                    continue
                raise
            self._ports = ports
            return self
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """Shut the broker down in order, by force if it takes too long; wait until it is gone."""
        if self._process is not None:
            end(self._process, STOP_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """End the broker as a crash would (SIGKILL); wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def create_topic(self, name: str, partitions: int = 1, **config: object) -> None:
        """Create a topic and wait until every partition has its leader.

        `config` holds topic settings with underscores for dots: `retention_ms=1000`.
        """
        configs = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics({name: topic}, wait_for_metadata=True)
        finally:
            admin.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configure(self, ports: tuple[int, int]) -> None:
        clients, controller = (f"{HOST}:{port}" for port in ports)
        self._listeners = {
            name: (protocol, port or free_port())
            for name, (protocol, port) in self._listeners.items()
        }
        more = "".join(f",{name}://{self.address(name)}" for name in self._listeners)
        protocols = "".join(f",{name}:{each}" for name, (each, _) in self._listeners.items())
        settings = {
            **self.properties,
            "log.dirs": str(self.folder.resolve() / "data"),
            "listeners": f"PLAINTEXT://{clients},CONTROLLER://{controller}{more}",
            "listener.security.protocol.map": PROTOCOLS + protocols,
            "advertised.listeners": f"PLAINTEXT://{clients}{more}",
            "controller.quorum.voters": f"{NODE}@{controller}",
        }
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.folder / "server.properties").write_text(lines)
        (self.folder / "log4j2.properties").write_text(LOGGING)
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        """Write what `kafka-storage format` writes: it would take a second JVM, and a second."""
        cluster, directory = (random_id() for _ in range(2))
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        ids = f"cluster.id={cluster}\ndirectory.id={directory}\nnode.id={NODE}\n"
        (data / "meta.properties").write_text(f"version=1\n{ids}")

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        command = self._java("kafka.Kafka", str(self.folder / "server.properties"))
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                dying_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                pass_fds=(lock,),  # from here on the broker itself holds its folder
                start_new_session=True,  # Ctrl-C is for the parent, which stops the broker
            )

    def _environment(self) -> dict[str, str]:
        return child_environment(self.folder.resolve() / "tmp")

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        class_path = os.pathsep.join(map(str, paths("broker")))
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [str(java()), *JVM, logging, "-cp", class_path, main_class, *arguments]

    def _wait_until_ready(self, port: int) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise self._failed(f"it ended with exit code {self._process.returncode}")
            if answers(port) and self._process.poll() is None:
                return
            time.sleep(0.05)
        raise self._failed(f"it did not answer within {READY_TIMEOUT_S} s")

    def _failed(self, what: str) -> EnvironmentUnfit:
        said = self.log_file.read_text(errors="replace").splitlines()
        tail = "\n".join([line for line in said if not line.startswith("\tat ")][-5:])
        return EnvironmentUnfit(
            f"the Kafka broker in {self.folder} is not ready: {what}. "
            f"Its log is {self.log_file} and ends with:\n{tail}"
        )


def random_id() -> str:
    """An id as Kafka spells its own: 16 bytes, of which a zero keeps it from a leading dash."""
    return base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, which children that inherit the yielded descriptor keep.

    Kafka locks its data only after it has joined the metadata quorum: a second broker in one
    folder would take the quorum from the first and leave it unable to serve.
    """
    with (folder / "broker.lock").open("ab") as file:
        deadline_s = time.monotonic() + FOLDER_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise EnvironmentUnfit(
                        f"the Kafka broker in {folder} cannot start: another one runs in this "
                        "folder. Use that one, end it, or choose another folder"
                    ) from None
            time.sleep(0.05)
        yield file.fileno()


def answers(port: int) -> bool:
    """Whether a broker listens there and answers a metadata request."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
        KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", bootstrap_timeout_ms=5000).close()
    except (OSError, KafkaError):
        return False
    return True


def port_was_taken(log_file: Path, log_from: int) -> bool:
    """Whether the log's last start, written from byte `log_from` on, failed for its port."""
    with log_file.open("rb") as log:
        log.seek(log_from)
        return b"Address already in use" in log.read()
