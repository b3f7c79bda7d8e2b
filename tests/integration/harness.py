"""Runs of `strandline run` as a user starts them, and what the store must say afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from strandline.learners.loading import make_learners
from strandline.manifest import OpenBody, TrainBody
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.parameters.base import parameters_at
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store, open_store
from strandline.store.chain import log, verify_chain
from strandline.transactions.transaction import open_stream
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.reading import read_topic
from tests.streams import CLICKS

START_TIMEOUT_S = 150.0  # two cores may be shared with other tests
POLL_S = 0.05
PYTHON_WORKER = "pyflink.fn_execution.beam.beam_boot"
GONE_WITHIN_S = 60
Items = dict[str, tuple[int, int]]


class Learning(ABC):
    """What learns into a store, and how to wait for what it does there."""

    store_url: str

    @property
    def store(self) -> Store:
        return open_store(self.store_url)

    def head(self) -> int:
        return self.store.head() if made(self.store_url) else 0

    @abstractmethod
    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait, and fail if it takes too long."""

    def wait_for_more(self, versions: int) -> None:
        """Wait until so many versions were made from now on."""
        head = self.head()
        self.wait_until(f"{versions} more versions", lambda: self.head() >= head + versions)

    def wait_for_events(self, topic_ends: dict[int, int]) -> None:
        """Wait until the store's positions are at the topic's end."""
        wanted = {str(partition): end for partition, end in topic_ends.items()}
        self.wait_until(f"positions {wanted}", lambda: positions(self.store_url) == wanted)


class Run(Learning):
    """`strandline run` in a process group of its own."""

    def __init__(self, bootstrap: str, topic: str, folder: Path, *options: str) -> None:
        self.folder = folder
        self._spec = folder / "spec.toml"
        self.store_url = str(folder / "store")
        if not self._spec.exists():
            self._spec.write_text(CLICKS)
        self.options = options
        self.prefix: list[str] = []
        self.arguments = [
            *("run", str(self._spec), "--store", self.store_url, "--json"),
            *("--bootstrap", bootstrap, "--topic", topic, "--checkpoint", "200ms"),
            *options,
        ]
        self._process: subprocess.Popen[str] | None = None
        self._head = 0

    def start(self) -> Self:
        """Start it; versions before the start do not count for `wait_for`."""
        self._head = self.head()
        self._process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "strandline.cli", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() first"
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """All that the run consists of below its own process."""
        return psutil.Process(self.pid).children(recursive=True)

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait while the run goes on; fail with its words if it ends or takes too long."""
        assert self._process is not None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not holds():
            ended = self._process.poll()
            assert ended is None, f"before {what} it ended with {ended}: {self.finish()}"
            assert time.monotonic() < deadline_s, f"{what} took too long"
            time.sleep(POLL_S)

    def wait_for_version(self, more: int = 1) -> None:
        """Wait until so many versions were made since the start; the first one is the open."""
        self.wait_until(f"{more} versions", lambda: self.head() >= self._head + more)

    def wait_to_hear(self, words: str) -> str:
        """Wait until it says a line with these words on standard error; return the line."""
        assert self._process is not None
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without a word of {words!r}: {said}")

    def stop(self) -> dict[str, Any]:
        """SIGTERM; the run's summary."""
        os.kill(self.pid, signal.SIGTERM)
        code, out, err = self.finish()
        assert code == 0, (code, err)
        return dict(json.loads(out))

    def summary(self) -> dict[str, Any]:
        """Wait for a run that ends by itself and ends well."""
        code, out, err = self.finish()
        assert code == 0, (code, err)
        return dict(json.loads(out))

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output, standard error. Nothing is left behind."""
        assert self._process is not None
        out, err = self._process.communicate(timeout=START_TIMEOUT_S)
        reap(self.pid)
        assert group_members(self.pid) == []
        return self._process.returncode, out, err

    def kill(self) -> None:
        """SIGKILL to the whole process group, as when the machine's container is gone."""
        assert self._process is not None
        os.killpg(self.pid, signal.SIGKILL)
        self._process.communicate(timeout=START_TIMEOUT_S)
        reap(self.pid)
        assert group_members(self.pid) == []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.communicate()
            reap(self.pid)


def reap(group: int) -> None:
    """Wait for the group's orphans: the test session adopts them."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < deadline_s:
        try:
            found, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(POLL_S)


def group_members(group: int) -> list[str]:
    """Processes that still live in a process group."""
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group:
                members.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
    return members


def python_workers() -> set[psutil.Process]:
    """Flink's Python workers below this test: a killed run's orphans are adopted by it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if PYTHON_WORKER in process.cmdline():
                found.add(process)
    return found


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether they all end: soon on a machine that has time for them."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < deadline_s:
        if not any(process.is_running() and process.status() != "zombie" for process in processes):
            return True
        time.sleep(0.05)
    return False


