"""A store whose calls fail, are lost on their way, die half-way, and whose machine loses power."""

from collections.abc import Callable
from enum import Enum, unique
from random import Random
from typing import Any, Final

from strandline.errors import StoreUnavailable
from strandline.manifest import FileRef
from strandline.store import MemoryStore
from strandline.store.base import FileKind


class Died(BaseException):
    """The caller's process dies here: nothing of it may run on, so it is no Exception."""


@unique
class Fate(Enum):
    """What becomes of a call that changes the store."""

    DONE = "done"
    NOT_DONE = "unavailable, and not done"
    ANSWER_LOST = "unavailable, but done"
    DONE_LATER = "unavailable, and done some time later"
    DIED_BEFORE = "the caller died before"
    DIED_VISIBLE = "the caller died when others saw it, before it was durable"
    DIED_AFTER = "the caller died after"


FATES: Final = tuple(Fate)[1:]


class Disk(MemoryStore):
    """What all processes of a simulation share. Each of them uses it through a `Mount`.

    What a dead caller made visible is not durable until somebody repeats the call, or, of versions,
    makes a later one: as in a folder, whose fsync covers all of its names.
    """

    def __init__(self) -> None:
        super().__init__()
        self._volatile_versions: set[int] = set()
        self._volatile_files: set[tuple[FileKind, str]] = set()
        self.later: list[Callable[[], object]] = []

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        ref = super().stage(kind, data)
        self._volatile_files.discard((kind, ref.sha256))
        return ref

    def append(self, version: int, manifest: bytes) -> bool:
        made = super().append(version, manifest)
        self._volatile_versions = {each for each in self._volatile_versions if each > version}
        return made

    def show_version(self, version: int, manifest: bytes) -> None:
        """Append as somebody does who dies before the name is durable."""
        if super().append(version, manifest):
            self._volatile_versions.add(version)

    def show_file(self, kind: FileKind, data: bytes) -> None:
        """Stage as somebody does who dies before the name is durable."""
        there = set(self._files)
        ref = super().stage(kind, data)
        if (kind, ref.sha256) not in there:
            self._volatile_files.add((kind, ref.sha256))

    def do_later(self) -> int:
        """Do what is still under way; return how many calls that were."""
        later, self.later = self.later, []
        for call in later:
            call()
        return len(later)

    def lose_power(self) -> int:
        """Forget what was not durable and what is under way; return how many names were lost."""
        self.later = []
        lost = len(self._volatile_versions) + len(self._volatile_files)
        for version in self._volatile_versions:
            self._versions.pop(version, None)
        for key in self._volatile_files:
            self._files.pop(key, None)
        self._volatile_versions, self._volatile_files = set(), set()
        return lost


class Mount:
    """The disk as one process sees it. Every other method of a store is the disk's.

    Parameters
    ----------
    disk
        What is shared.
    rng
        Decides the fate of each call that changes something.
    share
        Of such calls, how many have another fate than being done.
    """

    def __init__(self, disk: Disk, rng: Random, share: float) -> None:
        self._disk, self._rng, self._share = disk, rng, share
        self.fates: list[Fate] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def append(self, version: int, manifest: bytes) -> bool:
        fate = self._fate()
        if fate is Fate.DIED_VISIBLE:
            self._disk.show_version(version, manifest)
            raise Died
        self._delay(fate, lambda: self._disk.append(version, manifest))
        made = self._disk.append(version, manifest)
        self._suffer(fate)
        return made

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        fate = self._fate()
        if fate is Fate.DIED_VISIBLE:
            self._disk.show_file(kind, data)
            raise Died
        self._delay(fate, lambda: self._disk.stage(kind, data))
        ref = self._disk.stage(kind, data)
        self._suffer(fate)
        return ref

    def put_base(self, version: int, data: bytes | memoryview) -> None:
        fate = self._fate()
        self._disk.put_base(version, data)
        self._suffer(fate)

    def discard(self, kind: FileKind, sha256: str) -> None:
        fate = self._fate()
        self._disk.discard(kind, sha256)
        self._suffer(fate)

    def discard_base(self, version: int) -> None:
        fate = self._fate()
        self._disk.discard_base(version)
        self._suffer(fate)

    def _fate(self) -> Fate:
        """Draw what becomes of the call; raise if it is not even begun."""
        fate = self._rng.choice(FATES) if self._rng.random() < self._share else Fate.DONE
        self.fates.append(fate)
        if fate is Fate.NOT_DONE:
            raise StoreUnavailable(fate.value)
        if fate is Fate.DIED_BEFORE:
            raise Died
        return fate

    def _delay(self, fate: Fate, call: Callable[[], object]) -> None:
        if fate is Fate.DONE_LATER:
            self._disk.later.append(call)
            raise StoreUnavailable(fate.value)

    def _suffer(self, fate: Fate) -> None:
        if fate in (Fate.ANSWER_LOST, Fate.DONE_LATER):
            raise StoreUnavailable(fate.value)
        if fate in (Fate.DIED_AFTER, Fate.DIED_VISIBLE):
            raise Died
