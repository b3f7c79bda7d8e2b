"""Creating a store and opening it by its URL: the path of a folder, or `memory:`."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from strandline.errors import NoStore, StoreExists, StoreUnavailable, WrongUsage
from strandline.manifest import genesis
from strandline.spec import Spec
from strandline.spec.comparison import describe_difference
from strandline.store.base import Store
from strandline.store.chain import read_manifest, read_verified
from strandline.store.memory import MemoryStore
from strandline.store.posix import FOLDERS, PosixStore
from strandline.store.remedies import unavailable
from strandline.store.url import MEMORY_URL, store_url

StoreLike = Store | str | os.PathLike[str]
"""A store, or what `open_store` opens it by."""

ReadableBy = Literal["owner", "group", "all"]
"""Whom the system lets read a store's files; only the owner may write."""
READABLE_BY: Final[dict[ReadableBy, int]] = {"owner": 0o700, "group": 0o750, "all": 0o755}


def create_store(
    url: str | os.PathLike[str], spec: Spec, *, readable_by: ReadableBy | None = None
) -> Store:
    """Create a store of this spec and return it; one of the same spec is returned as it is.

    A store that a dead process left half made is completed. By default the owner's group may read
    a new store, unless the umask forbids that.

    Raises
    ------
    StoreExists
        There is a store of another spec, or the folder holds other things.
    StoreDamaged
        The first version is gone, and later ones stand.
    StoreUnavailable
        The folder cannot be written.

    Examples
    --------
    >>> from strandline.spec import Spec
    >>> spec = Spec.parse('''
    ... name = "clicks"
    ... [label]
    ... path = "click"
    ... [features.item]
    ... path = "item.id"
    ... kind = "category"
    ... [learners.popularity]
    ... type = "counts"
    ... feature = "item"
    ... ''')
    >>> create_store("memory:", spec).head()
    0
    """
    store = _at(url)
    begin = store.history_begins()
    if store.manifest(begin) is None:
        with suppress(NoStore):
            store.head()  # raises if later versions stand: they must not get a new beginning
        if isinstance(store, PosixStore):
            _refuse_foreign(store.root)
            store.make_folders(None if readable_by is None else READABLE_BY[readable_by])
        store.stage("spec", spec.to_json())
        store.append(0, genesis(spec.sha256))
    found = read_manifest(store, begin).spec
    if found != spec.sha256:
        held = Spec.from_json(store.read("spec", found))
        raise StoreExists(
            f"{store.url} is a store of another spec: {describe_difference(held, spec)}. A store's"
            " spec lays out its tables and never changes: create the new model's store in another"
            f" folder, or use the spec that the store holds ({found})"
        )
    return store


def open_store(url: str | os.PathLike[str]) -> Store:
    """Return the store at this URL.

    Raises
    ------
    NoStore
        There is none, or one that was never finished.
    StoreDamaged
        Its format is newer than this release reads, or its first version or spec is damaged.
    """
    store = _at(url)
    try:
        head = store.head()
    except NoStore:
        if isinstance(store, PosixStore):
            raise _no_store(store.root) from None
        raise
    store.read("spec", read_verified(store, head).manifest.spec)
    return store


def as_store(store: StoreLike) -> Store:
    """Return the store, opened if it is named by its path or URL, see `open_store`."""
    if isinstance(store, str | os.PathLike):
        return open_store(store)
    if not hasattr(store, "head"):
        raise WrongUsage(
            f"store: got {type(store).__name__}, expected a store, its path or its URL, as in"
            " open_model('./model')"
        )
    return store


def _at(named: str | os.PathLike[str]) -> Store:
    url = store_url(named)
    if url == MEMORY_URL:
        return MemoryStore()
    root = Path(url)
    if root.is_file():
        raise StoreUnavailable(f"{root} is a file; expected the folder of a store, or a new one")
    return PosixStore(root)


def _refuse_foreign(root: Path) -> None:
    """A folder with other things in it is most likely not where the store should be."""
    foreign = sorted(name for name in _names(root) if name not in FOLDERS)
    if foreign:
        raise StoreExists(
            f"{root} holds other things ({', '.join(foreign[:3])}); expected a new or an empty"
            " folder: create the store in a folder of its own"
        )


def _no_store(root: Path) -> NoStore:
    names = _names(root)
    if not root.is_dir():
        return NoStore(f"{root}: there is no such folder; check the path, or create a store there")
    if names and names <= set(FOLDERS):
        return NoStore(f"{root} holds a store that was never finished; create it again")
    return NoStore(f"{root} is a folder without a store; check the path, or create one there")


def _names(root: Path) -> set[str]:
    """Return the names in the folder that somebody put there on purpose."""
    with unavailable(root):
        if not root.is_dir():
            return set()
        return {name for name in os.listdir(root) if name[0] != "." and name != "lost+found"}
