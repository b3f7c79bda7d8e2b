"""What `strandline top` shows: a picture for a terminal, one line for a log."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from strandline.cli.figures import measures
from strandline.cli.output import MISSING, age, byte_size, count, ratio
from strandline.cli.version_view import by_number
from strandline.cli.watching import RECENT_MS, Watch
from strandline.clock import wall_clock_ms
from strandline.metrics.totals import Totals

RUN_CHARS = 12
LEGEND = "calibration: predicted per seen positive, 1.0 is right"


class Quality(NamedTuple):
    """One measure of a learner: its name, its value of late and over all versions seen."""

    name: str
    recent: str
    total: str


def picture(watch: Watch, trouble: str = "") -> RenderableType:
    """Return everything that is known of the store, `trouble` last."""
    title = Text.assemble((watch.store.url, "bold"), " · ", newest(watch))
    parts: list[RenderableType] = [title, Text(), numbers(watch)]
    if any(sums.log_loss is not None for sums in watch.total.prequential.values()):
        parts.append(Text(LEGEND, style="dim"))
    if watch.streams:
        parts += [Text(), streams(watch)]
    if trouble:
        parts += [Text(), Text(trouble, style="yellow")]
    return Group(*parts)


def newest(watch: Watch) -> str:
    """Name the newest version and its age."""
    manifest = watch.newest
    old = f", {age(manifest.time_ms, wall_clock_ms())} old" if manifest.time_ms else ""
    return f"version {count(manifest.version)} ({manifest.kind}{old})"


def numbers(watch: Watch) -> Table:
    """One row per figure: of the last seconds, and since the first version that was read."""
    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    view.add_column("", style="cyan", no_wrap=True)
    view.add_column(f"last {RECENT_MS // 1000} s", justify="right", no_wrap=True)
    view.add_column(f"since version {count(watch.since)}", justify="right", no_wrap=True)
    recent, total = watch.recent, watch.total
    view.add_row("versions", rate(recent.versions, watch, 1) + "/s", count(total.versions))
    view.add_row("events", rate(recent.events, watch) + "/s", count(total.events))
    for each in qualities(recent, total):
        view.add_row(*each)
    view.add_row("rejected", count(recent.rejected), count(total.rejected))
    view.add_row("refused", count(recent.refused), count(total.refused))
    view.add_row("files per version", files_each(recent), files_each(total))
    view.add_row("bytes per version", bytes_each(recent), bytes_each(total))
    fresh = f"newest {milliseconds(watch.freshness_ms)}"
    if watch.wrong_time is not None:
        fresh = f"record times in {watch.wrong_time[0]}"
    view.add_row("freshness", milliseconds(watch.recent_freshness_ms), fresh)
    return view


def streams(watch: Watch) -> Table:
    """Where each stream stands, and how long ago it moved."""
    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    view.add_column("stream")
    view.add_column("version", justify="right")
    view.add_column("age", justify="right", no_wrap=True)
    view.add_column("run", no_wrap=True)
    view.add_column("positions", overflow="fold")
    for name, standing in sorted(watch.streams.items()):
        entry = standing.entry
        view.add_row(
            name,
            count(entry.version),
            age(standing.time_ms, wall_clock_ms()),
            entry.run[:RUN_CHARS],
            by_number(entry.positions),
        )
    return view


def line(watch: Watch) -> str:
    """The same in one line; a quality is of late, in brackets since the first version read."""
    recent, total = watch.recent, watch.total
    parts = [
        newest(watch),
        f"{rate(recent.versions, watch, 1)} versions/s",
        f"{rate(recent.events, watch)} events/s",
        *(f"{each.name} {each.recent} ({each.total})" for each in qualities(recent, total)),
        f"{count(total.rejected)} rejected",
        f"{count(total.refused)} refused",
        f"{files_each(recent)} files, {bytes_each(recent)} per version",
        f"freshness {milliseconds(watch.recent_freshness_ms)}",
    ]
    if watch.wrong_time is not None:
        parts[-1] = f"freshness unknown: record times in {watch.wrong_time[0]}"
    for name, standing in sorted(watch.streams.items()):
        old = age(standing.time_ms, wall_clock_ms())
        parts.append(f"{name} {{{by_number(standing.entry.positions)}}} {old} old")
    return " · ".join(parts)


def qualities(recent: Totals, total: Totals) -> Iterator[Quality]:
    """Log-loss and calibration of probabilities, RMSE of all other predictions."""
    for name, sums in sorted(total.prequential.items()):
        late = recent.prequential.get(name)
        for measure in measures(sums):
            now = MISSING if late is None else ratio(measure.of(late), measure.digits)
            yield Quality(f"{measure.name} {name}", now, ratio(measure.of(sums), measure.digits))


def rate(number: int, watch: Watch, digits: int = 0) -> str:
    """How many a second, over the last seconds."""
    return f"{number / watch.span_s:,.{digits}f}"


def files_each(totals: Totals) -> str:
    """Delta files per commit."""
    return f"{totals.files / totals.versions:,.1f}" if totals.versions else MISSING


def bytes_each(totals: Totals) -> str:
    """Bytes of delta files per commit."""
    return byte_size(round(totals.bytes / totals.versions)) if totals.versions else MISSING


def milliseconds(value_ms: int | None) -> str:
    """A time span with its unit."""
    return MISSING if value_ms is None else f"{count(value_ms)} ms"
