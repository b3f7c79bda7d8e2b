"""What a run is asked to do: one definition for `strandline run` and for `jobs/train.py`."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from strandline.commit.submission import new_submission
from strandline.errors import WrongUsage
from strandline.limits import NAME_PATTERN, SHARDS_MAX
from strandline.store import MEMORY_URL, store_url
from strandline_flink.job.execution_mode import MODES

CHECKPOINT_MS_MIN: Final = 50
PARALLELISM_MAX: Final = 128
_DURATION_MS: Final = {"ms": 1, "s": 1000, "m": 60_000}


def option(text: str, default: Any = ..., metavar: str | None = None) -> Any:
    """A field of `JobOptions` that is also the option `--name` with this help text."""
    metadata = {"help": text, "metavar": metavar}
    if default is ...:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The arguments of a training job, checked.

    Raises `WrongUsage` if a value is out of range.

    Examples
    --------
    >>> options = JobOptions.from_args(
    ...     "--spec s.toml --bootstrap b:9092 --topic t --store st --checkpoint 1s".split())
    >>> options.checkpoint_ms, options.stream, options.start
    (1000, 'events', 'earliest')
    >>> JobOptions.from_args(options.to_args()) == options
    True
    """

    spec: str = option("the model's spec, a TOML file", metavar="FILE")
    bootstrap: str = option("Kafka's bootstrap servers", metavar="HOST:PORT,..")
    topic: str = option("the topic to learn from")
    store: str = option("the store's folder; made if there is none", metavar="FOLDER")
    stream: str = option("the stream's name in the store", "events", "NAME")
    start: str = option(
        "where a new stream starts: earliest, latest, a time (ISO 8601) or milliseconds since 1970",
        "earliest",
        "WHERE",
    )
    takeover: bool = option("start even if several runs supersede each other", False)
    topic_again: bool = option(
        "read a topic that another stream of the store reads: its events count twice", False
    )
    bounded: bool = option(
        "end when what the topic holds at the start is learned; a transaction that is open then is "
        "waited for, and its events are learned if it is committed",
        False,
    )
    parallelism: int = option("workers; more than the topic's partitions are idle", 1, "N")
    shards: int = option("mergers, each of which holds and merges its share of the rows", 1, "S")
    checkpoint: str = option("a version every so often: 200ms, 1s", "500ms", "TIME")
    mode: str = option(
        "where Python runs: inside Flink's JVM (thread: faster), in processes of its own (process: "
        "isolated), or auto: thread where this Python can",
        "auto",
        "MODE",
    )
    flink: str = option(
        "a Flink cluster: its JobManager's REST interface; default: Flink on this machine",
        "",
        "HOST:PORT",
    )
    python: str = option(
        "the Python of the cluster's machines, with Strandline on it; default: this one's path",
        "",
        "PATH",
    )
    kafka_config: str = option(
        "properties file with the TLS and SASL settings of the Kafka clients", "", "FILE"
    )
    flink_page: bool = option(
        "serve the web page of a run's own Flink, to this machine; its address is in the run's log",
        False,
    )
    submission: str = option("identity of this submission; made if not given", "", "UUID")

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME_PATTERN, self.stream):
            raise refused("stream", self.stream, f"a name like {NAME_PATTERN}")
        if not 1 <= self.parallelism <= PARALLELISM_MAX:
            raise refused("parallelism", self.parallelism, f"1 to {PARALLELISM_MAX}")
        if not 1 <= self.shards <= SHARDS_MAX:
            raise refused("shards", self.shards, f"1 to {SHARDS_MAX}")
        if self.mode not in MODES:
            raise refused("mode", self.mode, " or ".join(MODES))
        if self.submission and not re.fullmatch("[0-9a-f]{32}", self.submission):
            raise refused("submission", self.submission, "32 hexadecimal digits")
        if self.flink and not re.fullmatch(r"[^\s:/]+:\d{1,5}", self.flink):
            raise refused("flink", self.flink, "HOST:PORT")
        if self.python and not self.flink:
            raise refused("python", self.python, "--flink with it: a local run takes its own")
        if self.store_url == MEMORY_URL:
            raise refused("store", self.store, "a folder: a run is several processes")
        object.__setattr__(self, "start", parsed_start(self.start))
        if self.checkpoint_ms < CHECKPOINT_MS_MIN:
            raise refused("checkpoint", self.checkpoint, f"{CHECKPOINT_MS_MIN}ms or longer")

    @property
    def checkpoint_ms(self) -> int:
        """Flink's checkpoint interval: the longest an event waits for its version, about."""
        found = re.fullmatch(r"(\d{1,6})(ms|s|m)", self.checkpoint)
        if found is None:
            raise refused("checkpoint", self.checkpoint, "a number and ms, s or m: 500ms")
        return int(found[1]) * _DURATION_MS[found[2]]

    def submitted(self, head: int) -> Self:
        """The options with a submission: the one given, or one made while `head` is the newest."""
        return self if self.submission else replace(self, submission=new_submission(head))

    @property
    def slots(self) -> int:
        """The slots that the job takes on a cluster."""
        return max(self.parallelism, self.shards)

    @property
    def store_url(self) -> str:
        """The store as an absolute path, so that every process means the same folder."""
        return store_url(self.store)

    @property
    def job_name(self) -> str:
        """What Flink calls the job: the same for every run of the stream into the store."""
        return f"strandline {self.stream} -> {self.store_url}"

    def resolved(self) -> Self:
        """The same with absolute paths, for a process that runs elsewhere."""
        kafka_config = str(Path(self.kafka_config).absolute()) if self.kafka_config else ""
        spec = str(Path(self.spec).absolute())
        return replace(self, spec=spec, store=self.store_url, kafka_config=kafka_config)

    @classmethod
    def from_args(cls, args: Sequence[str]) -> Self:
        """Parse command line arguments; argparse reports what it does not know and exits."""
        parser = argparse.ArgumentParser(
            prog="train.py", description="Learn a model from a Kafka topic, one version per epoch."
        )
        for each in fields(cls):
            kind: dict[str, Any] = {"help": each.metadata["help"]}
            if each.type is bool:
                kind["action"] = "store_true"
            else:
                kind |= {"type": each.type, "metavar": each.metadata["metavar"]}
                has_default = isinstance(each.default, str | int)
                kind |= {"default": each.default} if has_default else {"required": True}
            parser.add_argument(flag(each.name), dest=each.name, **kind)
        return cls(**vars(parser.parse_args(args)))

    def to_args(self) -> list[str]:
        """The arguments that `from_args` reads back to an equal value."""
        args: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is True:
                args.append(flag(each.name))
            elif value is not False and value != "":
                args.append(f"{flag(each.name)}={value}")
        return args


def flag(name: str) -> str:
    """`kafka_config` -> `--kafka-config`; `start` is `--from`, a keyword in Python."""
    return "--from" if name == "start" else "--" + name.replace("_", "-")


def refused(name: str, got: object, expected: str) -> WrongUsage:
    """The error of an option whose value cannot be meant; `name` is the field's."""
    return WrongUsage(f"{flag(name)}: expected {expected}, got {got!r}")


def parsed_start(text: str) -> str:
    """`earliest`, `latest` or milliseconds since 1970 as digits; a time without zone is UTC.

    >>> parsed_start("2026-01-02T03:04:05Z")
    '1767323045000'
    """
    if text in ("earliest", "latest") or re.fullmatch(r"\d{1,15}", text):
        return text
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise refused("start", text, "earliest, latest or a time like 2026-01-02T03:04Z") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return str(int(time.timestamp() * 1000))
