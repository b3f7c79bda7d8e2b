"""The line of versions: reading it newest first, and verifying that it is one unbroken chain."""

from collections.abc import Iterator
from typing import NamedTuple

from strandline.encoding.canonical import sha256_hex
from strandline.errors import HistoryGone, StoreDamaged
from strandline.manifest import Body, FileRef, Manifest, TrainBody, parse_manifest
from strandline.manifest.continuity import check_follows
from strandline.spec import Spec
from strandline.store.base import FileKind, Store


def manifest_bytes(store: Store, version: int) -> bytes:
    """Return the bytes of a version's manifest; raise StoreDamaged if there is none."""
    data = store.manifest(version)
    if data is None:
        raise StoreDamaged(
            f"{store.url}: version {version} is missing, head is {store.head()};"
            " restore the file from a copy"
        )
    return data


def read_manifest(store: Store, version: int) -> Manifest:
    """Return a version's manifest; raise StoreDamaged if it is missing or not of this number."""
    return parse_version(store, version, manifest_bytes(store, version))


def read_spec(store: Store) -> Spec:
    """Return the spec that the store's head names."""
    return Spec.from_json(store.read("spec", read_verified(store, store.head()).manifest.spec))


class Verified(NamedTuple):
    """A version's manifest and the SHA-256 of its bytes, checked against the version before."""

    manifest: Manifest
    sha256: str


def read_verified(store: Store, version: int) -> Verified:
    """Return a version that follows from the one before it; for those who build on it.

    Where history begins there is none before it: the record of what was dropped vouches for it.

    Raises
    ------
    StoreDamaged
        If one of the two is missing or damaged, or the version does not follow.
    """
    return _verified(store, _before(store, version), version, manifest_bytes(store, version))


def next_verified(store: Store, at: Verified) -> Verified | None:
    """Return the version after this one, None if there is none yet; for those who follow head.

    Raises
    ------
    StoreDamaged
        If it is damaged, or does not follow from this one.
    """
    version = at.manifest.version + 1
    data = store.manifest(version)
    return None if data is None else _verified(store, at, version, data)


def following(store: Store, at: Verified, version: int) -> Iterator[Verified]:
    """Yield the versions after this one up to `version`, which must be there."""
    while at.manifest.version < version:
        number = at.manifest.version + 1
        at = _verified(store, at, number, manifest_bytes(store, number))
        yield at


def _before(store: Store, version: int) -> Verified | None:
    """Return the version before this one, None where history begins."""
    try:
        return _read(store, version - 1) if version else None
    except HistoryGone:
        if store.history_begins() != version:
            raise
        return None


def _read(store: Store, version: int) -> Verified:
    data = manifest_bytes(store, version)
    return Verified(parse_version(store, version, data), sha256_hex(data))


def _verified(store: Store, parent: Verified | None, version: int, data: bytes) -> Verified:
    child = Verified(parse_version(store, version, data), sha256_hex(data))
    if parent is not None:
        check_step(store, parent, child.manifest)
    return child


def check_step(store: Store, parent: Verified, child: Manifest) -> None:
    """Raise StoreDamaged unless the child follows from its parent."""
    try:
        check_follows(parent.manifest, parent.sha256, child)
    except StoreDamaged as error:
        raise StoreDamaged(
            f"{store.url}: version {child.version} does not follow from version"
            f" {child.version - 1}: {error}. Nothing is built on it: `strandline fsck {store.url}`"
            " shows all damage"
        ) from error


def references_of(body: Body) -> Iterator[tuple[FileKind, FileRef]]:
    """Yield the files that a version names, in its order."""
    if isinstance(body, TrainBody):
        for file in body.files:
            yield "delta", file.ref
        if body.rejects.file is not None:
            yield "rejects", body.rejects.file


def log(store: Store, *, newest_first: bool = True) -> Iterator[Manifest]:
    """Yield every version's manifest, from head down to where history begins or the other way.

    Each is checked against its neighbour, so a gap, a swap or an edit raises StoreDamaged there.
    What is dropped meanwhile ends the way down; on the way up it raises HistoryGone.
    """
    head, begin = store.head(), store.history_begins()
    if not newest_first:
        at = _verified(store, None, begin, manifest_bytes(store, begin))
        yield at.manifest
        yield from (version.manifest for version in following(store, at, head))
        return
    child = _read(store, head)
    for version in range(head - 1, begin - 1, -1):
        try:
            parent = _read(store, version)
        except HistoryGone:
            break
        check_step(store, parent, child.manifest)
        yield child.manifest
        child = parent
    yield child.manifest


def verify_chain(store: Store, *, files: bool = False) -> int:
    """Verify every version that is kept, and with `files` all they name; return head.

    Raises
    ------
    StoreDamaged
        At the first version that does not follow from the one before it.
    """
    version = -1
    for manifest in log(store, newest_first=False):
        if version < 0:
            store.read("spec", manifest.spec)
        version = manifest.version
        if files:
            for kind, ref in references_of(manifest.body):
                store.read(kind, ref)
    return version


def verify_links(store: Store, first: int, last: int) -> None:
    """Verify that every version from `first` to `last` follows from the one before it.

    Raises
    ------
    StoreDamaged
        At the first one that does not.
    """
    for _ in following(store, read_verified(store, first), last):
        pass


def parse_version(store: Store, version: int, data: bytes) -> Manifest:
    """Return the manifest that the bytes hold; raise StoreDamaged unless it is this version's."""
    try:
        manifest = parse_manifest(data)
    except StoreDamaged as error:
        raise StoreDamaged(f"{store.url}: version {version}: {error}") from error
    if manifest.version != version:
        raise StoreDamaged(
            f"{store.url}: version {version} holds the manifest of version {manifest.version}"
        )
    return manifest
