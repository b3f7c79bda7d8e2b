"""A follower's parameters: a published version, and own changes that no version holds yet."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from strandline.base import is_covered, parameters_at, read_changes
from strandline.changes import Changes, TableDelta, Values, same_changes
from strandline.delta import ModelChanges
from strandline.errors import FileMissing
from strandline.learners.base import Learner
from strandline.learners.loading import schemas_of
from strandline.manifest import Manifest
from strandline.shards import WHOLE, Shard
from strandline.sorted_rows import ABSENT, Rows, locate_rows, union_of_rows
from strandline.store.base import Store
from strandline.store.chain import find_manifest, read_manifest
from strandline.tables import Parameters, apply_changes, apply_to_rows

Key = TypeVar("Key")


class Pending(NamedTuple, Generic[Key]):
    """An own change that no adopted version contains yet."""

    key: Key
    changes: Mapping[str, Changes]


class Replica(Generic[Key]):
    """`local` = the parameters published at `version` + the pending changes, applied in order.

    There is one whole copy of a table. Of the rows that pending changes touch, the published values
    are kept beneath them; every such row of `local` is built from its parts, never corrected. So
    `local` has, after every call, the bits of a full rebuild, at a cost that grows with the touched
    rows only.

    A learner may change rows of `local` that the next `push` or `reset` names, if no other call
    comes between: either its delta says what they were `before`, or the table is one of `whole`.

    A worker's keys are its seqs, a merger's the digests of its files.

    Parameters
    ----------
    store, learners, version
        What to stand on.
    shard
        Of which rows.
    whole
        Tables of which a second copy, as published, is kept, for learners that do not remember.
    """

    def __init__(
        self,
        store: Store,
        learners: Mapping[str, Learner],
        version: int,
        shard: Shard = WHOLE,
        whole: Collection[str] = (),
    ) -> None:
        self._store, self._learners, self._shard = store, learners, shard
        self._schemas, self._whole = schemas_of(learners), frozenset(whole)
        self.version = version
        self.local: Parameters = {}
        self.pending: list[Pending[Key]] = []
        self._stand_on(version)

    def push(self, key: Key, changes: Mapping[str, Changes]) -> None:
        """Append an own change; its rows of `local` are rebuilt."""
        own = Pending(
            key, {name: Changes(each.rows, each.values) for name, each in changes.items()}
        )
        for name, change in changes.items():
            values = self._start(name, change)
            self._cover(name, change.rows, values)
            apply_to_rows(self._schemas[name], change.rows, values, change)
            self.local[name].assign(change.rows, values)
        self.pending.append(own)

    def reset(self, changes: Mapping[str, Changes]) -> None:
        """Rebuild these rows of `local`: what was learned on them is forgotten."""
        for name, change in changes.items():
            self.local[name].assign(change.rows, self._start(name, change))

    def drop(self, gone: Callable[[Key], bool]) -> None:
        """Take back pending changes; their rows of `local` are rebuilt without them."""
        self.pending = [own for own in self.pending if not gone(own.key)]
        self._rebuild()
        self._uncover()

    def adopt(self, manifest: Manifest, contained: Callable[[Key], bool]) -> None:
        """Take up the version after this one; own changes that it contains are pending no more.

        Nothing changes if one of the version's files is missing or damaged.
        """
        assert manifest.version == self.version + 1, (manifest.version, self.version)
        files = read_changes(self._store, manifest, self._schemas, self._shard)
        settled = self._are_the_oldest(files, contained)
        for changes in files:
            self._publish(changes)
        self.version = manifest.version
        self.pending = [own for own in self.pending if not contained(own.key)]
        if not settled:
            apply_changes(self.local, files)
            self._rebuild()
        self._uncover()

    def _are_the_oldest(
        self, files: Sequence[ModelChanges], contained: Callable[[Key], bool]
    ) -> bool:
        """Whether the files are the oldest pending changes, bit for bit, and contain no others.

        Then `local` stays as it is: the same changes in the same order.
        """
        oldest = [own.changes for own in self.pending[: len(files)] if contained(own.key)]
        others = sum(contained(own.key) for own in self.pending[len(files) :])
        return len(oldest) == len(files) and not others and all(map(same_changes, files, oldest))

    def catch_up(self, contained: Callable[[Manifest, Key], bool]) -> None:
        """Adopt every version at hand, oldest first, waiting for none.

        Where compaction has removed what lies between, head is opened anew: the same bits.
        """
        while (manifest := find_manifest(self._store, self.version + 1)) is not None:
            try:
                self.adopt(manifest, partial(contained, manifest))
            except FileMissing:
                if not is_covered(self._store, self.version):
                    raise
                self._open_head(contained)

    def _open_head(self, contained: Callable[[Manifest, Key], bool]) -> None:
        head, pending = self._store.head(self.version), self.pending
        for version in range(self.version + 1, head + 1):
            manifest = read_manifest(self._store, version)
            pending = [own for own in pending if not contained(manifest, own.key)]
        self._stand_on(head)
        for own in pending:
            self.push(own.key, own.changes)

    def _stand_on(self, version: int) -> None:
        self.local = parameters_at(self._store, self._learners, version, self._shard)
        self.version = version
        self.pending = []
        self._copies = {name: self.local[name].copy() for name in self._whole}
        self._beneath: dict[str, Changes] = {}

    def _start(self, name: str, change: Changes) -> Values:
        """Return the rows' values before the change was learned: published + pending."""
        if isinstance(change, TableDelta) and change.before is not None:
            return change.before.copy()
        if name not in self._whole:
            return self.local[name].gather(change.rows)
        values = self._copies[name].gather(change.rows)
        self._add_pending(name, change.rows, values)
        return values

    def _add_pending(self, name: str, rows: Rows, values: Values) -> None:
        for own in self.pending:
            if name in own.changes:
                apply_to_rows(self._schemas[name], rows, values, own.changes[name])

    def _cover(self, name: str, rows: Rows, start: Values) -> None:
        """Keep the published values of the rows: `start` where no pending change touches them."""
        if name not in self._beneath:
            self._beneath[name] = Changes(rows, start.copy())
            return
        kept = self._beneath[name]
        fresh = np.flatnonzero(locate_rows(kept.rows, rows) == ABSENT)
        every = np.concatenate([kept.rows, rows[fresh]])
        values = np.concatenate([kept.values, start.take(fresh, axis=0)])
        order = np.argsort(every)
        self._beneath[name] = Changes(every[order], values.take(order, axis=0))

    def _uncover(self) -> None:
        """Forget the published values of rows that no pending change touches any more."""
        for name, kept in list(self._beneath.items()):
            touched = [own.changes[name].rows for own in self.pending if name in own.changes]
            if not touched:
                del self._beneath[name]
                continue
            rows, _ = union_of_rows(touched, kept.rows.dtype)
            at = locate_rows(kept.rows, rows)
            self._beneath[name] = Changes(rows, kept.values.take(at, axis=0))

    def _publish(self, changes: ModelChanges) -> None:
        """Apply a version's changes where published values are kept."""
        for name, change in changes.items():
            if name in self._copies:
                apply_changes(self._copies, [{name: change}])
            if name in self._beneath:
                kept = self._beneath[name]
                apply_to_rows(self._schemas[name], kept.rows, kept.values, change)

    def _rebuild(self) -> None:
        """Build every row of `local` that a pending change touches, or did when it was covered."""
        for name, kept in self._beneath.items():
            values = kept.values.copy()
            self._add_pending(name, kept.rows, values)
            self.local[name].assign(kept.rows, values)
