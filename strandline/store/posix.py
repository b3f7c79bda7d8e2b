"""A store in a folder of a POSIX file system.

::

    spec/<sha256>.json                 what the model is
    versions/000000/0000000124.json    a version's manifest
    deltas/<sha256>.safetensors        what an epoch learned
    rejects/<sha256>.jsonl             events that could not be decoded
    bases/0000000100.safetensors       a full copy of the parameters at a version
"""

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.errors import FileMissing, NoStore, StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX, VERSIONS_PER_FOLDER
from strandline.manifest import FileRef
from strandline.store.base import (
    FileKind,
    check_digest,
    check_length,
    digest_of,
    reference_to,
)
from strandline.store.publish import (
    TEMPORARY,
    exists,
    fsync_folder,
    is_left_over,
    make_folder,
    publish,
)
from strandline.store.remedies import unavailable

FOLDERS: Final = ("bases", "deltas", "rejects", "spec", "versions")

_STAGED: Final[dict[FileKind, tuple[str, str]]] = {
    "delta": ("deltas", ".safetensors"),
    "rejects": ("rejects", ".jsonl"),
    "spec": ("spec", ".json"),
}
_VERSIONS_FOLDER: Final = re.compile(r"[0-9]{6}")
_TEMPORARY: Final = re.compile(re.escape(TEMPORARY) + ".*")
_VERSION: Final = re.compile(r"([0-9]{10})\.json")
_BASE: Final = re.compile(r"([0-9]{10})\.safetensors")


