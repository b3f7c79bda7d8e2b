"""One version as text: a few lines and tables, every section left out that has nothing to say."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from strandline.cli.figures import calibration, log_loss, rmse
from strandline.cli.output import MISSING, age, byte_size, count, preview, printable, ratio
from strandline.manifest import Manifest, OpenBody, TrainBody

DIGEST_CHARS = 12
SPANS_SHOWN = 6


def sections(manifest: Manifest, now_ms: int) -> Iterator[RenderableType]:
    """Yield what to print, top to bottom."""
    yield head_section(manifest, now_ms)
    if isinstance(manifest.body, OpenBody):
        restored = manifest.body.key.restored
        how = "a fresh start" if restored is None else f"a restore of checkpoint {restored}"
        yield f"\nopened by {how}, submission {manifest.body.key.submission}"
    if manifest.streams:
        yield streams_section(manifest)
    if isinstance(manifest.body, TrainBody):
        yield from train_sections(manifest.body)


def head_section(manifest: Manifest, now_ms: int) -> Table:
    """Name the version and the digests that tie it to its parent, spec and commit."""
    view = pairs()
    ago = f", {age(manifest.time_ms, now_ms)} ago" if manifest.time_ms else ""
    view.add_row("version", f"{manifest.version} ({manifest.kind})")
    if manifest.stream is not None:
        view.add_row("stream", manifest.stream)
    view.add_row("time", moment(manifest.time_ms) + ago)
    view.add_row("spec", manifest.spec)
    view.add_row("parent", manifest.parent or MISSING)
    if manifest.committable is not None:
        view.add_row("committable", manifest.committable)
    return view


def streams_section(manifest: Manifest) -> Table:
    """Where each stream stands."""
    view = titled("streams", "stream", "source", "run", "open", "version", "positions", "seqs")
    for name, entry in sorted(manifest.streams.items()):
        source = ", ".join(f"{key} {value}" for key, value in sorted(entry.source.items()))
        view.add_row(
            name,
            printable(source) or MISSING,
            entry.run[:DIGEST_CHARS],
            str(entry.open),
            str(entry.version),
            by_number(entry.positions),
            by_number(entry.seqs),
        )
    return view


def train_sections(body: TrainBody) -> Iterator[RenderableType]:
    """Counts, quality, deltas, files and rejections of a commit."""
    counts = body.counts
    view = pairs()
    view.add_row(
        "events",
        f"{count(counts.events)} = {count(counts.learned)} learned + "
        f"{count(counts.rejected)} rejected + {count(counts.refused)} refused",
    )
    if any(body.event_time_ms):
        view.add_row("event time", " to ".join(moment(time_ms) for time_ms in body.event_time_ms))
    if body.checkpoint is not None:
        view.add_row("checkpoint", str(body.checkpoint))
    yield ""
    yield view
    if body.prequential:
        yield quality_section(body)
    yield deltas_section(body)
    if body.files:
        yield files_section(body)
    if body.rejects.reasons:
        view = titled("rejected", "reason", "events")
        for reason, number in sorted(body.rejects.reasons.items(), key=lambda item: -item[1]):
            view.add_row(printable(reason), count(number))
        yield view


def quality_section(body: TrainBody) -> Table:
    """How well each learner predicted events before it learned them."""
    view = titled("predictions, made before learning", "learner", "events", "sum of labels",
                  "log-loss", "calibration", "RMSE")  # fmt: skip
    for name, sums in sorted(body.prequential.items()):
        view.add_row(
            name,
            count(sums.events),
            f"{sums.labels:,.6g}",
            ratio(log_loss(sums)),
            MISSING if sums.log_loss is None else ratio(calibration(sums), 3),
            ratio(rmse(sums)),
        )
    return view


def deltas_section(body: TrainBody) -> Table:
    """What each worker learned, and from which spans of the stream."""
    view = titled("deltas", "worker", "seq", "events", "learned", "rejected", "on", "pending",
                  "partition: from-to", "refused")  # fmt: skip
    for delta in body.deltas:
        spans = [f"{partition}: {first}-{end}" for partition, first, end in delta.spans]
        more = f" and {len(spans) - SPANS_SHOWN} more" if len(spans) > SPANS_SHOWN else ""
        view.add_row(
            str(delta.worker),
            str(delta.seq),
            count(delta.events),
            count(delta.learned),
            count(delta.rejected),
            str(delta.adopted),
            " ".join(map(str, delta.pending)) or MISSING,
            ", ".join(spans[:SPANS_SHOWN]) + more,
            printable(delta.refused or MISSING),
        )
    return view


def files_section(body: TrainBody) -> Table:
    """The delta files that hold the version's changes."""
    view = titled("files", "sha256", "size", "shard", "merged on", "rows")
    for file in body.files:
        rows = ", ".join(
            f"{printable(table)} {count(number)}" for table, number in sorted(file.rows.items())
        )
        digest = file.sha256[:DIGEST_CHARS] + "…"
        shard = f"{file.shard} of {file.shards}"
        view.add_row(digest, byte_size(file.bytes), shard, str(file.replica), rows)
    return view


def rejected_table(events: Sequence[Mapping[str, Any]]) -> Table:
    """Rejected events, with the beginning of their bytes."""
    view = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("version", "partition", "offset", "bytes"):
        view.add_column(title, justify="right")
    for title in ("reason", "detail", "record"):
        view.add_column(title, overflow="fold")
    for event in events:
        view.add_row(
            MISSING if event["version"] is None else str(event["version"]),
            str(event["partition"]),
            str(event["offset"]),
            count(event["length"]),
            printable(event["reason"]),
            printable(event["detail"]),
            preview(base64.b64decode(event["bytes"])),
        )
    return view


def titled(title: str, *columns: str) -> Table:
    """A table under a title, apart from what stands above."""
    view = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for column in columns:
        view.add_column(column, header_style="dim", overflow="fold")
    return view


def pairs() -> Table:
    """A table of names and values."""
    view = Table(box=None, show_header=False, pad_edge=False)
    view.add_column(style="dim")
    view.add_column(overflow="fold")
    return view


def by_number(values: Mapping[str, int]) -> str:
    """Partitions or workers with their values, in numeric order.

    >>> by_number({"10": 7, "2": 5})
    '2: 5, 10: 7'
    """
    ordered = sorted(values.items(), key=lambda item: int(item[0]))
    return ", ".join(f"{key}: {value}" for key, value in ordered) or MISSING


def moment(time_ms: int) -> str:
    """A time in UTC, to the millisecond; a dash without a time or beyond the calendar.

    >>> moment(1767323045678), moment(0)
    ('2026-01-02 03:04:05.678Z', '–')
    """
    try:
        time = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return MISSING
    return f"{time:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d}Z" if time_ms else MISSING
