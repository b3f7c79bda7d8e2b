"""A store as a worker or a merger saw it: up to a version, and what is staged stays in memory."""

from typing import Any

from strandline.manifest import FileRef
from strandline.store.base import FileKind, Store, reference_to


class StoreView:
    """The versions of a store up to `newest`. Nothing is written to the store."""

    def __init__(self, store: Store, newest: int) -> None:
        self._store = store
        self.newest = newest
        self.files: dict[str, bytes] = {}

    def head(self, at_least: int = 0) -> int:  # noqa: ARG002 (a hint)
        return self.newest

    def manifest(self, version: int) -> bytes | None:
        return self._store.manifest(version) if version <= self.newest else None

    def bases(self) -> list[int]:
        return [base for base in self._store.bases() if base <= self.newest]

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        ref = reference_to(kind, data)
        self.files[ref.sha256] = bytes(data)
        return ref

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        sha256 = ref if isinstance(ref, str) else ref.sha256
        return self.files[sha256] if sha256 in self.files else self._store.read(kind, ref)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
