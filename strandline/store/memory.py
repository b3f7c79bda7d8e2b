"""A store in this process's memory: for tests, examples and dry runs."""

import threading
from typing import Final

from strandline.errors import FileMissing, NoStore, StoreDamaged
from strandline.manifest import FileRef
from strandline.store.base import (
    FileKind,
    check_digest,
    check_length,
    digest_of,
    reference_to,
)
from strandline.store.history import dropped
from strandline.store.url import MEMORY_URL


class MemoryStore:
    """Versions and files in dictionaries. Safe for threads; gone with the process."""

    url: Final = MEMORY_URL

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[tuple[FileKind, str], bytes] = {}
        self._versions: dict[int, bytes] = {}
        self._bases: dict[int, bytes] = {}
        self._history: tuple[int, bytes | None] = (0, None)

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        ref = reference_to(kind, data)
        kept = self._files.setdefault((kind, ref.sha256), bytes(data))
        check_digest(kept, ref.sha256, self._origin(kind, ref.sha256))
        return ref

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        sha256 = digest_of(ref)
        origin = self._origin(kind, sha256)
        data = self._files.get((kind, sha256))
        if data is None:
            raise FileMissing(f"{origin} is missing; restore the file from a copy")
        check_length(kind, ref, len(data), origin)
        check_digest(data, sha256, origin)
        return data

    def check_there(self, kind: FileKind, ref: FileRef) -> None:
        origin = self._origin(kind, digest_of(ref))
        data = self._files.get((kind, ref.sha256))
        if data is None:
            raise FileMissing(f"{origin} is missing; restore the file from a copy")
        check_length(kind, ref, len(data), origin)

    def staged(self, kind: FileKind) -> list[str]:
        return sorted(sha256 for of, sha256 in list(self._files) if of == kind)

    def discard(self, kind: FileKind, sha256: str) -> None:
        self._files.pop((kind, digest_of(sha256)), None)

    def append(self, version: int, manifest: bytes) -> bool:
        with self._lock:
            if version in self._versions or version < self._history[0]:
                return False
            self._versions[version] = bytes(manifest)
            return True

    def manifest(self, version: int) -> bytes | None:
        begin = self._history[0]
        if version < begin:
            raise dropped(self.url, version, begin)
        return self._versions.get(version)

    def head(self, at_least: int = 0) -> int:  # noqa: ARG002  a dictionary needs no hint
        with self._lock:
            if self._history[0] not in self._versions:
                raise NoStore(f"{self.url} holds no store; create one with create_store")
            return max(self._versions)

    def pack(self) -> int:
        return 0  # there are no files

    def history_begins(self) -> int:
        return self._history[0]

    def history_record(self) -> bytes | None:
        return self._history[1]

    def drop_history(self, version: int, record: bytes) -> int:
        with self._lock:
            gone = [each for each in self._versions if each < version]
            if version > self._history[0]:
                self._history = (version, record)
            for each in gone:
                del self._versions[each]
        return len(gone)

    def put_base(self, version: int, data: bytes | memoryview) -> None:
        self._bases.setdefault(version, bytes(data))

    def bases(self) -> list[int]:
        return sorted(self._bases)

    def base(self, version: int) -> memoryview:
        data = self._bases.get(version)
        if data is None:
            raise FileMissing(f"{self.url}: the base of version {version} is missing")
        if not data:
            raise StoreDamaged(f"{self.url}: the base of version {version} is empty; discard it")
        return memoryview(data)

    def discard_base(self, version: int) -> None:
        self._bases.pop(version, None)

    def check_writable(self, size_bytes: int) -> None:
        pass  # there is no file system to be full

    def leftovers(self, *, discard: bool = False) -> list[str]:  # noqa: ARG002
        return []  # whoever dies takes the store along

    def _origin(self, kind: FileKind, sha256: str) -> str:
        return f"{self.url} {kind} {sha256}"
