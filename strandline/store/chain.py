"""The line of versions: reading it newest first, and verifying that it is one unbroken chain."""

from collections.abc import Iterator

from strandline.encoding.canonical import sha256_hex
from strandline.errors import StoreDamaged
from strandline.manifest import Body, FileRef, Manifest, TrainBody, parse_manifest
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
    return Spec.from_json(store.read("spec", read_manifest(store, store.head()).spec))


def find_manifest(store: Store, version: int) -> Manifest | None:
    """Return a version's manifest, None if there is none yet; for those who follow head.

    Raises StoreDamaged if what holds the number is not this version's manifest.
    """
    data = store.manifest(version)
    return None if data is None else parse_version(store, version, data)


def references_of(body: Body) -> Iterator[tuple[FileKind, FileRef]]:
    """Yield the files that a version names, in its order."""
    if isinstance(body, TrainBody):
        for file in body.files:
            yield "delta", file.ref
        if body.rejects.file is not None:
            yield "rejects", body.rejects.file


def log(store: Store, *, newest_first: bool = True) -> Iterator[Manifest]:
    """Yield every version's manifest, from head down to genesis or the other way.

    Each step verifies the parent's digest, so a gap, a swap or an edit raises StoreDamaged there.
    """
    head = store.head()
    versions = range(head, -1, -1) if newest_first else range(head + 1)
    near: tuple[Manifest, str] | None = None
    for version in versions:
        data = manifest_bytes(store, version)
        manifest, digest = parse_version(store, version, data), sha256_hex(data)
        if near is not None:
            if newest_first:
                check_link(store, (manifest, digest), near[0])
            else:
                check_link(store, near, manifest)
        near = manifest, digest
        yield manifest


def verify_chain(store: Store, *, files: bool = False) -> int:
    """Verify every version from genesis to head, and with `files` all they name; return head.

    Verified: numbers are dense, digests chain, the spec stays, positions never step back, only
    the version's own stream changes.

    Raises
    ------
    StoreDamaged
        At the first version that does not fit the one before it.
    """
    parent: Manifest | None = None
    for manifest in log(store, newest_first=False):
        if parent is None:
            store.read("spec", manifest.spec)
        else:
            check_step(store, parent, manifest)
        if files:
            for kind, ref in references_of(manifest.body):
                store.read(kind, ref)
        parent = manifest
    assert parent is not None, "log yields at least genesis"
    return parent.version


def verify_links(store: Store, first: int, last: int) -> None:
    """Verify that every version from `first` to `last` can be read and names its parent.

    Raises
    ------
    StoreDamaged
        At the first one that does not.
    """
    parent: tuple[Manifest, str] | None = None
    for version in range(max(0, first - 1), last + 1):
        data = manifest_bytes(store, version)
        manifest = parse_version(store, version, data)
        if parent is not None:
            check_link(store, parent, manifest)
        parent = manifest, sha256_hex(data)


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


def check_link(store: Store, parent: tuple[Manifest, str], child: Manifest) -> None:
    """Raise StoreDamaged unless the child names its parent's digest."""
    if child.parent != parent[1]:
        raise StoreDamaged(
            f"{store.url}: version {child.version} names the parent {child.parent},"
            f" but version {child.version - 1} has {parent[1]}; one of them was altered: restore it"
            " from a copy"
        )


def check_step(store: Store, parent: Manifest, child: Manifest) -> None:
    """Raise StoreDamaged if the child's spec or streams do not follow from its parent's."""
    where = f"{store.url}: version {child.version}"
    if child.spec != parent.spec:
        raise StoreDamaged(f"{where} is of spec {child.spec}, the one before of {parent.spec}")
    for name, before in parent.streams.items():
        after = child.streams.get(name)
        if after is None or (name != child.stream and after != before):
            raise StoreDamaged(f"{where} changes stream {name}, which is not its own")
        for partition, offset in before.positions.items():
            if after.positions.get(partition, -1) < offset:
                raise StoreDamaged(
                    f"{where} steps back in stream {name}, partition {partition}:"
                    f" from {offset} to {after.positions.get(partition)}"
                )
