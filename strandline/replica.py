"""A follower's parameters: a published version, and own changes that no version holds yet."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from strandline.base import is_covered, parameters_at, read_changes
from strandline.errors import FileMissing
from strandline.learners.base import Learner
from strandline.learners.loading import schemas_of
from strandline.manifest import Manifest
from strandline.store.base import Store
from strandline.store.chain import find_manifest, read_manifest
from strandline.tables import (
    Changes,
    Parameters,
    apply_changes,
    apply_to_rows,
    same_changes,
    union_of_rows,
)

Key = TypeVar("Key")


class Pending(NamedTuple, Generic[Key]):
    """An own change that no adopted version contains yet."""

    key: Key
    changes: Mapping[str, Changes]


class Replica(Generic[Key]):
    """`local` = `published` at `version` + the pending changes, applied in order.

    `local` may be changed freely before a `push` or `reset`, on rows that this call names: rows
    are rebuilt from their parts, never corrected. So `local` has, after every call, the bits of a
    full rebuild, at a cost that grows with the touched rows only.

    A worker's keys are its seqs, a merger's the digests of its files.
    """

    def __init__(self, store: Store, learners: Mapping[str, Learner], version: int) -> None:
        self._store, self._learners = store, learners
        self._schemas = schemas_of(learners)
        self.version = version
        self.published = parameters_at(store, learners, version)
        self.local: Parameters = {name: table.copy() for name, table in self.published.items()}
        self.pending: list[Pending[Key]] = []

    def push(self, key: Key, changes: Mapping[str, Changes]) -> None:
        """Append an own change; its rows of `local` are rebuilt."""
        self.pending.append(Pending(key, changes))
        self._rebuild([changes])

    def reset(self, changes: Mapping[str, Changes]) -> None:
        """Rebuild these rows of `local`: what was learned on them is forgotten."""
        self._rebuild([changes])

    def drop(self, gone: Callable[[Key], bool]) -> None:
        """Take back pending changes; their rows of `local` are rebuilt without them."""
        self._rebuild(self._remove(gone))

    def adopt(self, manifest: Manifest, contained: Callable[[Key], bool]) -> None:
        """Take up the version after this one; own changes that it contains are pending no more.

        Nothing changes if one of the version's files is missing or damaged.
        """
        assert manifest.version == self.version + 1, (manifest.version, self.version)
        files = read_changes(self._store, manifest, self._schemas)
        apply_changes(self.published, files)
        self.version = manifest.version
        oldest = [own.changes for own in self.pending[: len(files)] if contained(own.key)]
        removed = self._remove(contained)
        # The oldest pending changes, become a version as they are, leave every bit of `local`.
        if not len(files) == len(oldest) == len(removed) or not all(
            map(same_changes, files, oldest)
        ):
            self._rebuild([*files, *removed])

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
        self.published = parameters_at(self._store, self._learners, head)
        pending = self.pending
        for version in range(self.version + 1, head + 1):
            manifest = read_manifest(self._store, version)
            pending = [own for own in pending if not contained(manifest, own.key)]
        self.version, self.pending = head, pending
        self.local = {name: table.copy() for name, table in self.published.items()}
        apply_changes(self.local, (own.changes for own in pending))

    def _remove(self, gone: Callable[[Key], bool]) -> list[Mapping[str, Changes]]:
        """Return the changes that are pending no more."""
        removed = [own.changes for own in self.pending if gone(own.key)]
        self.pending = [own for own in self.pending if not gone(own.key)]
        return removed

    def _rebuild(self, touched: Sequence[Mapping[str, Changes]]) -> None:
        for name, published in self.published.items():
            rows = union_of_rows(changes[name].rows for changes in touched if name in changes)
            if rows is None:
                continue
            values = published.gather(rows)
            for own in self.pending:
                if name in own.changes:
                    apply_to_rows(published.schema, rows, values, own.changes[name])
            self.local[name].assign(rows, values)
