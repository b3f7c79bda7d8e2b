"""A disk that can fail at any step, and shows what a power loss would leave.

`Disk` stands in for the module `os` in the code under test and works on the real file system. It
keeps the order of the steps, makes the n-th fail, and remembers what was synchronised: the bytes
of a file at its last fsync, the names of a folder at its last fsync.
"""

import os
from pathlib import Path
from typing import Any, Literal

Names = Literal["lost", "kept"]


class Crash(BaseException):
    """The process dies here: nothing of it may run on, so it is no Exception."""


class Disk:
    """The module `os`, with steps counted from `arm`. Unarmed, nothing fails."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self._fail_at: int | None = None
        self._failure: type[Crash] | OSError = Crash
        self._bytes: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def arm(self, fail_at: int | None, failure: type[Crash] | OSError = Crash) -> None:
        """Count from here; fail before step `fail_at` (0 is the first). A crash fails all after."""
        self.steps = []
        self._fail_at = fail_at
        self._failure = failure

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self._step("create", path)
        return os.open(path, flags, mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write one byte less than asked for, as a full disk or a signal may."""
        self._step("write", _path(descriptor))
        return os.write(descriptor, data[: max(1, len(data) - 1)])

    def fsync(self, descriptor: int) -> None:
        path = _path(descriptor)
        self._step("fsync", path)  # the machine stays up, so nothing needs to reach its disk
        if path.is_dir():
            self._names[str(path)] = {p.name: p.stat().st_ino for p in path.iterdir()}
        else:
            self._bytes[os.fstat(descriptor).st_ino] = path.read_bytes()

    def link(self, source: Path, target: Path) -> None:
        self._step("link", target)
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        self._step("unlink", path)
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        self._step("mkdir", path)
        os.mkdir(path)

    def after_power_loss(self, folder: Path, target: Path, names: Names) -> None:
        """Write what is left of `folder` to `target`.

        Bytes never synchronised are gone: the file is empty. Names not synchronised are lost or
        kept, because a file system may do either.
        """
        target.mkdir()
        durable = self._names.get(str(folder), {})
        if names == "kept":
            durable = durable | {p.name: p.stat().st_ino for p in folder.iterdir()}
        for name, inode in durable.items():
            if (folder / name).is_dir():
                self.after_power_loss(folder / name, target / name, names)
            else:
                (target / name).write_bytes(self._bytes.get(inode, b""))

    def _step(self, call: str, path: Path) -> None:
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
