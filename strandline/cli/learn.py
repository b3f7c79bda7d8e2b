"""`strandline learn`: from a file of events to versions, without Kafka and without Flink."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from strandline.cli.arguments import Json, SpecFile
from strandline.cli.figures import calibration, log_loss, measures, rmse
from strandline.cli.lines import open_input, read_lines
from strandline.cli.not_learned import check_learned, counts_text
from strandline.cli.output import count, err, out, plural, print_json, ratio
from strandline.manifest import Prequential
from strandline.spec import Spec
from strandline.store import create_store
from strandline.transactions.local import Summary, learn

PROGRESS_EVERY = 1000  # events; showing each one would cost more than learning it

Input = Annotated[
    str,
    typer.Option(
        "--input", "-i", metavar="FILE", help="Events, one JSON object a line; - for stdin.",
        show_default=False,
    ),
]  # fmt: skip
StorePath = Annotated[
    str, typer.Option("--store", help="The store's folder; made if new.", show_default=False)
]
Stream = Annotated[str, typer.Option("--stream", help="The stream's name in the store.")]
Takeover = Annotated[
    bool,
    typer.Option("--takeover", help="Start even if several runs supersede each other."),
]
EpochEvents = Annotated[int, typer.Option("--epoch-events", min=1, help="Events per version.")]


def command(
    spec: SpecFile,
    *,
    events: Input,
    store: StorePath,
    stream: Stream = "events",
    epoch_events: EpochEvents = 10_000,
    takeover: Takeover = False,
    json: Json = False,
) -> None:
    """Learn from a file of events: the same versions as from a topic, in one process.

    A line is one event, its number is its position. Asked again with the same file, it goes on
    where the store stands; lines appended since are learned, nothing is learned twice. Without new
    lines it makes no version.

    Example: `strandline learn clicks.toml --input events.ndjson --store ./model`
    """
    model = Spec.load(spec)
    with ExitStack() as stack:
        file = open_input(events, stack, "--input")
        opened = create_store(store, model)
        summary = learn(
            opened,
            with_progress(file, stack),
            stream=stream,
            source={"file": "-" if events == "-" else Path(events).name},
            epoch_events=epoch_events,
            takeover=takeover,
        )
    if json:
        sums = summary.prequential
        quality = {
            key: {name: measure(each) for name, each in sums.items()}
            for key, measure in (
                ("calibration", calibration),
                ("log_loss", log_loss),
                ("rmse", rmse),
            )
        }
        print_json(msgspec.to_builtins(summary) | quality | {"store": opened.url})
    else:
        out().print(last_line(summary, opened.url), soft_wrap=True)
    check_learned(
        events=summary.events,
        learned=summary.learned,
        refused=summary.refused,
        store=opened.url,
    )


def last_line(summary: Summary, store: str) -> str:
    """What was learned, and what not."""
    skipped = f", {count(summary.skipped)} known before" if summary.skipped else ""
    see = f"; see strandline show {store} --rejects" if summary.rejected else ""
    return (
        f"{store}: {plural(summary.learned, 'event')} learned,"
        f" {counts_text(summary.rejected, summary.refused)}{skipped}"
        f"{quality_text(summary.prequential)}; head is version {summary.version}{see}"
    )


def quality_text(prequential: Mapping[str, Prequential]) -> str:
    """How far the predictions of each learner were off."""
    return "".join(
        f"; {name}: "
        + ", ".join(f"{each.name} {ratio(each.of(sums), each.digits)}" for each in measures(sums))
        for name, sums in sorted(prequential.items())
    )


def with_progress(file: BinaryIO, stack: ExitStack) -> Iterator[bytes]:
    """Yield the file's records and show on a terminal how far they are read."""
    bar = stack.enter_context(
        Progress(
            TextColumn("learning"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[events]} events"),
            TimeRemainingColumn(),
            console=err(),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
    )
    size_bytes = file.seek(0, 2) if file.seekable() else None
    if size_bytes is not None:
        file.seek(0)
    task = bar.add_task("learning", total=size_bytes, events="0")
    read_bytes = 0
    for index, line in enumerate(read_lines(file)):
        read_bytes += len(line) + 1
        if index % PROGRESS_EVERY == 0:
            bar.update(task, completed=read_bytes, events=count(index))
        yield line