def restored_opens(store: Store) -> int:
    """How often a run was opened again from a checkpoint."""
    bodies = [manifest.body for manifest in log(store)]
    return sum(isinstance(body, OpenBody) and body.key.restored is not None for body in bodies)


def produce(broker: Broker, topic: str, values: Sequence[bytes], partitions: int = 2) -> None:
    """Send values to the partitions in turn, every one acknowledged."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", linger_ms=5)
    for index, value in enumerate(values):
        producer.send(topic, value=value, partition=index % partitions)
    producer.flush()
    producer.close()


def ends(broker: Broker, topic: str) -> dict[int, int]:
    """The topic's end by partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap)
    found = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic)]
    positions = {each.partition: end for each, end in consumer.end_offsets(found).items()}
    consumer.close()
    return positions


def read_all(broker: Broker, topic: str) -> list[tuple[int, int, bytes]]:
    """Every committed event of the topic: partition, offset, value."""
    ranges = {partition: (0, end) for partition, end in ends(broker, topic).items()}
    found = read_topic(broker.bootstrap, topic, ranges, timeout_s=START_TIMEOUT_S)
    return [(partition, offset, value or b"") for partition, offset, value in found]


def made(store_url: str, version: int = 0) -> bool:
    """Whether the store is there; its folders are made before its first version."""
    return Path(store_url, "versions", "0000000", f"{version:010}.json").exists()


def positions(store_url: str, stream: str = "events") -> dict[str, int]:
    """Where the store stands."""
    if not made(store_url):
        return {}
    entry = next(log(open_store(store_url))).streams.get(stream)
    return {} if entry is None else dict(entry.positions)


def items_of(values: Sequence[bytes]) -> tuple[Items, int]:
    """Events and clicks by item, and how many events cannot be decoded. Knows only JSON."""
    events: Counter[str] = Counter()
    clicks: Counter[str] = Counter()
    rejected = 0
    for value in values:
        try:
            event = json.loads(value)
        except ValueError:
            rejected += 1
            continue
        events[event["item"]] += 1
        clicks[event["item"]] += event["click"]
    return {item: (events[item], clicks[item]) for item in events}, rejected


def check_exact(
    broker: Broker, topic: str, store_url: str, *, files: bool = True, holes: bool = False
) -> Totals:
    """Every event of the topic is in exactly one version, and counted there.

    Returns the totals of all versions of the stream. `files`: all that versions name is there, too.
    `holes`: the topic has offsets without events, as transactions leave them; spans may cover them.
    """
    store = open_store(store_url)
    verify_chain(store, files=files)
    bodies = commits(store)
    events = read_all(broker, topic)
    counted, wanted = seen(bodies), Counter((partition, at) for partition, at, _ in events)
    if holes:
        assert not counted or max(counted.values()) == 1
        counted &= wanted
    assert counted == wanted
    items, rejected = items_of([value for _, _, value in events])
    total = add_totals(totals_of(body) for body in bodies)
    assert (total.events, total.rejected, total.refused) == (len(events), rejected, 0)
    model = open_model(store)
    assert {item: model.count(item, "popularity") for item in items} == items
    return total


def commits(store: Store) -> list[TrainBody]:
    """What the versions of the stream say, oldest first."""
    found = (each for each in log(store, newest_first=False) if each.stream == "events")
    return [each.body for each in found if isinstance(each.body, TrainBody)]


def seen(bodies: Sequence[TrainBody]) -> Counter[tuple[int, int]]:
    """How often versions have each position in their spans."""
    found: Counter[tuple[int, int]] = Counter()
    for body in bodies:
        for delta in body.deltas:
            for partition, first, end in delta.spans:
                found.update((partition, offset) for offset in range(first, end))
    return found


def check_bits(store: Store, spec: Spec, events: Sequence[bytes]) -> None:
    """A store that one worker learned from one partition holds what this process learns anew.

    The same epochs, with the times that their versions carry: every parameter has the same bits.
    """
    versions = [each for each in log(store, newest_first=False) if each.kind == "train"]
    times_ms = iter([0, *(version.time_ms for version in versions)])
    here = create_store("memory:", spec)
    stream = open_stream(here, "events", clock_ms=lambda: next(times_ms))
    for version in versions:
        assert isinstance(version.body, TrainBody)
        with stream.begin() as transaction:
            transaction.learn(events[stream.position :][: version.body.counts.events])
    learners = make_learners(spec)
    found, expected = (parameters_at(each, learners, each.head()) for each in (store, here))
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        for one, other in zip(found[name].items(), table.items(), strict=True):
            assert (name, one.tobytes()) == (name, other.tobytes())
