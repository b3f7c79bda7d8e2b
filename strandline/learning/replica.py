"""A follower's parameters: a published version, and own changes that no version holds yet."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from strandline.errors import FileMissing, VersionGone
from strandline.kernels.arrays import read_only
from strandline.learners.base import Learner
from strandline.learners.loading import schemas_of
from strandline.manifest import Manifest
from strandline.parameters.base import is_covered, parameters_at, read_changes
from strandline.parameters.delta import ModelChanges
from strandline.store.base import Store
from strandline.store.chain import Verified, following, next_verified, read_verified
from strandline.tables.changes import Changes, TableDelta, Values, same_changes
from strandline.tables.row_kernels import sums_are_finite
from strandline.tables.shards import WHOLE, Shard
from strandline.tables.table import Parameters, apply_changes, changed_rows, fetch_and_apply

Key = TypeVar("Key")


class Pending(NamedTuple, Generic[Key]):
    """An own change that no adopted version contains yet, and what its rows were `before` it."""

    key: Key
    changes: Mapping[str, Changes]
    before: Mapping[str, Values]


class Replica(Generic[Key]):
    """`local` = the parameters published at `version` + the pending changes, applied in order.

    After every call `local` has the bits of a full rebuild, at a cost that grows with the touched
    rows only. There is one whole copy of a table. Every pending change keeps what its rows were
    before it, so pending changes can be taken back, the newest first: then `local` is what is
    published. Rows are set to what they were, or built from that, never corrected by a difference.
    A version that is the oldest pending changes touches no row at all.

    A learner changes rows of `local` by itself. The next call is then a `push` or a `reset` that
    names these rows, and one of two holds for their table:

    - the delta says what the rows were `before`, and they are what the delta makes of them;
    - it is one of `copied`.

    Keys name own changes: a worker's are its seqs, a merger's the digests of its files. Their owner
    says which of them a version has, in two ways:

    contained
        Those whose changes are in the version, in whatever form.
    verbatim
        Those that the version's files hold as they are: one change to a file and nothing else, in
        the files' order. None if a file holds anything else.

    Parameters
    ----------
    store, learners, version
        What to stand on. If compaction has removed the version's data, it stands on head.
    shard
        Of which rows.
    copied
        Tables of which a second copy is kept, as it was before the learner changed it: those of
        learners that do not remember (`Remembering`).
    """

    def __init__(
        self,
        store: Store,
        learners: Mapping[str, Learner],
        version: int,
        shard: Shard = WHOLE,
        copied: Collection[str] = (),
    ) -> None:
        self._store, self._learners, self._shard = store, learners, shard
        self._schemas, self._copied = schemas_of(learners), frozenset(copied)
        self.local: Parameters = {}
        self.pending: list[Pending[Key]] = []
        try:
            self._stand_on(version)
        except VersionGone:  # a start that took so long that others made a base meanwhile
            self._stand_on(store.head(version))

    @property
    def version(self) -> int:
        """The published version that it stands on."""
        return self._at.manifest.version

    def push(self, key: Key, changes: Mapping[str, Changes]) -> None:
        """Append an own change; its rows of `local` become what it makes of them."""
        before = {name: self._take_in(name, change) for name, change in changes.items()}
        kept = {name: Changes(change.rows, change.values) for name, change in changes.items()}
        self.pending.append(Pending(key, kept, before))

    def reset(self, changes: Mapping[str, Changes]) -> None:
        """Set these rows of `local` back: what was learned on them is forgotten."""
        for name, change in changes.items():
            self.local[name].assign(change.rows, self._start(name, change))

    def rebuild(self) -> None:
        """Open the version anew: whatever a learner did to `local` is gone, pending changes stay.

        The bits are the same; for learners that cannot say which rows they have changed.
        """
        pending = self.pending
        self._stand_on(self.version)
        self._push_again(pending)

    def stays_finite(self, name: str, delta: TableDelta) -> bool:
        """Whether the rows stay finite numbers under a change that was learned on them."""
        schema = self._schemas[name]
        if schema.operation != "add" or schema.value_dtype.kind != "f":
            return True
        before, dtype = self._start(name, delta), schema.value_dtype
        finite: bool = sums_are_finite(
            read_only(before.reshape(-1), dtype), read_only(delta.values.reshape(-1), dtype)
        )
        return finite

    def drop(self, gone: Callable[[Key], bool]) -> None:
        """Take back pending changes; those after them are built anew."""
        if any(gone(own.key) for own in self.pending):
            kept = self._take_back()
            self._push_again([own for own in kept if not gone(own.key)])

    def adopt(
        self, found: Verified, contained: Callable[[Key], bool], verbatim: Sequence[Key]
    ) -> None:
        """Take up the version after this one; own changes that it contains are pending no more.

        If the version is the oldest pending changes, `local` stays as it is: the same changes in
        the same order. Files of `verbatim` changes are not read to know that. Nothing changes if
        one of the others is missing or damaged.
        """
        manifest = found.manifest
        assert manifest.version == self.version + 1, (manifest.version, self.version)
        gone = [own.key for own in self.pending if contained(own.key)]
        oldest = self.pending[: len(gone)]
        in_order = [own.key for own in oldest] == gone
        if not (gone and in_order and gone == list(verbatim)):
            files = read_changes(self._store, manifest, self._schemas, self._shard)
            if not (in_order and _are_same(files, oldest)):
                kept = self._take_back()
                apply_changes(self.local, files)
                apply_changes(self._copies, [_only(changes, self._copied) for changes in files])
                self._push_again([own for own in kept if own.key not in gone])
        self._at = found
        self.pending = [own for own in self.pending if own.key not in gone]

    def catch_up(
        self,
        contained: Callable[[Manifest, Key], bool],
        verbatim: Callable[[Manifest], Sequence[Key]],
    ) -> None:
        """Adopt every version at hand, oldest first, waiting for none.

        Where compaction has removed what lies between, head is opened anew: the same bits.
        """
        while (found := next_verified(self._store, self._at)) is not None:
            manifest = found.manifest
            try:
                self.adopt(found, partial(contained, manifest), verbatim(manifest))
            except FileMissing:
                if not is_covered(self._store, self.version):
                    raise
                self._open_head(contained)

    def _open_head(self, contained: Callable[[Manifest, Key], bool]) -> None:
        head, pending = self._store.head(self.version), self.pending
        for at in following(self._store, self._at, head):
            pending = [own for own in pending if not contained(at.manifest, own.key)]
        self._stand_on(head)
        self._push_again(pending)

    def _stand_on(self, version: int) -> None:
        self.local = parameters_at(self._store, self._learners, version, self._shard)
        self._at = read_verified(self._store, version)
        self.pending = []
        self._copies: Parameters = {name: self.local[name].copy() for name in self._copied}

    def _start(self, name: str, change: Changes) -> Values:
        """Return the rows' values before the change was learned: published + pending."""
        if isinstance(change, TableDelta) and change.before is not None:
            return change.before
        return (self._copies if name in self._copied else self.local)[name].gather(change.rows)

    def _take_in(self, name: str, change: Changes) -> Values:
        """Make the change's rows what it makes of them; return what they were before."""
        if name in self._copied:  # the learner has made of `local` what it would
            before = self._start(name, change)
            self._assign(name, change, changed_rows(self._schemas[name], before, change))
            return before
        if isinstance(change, TableDelta) and change.before is not None:
            return change.before
        return fetch_and_apply(self.local[name], change)

    def _assign(self, name: str, change: Changes, values: Values) -> None:
        self.local[name].assign(change.rows, values)
        if name in self._copies:
            self._copies[name].assign(change.rows, values)

    def _take_back(self) -> list[Pending[Key]]:
        """Take back and return all pending changes: `local` is what is published."""
        for own in reversed(self.pending):
            for name, change in own.changes.items():
                self._assign(name, change, own.before[name])
        taken, self.pending = self.pending, []
        return taken

    def _push_again(self, pending: Iterable[Pending[Key]]) -> None:
        for own in pending:
            self.push(own.key, own.changes)


def _are_same(files: Sequence[ModelChanges], pending: Sequence[Pending[Key]]) -> bool:
    """Whether the files are the pending changes, bit for bit."""
    return len(files) == len(pending) and all(
        same_changes(file, own.changes) for file, own in zip(files, pending, strict=True)
    )


def _only(changes: ModelChanges, names: Collection[str]) -> ModelChanges:
    return {name: change for name, change in changes.items() if name in names}
