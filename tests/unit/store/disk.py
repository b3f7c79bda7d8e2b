"""A disk that can fail at any step, and shows what a power loss would leave.

`Disk` stands in for the module `os` in the code under test and works on the real file system. It
keeps the order of the steps, makes the n-th fail, and remembers what was synchronised: the bytes
of a file at its last fsync, the names of a folder at its last fsync.
"""

import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

Names = Literal["lost", "kept", "unlinked"]


class Crash(BaseException):
    """The process dies here: nothing of it may run on, so it is no Exception."""


class Disk:
    """The module `os`, with steps counted from `arm`. Unarmed, nothing fails."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self._fail_at: int | None = None
        self._failure: type[Crash] | OSError = Crash
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._folders: set[int] = set()
        self._open: set[int] = set()
        self._held: list[int] = []
        weakref.finalize(self, _close_all, self._held)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def arm(self, fail_at: int | None, failure: type[Crash] | OSError = Crash) -> None:
        """Count from here; fail before step `fail_at` (0 is the first). A crash fails all after.

        Files that a process had open when it crashed are closed, and their locks are gone.
        """
        for descriptor in self._open:
            os.close(descriptor)
        self._open = set()
        self.steps = []
        self._fail_at = fail_at
        self._failure = failure

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self.step("create", path)
        descriptor = os.open(path, flags, mode)
        if flags & os.O_CREAT:
            self._open.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write one byte less than asked for, as a full disk or a signal may."""
        self.step("write", _path(descriptor))
        return os.write(descriptor, data[: max(1, len(data) - 1)])

    def fsync(self, descriptor: int) -> None:
        path = _path(descriptor)
        self.step("fsync", path)  # the machine stays up, so nothing needs to reach its disk
        if path.is_dir():
            self._names[os.fstat(descriptor).st_ino] = _entries(path)
            self._folders.update(p.stat().st_ino for p in (path, *path.iterdir()) if p.is_dir())
        else:
            self._bytes[os.fstat(descriptor).st_ino] = path.read_bytes()

    def link(self, source: Path, target: Path) -> None:
        self.step("link", target)
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        self.step("unlink", path)
        self._hold(path)
        os.unlink(path)

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        self.step("mkdir", path)
        os.mkdir(path, mode)

    def rmdir(self, path: Path) -> None:
        self.step("rmdir", path)
        self._hold(path)
        os.rmdir(path)

    def after_power_loss(self, folder: Path, target: Path, names: Names) -> None:
        """Write what is left of `folder` to `target`.

        Bytes never synchronised are gone: the file is empty. Names not synchronised are lost or
        kept, because a file system may do either. With "unlinked", what was removed is gone at
        once, and nothing else happened to names since they were synchronised.
        """
        alive = {path.stat().st_ino: path for path in (folder, *folder.rglob("*"))}
        self._restore(folder.stat().st_ino, alive, target, names)

    def _restore(self, inode: int, alive: dict[int, Path], target: Path, names: Names) -> None:
        target.mkdir()
        durable = self._names.get(inode, {})
        now = _entries(alive[inode]) if inode in alive else {}
        if names == "kept":
            durable = durable | now
        if names == "unlinked":
            durable = {name: entry for name, entry in durable.items() if name in now}
        for name, entry in durable.items():
            if entry in self._folders or (entry in alive and alive[entry].is_dir()):
                self._restore(entry, alive, target / name, names)
            else:
                (target / name).write_bytes(self._bytes.get(entry, b""))

    def _hold(self, path: Path) -> None:
        """Keep the number of what is removed from going to another file."""
        with suppress(FileNotFoundError):
            self._held.append(os.open(path, os.O_PATH))

    def step(self, call: str, path: Path) -> None:
        """Count a step, or fail here."""
        number = len(self.steps)
        name = ".tmp" if path.name.startswith(".tmp-") else path.name
        self.steps.append((call, name))
        if self._fail_at is None or number < self._fail_at:
            return
        if isinstance(self._failure, OSError):
            if number == self._fail_at:
                raise self._failure
        else:
            raise self._failure(f"step {number}: {call} {path}")


def _path(descriptor: int) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{descriptor}"))


def _entries(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
