"""A home for a command that has none: libraries would make a folder named `~` where it works."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def usable_home() -> Path | None:
    """Return HOME if it is a folder of this user's; a container's may be "/", or not there."""
    named = Path(os.environ.get("HOME", ""))
    if not named.is_absolute() or named == Path("/"):
        return None
    return named if named.is_dir() and os.access(named, os.W_OK | os.X_OK) else None


def provide_home() -> None:
    """Let HOME be a folder in the temporary one if it is of no use; the next command finds it."""
    if usable_home() is None:
        with suppress(OSError):  # without a temporary folder whoever needs one says so
            os.environ["HOME"] = str(home_in(Path(tempfile.gettempdir())))


def home_in(parent: Path) -> Path:
    """Return a folder for this user alone: others can make it first in a temporary folder."""
    folder = parent / f"strandline-home-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="strandline-home-", dir=parent))
