"""Every store against the whole conformance suite."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from strandline.store.base import FileKind, Store
from strandline.store.memory import MemoryStore
from strandline.store.posix import PosixStore
from tests.conformance import stores, upkeep
from tests.conformance.stores import Harness


def posix(folder: Path) -> Harness:
    numbers = count()

    def path(store: Store, pattern: str) -> Path:
        (found,) = Path(store.url).glob(pattern)
        return found

    def put(file: Path, data: bytes | None) -> None:
        file.unlink()
        if data is not None:
            file.write_bytes(data)

    def damage(store: Store, kind: FileKind, sha256: str, data: bytes | None) -> None:
        put(path(store, f"*/{sha256}.*"), data)

    def damage_version(store: Store, version: int, data: bytes | None) -> None:
        put(path(store, f"versions/*/{version:010}.json"), data)

    return Harness(lambda: PosixStore(folder / str(next(numbers))), damage, damage_version)


def memory(folder: Path) -> Harness:
    def damage(store: Store, kind: FileKind, sha256: str, data: bytes | None) -> None:
        assert isinstance(store, MemoryStore)
        del store._files[kind, sha256]
        if data is not None:
            store._files[kind, sha256] = data

    def damage_version(store: Store, version: int, data: bytes | None) -> None:
        assert isinstance(store, MemoryStore)
        del store._versions[version]
        if data is not None:
            store._versions[version] = data

    return Harness(MemoryStore, damage, damage_version)


@pytest.mark.parametrize(
    "check", [*stores.CHECKS, *upkeep.CHECKS], ids=lambda check: check.__name__
)
@pytest.mark.parametrize("harness", [posix, memory])
def test_store(
    harness: Callable[[Path], Harness], check: Callable[[Harness], None], tmp_path: Path
) -> None:
    check(harness(tmp_path))
