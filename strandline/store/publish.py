"""Making a file appear whole, once, and for good, on a POSIX file system.

::

    open(.tmp-<uuid>, O_EXCL)  flock  write … fsync      the bytes are durable, under no name
    link(.tmp-<uuid>, name)                              the commit point: one caller wins a name
    fsync(folder)                                        the name is durable
    unlink(.tmp-<uuid>)  close

A rename would overwrite, so a name that must be won once is taken by link(2). After a crash at
any step the file is whole or absent, and the same call may be repeated. Readers ignore names that
begin with a dot.

The lock says that the writer lives: the system drops it with the process, so whoever gets it knows
that the file is left over, without asking a clock.

A file may be read by whoever may read its folder, whatever the umask of the process that writes it.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from strandline.errors import EnvironmentUnfit, StoreDamaged
from strandline.store.files import opened

TEMPORARY: Final = ".tmp-"

_FILE_MODE_MAX: Final = 0o644

_WRITE_BYTES: Final = 1 << 18
"""At once: for a longer write Linux takes pages of megabytes, which on a virtual machine are often
the host's and must be got back from it first."""


def publish(path: Path, data: bytes | memoryview) -> bool:
    """Create the file with these bytes; False if the name was taken. Durable in both cases.

    What a taken name holds was written by the same steps, so its bytes are durable already.

    Raises
    ------
    OSError
        The outcome is unknown; the call may be repeated.
    """
    created = not exists(path) and _create(path, data)
    if not created:
        fsync_folder(path.parent)
    return created


def fsync_folder(path: Path) -> None:
    """Make every name in the folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: Path) -> bool:
    """Return whether the name is there; unlike `Path.exists` no error counts as absent."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def is_left_over(path: Path, *, discard: bool) -> bool:
    """Return whether the writer of a temporary file is dead; if so, remove it if told to.

    Where the file system has no locks nobody is known to be dead.
    """
    try:
        with opened(path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if discard:
                os.unlink(path)  # under the lock: a writer that waits for it sees the name go
    except (OSError, StoreDamaged):  # gone, held by its writer, or nothing that a writer makes
        return False
    return True


def _create(path: Path, data: bytes | memoryview) -> bool:
    temporary, descriptor = open_temporary(path.parent)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
        created = _link(temporary, path)
        if created:
            fsync_folder(path.parent)
        return created
    finally:
        with suppress(OSError):  # a name that begins with a dot harms nobody
            os.unlink(temporary)
        os.close(descriptor)


def open_temporary(folder: Path) -> tuple[Path, int]:
    """Create a temporary file that is ours while the descriptor is open."""
    while True:
        path = folder / f"{TEMPORARY}{uuid4().hex}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, os.stat(folder).st_mode & _FILE_MODE_MAX)
        with suppress(OSError):  # without locks nothing is ever taken for left over
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # taken for left over in the moment before it was locked


def try_writing(folder: Path, size_bytes: int) -> None:
    """Write a file as `publish` does, and remove it before it has a name that anybody reads.

    Raises
    ------
    EnvironmentUnfit
        If the file system gives one name to two callers: nothing here would hold on it.
    """
    temporary, descriptor = open_temporary(folder)
    name = folder / f"{TEMPORARY}{uuid4().hex}"
    try:
        write_all(descriptor, bytes(size_bytes))
        os.fsync(descriptor)
        os.link(temporary, name)
        with suppress(FileExistsError):
            os.link(temporary, name)
            raise EnvironmentUnfit(
                f"{folder}: the file system gave the same name twice, expected the second link to"
                " be refused: two writers could make one version. Keep the store on another file"
                " system: ext4, xfs, btrfs and tmpfs refuse it"
            )
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
        os.unlink(temporary)
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of the bytes, in pieces, in as many calls as the system needs."""
    rest = memoryview(data).cast("B")  # bytes, whatever the view is of: they are counted below
    while rest:
        rest = rest[os.write(descriptor, rest[:_WRITE_BYTES]) :]


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # Over a network the answer to a link that succeeded may be lost and the request repeated.
        return os.stat(temporary).st_nlink == 2
    return True
