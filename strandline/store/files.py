"""Reading files of a store, which anybody who may write in its folder can put there.

A name may stand for a FIFO that nobody writes, a device without an end, a link to either. So every
file is opened without waiting and without following a link, must be a regular file, and is read up
to the length that it has when it is opened.
"""

import errno
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strandline.errors import StoreDamaged

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: Path) -> int:
    """Return the descriptor of a regular file that is open for reading, see `opened`."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket or a device without driver
            raise _not_a_file(path, os.lstat(path).st_mode) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise _not_a_file(path, mode)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a regular file for reading; yields its descriptor.

    Raises
    ------
    StoreDamaged
        If the name stands for anything but a regular file.
    OSError
        For what the system refuses; `FileNotFoundError` if there is nothing.
    """
    descriptor = open_file(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_up_to(descriptor: int, length: int) -> bytes:
    """Return the first `length` bytes of an open file, fewer if it has fewer."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(length)


def read_at(descriptor: int, begin: int, length: int) -> bytes:
    """Return so many bytes of an open file from there on, fewer if it has fewer.

    Unlike mapped bytes they may be read while others cut the file.
    """
    parts = []
    while length > 0 and (part := os.pread(descriptor, length, begin)):
        parts.append(part)
        begin, length = begin + len(part), length - len(part)
    return b"".join(parts)


def mapped(path: Path) -> memoryview:
    """Return the file's bytes, read-only and mapped; an empty file has none."""
    with opened(path) as descriptor:
        if os.fstat(descriptor).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


def _not_a_file(path: Path, mode: int) -> StoreDamaged:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return StoreDamaged(f"{path} is {kind}, expected a regular file; restore the file from a copy")
