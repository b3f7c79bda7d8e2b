"""Folders of a POSIX file system: made durably, listed by pattern."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.store.publish import TEMPORARY, exists, fsync_folder

TEMPORARY_NAME: Final = re.compile("(" + re.escape(TEMPORARY) + ".*)")
"""The name of what a writer at work, or dead, has in a folder, see `publish`."""

FOLDER_MODE: Final = 0o750
"""Rejected events are raw data, and parameters tell about users: nothing for every user to read."""


class DurableFolders:
    """The folders that this process has made durable: once for each is enough."""

    def __init__(self) -> None:
        self._made: set[Path] = set()

    def make(self, folder: Path, mode: int | None = None) -> None:
        """Create the folder and those above it if need be, durably.

        A new folder has exactly this mode; by default `FOLDER_MODE` less the umask.
        """
        if folder not in self._made:
            _make(folder, mode)
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


def mode_like(folder: Path) -> int | None:
    """Return the mode that a new folder inside gets; None if there is none to take it from."""
    return stat.S_IMODE(os.stat(folder).st_mode) if exists(folder) else None


def _make(folder: Path, mode: int | None) -> None:
    """Create the folder and those above it, durably.

    A folder that is there may be left by a process that died before it was durable, so the one
    above it is synchronised in any case, unless only its owner may.
    """
    if not exists(folder.parent):
        _make(folder.parent, mode)
    try:
        os.mkdir(folder, FOLDER_MODE if mode is None else mode)
        if mode is not None:
            os.chmod(folder, mode)
    except FileExistsError:
        with suppress(PermissionError):
            fsync_folder(folder.parent)
    else:
        fsync_folder(folder.parent)
