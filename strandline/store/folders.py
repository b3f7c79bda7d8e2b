"""Folders of a POSIX file system: made durably, listed by pattern; and files, mapped."""

import mmap
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.store.publish import TEMPORARY, exists, fsync_folder

TEMPORARY_NAME: Final = re.compile("(" + re.escape(TEMPORARY) + ".*)")
"""The name of what a writer at work, or dead, has in a folder, see `publish`."""


class DurableFolders:
    """The folders that this process has made durable: once for each is enough."""

    def __init__(self) -> None:
        self._made: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Create the folder and those above it if need be, durably."""
        if folder not in self._made:
            _make(folder)
            self._made.add(folder)


def matching(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """Return the pattern's group of every name in the folder that matches; the others are foreign.

    A folder that is not there has none.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [match[1] for match in map(pattern.fullmatch, names) if match is not None]


def mapped(path: Path) -> memoryview:
    """Return the file's bytes, read-only and mapped; an empty file has none."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _make(folder: Path) -> None:
    """Create the folder and those above it, durably.

    A folder that is there may be left by a process that died before it was durable, so the one
    above it is synchronised in any case, unless only its owner may.
    """
    if not exists(folder.parent):
        _make(folder.parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        with suppress(PermissionError):
            fsync_folder(folder.parent)
    else:
        fsync_folder(folder.parent)
