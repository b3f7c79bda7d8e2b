"""The numbered manifests of a store in a folder: one file each, full folders packed into one.

::

    versions/0000012                    a segment: versions 12000 to 12999
    versions/0000013/0000013000.json    a manifest
    versions/0000002                    empty: its versions were dropped, see `history`
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from strandline.errors import NoStore, StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX, VERSIONS_PER_FOLDER
from strandline.store.files import opened, read_up_to
from strandline.store.folders import TEMPORARY_NAME, DurableFolders, matching, mode_like
from strandline.store.history import Histories, dropped, parse_record
from strandline.store.packing import UNSUPPORTED, pack_folder, remove_packed, replace_by_nothing
from strandline.store.publish import exists, fsync_folder, is_left_over, publish
from strandline.store.segment import Segment, segment_parts

SEGMENTS_HELD_MAX: Final = 4

_FOLDER: Final = re.compile(r"([0-9]{7})")
_VERSION: Final = re.compile(r"([0-9]{10})\.json")


class Versions:
    """The versions below `folder`. Raises OSError for what the system refuses."""

    def __init__(self, folder: Path, histories: Histories) -> None:
        self.folder, self.histories = folder, histories
        self._durable_folders = DurableFolders()
        self._segments: dict[int, Segment] = {}
        self._opening_segment = threading.Lock()
        self._newest = 0

    def append(self, version: int, manifest: bytes) -> bool:
        """Create the version, see `Store.append`."""
        path = self.path(version)
        if self.is_packed(version):
            fsync_folder(self.folder)
            return False
        try:
            self._durable_folders.make(path.parent, mode_like(self.folder))
            if version and version % VERSIONS_PER_FOLDER == 0 and not self.is_packed(version - 1):
                # Whoever made the version before may have died before its folder was durable;
                # within one folder publishing this version makes that one durable too.
                fsync_folder(self.path(version - 1).parent)
            return publish(path, manifest)
        except (FileNotFoundError, NotADirectoryError):
            if not self.is_packed(version):
                raise
            fsync_folder(self.folder)
            return False  # packed meanwhile

    def read(self, version: int) -> bytes | None:
        """Return the bytes of a version's manifest, None if there is no such version.

        Raises
        ------
        HistoryGone
            If it was dropped.
        """
        path = self.path(version)
        try:
            with opened(path) as descriptor:
                size_bytes = os.fstat(descriptor).st_size
                if size_bytes > MANIFEST_BYTES_MAX:
                    raise StoreDamaged(
                        f"{path} has {size_bytes} bytes, at most {MANIFEST_BYTES_MAX} are read"
                    )
                return read_up_to(descriptor, size_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return self._packed(version)

    def head(self, at_least: int) -> int:
        """Return the newest version, see `Store.head`."""
        known = max(at_least, self._newest)
        if known == 0 or not self._is_taken(known):
            known = at_least if at_least and self._is_taken(at_least) else self._newest_listed()
        self._newest = self._climb(known)
        return self._newest

    def full_folders(self, beyond: int = 0) -> list[int]:
        """Return the folders that are full and not packed, and head so far beyond, ascending."""
        return [
            number
            for number in sorted(int(name) for name in matching(self.folder, _FOLDER))
            if self._is_taken((number + 1) * VERSIONS_PER_FOLDER + beyond)
            and not self.is_packed(number * VERSIONS_PER_FOLDER)
        ]

    def numbers(self, folder: int) -> range:
        """Return the versions that belong to a folder."""
        first = folder * VERSIONS_PER_FOLDER
        return range(first, first + VERSIONS_PER_FOLDER)

    def pack(self, number: int) -> bool:
        """Pack a full folder; whether the file system can."""
        first = number * VERSIONS_PER_FOLDER
        parts = segment_parts(first, VERSIONS_PER_FOLDER, self._read_known)

        def verify(path: Path) -> None:
            Segment(path, first, VERSIONS_PER_FOLDER).check()

        try:
            pack_folder(self.path(first).parent, parts, verify)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            return False
        return True

    def drop(self, begin: int) -> int:
        """Empty the segments that hold no version after `begin`, which has a record by now.

        Their names stay, so their numbers do. The lowest go first: those that are empty already lie
        below those that are not.
        """
        number, full = (begin + 1) // VERSIONS_PER_FOLDER - 1, []
        while number >= 0 and not self._is_empty(number * VERSIONS_PER_FOLDER):
            if self.is_packed(number * VERSIONS_PER_FOLDER):
                full.append(self.path(number * VERSIONS_PER_FOLDER).parent)
            number -= 1
        for path in reversed(full):
            replace_by_nothing(path)
        with self._opening_segment:
            self._segments.clear()
        return len(full)

    def leftovers(self, *, discard: bool) -> Iterator[str]:
        """Yield what dead writers and packers left, relative to `folder`."""
        for name in sorted(matching(self.folder, TEMPORARY_NAME)):
            path = self.folder / name
            if not S_ISDIR(_mode(path)):
                if is_left_over(path, discard=discard):
                    yield name
            elif self._is_packed_copy(path):
                yield name
                if discard:
                    remove_packed(path)
        for number in self.full_folders():
            folder = self.path(number * VERSIONS_PER_FOLDER).parent
            for name in sorted(matching(folder, TEMPORARY_NAME)):
                # Every number of the folder is taken: its writer, if alive, has lost.
                yield f"{folder.name}/{name}"
                if discard:
                    with suppress(FileNotFoundError):
                        os.unlink(folder / name)

    def path(self, version: int) -> Path:
        """Return where the version stands while its folder is not packed."""
        return self.folder / f"{version // VERSIONS_PER_FOLDER:07}" / f"{version:010}.json"

    def _read_known(self, version: int) -> bytes:
        data = self.read(version)
        if data is None:
            raise StoreDamaged(f"{self.path(version)} is missing; restore the file from a copy")
        return data

    def _is_taken(self, version: int) -> bool:
        try:
            return exists(self.path(version)) or self.is_packed(version)
        except NotADirectoryError:
            return self.is_packed(version)

    def is_packed(self, version: int) -> bool:
        """Return whether the version's folder is a segment: then all its numbers are taken."""
        return S_ISREG(_mode(self.path(version).parent))

    def _is_empty(self, version: int) -> bool:
        """Return whether an empty file stands in the place of the version's folder."""
        with suppress(FileNotFoundError):
            found = os.stat(self.path(version).parent)
            return S_ISREG(found.st_mode) and found.st_size == 0
        return False

    def _packed(self, version: int) -> bytes | None:
        try:
            segment = self._segment(version)
        except StoreDamaged:
            if not self._is_empty(version):
                raise
            return self._kept(version)
        return None if segment is None else segment.manifest(version)

    def _kept(self, version: int) -> bytes:
        """Return what is left of a segment that is empty: the manifest that its record has."""
        begin = self.histories.begin()
        if version < begin:
            raise dropped(str(self.folder.parent), version, begin)
        if version > begin:
            path = self.path(version).parent
            raise StoreDamaged(f"{path} is empty; restore the file from a copy")
        return bytes(parse_record(self.histories.read(begin), begin).manifest)

    def _segment(self, version: int) -> Segment | None:
        number = version // VERSIONS_PER_FOLDER
        with self._opening_segment:
            segment = self._segments.get(number)
            if segment is None and self.is_packed(version):
                first = number * VERSIONS_PER_FOLDER
                segment = Segment(self.path(first).parent, first, VERSIONS_PER_FOLDER)
                if len(self._segments) >= SEGMENTS_HELD_MAX:
                    del self._segments[next(iter(self._segments))]
                self._segments[number] = segment
            return segment

    def _is_packed_copy(self, folder: Path) -> bool:
        """Return whether the folder holds nothing but what sound segments hold."""
        versions = [int(name) for name in matching(folder, _VERSION)]
        return all(self._is_empty(v) or self._segment(v) is not None for v in versions)

    def _newest_listed(self) -> int:
        """Return a version that is as new as the newest when this was called, or nearly."""
        if not self._is_taken(0):
            self._refuse_headless()
            raise NoStore(
                f"{self.folder.parent} holds no store; create one there, or check the path"
            )
        for name in sorted(matching(self.folder, _FOLDER), reverse=True):
            last = (int(name) + 1) * VERSIONS_PER_FOLDER - 1
            if self.is_packed(last):
                return last
            found = [int(number) for number in matching(self.folder / name, _VERSION)]
            if found:
                return max(found)
        return 0

    def _refuse_headless(self) -> None:
        """Raise StoreDamaged if later versions stand though the first is gone."""
        for name in sorted(matching(self.folder, _FOLDER)) if exists(self.folder) else ():
            folder = self.folder / name
            if S_ISREG(_mode(folder)) or any(True for _ in matching(folder, _VERSION)):
                raise StoreDamaged(
                    f"{self.path(0)} is missing, or the segment that holds it, but"
                    f" {folder} stands: versions are gone; restore them from a copy, and create no"
                    " store here"
                )

    def _climb(self, version: int) -> int:
        """Return the newest version, given one that exists: numbers are dense, so gallop up."""
        step = 1
        while self._is_taken(version + step):
            version += step
            step *= 2
        while step > 1:
            step //= 2
            if self._is_taken(version + step):
                version += step
        return version


def _mode(path: Path) -> int:
    """Return what the name stands for; 0 if there is nothing."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return 0
