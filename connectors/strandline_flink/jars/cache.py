"""Where jars are kept between runs, and how a file gets there whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strandline.errors import EnvironmentUnfit
from strandline_flink.processes.child_environment import usable_home


def cache_dir(*parts: str) -> Path:
    """A folder below STRANDLINE_CACHE, else XDG_CACHE_HOME/strandline, else ~/.cache/strandline.

    Without a home it is in the temporary folder. Made if it is not there. Raises
    `EnvironmentUnfit` if it cannot be made.
    """
    folder = cache_root().absolute().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentUnfit(
            f"the cache folder {folder} cannot be made ({error.strerror}): "
            "set STRANDLINE_CACHE to a folder that can be written"
        ) from error
    return folder


def cache_root() -> Path:
    """Where all of the cache is."""
    if named := os.environ.get("STRANDLINE_CACHE"):
        return Path(named)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "strandline"
    if home := usable_home():
        return home / ".cache" / "strandline"
    return private_folder(Path(tempfile.gettempdir()) / f"strandline-cache-{os.getuid()}")


def private_folder(folder: Path) -> Path:
    """The folder, made for this user alone: others can make it first in a temporary folder."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise EnvironmentUnfit(
            f"the cache folder {folder} is not this user's alone: set HOME or STRANDLINE_CACHE to "
            "a folder that can be written"
        )
    return folder


@contextmanager
def scratch_dir(parent: Path) -> Iterator[Path]:
    """A private folder on the same file system as `parent`, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(file: Path, target: Path) -> None:
    """Move a finished file of the same file system into place: durable, then visible."""
    with file.open("rb") as written:
        os.fsync(written.fileno())
    file.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
