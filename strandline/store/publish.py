"""Making a file appear whole, once, and for good, on a POSIX file system.

::

    open(.tmp-<uuid>, O_EXCL)  write … fsync  close      the bytes are durable, under no name
    link(.tmp-<uuid>, name)                              the commit point: one caller wins a name
    fsync(folder)                                        the name is durable
    unlink(.tmp-<uuid>)

A rename would overwrite, so a name that must be won once is taken by link(2). After a crash at
any step the file is whole or absent, and the same call may be repeated. Readers ignore names that
begin with a dot.
"""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def publish(path: Path, data: bytes) -> bool:
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


def make_folder(path: Path) -> None:
    """Create the folder and those above it, durably.

    A folder that is there may be left by a process that died before it was durable, so the one
    above it is synchronised in any case, unless only its owner may.
    """
    if not exists(path.parent):
        make_folder(path.parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        with suppress(PermissionError):
            fsync_folder(path.parent)
    else:
        fsync_folder(path.parent)


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


def _create(path: Path, data: bytes) -> bool:
    temporary = path.parent / f".tmp-{uuid4().hex}"
    try:
        _write(temporary, data)
        created = _link(temporary, path)
        if created:
            fsync_folder(path.parent)
        return created
    finally:
        with suppress(OSError):  # a name that begins with a dot harms nobody
            os.unlink(temporary)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # Over a network the answer to a link that succeeded may be lost and the request repeated.
        return os.stat(temporary).st_nlink == 2
    return True
