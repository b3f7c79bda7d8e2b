"""`strandline verify`: train versions again from their events, and compare the bits."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.lines import open_input, read_lines
from strandline.cli.output import count, err, out, plural, print_json
from strandline.errors import SourceRecreated, StreamUnfit, VersionDiffers, WrongUsage
from strandline.store import Store, open_store, read_manifest
from strandline.verify.events import EventSource, RecordSource
from strandline.verify.replay import Progress as Done
from strandline.verify.replay import Verdict, verify
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch.preflight import Topic
from strandline_flink.verify.kafka_events import KafkaEvents

Bootstrap = Annotated[
    str,
    typer.Option(help="Kafka's brokers.", metavar="HOST:PORT,..", show_default=False),
]
KafkaConfig = Annotated[
    str,
    typer.Option(
        help="Properties file with the TLS and SASL settings.", metavar="FILE", show_default=False
    ),
]
Input = Annotated[
    str,
    typer.Option(
        "--input", "-i", metavar="FILE", show_default=False,
        help="The file of a stream that `strandline learn` has learned; - for stdin.",
    ),
]  # fmt: skip
First = Annotated[
    int | None,
    typer.Option("--from", min=0, help="First version to compare.", show_default="the oldest"),
]
Last = Annotated[
    int | None, typer.Option("--to", min=0, help="Last version to compare.", show_default="head")
]


def command(
    store: StoreUrl,
    *,
    first: First = None,
    last: Last = None,
    bootstrap: Bootstrap = "",
    kafka_config: KafkaConfig = "",
    events: Input = "",
    json: Json = False,
) -> None:
    """Train versions again from their events, and compare the bits. Nothing is written.

    The recorded events are read again from Kafka or from a file. Workers and mergers learn them
    as the job did. Versions whose events are gone, or that a program committed, are taken as they
    are, and reported. Exit code 11 means that a version differs.

    Example: `strandline verify ./model --bootstrap localhost:9092`

    Example: `strandline verify ./model --from 1200 --to 1300 --bootstrap localhost:9092`

    Example: `strandline verify ./model --input events.ndjson`
    """
    opened = open_store(store)
    with ExitStack() as stack:
        sources = sources_of(opened, bootstrap, kafka_config, events, stack)
        show = stack.enter_context(progress_bar())
        verdict = verify(opened, sources, first=first, last=last, progress=show)
    if json:
        print_json(msgspec.to_builtins(verdict) | {"agrees": verdict.difference is None})
    if verdict.difference is not None:
        if json:
            raise typer.Exit(VersionDiffers.exit_code)
        raise VersionDiffers(
            f"{verdict.store}: {verdict.difference}. Versions before it that were compared agree."
            " The version or the events were altered, or the learner is another one than the one"
            f" that learned: `strandline show {verdict.store} {verdict.difference.version}` shows"
            " what the version records"
        )
    if not verdict.versions and verdict.given:
        raise StreamUnfit(f"{verdict.store}: no version could be verified: {given_text(verdict)}")
    if not json:
        out().print(last_line(verdict), soft_wrap=True)


def last_line(verdict: Verdict) -> str:
    """What was verified, and what was not."""
    line = (
        f"verified: {plural(verdict.versions, 'version')}, {plural(verdict.events, 'event')},"
        " bits agree"
    )
    if not verdict.given:
        return line
    complete = verdict.complete_from
    whole = f"; verified without a gap from version {complete} on" * (complete <= verdict.last)
    return f"{line}{whole}; not verified: {given_text(verdict)}"


def given_text(verdict: Verdict) -> str:
    """Say how many versions were not compared, and why."""
    return "; ".join(f"{plural(n, 'version')}: {why}" for why, n in sorted(verdict.given.items()))


def sources_of(
    store: Store, bootstrap: str, kafka_config: str, events: str, stack: ExitStack
) -> dict[str, EventSource]:
    """Return the events of the streams that can be read again.

    Raises
    ------
    WrongUsage
        If no stream of the store can be read from what was given.
    SourceRecreated
        If a topic is not the one that the store has read.
    """
    streams = read_manifest(store, store.head()).streams
    sources: dict[str, EventSource] = {}
    settings = KafkaSettings.load(kafka_config)
    for name, entry in streams.items():
        source = entry.source
        if "topic" in source and bootstrap:
            check_topic(Topic(bootstrap, source["topic"], settings), name, source)
            read = KafkaEvents(bootstrap, source["topic"], settings.librdkafka_options())
            stack.callback(read.close)
            sources[name] = read
        elif "file" in source and events and _is_file_of(source, events):
            lines = read_lines(open_input(events, stack, "--input"))
            sources[name] = RecordSource(lines, events)
    if not sources:
        known = ", ".join(f"{name} ({_words(entry.source)})" for name, entry in streams.items())
        raise WrongUsage(
            f"{store.url} has the streams {known or 'none'}; none of them can be read again from"
            " what was given: name the brokers of a topic with --bootstrap, the file that was"
            " learned with --input"
        )
    return sources


def check_topic(topic: Topic, stream: str, recorded: Mapping[str, str]) -> None:
    """Raise SourceRecreated unless the topic is the one that the stream has read."""
    topic.partitions()
    found = topic.source()
    if found != dict(recorded):
        raise SourceRecreated(
            f"stream {stream} was learned from {_words(recorded)}; at {topic.bootstrap} there is"
            f" {_words(found)}: the topic was created anew, or this is another cluster. Its events"
            " are not those that were learned; give the brokers that have the topic of the store"
        )


def _is_file_of(source: Mapping[str, str], events: str) -> bool:
    return events == "-" or source["file"] in ("-", Path(events).name)


def _words(source: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(source.items())) or "no source"


class Bar:
    """The progress of a verification, on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("verifying", total=None, versions="0", speed="")

    def __call__(self, done: Done) -> None:
        task = self._bar.tasks[0]
        elapsed_s = task.elapsed or 0.0
        speed = f"{done.events / elapsed_s:,.0f} events/s" if elapsed_s else ""
        self._bar.update(
            self._task,
            completed=done.events,
            total=done.events_total,
            versions=f"{count(done.versions)} of {count(done.versions_total)}",
            speed=speed,
        )


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """Show versions, speed and the remaining time while the block runs."""
    with Progress(
        TextColumn("verifying"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[versions]} versions, {task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err(),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bar:
        yield Bar(bar)
