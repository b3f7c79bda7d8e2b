"""The opens of a stream, newest first: each names the one before it.

A stream that is started a thousand times a day has many, so nobody reads them all: a search ends
where the submission that is looked for was made, and a contest is told by the newest few.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise

from strandline.commit.committing import ReadVersion
from strandline.commit.submission import made_since
from strandline.errors import HistoryGone, StoreDamaged
from strandline.limits import OPENS_CONTESTED, OPENS_CONTESTED_WINDOW_MS
from strandline.manifest import Manifest, OpenBody, OpenKey, StreamEntry, parse_manifest


@dataclass(frozen=True, slots=True)
class OpenFound:
    """An open that stands in the store. `in_force`: no other run holds the stream at head."""

    version: int
    entry: StreamEntry
    in_force: bool


@dataclass(frozen=True, slots=True)
class _Open:
    manifest: Manifest
    body: OpenBody
    entry: StreamEntry


def newest_open(
    entry: StreamEntry | None,
    read: ReadVersion,
    stream: str,
    submission: str,
    is_wanted: Callable[[OpenKey], bool],
) -> OpenFound | None:
    """Return the submission's newest open whose key is wanted, None if there is none.

    `entry` is head's entry of the stream.

    Raises
    ------
    HistoryGone
        If the submission is older than what is kept of the store's history: nobody can say.
    """
    if entry is None:
        return None
    since = made_since(submission)
    try:
        for opened in _opens(entry.open, read, stream, since or 0):
            if is_wanted(opened.body.key):
                in_force = opened.entry.run == entry.run
                return OpenFound(opened.manifest.version, opened.entry, in_force=in_force)
    except HistoryGone:
        if since is not None:
            raise
    return None


def is_contested(entry: StreamEntry | None, read: ReadVersion, stream: str, time_ms: int) -> bool:
    """Return whether starts supersede each other before any of them gets anywhere.

    So it is if the newest `OPENS_CONTESTED` opens are fresh starts of the last minute, and no
    commit stands between them. An open that is later than `time_ms` was made by a clock that was
    wrong, and says nothing.
    """
    if entry is None or entry.version != entry.open:
        return False
    newest: list[_Open] = []
    with suppress(HistoryGone):  # what was dropped is not of the last minute
        newest.extend(islice(_opens(entry.open, read, stream), OPENS_CONTESTED))
    return (
        len(newest) == OPENS_CONTESTED
        and all(
            opened.body.key.restored is None
            and 0 <= time_ms - opened.manifest.time_ms <= OPENS_CONTESTED_WINDOW_MS
            for opened in newest
        )
        and not any(_has_moved(before.entry, after.entry) for after, before in pairwise(newest))
    )


def _has_moved(before: StreamEntry, after: StreamEntry) -> bool:
    """Return whether a commit stands between two opens that follow one another."""
    known = {partition: after.positions.get(partition) for partition in before.positions}
    return known != before.positions or after.seqs != before.seqs


def _opens(version: int | None, read: ReadVersion, stream: str, since: int = 0) -> Iterator[_Open]:
    """Yield the opens from this one back to the first that is newer than `since`."""
    while version is not None and version > since:
        manifest = parse_manifest(read(version))
        if not isinstance(manifest.body, OpenBody) or manifest.stream != stream:
            raise StoreDamaged(f"version {version} is named as an open of stream {stream}")
        yield _Open(manifest, manifest.body, manifest.streams[stream])
        previous = manifest.body.previous
        if previous is not None and previous >= version:
            raise StoreDamaged(
                f"version {version} says that the stream's open before it is version"
                f" {previous}, expected a lower one; run `strandline fsck`"
            )
        version = previous
