"""Packing: a full folder of versions becomes one file of the same name, in one step.

::

    write .tmp-<uuid>, fsync               the segment, whole and durable, under no name
    exchange(.tmp-<uuid>, 0000012)         renameat2(2): now 0000012 is the segment
    fsync(versions)                        the exchange is durable
    unlink .tmp-<uuid>/.tmp-*              what writers at work or dead have there
    unlink .tmp-<uuid>/<numbers>, rmdir    the manifests, one by one

At no moment is a number free. Before the exchange all of the folder's are taken; after it nothing
can be created below a name that is a file. Only a link(2) that was under way in the system at the
exchange still reaches the old folder: it finds its number taken, or, once numbers go, its own
temporary file gone, because temporary files go first; both fail. After a crash at any step the
store is as before or packed, and what is left over has a name that readers ignore.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.store.publish import TEMPORARY, fsync_folder, open_temporary, write_all

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What the system says where two names cannot be exchanged: NFS, or not Linux."""


def pack_folder(folder: Path, parts: Iterable[bytes], verify: Callable[[Path], None]) -> None:
    """Put a file of these bytes in the place of a folder in which every number is taken.

    Raises
    ------
    OSError
        The folder is as it was or packed; the call may be repeated. `UNSUPPORTED` has the numbers
        of errors that say that this file system cannot do it.
    StoreDamaged
        `verify`, given the file's path, says that it does not hold what it should.
    """
    temporary, descriptor = open_temporary(folder.parent)
    try:
        for part in parts:
            write_all(descriptor, part)
        os.fsync(descriptor)
        verify(temporary)  # soon it is the only copy
        exchange(temporary, folder)
        fsync_folder(folder.parent)
    finally:
        with suppress(OSError):  # the folder by now, unless there was an error or another packer
            os.unlink(temporary)
        os.close(descriptor)
    remove_packed(temporary)


def replace_by_nothing(path: Path) -> None:
    """Put an empty file in the place of a file, in one step and durably, and remove that one."""
    temporary, descriptor = open_temporary(path.parent)
    try:
        os.fsync(descriptor)
        exchange(temporary, path)
        fsync_folder(path.parent)
    finally:
        with suppress(OSError):
            os.unlink(temporary)
        os.close(descriptor)


def remove_packed(folder: Path) -> None:
    """Remove a folder whose versions are packed: temporary files first, see above."""
    with suppress(FileNotFoundError, NotADirectoryError):  # another packer was faster
        for name in sorted(os.listdir(folder), key=_temporary_first):
            with suppress(FileNotFoundError):
                os.unlink(folder / name)
        with suppress(OSError):  # not empty: a writer came in at the last moment, and has lost
            os.rmdir(folder)


def _temporary_first(name: str) -> tuple[bool, str]:
    return not name.startswith(TEMPORARY), name


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step; no rename of the standard library can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(one))
    names = ctypes.c_char_p(os.fsencode(one)), ctypes.c_char_p(os.fsencode(other))
    failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
