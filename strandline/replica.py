"""A follower's parameters: a published version, and own changes that no version holds yet."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from strandline.base import is_covered, parameters_at, read_changes
from strandline.errors import FileMissing
from strandline.learners.base import Learner
from strandline.learners.loading import schemas_of
from strandline.manifest import Manifest
from strandline.shards import WHOLE, Shard
from strandline.store.base import Store
from strandline.store.chain import find_manifest, read_manifest
from strandline.tables import Changes, Parameters, apply_changes

Key = TypeVar("Key")


class Pending(NamedTuple, Generic[Key]):
    """An own change that no adopted version contains yet."""

    key: Key
    changes: Mapping[str, Changes]


class Replica(Generic[Key]):
    """`local` = `published` at `version` + the pending changes, applied in order.

    `local` may be changed freely between calls, on rows that the next `push` or `reset` names:
    those rows are rebuilt from their parts, never corrected. So `local` has, after every call, the
    bits of a full rebuild, at a cost that grows with the touched rows only.

    A worker's keys are its seqs, a merger's the digests of its files. With a `shard`, the
    parameters are those of its rows.
    """

    def __init__(
        self, store: Store, learners: Mapping[str, Learner], version: int, shard: Shard = WHOLE
    ) -> None:
        self._store, self._learners, self._shard = store, learners, shard
        self._schemas = schemas_of(learners)
        self.version = version
        self.published = parameters_at(store, learners, version, shard)
        self.local: Parameters = {name: table.copy() for name, table in self.published.items()}
        self.pending: list[Pending[Key]] = []

    def push(self, key: Key, changes: Mapping[str, Changes]) -> None:
        """Append an own change; its rows of `local` are rebuilt."""
        self.pending.append(Pending(key, changes))
        self._rebuild([pending.changes for pending in self.pending])

    def reset(self, changes: Mapping[str, Changes]) -> None:
        """Rebuild these rows of `local`: what was learned on them is forgotten."""
        self._rebuild([changes, *(pending.changes for pending in self.pending)])

    def drop(self, gone: Callable[[Key], bool]) -> None:
        """Take back pending changes; their rows of `local` are rebuilt without them."""
        touched = [pending.changes for pending in self.pending]
        self.pending = [pending for pending in self.pending if not gone(pending.key)]
        self._rebuild(touched)

    def adopt(self, manifest: Manifest, contained: Callable[[Key], bool]) -> None:
        """Take up the version after this one; own changes that it contains are pending no more.

        Nothing changes if one of the version's files is missing or damaged.
        """
        assert manifest.version == self.version + 1, (manifest.version, self.version)
        files = read_changes(self._store, manifest, self._schemas, self._shard)
        touched = [*files, *(pending.changes for pending in self.pending)]
        apply_changes(self.published, files)
        self.version = manifest.version
        self.pending = [pending for pending in self.pending if not contained(pending.key)]
        self._rebuild(touched)

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
        head = self._store.head(self.version)
        self.published = parameters_at(self._store, self._learners, head, self._shard)
        pending = self.pending
        for version in range(self.version + 1, head + 1):
            manifest = read_manifest(self._store, version)
            pending = [own for own in pending if not contained(manifest, own.key)]
        self.version, self.pending = head, pending
        self.local = {name: table.copy() for name, table in self.published.items()}
        apply_changes(self.local, (own.changes for own in pending))

    def _rebuild(self, touched: Iterable[Mapping[str, Changes]]) -> None:
        for changes in touched:
            for name, change in changes.items():
                self.local[name].assign(change.rows, self.published[name].gather(change.rows))
        apply_changes(self.local, (pending.changes for pending in self.pending))
