"""The demo's last screen: what was shown, and what to try next."""

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from strandline.cli.output import MISSING, count, plural, ratio
from strandline_flink.demo.summary import Summary


def print_ending(console: Console, summary: Summary) -> None:
    """Print the summary for a person."""
    verdict = "exactly once" if summary.exact else "NOT exactly once"
    console.print(
        f"\nEvery event of the topic, {verdict}: {count(summary.lost)} lost, "
        f"{count(summary.duplicated)} duplicated, {count(summary.unread)} unread.",
        style="bold green" if summary.exact else "bold red",
    )
    console.print(summary_table(summary))
    console.print("\nTry next", style="bold")
    for line in suggestions(summary):
        console.print(f"  {line}", soft_wrap=True)


def summary_table(summary: Summary) -> Table:
    """The numbers, each with what it means."""
    view = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    view.add_column(style="cyan")
    view.add_column()
    better = MISSING if summary.improvement is None else f"{summary.improvement:.1%}"
    fresh = summary.freshness_ms
    rows = {
        "events": f"{count(summary.produced)} produced = {count(summary.learned)} learned + "
        f"{count(summary.rejected)} rejected + {count(summary.refused)} refused",
        "versions": f"{plural(summary.versions, 'commit')}, head is version {summary.head}",
        "speed": f"{count(round(summary.events_per_s))} events/s, {summary.seconds:.0f} s in all",
        "log-loss": f"{ratio(summary.log_loss)}, {better} below always predicting the mean "
        f"({ratio(summary.constant_log_loss)})",
        "calibration": f"{ratio(summary.calibration, 3)} predicted clicks per click",
        "freshness": f"{fresh.p50} ms median, {fresh.p95} ms at 95 %, event written → version"
        if fresh.p50 is not None
        else MISSING,
        "logs": summary.folder,
    }
    for name, text in rows.items():
        view.add_row(name, text)
    return view


def suggestions(summary: Summary) -> list[str]:
    """Commands that work when pasted."""
    store = shlex.quote(str(shortest(Path(summary.store))))
    command = shlex.quote(program())
    return [
        f"{command} log {store}",
        f"{command} show {store}",
        f"{command} show {store} --rejects",
        f"{command} dev events --events 5 --output - | {command} predict {store}",
    ]


def program() -> str:
    """How this very command is called from here: its name alone if the shell finds it."""
    installed = Path(sys.executable).parent / "strandline"
    found = shutil.which("strandline")
    if found is not None and Path(found).samefile(installed):
        return "strandline"
    return str(shortest(installed))


def shortest(path: Path) -> Path:
    """The path as seen from the working folder, if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
