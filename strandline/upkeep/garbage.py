"""Garbage: staged files that no version names and that no commit can name any more.

A file staged by `prepare` is in doubt until its commit is decided, however long that takes, so no
clock tells garbage. The store does: a commit is refused for good once another run holds its stream
or once head stands past its `before`. Runs do not come back and a run's positions never step back,
so what is garbage at one head is garbage at every later one.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from strandline.errors import FileMissing, StoreDamaged
from strandline.learning.rejects import read_rejects
from strandline.manifest import Manifest, StreamEntry
from strandline.parameters.delta import read_origin
from strandline.store.base import FileKind, Store
from strandline.store.chain import manifest_bytes, read_manifest, references_of

DATA_KINDS: Final[tuple[FileKind, ...]] = ("delta", "rejects")


class StagedFile(NamedTuple):
    """A staged file, by what it is kept under."""

    kind: FileKind
    sha256: str


def staged_data(store: Store) -> list[StagedFile]:
    """Return every staged file of an epoch. List first, read head after: see `find_garbage`."""
    return [StagedFile(kind, sha256) for kind in DATA_KINDS for sha256 in store.staged(kind)]


def files_of(manifest: Manifest) -> set[StagedFile]:
    """Return the files that a version names."""
    return {StagedFile(kind, ref.sha256) for kind, ref in references_of(manifest.body)}


def find_garbage(
    store: Store, after: int = 0, named: dict[int, tuple[StagedFile, ...]] | None = None
) -> list[StagedFile]:
    """Return the files that no version after `after` names and no commit can name any more.

    The files are listed before head is read: one that is staged later is not looked at, and one
    that was committed in between is named by a version that is.

    `named` keeps what versions name from one call to the next: no manifest is read twice.
    """
    files = staged_data(store)
    head = durable_head(store)
    named = {} if named is None else named
    for version in [version for version in named if version <= after]:
        del named[version]
    for version in range(max(after + 1, store.history_begins()), head.version + 1):
        if version not in named:
            named[version] = tuple(files_of(read_manifest(store, version)))
    kept = set(chain.from_iterable(named.values()))
    return [file for file in files if file not in kept and is_settled(store, file, head.streams)]


def durable_head(store: Store) -> Manifest:
    """Return head, durable: what is removed because of it must not outlast it."""
    version = store.head()
    store.append(version, manifest_bytes(store, version))
    return read_manifest(store, version)


def is_settled(store: Store, file: StagedFile, streams: Mapping[str, StreamEntry]) -> bool:
    """Return whether no commit can name the file any more, given head's streams.

    Altered bytes are settled: a commit verifies what it names. A file of the right digest that
    this release does not understand is not.
    """
    try:
        data = store.read(file.kind, file.sha256)
    except FileMissing:
        return False
    except StoreDamaged:
        return True
    try:
        if file.kind == "rejects":
            return _rejects_are_settled(data, streams)
        origin = read_origin(data)
    except (StoreDamaged, msgspec.MsgspecError):
        return False
    entry = streams.get(origin.stream)
    return entry is not None and (entry.run != origin.run or _is_past(entry, origin.before))


def _rejects_are_settled(data: bytes, streams: Mapping[str, StreamEntry]) -> bool:
    """Rejected events do not name their stream, so every stream has to be past them.

    Nor do they name their run: another run may reject the same events, and name the same file.
    """
    first: dict[str, int] = {}
    for event in read_rejects(data):
        partition = str(event.partition)
        first[partition] = min(event.offset, first.get(partition, event.offset))
    return all(_is_past(entry, first) for entry in streams.values())


def _is_past(entry: StreamEntry, before: Mapping[str, int]) -> bool:
    return any(entry.positions.get(partition, -1) > at for partition, at in before.items())
