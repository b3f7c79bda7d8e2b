"""What to do about what the operating system refuses."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strandline.errors import StoreUnavailable

REMEDIES: Final = {
    errno.ENOSPC: "the file system is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space or raise it",
    errno.EACCES: "permission denied: let this user read and write the whole folder",
    errno.EPERM: "not permitted: let this user write there, on a file system with hard links",
    errno.EOPNOTSUPP: "the file system has no hard links: use a local one, or NFS 4",
    errno.EROFS: "the file system is read-only: mount it read-write",
    errno.ENOTDIR: "a file is in the way: choose another folder",
    errno.EIO: "the disk reported an error: check it before going on",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
}


@contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Raise StoreUnavailable with the remedy for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}"
        remedy = REMEDIES.get(error.errno or 0, "check the path and the file system")
        raise StoreUnavailable(
            f"{path}: {reason}; {remedy}, then try again: what was acknowledged is safe"
        ) from error
