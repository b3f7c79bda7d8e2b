"""What the demo starts and must end: broker, job, generator, reader, in this order."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from strandline.errors import EnvironmentUnfit
from strandline.reading.reader import Reader
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline_flink.demo.interrupts import Interrupts, Phase
from strandline_flink.demo.processes import Child
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.events import EventStream, clicks_spec
from strandline_flink.dev.producing import produce
from strandline_flink.launch.preflight import quiet_client

TOPIC: Final = "clicks"
ENDS_EVERY_S: Final = 0.5
JOB_END_S: Final = 60.0
BROKER_TIMEOUT_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo was asked for; `events` and `seconds` end it, None means go on."""

    events: int | None
    seconds: float | None
    rate: float
    partitions: int
    parallelism: int
    checkpoint: str
    seed: int


class Stage:
    """The demo's processes and its eyes, ended in reverse order whatever happens.

    Must be entered, and its children started, in the main thread: they die with it.
    """

    def __init__(self, options: Options, folder: Path, interrupts: Interrupts) -> None:
        self.folder = folder
        self.options = options
        self._interrupts = interrupts
        self._stack = ExitStack()
        self._spec_file = folder / "clicks.toml"
        self._consumer: Any = None
        self._ends: dict[int, int] = {}
        self._ends_s = 0.0
        self._primed = 0
        self.broker = Broker(folder / "broker")
        self.job: Child | None = None
        self.generators: list[Child] = []
        self._children: list[Child] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._interrupts.phase = Phase.STOPPING
        if error is not None:  # nobody waits for anybody: all may end at once
            for child in self._children:
                child.ask_to_end()
        self._stack.close()

    def open_store(self) -> Store:
        """Make the store of the demo's spec."""
        text = clicks_spec()
        self._spec_file.write_text(text, encoding="utf-8")
        return create_store(str(self.folder / "store"), Spec.parse(text))

    def start_broker(self) -> None:
        """Start the broker and make the topic."""
        self._stack.enter_context(self.broker)
        self.broker.create_topic(TOPIC, self.options.partitions)
        with quiet_client():
            self._consumer = KafkaConsumer(bootstrap_servers=self.broker.bootstrap)
        self._stack.callback(self._consumer.close)

    def start_job(self, store: Store) -> Child:
        """Start the job as a user would: `strandline run`."""
        self.job = self._start(
            "job",
            [
                "run",
                str(self._spec_file),
                *("--bootstrap", self.broker.bootstrap, "--topic", TOPIC, "--store", store.url),
                *("--parallelism", str(self.options.parallelism)),
                *("--checkpoint", self.options.checkpoint),
            ],
        )
        return self.job

    def prime(self, count: int) -> int:
        """Produce the first events, at most so many; return how many they are."""
        wanted = self.options.events
        count = count if wanted is None else min(wanted, count)
        with quiet_client():
            events = EventStream(self.options.seed).events(0, count)
            self._primed = produce(self.broker.bootstrap, TOPIC, [list(events)])
        return self._primed

    def start_generator(self, first: int, events: int | None, rate: float) -> Child:
        """Start a generator of the events from `first` on, without end if `events` is None."""
        limit = [] if events is None else ["--events", str(events)]
        generator = self._start(
            f"generator-{len(self.generators) + 1}",
            [
                *("dev", "events", "--bootstrap", self.broker.bootstrap, "--topic", TOPIC),
                *("--rate", str(rate), "--seed", str(self.options.seed), "--first", str(first)),
                *("--json", *limit),
            ],
        )
        self.generators.append(generator)
        return generator

    def open_reader(self, store: Store) -> Reader:
        """Follow the store."""
        return self._stack.enter_context(Reader(store))

    def check(self) -> None:
        """Raise `EnvironmentUnfit`, naming the log file, if a child ended that should run."""
        if self.job is not None:
            self.job.check()
            if self.job.exit_code is not None:
                raise EnvironmentUnfit(f"the demo's job ended early, see {self.job.log_file}")
        for generator in self.generators:
            generator.check()
        if not self.broker.running:
            raise EnvironmentUnfit(f"the demo's broker ended, see {self.broker.log_file}")

    def job_done(self) -> None:
        """End the job in order. Raises `EnvironmentUnfit` if it failed."""
        assert self.job is not None, "the job was started"
        job, self.job = self.job, None
        job.ask_to_end()
        job.wait(JOB_END_S)

    def produced(self) -> int:
        """How many events were acknowledged, those of the generators when they ended."""
        outputs = [each.output_file.read_bytes() for each in self.generators]
        lines = [output.splitlines()[-1] for output in outputs if output]  # none: ended early
        return self._primed + sum(int(msgspec.json.decode(line)["produced"]) for line in lines)

    def ends(self, *, now: bool = False) -> dict[int, int]:
        """Per partition the position after the last event, asked for twice a second or `now`."""
        if now or time.monotonic() > self._ends_s + ENDS_EVERY_S:
            self._ends_s = time.monotonic()
            places = [TopicPartition(TOPIC, each) for each in range(self.options.partitions)]
            try:
                found = self._consumer.end_offsets(places, timeout_ms=BROKER_TIMEOUT_MS)
            except KafkaError as error:
                self.check()  # the nearest cause is a broker that is gone
                raise EnvironmentUnfit(
                    f"the demo's broker does not answer within {BROKER_TIMEOUT_MS} ms ({error});"
                    f" its log is {self.broker.log_file}"
                ) from error
            self._ends = {place.partition: end for place, end in found.items()}
        return self._ends

    def behind(self, positions: dict[int, int], *, now: bool = False) -> int:
        """How many events the topic holds after these positions."""
        ends = self.ends(now=now)
        return sum(max(0, end - positions.get(each, 0)) for each, end in ends.items())

    def wait_until(self, reached: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait while all children are well. Raises `EnvironmentUnfit` when it takes too long."""
        deadline_s = time.monotonic() + timeout_s
        while not reached():
            self.check()
            if time.monotonic() > deadline_s:
                raise EnvironmentUnfit(
                    f"{what} within {timeout_s:.0f} s; logs are in {self.folder}"
                )
            time.sleep(0.02)

    def _start(self, name: str, arguments: list[str]) -> Child:
        child = Child(name, arguments, self.folder)
        self._stack.callback(child.stop)
        self._children.append(child)
        return child.start()
