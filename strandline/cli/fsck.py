"""`strandline fsck`: check every version, file and base of a store."""

import sys
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.output import byte_size, count, err, out, print_json, printable
from strandline.errors import StoreError
from strandline.store import Store, open_store
from strandline.upkeep.fsck import Report, check_store, repair_store

DAMAGED = StoreError.exit_code
SHOWN_MAX = 20

Repair = Annotated[
    bool, typer.Option("--repair", help="Remove garbage and damaged bases, nothing else.")
]


def command(store: StoreUrl, repair: Repair = False, json: Json = False) -> None:
    """Check a store: every version, every file, every base.

    Says what is damaged and what could be removed, and changes nothing. With --repair, garbage,
    what dead writers left and damaged bases are removed; never a version or a file of one.
    Exit code 4 means that something is damaged and was not repaired.

    Example: `strandline fsck ./model`
    """
    opened = open_store(store)
    report = checked(opened)
    removed = repair_store(opened, report) if repair else []
    left = [each for each in report.damages if not (repair and each.what in removed)]
    if json:
        print_json(msgspec.to_builtins(report) | {"removed": removed, "sound": not left})
    else:
        show(report, removed)
    if left:
        raise typer.Exit(DAMAGED)


def checked(store: Store) -> Report:
    """Check the store, and show on a terminal how far it is."""
    with Progress(
        TextColumn("checking"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[versions]} versions"),
        TimeRemainingColumn(),
        console=err(),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bar:
        task = bar.add_task("checking", total=None, versions="0")

        def progress(done: int, total: int) -> None:
            if done % 100 == 0 or done == total:
                bar.update(task, completed=done, total=total, versions=count(done))

        return check_store(store, progress)


def show(report: Report, removed: list[str]) -> None:
    """Print what was found, and what was removed, for a person."""
    console = out()
    verdict = f"{count(len(report.damages))} damaged" if report.damages else "sound"
    opens = (
        "head cannot be opened"
        if report.opens_from is None
        else f"versions from {report.opens_from} on open"
    )
    history = f" history begins at version {report.history_from}," if report.history_from else ""
    console.print(
        f"{report.store}: {verdict}; {count(report.head + 1 - report.history_from)} versions,"
        f"{history} {opens};"
        f" {count(report.files)} files with {byte_size(report.file_bytes)},"
        f" {len(report.bases)} bases",
        soft_wrap=True,
    )
    for each in report.damages[:SHOWN_MAX]:
        console.print(f"  damaged: {printable(f'{each.what}: {each.problem}')}", soft_wrap=True)
    if len(report.damages) > SHOWN_MAX:
        console.print(f"  {count(len(report.damages) - SHOWN_MAX)} more: --json lists all")
    garbage = len(report.garbage) + len(report.leftovers)
    if removed:
        console.print(f"removed: {len(removed)} ({', '.join(removed[:SHOWN_MAX])})", soft_wrap=True)
    elif garbage or report.damaged_bases:
        console.print(
            f"garbage: {len(report.garbage)} staged files that no commit can name any more,"
            f" {len(report.leftovers)} left over by dead writers; --repair removes them",
            soft_wrap=True,
        )