class PosixStore:
    """The store in `root`, an absolute path. Safe for any number of threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable_folders: set[Path] = set()

    @property
    def url(self) -> str:
        return str(self.root)

    def make_folders(self) -> None:
        """Create the folders that every store has, durably."""
        for folder in (self.root, *(self.root / name for name in FOLDERS)):
            with unavailable(folder):
                self._make_durable(folder)

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        ref = reference_to(kind, data)
        path = self._staged(kind, ref.sha256)
        with unavailable(path):
            self._make_durable(path.parent)
            if not publish(path, data):
                self._verify_and_fsync(kind, ref, path)
        return ref

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        sha256 = digest_of(ref)
        path = self._staged(kind, sha256)
        with unavailable(path):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                message = f"{path} is missing; restore the file from a copy"
                raise FileMissing(message) from None
            with open(descriptor, "rb") as file:
                check_length(kind, ref, os.fstat(descriptor).st_size, str(path))
                data = file.read()
        check_digest(data, sha256, str(path))
        return data

    def staged(self, kind: FileKind) -> list[str]:
        name, suffix = _STAGED[kind]
        pattern = re.compile("([0-9a-f]{64})" + re.escape(suffix))
        with unavailable(self.root / name):
            return sorted(match[1] for match in _matching(self.root / name, pattern))

    def discard(self, kind: FileKind, sha256: str) -> None:
        self._unlink(self._staged(kind, digest_of(sha256)))

    def append(self, version: int, manifest: bytes) -> bool:
        path = self._version(version)
        with unavailable(path):
            self._make_durable(path.parent)
            if version and version % VERSIONS_PER_FOLDER == 0:
                # Whoever made the version before may have died before its folder was durable;
                # within one folder publishing this version makes that one durable too.
                fsync_folder(self._version(version - 1).parent)
            return publish(path, manifest)

    def manifest(self, version: int) -> bytes | None:
        path = self._version(version)
        with unavailable(path):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return None
            with file:
                size_bytes = os.fstat(file.fileno()).st_size
                if size_bytes > MANIFEST_BYTES_MAX:
                    raise StoreDamaged(
                        f"{path} has {size_bytes} bytes, at most {MANIFEST_BYTES_MAX} are read"
                    )
                return file.read()

    def head(self, at_least: int = 0) -> int:
        with unavailable(self.root):
            if at_least > 0 and exists(self._version(at_least)):
                return self._climb(at_least)
            return self._climb(self._newest_listed())

    def put_base(self, version: int, data: bytes | memoryview) -> None:
        path = self._base(version)
        with unavailable(path):
            self._make_durable(path.parent)
            publish(path, data)

    def bases(self) -> list[int]:
        folder = self.root / "bases"
        with unavailable(folder):
            return sorted(int(match[1]) for match in _matching(folder, _BASE))

    def base(self, version: int) -> memoryview:
        path = self._base(version)
        with unavailable(path):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                message = f"{path} is missing; the compactor writes it anew"
                raise FileMissing(message) from None
            with file:
                if os.fstat(file.fileno()).st_size == 0:
                    raise StoreDamaged(f"{path} is empty; delete it")
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def discard_base(self, version: int) -> None:
        self._unlink(self._base(version))

    def leftovers(self, *, discard: bool = False) -> list[str]:
        found = []
        for name in FOLDERS:
            folder = self.root / name
            with unavailable(folder):
                for match in _matching(folder, _TEMPORARY):
                    if is_left_over(folder / match[0], discard=discard):
                        found.append(f"{name}/{match[0]}")
        for folder in self._full_folders():
            with unavailable(folder):
                for match in _matching(folder, _TEMPORARY):
                    # Every number of the folder is taken: its writer, if alive, has lost.
                    found.append(f"versions/{folder.name}/{match[0]}")
                    if discard:
                        self._unlink(folder / match[0])
        return sorted(found)

    def _full_folders(self) -> list[Path]:
        """Return the folders of versions whose numbers are all taken, oldest first."""
        versions = self.root / "versions"
        with unavailable(versions):
            numbers = sorted(int(match[0]) for match in _matching(versions, _VERSIONS_FOLDER))
            return [
                versions / f"{number:06}"
                for number in numbers
                if exists(self._version((number + 1) * VERSIONS_PER_FOLDER))
            ]

    def _unlink(self, path: Path) -> None:
        with unavailable(path), suppress(FileNotFoundError):
            os.unlink(path)

    def _staged(self, kind: FileKind, sha256: str) -> Path:
        folder, suffix = _STAGED[kind]
        return self.root / folder / f"{sha256}{suffix}"

    def _version(self, version: int) -> Path:
        folder = f"{version // VERSIONS_PER_FOLDER:06}"
        return self.root / "versions" / folder / f"{version:010}.json"

    def _base(self, version: int) -> Path:
        return self.root / "bases" / f"{version:010}.safetensors"

    def _make_durable(self, folder: Path) -> None:
        """Create the folder if need be; once per folder and process is enough."""
        if folder not in self._durable_folders:
            make_folder(folder)
            self._durable_folders.add(folder)

    def _verify_and_fsync(self, kind: FileKind, ref: FileRef, path: Path) -> None:
        """Take up a file that another attempt staged and perhaps never made durable."""
        self.read(kind, ref)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _newest_listed(self) -> int:
        """Return a version that is as new as the newest when this was called, or nearly."""
        if not exists(self._version(0)):
            raise NoStore(f"{self.root} holds no store; create one there, or check the path")
        versions = self.root / "versions"
        for folder in sorted((m[0] for m in _matching(versions, _VERSIONS_FOLDER)), reverse=True):
            found = [int(match[1]) for match in _matching(versions / folder, _VERSION)]
            if found:
                return max(found)
        return 0

    def _climb(self, version: int) -> int:
        """Return the newest version, given one that exists: numbers are dense, so gallop up."""
        step = 1
        while exists(self._version(version + step)):
            version += step
            step *= 2
        while step > 1:
            step //= 2
            if exists(self._version(version + step)):
                version += step
        return version


def _matching(folder: Path, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Yield the names in the folder that match; temporary and foreign files do not."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        match = pattern.fullmatch(name)
        if match is not None:
            yield match
