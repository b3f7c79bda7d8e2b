"""Where jars are kept between runs, and how a file gets there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strandline.cli.home import home_in, usable_home
from strandline.errors import EnvironmentUnfit


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
    home = usable_home() or home_in(Path(tempfile.gettempdir()))
    return home / ".cache" / "strandline"


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
