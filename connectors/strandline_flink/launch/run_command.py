"""`strandline run`: train a model from a Kafka topic, here or on a Flink cluster."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from strandline.cli.arguments import Json, SpecFile
from strandline.cli.figures import errors
from strandline.cli.not_learned import check_learned, counts_text
from strandline.cli.output import count, err, out, plural, print_json, ratio
from strandline.clock import wall_clock_ms
from strandline_flink.job.options import JobOptions
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.run import run
from strandline_flink.launch.troubles import Kind

NEWS_EVERY_S: Final = 10.0
HELP = {name: each.metadata["help"] for name, each in JobOptions.__dataclass_fields__.items()}


def command(
    spec: SpecFile,
    *,
    bootstrap: Annotated[str, typer.Option(help=HELP["bootstrap"], metavar="HOST:PORT,..")],
    topic: Annotated[str, typer.Option(help=HELP["topic"])],
    store: Annotated[str, typer.Option(help=HELP["store"], metavar="FOLDER")],
    stream: Annotated[str, typer.Option(help=HELP["stream"], metavar="NAME")] = "events",
    start: Annotated[str, typer.Option("--from", help=HELP["start"], metavar="WHERE")] = "earliest",
    takeover: Annotated[bool, typer.Option("--takeover", help=HELP["takeover"])] = False,
    topic_again: Annotated[bool, typer.Option("--topic-again", help=HELP["topic_again"])] = False,
    bounded: Annotated[bool, typer.Option("--bounded", help=HELP["bounded"])] = False,
    parallelism: Annotated[int, typer.Option(help=HELP["parallelism"], metavar="N")] = 1,
    shards: Annotated[int, typer.Option(help=HELP["shards"], metavar="S")] = 1,
    checkpoint: Annotated[str, typer.Option(help=HELP["checkpoint"], metavar="TIME")] = "500ms",
    mode: Annotated[str, typer.Option(help=HELP["mode"], metavar="MODE")] = "auto",
    flink: Annotated[
        str, typer.Option(help=HELP["flink"], metavar="HOST:PORT", show_default=False)
    ] = "",
    python: Annotated[
        str, typer.Option(help=HELP["python"], metavar="PATH", show_default=False)
    ] = "",
    kafka_config: Annotated[
        str, typer.Option(help=HELP["kafka_config"], metavar="FILE", show_default=False)
    ] = "",
    flink_page: Annotated[bool, typer.Option("--flink-page", help=HELP["flink_page"])] = False,
    submission: Annotated[str, typer.Option(hidden=True)] = "",
    json: Json = False,
) -> None:
    """Train from a Kafka topic: a version every checkpoint, each an exact prefix of the topic.

    The same command goes on where the store stands, whatever ended the last run. Ctrl-C or
    SIGTERM stops after one more version.

    Example: `strandline run clicks.toml --bootstrap localhost:9092 --topic clicks --store ./model`
    """
    options = JobOptions(
        spec=spec,
        bootstrap=bootstrap,
        topic=topic,
        store=store,
        stream=stream,
        start=start,
        takeover=takeover,
        topic_again=topic_again,
        bounded=bounded,
        parallelism=parallelism,
        shards=shards,
        checkpoint=checkpoint,
        mode=mode,
        flink=flink,
        python=python,
        kafka_config=kafka_config,
        flink_page=flink_page,
        submission=submission,
    )
    with reporting(quiet=json) as report:
        ended = run(options, report, lambda text: err().print(f"warning: {text}"))
    if json:
        print_json(ended.summary)
    else:
        out().print(last_line(ended.summary))
    if ended.exit_code:
        raise typer.Exit(ended.exit_code)
    counts = {name: ended.summary[name] for name in ("events", "learned", "refused")}
    check_learned(**counts, store=ended.summary["store"])


@contextmanager
def reporting(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A line that lives on a terminal; elsewhere a line now and then, for logs."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        console = err(soft_wrap=False)  # a line that is longer than the terminal goes on below
        with Live(Text("starting"), console=console, refresh_per_second=8, transient=True) as live:
            yield lambda progress: live.update(Text(line(progress)))
    else:
        yield Announcements()


class Announcements:
    """Prints the start, where the stream was opened, its first version, and news now and then."""

    def __init__(self) -> None:
        self._started = False
        self._version: int | None = None
        self._versions = 0
        self._next_s = 0.0
        self._stopping = False

    def __call__(self, progress: Progress) -> None:
        if not self._started:
            self._started = True
            err().print(line(progress))
        if progress.stopping and not self._stopping:
            self._stopping = True
            err().print(line(progress))
        if progress.stopping or progress.version == self._version:
            return
        first = progress.opened is not None and self._version is None
        first_trained = progress.total.versions > 0 and self._versions == 0
        if first or first_trained or time.monotonic() >= self._next_s:
            self._version, self._versions = progress.version, progress.total.versions
            self._next_s = time.monotonic() + NEWS_EVERY_S
            err().print(line(progress))


def line(progress: Progress) -> str:
    """The run in one line."""
    if progress.stopping:
        return state(progress)
    now_ms = wall_clock_ms()
    lasting = [trouble.lasting(now_ms) for trouble in progress.troubles.values()]
    return " · ".join([state(progress), *lasting])


def state(progress: Progress) -> str:
    """What the run has done."""
    if progress.stopping:
        waits = progress.troubles.keys() & {Kind.BROKER, Kind.STORE}
        if progress.opened is None or waits:  # no version will come
            return f"stopping {stands(progress.version)}"
        return "stopping after one more version; Ctrl-C again stops at once"
    if progress.opened is None:
        mode = progress.mode
        return "starting Flink" + (f" in {mode.name} mode: {mode.why}" if mode else "")
    if progress.first_version_s is None:
        restarts = f" after {plural(progress.restarts, 'restart')}" if progress.restarts else ""
        return (
            f"stream {progress.stream} is open at version {progress.opened}; "
            f"waiting for events{restarts}"
        )
    parts = [
        f"version {progress.version}",
        plural(progress.total.events, "event"),
        f"{count(round(progress.events_per_s))} events/s",
        *(f"{name} {value}" for name, value in errors(progress.total.prequential).items()),
    ]
    if progress.total.rejected:
        parts.append(f"{count(progress.total.rejected)} rejected")
    if progress.total.refused:
        parts.append(f"{count(progress.total.refused)} refused")
    return " · ".join(parts)


def stands(version: int | None) -> str:
    """Where a run that ends is."""
    return "before its first version" if version is None else f"at version {version}"


def last_line(summary: dict[str, Any]) -> str:
    """How the run ended."""
    losses = summary["log_loss"]
    numbers = {name: error for name, error in summary["rmse"].items() if name not in losses}
    quality = "".join(
        f", {measure} {name} {ratio(error)}"
        for measure, those in (("log-loss", losses), ("RMSE", numbers))
        for name, error in those.items()
    )
    return (
        f"{summary['ended']} {stands(summary['version'])}: {plural(summary['events'], 'event')} in "
        f"{plural(summary['versions'], 'version')}, "
        f"{counts_text(summary['rejected'], summary['refused'])}{quality}"
    )
