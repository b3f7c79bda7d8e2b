"""A broker on this machine with a topic full of events, filled by Kafka's own Java producer."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.events import lines
from bench.output import progress
from strandline_flink.dev.broker import Broker
from strandline_flink.jars import paths
from strandline_flink.jars.compiling import compile_java
from strandline_flink.processes.java_home import java

PARTITIONS: Final = 4
NAME: Final = "ads"


class Topic(NamedTuple):
    """Where the events are, and how many."""

    bootstrap: str
    name: str
    events: int


@contextmanager
def filled_topic(folder: Path, events: int, partitions: int = PARTITIONS) -> Iterator[Topic]:
    """Run a broker whose topic holds the first `events` events of `bench.events`."""
    with Broker(folder / "kafka") as broker:
        broker.create_topic(NAME, partitions)
        started_s = time.monotonic()
        topic = Topic(broker.bootstrap, NAME, events)
        fill(topic, folder)
        rate = events / (time.monotonic() - started_s)
        progress(f"topic of {events:,} events in {partitions} partitions, {rate:,.0f}/s")
        yield topic


def fill(topic: Topic, folder: Path) -> None:
    """Send the topic's events, each acknowledged."""
    classes = folder / "classes"
    classes.mkdir()
    compile_java([Path(__file__).with_name("Fill.java")], classes, paths("broker"))
    class_path = os.pathsep.join(map(str, (classes, *paths("broker"))))
    command = [str(java()), "-Xmx256m", "-cp", class_path, "Fill", topic.bootstrap, topic.name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as producer:
        assert producer.stdin is not None
        assert producer.stdout is not None
        for piece in lines(topic.events):
            producer.stdin.write(piece)
        producer.stdin.close()
        said = producer.stdout.read()
    assert int(said or 0) == topic.events, f"{said!r} of {topic.events} events were acknowledged"
