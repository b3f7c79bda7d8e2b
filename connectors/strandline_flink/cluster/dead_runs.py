"""What runs leave in the temporary folder when they are killed: the next start removes it.

A run holds the lock of its folder as long as it lives; the system drops it with the process.
"""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "strandline-run-"
LOCK: Final = "lock"
LOGS: Final = ("log", "failure.json")
KEPT_S: Final = 86_400
KEPT_FOLDERS: Final = 20
MAKING_S: Final = 60  # between a folder and its lock


def hold(folder: Path) -> int:
    """Say that the run of this folder lives, until the descriptor is closed or the process ends."""
    descriptor = os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def sweep(parent: Path) -> None:
    """Keep only the logs of this user's dead runs: of the newest few, and for a day."""
    with suppress(OSError):
        found = [path for path in parent.glob(f"{PREFIX}*") if is_dead(path)]
        found.sort(key=modified_s, reverse=True)
        for place, folder in enumerate(found):
            if place >= KEPT_FOLDERS or time.time() - modified_s(folder) > KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                keep_logs(folder)


def is_dead(folder: Path) -> bool:
    """Whether it is the folder of a run of this user's that has ended. False while unsure."""
    try:
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.getuid():
            return False
        if not (folder / LOCK).exists():
            return time.time() - found.st_mtime > MAKING_S
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or gone meanwhile
        return False
    return True


def keep_logs(folder: Path) -> None:
    """Remove all but the logs; the folder keeps its time."""
    times = folder.stat()
    for path in folder.iterdir():
        if path.name in (*LOGS, LOCK):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    os.utime(folder, (times.st_atime, times.st_mtime))


def modified_s(folder: Path) -> float:
    """When the folder was last changed, in seconds since 1970; 0 if it is gone."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
