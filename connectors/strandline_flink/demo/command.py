"""`strandline demo`: the command line of it."""

import sys
import time
from os import getpid
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from strandline.cli.arguments import Json
from strandline.cli.not_learned import check_learned
from strandline.cli.outcome import report
from strandline.cli.output import out
from strandline_flink.demo.ending import print_ending
from strandline_flink.demo.running import run_demo
from strandline_flink.demo.stage import Options
from strandline_flink.demo.view import LiveView, PlainView

Events = Annotated[int | None, typer.Option("--events", min=1, help="End after so many events.")]
Seconds = Annotated[float | None, typer.Option("--seconds", min=1, help="End after so long.")]
Rate = Annotated[float, typer.Option("--rate", min=1, help="Events a second.")]
Partitions = Annotated[int, typer.Option("--partitions", min=1, max=64, help="Of the topic.")]
Parallelism = Annotated[int, typer.Option("--parallelism", min=1, max=16, help="Workers.")]
Checkpoint = Annotated[str, typer.Option("--checkpoint", help="A version every so often.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same events.")]
Folder = Annotated[Path, typer.Option("--folder", help="Where the run's own folder is made.")]


def command(
    *,
    events: Events = None,
    seconds: Seconds = None,
    rate: Rate = 20_000,
    partitions: Partitions = 4,
    parallelism: Parallelism = 1,
    checkpoint: Checkpoint = "500ms",
    seed: Seed = 1,
    folder: Folder = Path("strandline-demo"),
    json: Json = False,
) -> None:
    """See it work: a real Kafka broker, events, the job and a reader, all on this machine.

    Ends at Ctrl-C, or after --events or --seconds; then everything in the topic is learned, the
    topic is read again independently, and the counts are compared: nothing lost, nothing
    duplicated, or the exit code is 1. With --json, or without a terminal, progress goes to
    standard error as lines; --json prints the summary as one JSON object.

    Example: `strandline demo --events 200000 --json`
    """

    run = run_folder(folder)
    options = Options(events, seconds, rate, partitions, parallelism, checkpoint, seed)
    live = sys.stdout.isatty() and not json
    summary = run_demo(options, run, LiveView(f"logs in {run}") if live else PlainView())
    if json:
        print(msgspec.json.encode(summary).decode())
    else:
        print_ending(out(), summary)
    if not summary.exact:
        report(
            f"{summary.lost} events lost, {summary.duplicated} duplicated, {summary.unread} "
            f"unread; everything to find out why is kept in {run}"
        )
        raise typer.Exit(1)
    check_learned(
        events=summary.produced,
        learned=summary.learned,
        refused=summary.refused,
        store=summary.store,
    )


def run_folder(parent: Path) -> Path:
    """Make the folder of this run: no two demos share one."""
    folder = parent.absolute() / f"{time.strftime('%Y%m%d-%H%M%S')}-{getpid()}"
    folder.mkdir(parents=True)
    return folder
