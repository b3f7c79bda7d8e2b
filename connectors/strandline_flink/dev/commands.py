"""`strandline dev`: a broker, a Flink cluster, and events to learn from, on this machine."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from kafka.errors import TopicAlreadyExistsError

from strandline.cli.arguments import Json
from strandline.cli.lazy import SETTINGS
from strandline.cli.lines import open_input
from strandline.cli.output import err, out, plural, print_json_line
from strandline.errors import EnvironmentUnfit, EventRejected
from strandline.limits import EVENT_BYTES_MAX
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from strandline_flink.dev.events import EventStream, clicks_spec
from strandline_flink.dev.producing import paced, produce
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch.preflight import quiet_client

POLL_S = 0.5
READ_BYTES = 65_536

app = typer.Typer(help="A broker, a cluster, events: for development and tests.", **SETTINGS)

Folder = Annotated[Path, typer.Option("--folder", help="Data, configuration and log.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 chooses a free one.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Make this topic if new.")]
Partitions = Annotated[int, typer.Option("--partitions", min=1, help="Of each topic made.")]
TaskManagers = Annotated[int, typer.Option("--taskmanagers", min=1, help="One slot each.")]
Bootstrap = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT,..", help="The brokers.")
]
Topic = Annotated[str | None, typer.Option("--topic", help="The topic, which must be there.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file instead of a topic; - for stdout.")
]
Rate = Annotated[float, typer.Option("--rate", min=0, help="Events a second; 0: at full speed.")]
Events = Annotated[
    int | None, typer.Option("--events", min=0, help="End after so many; default: go on.")
]
First = Annotated[int, typer.Option("--first", min=0, help="Begin with this event of the seed.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same events.")]
Malformed = Annotated[
    float, typer.Option("--malformed", min=0, max=1, help="Share that is malformed on purpose.")
]
KafkaConfig = Annotated[
    str, typer.Option("--kafka-config", metavar="FILE", help="TLS and SASL settings.")
]


@app.command()
def broker(
    folder: Folder = Path("strandline-broker"),
    port: Port = 0,
    topic: Topics = None,
    partitions: Partitions = 4,
    json: Json = False,
) -> None:
    """Run a real Kafka broker until Ctrl-C. Its topics stay in the folder for the next time.

    Example: `strandline dev broker --port 9092 --topic clicks`
    """

    stop = stop_event()
    with Broker(folder, port=port or None) as started:
        for name in topic or []:
            try:
                started.create_topic(name, partitions)
            except TopicAlreadyExistsError:
                err().print(f"topic {name} is there already")
        if json:
            print_json_line({"bootstrap": started.bootstrap, "pid": started.pid})
        else:
            out().print(f"Kafka at {started.bootstrap}, log {started.log_file}; Ctrl-C ends it")
        while not stop.wait(POLL_S):
            if not started.running:
                raise EnvironmentUnfit(f"the broker ended by itself, see {started.log_file}")


@app.command()
def flink(
    folder: Folder = Path("strandline-flink"),
    port: Port = 0,
    taskmanagers: TaskManagers = 1,
    json: Json = False,
) -> None:
    """Run a real Flink cluster until Ctrl-C: a JobManager, and TaskManagers with a slot each.

    Example: `strandline dev flink --port 8081 --taskmanagers 2`, then `strandline run … --flink
    localhost:8081`
    """
    stop = stop_event()
    with Cluster(folder, taskmanagers=taskmanagers, port=port or None) as started:
        if json:
            print_json_line({"conf": str(started.configuration), "flink": started.address})
        else:
            out().print(f"Flink at {started.address}, logs in {started.logs}; Ctrl-C ends it")
        while not stop.wait(POLL_S):
            if ended := started.ended():
                raise EnvironmentUnfit(f"{ended} ended by itself, see {started.logs}")


@app.command()
def events(
    *,
    bootstrap: Bootstrap = None,
    topic: Topic = None,
    output: Output = None,
    rate: Rate = 20_000,
    events: Events = None,
    seed: Seed = 1,
    first: First = 0,
    malformed: Malformed = 0.001,
    kafka_config: KafkaConfig = "",
    json: Json = False,
) -> None:
    """Produce click-through events into a topic, or into a file.

    Users click on items; what they like drifts. A small share is malformed on purpose. A topic's
    events are sent at the rate and acknowledged by all replicas; a file gets them at full speed.

    Examples: `strandline dev events --bootstrap localhost:9092 --topic clicks`,
    `strandline dev events --output clicks.ndjson --events 100000`
    """
    if (bootstrap is None or topic is None) == (output is None):
        raise typer.BadParameter("expected --bootstrap and --topic, or --output")
    if output is not None and events is None:
        raise typer.BadParameter("expected --events with --output: a file must end")
    if output is not None:
        total = write_events(islice(endless(seed, first, malformed), events), output)
        where = "standard output" if str(output) == "-" else str(output)
    else:
        stop = stop_event()
        settings = loaded(kafka_config)
        chunks = paced(islice(endless(seed, first, malformed), events), rate, stop)
        assert bootstrap is not None, "checked above"
        assert topic is not None, "checked above"
        with quiet_client():
            total = produce(bootstrap, topic, chunks, settings)
        where = f"topic {topic}"
    if json:
        print_json_line({"produced": total})
    else:
        err().print(f"{plural(total, 'event')} in {where}")


@app.command()
def send(
    file: Annotated[str, typer.Argument(metavar="FILE", help="One event a line; - for stdin.")],
    *,
    bootstrap: Annotated[str, typer.Option(metavar="HOST:PORT,..", help="The brokers.")],
    topic: Annotated[str, typer.Option(help="The topic, which must be there.")],
    rate: Rate = 0,
    kafka_config: KafkaConfig = "",
    json: Json = False,
) -> None:
    """Send the lines of a file, or of a pipe, into a topic: one event a line, as they are.

    Empty lines are left out. Events go to the topic's partitions in turns; all are acknowledged by
    all replicas.

    Examples: `strandline dev send rides.ndjson --bootstrap localhost:9092 --topic rides`,
    `… | strandline dev send - --bootstrap localhost:9092 --topic rides`
    """
    settings = loaded(kafka_config)
    with ExitStack() as stack:
        chunks = chunks_of_lines(open_input(file, stack, "FILE"))
        if rate > 0:
            chunks = paced(chain.from_iterable(chunks), rate, stop_event())
        stack.enter_context(quiet_client())
        total = produce(bootstrap, topic, chunks, settings)
    if json:
        print_json_line({"produced": total})
    else:
        err().print(f"{plural(total, 'event')} in topic {topic}")


@app.command()
def spec() -> None:
    """Print the spec of the events that `dev events` makes, as TOML.

    Example: `strandline dev spec > clicks.toml`
    """

    print(clicks_spec(), end="")


def chunks_of_lines(stream: BinaryIO) -> Iterator[list[bytes | None]]:
    r"""Yield the lines that are at hand, without their ends and without empty ones.

    >>> import io
    >>> list(chunks_of_lines(io.BytesIO(b'{"a":1}\r\n\n{"a":2}')))
    [[b'{"a":1}'], [b'{"a":2}']]
    """
    rest = b""
    while data := stream.read1(READ_BYTES):  # type: ignore[attr-defined]
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > EVENT_BYTES_MAX:
            raise EventRejected(
                f"a line has more than {EVENT_BYTES_MAX} bytes; expected one JSON object a line"
            )
        if found := [line.strip() for line in lines if line.strip()]:
            yield [*found]
    if rest.strip():
        yield [rest.strip()]


def loaded(kafka_config: str) -> KafkaSettings:
    """Return the settings of the Kafka clients; warn of a file that every user can read."""
    settings = KafkaSettings.load(kafka_config)
    if settings.warning:
        err().print(f"warning: {settings.warning}")
    return settings


def endless(seed: int, first: int, malformed: float) -> Iterator[bytes]:
    """Return the events of a seed from the one numbered `first` on, without end."""

    return chain.from_iterable(EventStream(seed, malformed).follow(first))


def write_events(events: Iterator[bytes], output: Path) -> int:
    """Write one event a line and return how many they are."""
    total = 0
    with open("/dev/stdout" if str(output) == "-" else output, "wb") as file:
        for event in events:
            file.write(event + b"\n")
            total += 1
    return total


def stop_event() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
