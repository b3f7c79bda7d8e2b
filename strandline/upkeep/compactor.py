"""The compactor: bases every K versions, and an end for what no version needs any more.

With `keep_versions` the data of older versions goes once a base covers it: every version from the
newest base that is at least so many versions below head stays open. Manifests stay for ever, unless
old history is dropped, too: see `retention`.
"""

import logging
import threading
from typing import Final

from msgspec import Struct

from strandline.clock import wall_clock_ms
from strandline.errors import StoreDamaged, VersionGone, WrongUsage
from strandline.learners.loading import make_learners, schemas_of
from strandline.parameters.base import (
    encode_base,
    parameters_at,
    read_base,
    read_changes,
)
from strandline.store.base import Store
from strandline.store.chain import Verified, following, manifest_bytes, read_spec, read_verified
from strandline.tables.table import Parameters, apply_changes
from strandline.upkeep.garbage import StagedFile, durable_head, find_garbage
from strandline.upkeep.retention import KeptHistory, drop_history

POLL_S: Final = 1.0
ALL_HISTORY: Final = KeptHistory()

_log = logging.getLogger(__name__)


class Collected(Struct, frozen=True):
    """What a collection removed, and how many files of packed versions it made.

    `dropped` counts versions that are no longer part of the store's history.
    """

    files: int = 0
    bases: int = 0
    leftovers: int = 0
    packed: int = 0
    dropped: int = 0


class Compactor:
    """Writes the base of every version that is a multiple of `every`, as far as head is past it.

    Several compactors may work on one store: they write the same bytes, and remove what is of no
    use to anybody. When it has fallen behind it writes only the newest base due.

    Parameters
    ----------
    store
        The store to compact.
    every
        Versions from base to base.
    keep_versions
        How many versions below head stay open at least; None keeps all. A reader that follows and
        a job that starts must not be further behind than this.
    kept_history
        How much history stays: all of it by default. Only history below the kept versions goes,
        so `keep_versions` is needed.

    Raises
    ------
    WrongUsage
        If a number is out of range.
    """

    def __init__(
        self,
        store: Store,
        every: int = 100,
        keep_versions: int | None = None,
        kept_history: KeptHistory = ALL_HISTORY,
    ) -> None:
        if every < 1:
            raise WrongUsage(f"every is {every}, expected a number of versions from 1 on")
        if keep_versions is not None and keep_versions < 0:
            raise WrongUsage(
                f"keep_versions is {keep_versions}, expected 0 or more, or None to keep all"
            )
        if keep_versions is None and not kept_history.all:
            raise WrongUsage(
                "kept_history is given and keep_versions is not; expected both: history is dropped"
                " only below the versions that stay open"
            )
        self._store, self._every, self._keep_versions = store, every, keep_versions
        self._kept_history = kept_history
        self._learners = make_learners(read_spec(store))
        self._schemas = schemas_of(self._learners)
        self._at: Verified | None = None
        self._parameters: Parameters | None = None
        self._named: dict[int, tuple[StagedFile, ...]] = {}

    def run_once(self) -> int | None:
        """Write the newest base that is due; return its version, None if none is due.

        None is due below a base that stands: what it would be made of may be gone.
        """
        known = 0 if self._at is None else self._at.manifest.version
        due = self._store.head(known) // self._every * self._every
        if due <= max(self._store.bases(), default=0):
            return None
        if self._parameters is None or self._at is None:
            self._parameters = parameters_at(self._store, self._learners, due)
            self._at = read_verified(self._store, due)
        else:
            for at in following(self._store, self._at, due):
                changes = read_changes(self._store, at.manifest, self._schemas)
                apply_changes(self._parameters, changes)
                self._at = at  # what fails later is not applied again
        self._write(due, self._parameters)
        return due

    def cover(self) -> int | None:
        """Write a base where the kept versions begin; return its version, None if none is needed.

        All older data can go then, whatever `every` is. That costs a base per call.
        """
        if self._keep_versions is None:
            return None
        version = self._store.head() - self._keep_versions
        if version <= 0 or version in self._store.bases():
            return None
        try:
            parameters = parameters_at(self._store, self._learners, version)
        except VersionGone:
            return None
        self._write(version, parameters)
        return version

    def collect(self) -> Collected:
        """Remove what no kept version needs, pack the manifests of old ones, drop the oldest.

        What goes is data, garbage, bases, history, and what dead writers left.

        A staged file goes only if no commit can name it any more, so a commit in doubt keeps its
        own however long it takes.
        """
        oldest = self._oldest_kept()
        files = find_garbage(self._store, oldest, self._named)
        bases = [at for at in self._store.bases() if at < oldest]
        for version in bases:  # before the files that they would need: see `fsck`
            self._store.discard_base(version)
        for file in files:
            self._store.discard(file.kind, file.sha256)
        packed = self._store.pack()
        dropped = drop_history(self._store, self._kept_history, oldest, wall_clock_ms())
        leftovers = len(self._store.leftovers(discard=True))
        return Collected(len(files), len(bases), leftovers, packed, dropped)

    def follow(self, stop: threading.Event, *, collect: bool = False) -> None:
        """Write bases as they come due until `stop` is set, and collect after each if told to.

        Errors of the store are raised.
        """
        while not stop.is_set():
            if self.run_once() is not None and collect:
                self.collect()
            stop.wait(POLL_S)

    def _write(self, version: int, parameters: Parameters) -> None:
        manifest = manifest_bytes(self._store, version)
        # Whoever made it may have died before it was durable: a base must not outlast its version.
        self._store.append(version, manifest)
        self._store.put_base(version, encode_base(version, manifest, parameters))

    def _oldest_kept(self) -> int:
        """Return the oldest version to stay open: the base it stands on is sound and durable."""
        if self._keep_versions is None:
            return 0
        newest = durable_head(self._store).version - self._keep_versions
        for version in sorted(self._store.bases(), reverse=True):
            if version > newest:
                continue
            try:
                read_base(self._store, version, self._learners)
            except StoreDamaged as error:
                _log.warning("base %d is passed over: %s", version, error)
                continue
            # Whoever wrote it may have died before its name was durable.
            self._store.put_base(version, self._store.base(version))
            return version
        return 0
