"""A store in a folder of a POSIX file system.

::

    spec/<sha256>.json                 what the model is
    versions/0000010/0000010124.json   a version's manifest
    versions/0000009                   a segment: the manifests of versions 9000 to 9999
    deltas/<sha256>.safetensors        what an epoch learned
    rejects/<sha256>.jsonl             events that could not be decoded
    bases/0000000100.safetensors       a full copy of the parameters at a version
    history/0000008999.json            what is kept of the versions up to 8999, which were dropped
"""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.errors import FileMissing, StoreDamaged
from strandline.manifest import FileRef
from strandline.store.base import (
    FileKind,
    check_digest,
    check_length,
    digest_of,
    reference_to,
)
from strandline.store.chain import verify_links
from strandline.store.files import mapped, opened, read_up_to
from strandline.store.folders import TEMPORARY_NAME, DurableFolders, matching, mode_like
from strandline.store.history import Histories
from strandline.store.publish import is_left_over, publish, try_writing
from strandline.store.remedies import unavailable
from strandline.store.versions import Versions

VERSIONS_UNPACKED_MIN: Final = 100
"""Versions below head that stay files of their own: what writers and readers are at work on."""

FOLDERS: Final = ("bases", "deltas", "history", "rejects", "spec", "versions")

_STAGED: Final[dict[FileKind, tuple[str, str]]] = {
    "delta": ("deltas", ".safetensors"),
    "rejects": ("rejects", ".jsonl"),
    "spec": ("spec", ".json"),
}
_BASE: Final = re.compile(r"([0-9]{10})\.safetensors")

_log = logging.getLogger(__name__)


class PosixStore:
    """The store in `root`, an absolute path. Safe for any number of threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._histories = Histories(root / "history")
        self._versions = Versions(root / "versions", self._histories)
        self._durable_folders = DurableFolders()

    @property
    def url(self) -> str:
        return str(self.root)

    def make_folders(self, mode: int | None = None) -> None:
        """Create the folders that every store has, durably, see `DurableFolders.make`."""
        for folder in (self.root, *(self.root / name for name in FOLDERS)):
            with unavailable(folder):
                self._durable_folders.make(folder, mode)

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        ref = reference_to(kind, data)
        path = self._staged(kind, ref.sha256)
        with unavailable(path):
            self._durable_folders.make(path.parent)
            if not publish(path, data):
                self._verify_and_fsync(kind, ref, path)
        return ref

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        sha256 = digest_of(ref)
        path = self._staged(kind, sha256)
        with unavailable(path):
            try:
                with opened(path) as descriptor:
                    length = os.fstat(descriptor).st_size
                    check_length(kind, ref, length, str(path))
                    data = read_up_to(descriptor, length)
            except FileNotFoundError:
                raise _missing(path) from None
        check_digest(data, sha256, str(path))
        return data

    def check_there(self, kind: FileKind, ref: FileRef) -> None:
        path = self._staged(kind, digest_of(ref))
        with unavailable(path):
            try:
                length = os.stat(path).st_size
            except FileNotFoundError:
                raise _missing(path) from None
        check_length(kind, ref, length, str(path))

    def staged(self, kind: FileKind) -> list[str]:
        name, suffix = _STAGED[kind]
        pattern = re.compile("([0-9a-f]{64})" + re.escape(suffix))
        with unavailable(self.root / name):
            return sorted(matching(self.root / name, pattern))

    def discard(self, kind: FileKind, sha256: str) -> None:
        self._unlink(self._staged(kind, digest_of(sha256)))

    def append(self, version: int, manifest: bytes) -> bool:
        with unavailable(self._versions.path(version)):
            return self._versions.append(version, manifest)

    def manifest(self, version: int) -> bytes | None:
        with unavailable(self._versions.path(version)):
            return self._versions.read(version)

    def head(self, at_least: int = 0) -> int:
        with unavailable(self.root):
            return self._versions.head(at_least)

    def pack(self) -> int:
        with unavailable(self._versions.folder):
            full = self._versions.full_folders(beyond=VERSIONS_UNPACKED_MIN)
        for number in full:
            packed = self._versions.numbers(number)
            verify_links(self, packed.start, packed.stop)
            with unavailable(self._versions.folder):
                if not self._versions.pack(number):
                    _log.warning(
                        "%s: the file system cannot exchange two names, so old versions stay one"
                        " file each; ext4, xfs, btrfs and tmpfs can",
                        self.root,
                    )
                    return 0
        return len(full)

    def history_begins(self) -> int:
        with unavailable(self._histories.folder):
            return self._histories.begin()

    def history_record(self) -> bytes | None:
        with unavailable(self._histories.folder):
            begin = self._histories.begin()
            return self._histories.read(begin) if begin else None

    def drop_history(self, version: int, record: bytes) -> int:
        path = self._histories.path(version)
        with unavailable(path):
            if not self._versions.is_packed(version):
                return 0
            self._durable_folders.make(path.parent, mode_like(self._versions.folder))
            publish(path, record)
            dropped = self._versions.drop(version)
            for older in self._histories.versions():
                if older < version:
                    self._unlink(self._histories.path(older))
        return dropped

    def put_base(self, version: int, data: bytes | memoryview) -> None:
        path = self._base(version)
        with unavailable(path):
            self._durable_folders.make(path.parent)
            publish(path, data)

    def bases(self) -> list[int]:
        folder = self.root / "bases"
        with unavailable(folder):
            return sorted(map(int, matching(folder, _BASE)))

    def base(self, version: int) -> memoryview:
        path = self._base(version)
        with unavailable(path):
            try:
                data = mapped(path)
            except FileNotFoundError:
                message = f"{path} is missing; the compactor writes it anew"
                raise FileMissing(message) from None
        if not data:
            raise StoreDamaged(f"{path} is empty; delete it")
        return data

    def discard_base(self, version: int) -> None:
        self._unlink(self._base(version))

    def check_writable(self, size_bytes: int) -> None:
        for name in ("versions", "deltas"):
            with unavailable(self.root / name):
                try_writing(self.root / name, size_bytes)

    def leftovers(self, *, discard: bool = False) -> list[str]:
        found = []
        for name in FOLDERS:
            folder = self.root / name
            with unavailable(folder):
                for temporary in matching(folder, TEMPORARY_NAME) if name != "versions" else ():
                    if is_left_over(folder / temporary, discard=discard):
                        found.append(f"{name}/{temporary}")
        with unavailable(self._versions.folder):
            found += [f"versions/{name}" for name in self._versions.leftovers(discard=discard)]
        return sorted(found)

    def _unlink(self, path: Path) -> None:
        with unavailable(path), suppress(FileNotFoundError):
            os.unlink(path)

    def _staged(self, kind: FileKind, sha256: str) -> Path:
        folder, suffix = _STAGED[kind]
        return self.root / folder / f"{sha256}{suffix}"

    def _base(self, version: int) -> Path:
        return self.root / "bases" / f"{version:010}.safetensors"

    def _verify_and_fsync(self, kind: FileKind, ref: FileRef, path: Path) -> None:
        """Take up a file that another attempt staged and perhaps never made durable."""
        self.read(kind, ref)
        with opened(path) as descriptor:
            os.fsync(descriptor)


def _missing(path: Path) -> FileMissing:
    """Return the error of a file that is not there, though its folder is.

    An absent folder may be a mount that comes back: OSError says so.
    """
    os.listdir(path.parent)
    return FileMissing(f"{path} is missing; restore the file from a copy")
