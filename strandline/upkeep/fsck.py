"""Checking a whole store: every version, every file, every base, and what may be removed.

::

    versions   numbers are dense, digests chain, positions go on where the version before ended
    files      every file that a version names is there, with its length and digest, and readable
    bases      byte for byte what folding the deltas gives
    garbage    files that no version names and no commit can name any more

The data of versions up to the oldest base may be gone: compaction removes it. Everything after
must be there. Where old history was dropped, the walk begins with the record of it. One pass from
there to head, one model in memory. Where the spec cannot be read, by this release or at all, nobody
can say what deltas and bases should hold: nothing of them is called damaged.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

from strandline.encoding.canonical import sha256_hex
from strandline.errors import FileMissing, HistoryGone, SpecError, StoreDamaged
from strandline.learners.base import Learner
from strandline.learners.loading import empty_parameters, make_learners, schemas_of
from strandline.manifest import FileRef, Manifest, TrainBody, parse_manifest
from strandline.parameters.base import encode_base, read_base
from strandline.parameters.delta import DeltaFile
from strandline.spec import Spec
from strandline.store.base import FileKind, Store
from strandline.store.chain import (
    Verified,
    check_step,
    manifest_bytes,
    parse_version,
    references_of,
)
from strandline.store.history import parse_record
from strandline.tables.memory import check_memory
from strandline.tables.shards import Shard
from strandline.tables.table import Parameters, apply_changes
from strandline.upkeep.garbage import StagedFile, files_of, is_settled, staged_data

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (versions checked, versions in all)."""


class Damage(Struct, frozen=True):
    """Something that is not as it was written: what it is, and what is wrong with it."""

    what: str
    problem: str


class Report(Struct, frozen=True, kw_only=True):
    """What a check found.

    Attributes
    ----------
    history_from
        The oldest version that is kept; 0 unless history was dropped.
    opens_from
        Every version from this one to head can be opened; None if head cannot.
    files, file_bytes
        Files that versions name, found with the right length and digest.
    gone
        Versions whose data was removed, all covered by a base.
    bases, damaged_bases
        Bases that hold what folding the deltas gives, and those that do not; both empty if the
        spec cannot be read.
    damages
        Everything that is damaged, damaged bases included; empty for a sound store.
    garbage, leftovers
        What a repair removes: staged files, and what dead writers left.
    """

    store: str
    head: int
    history_from: int
    opens_from: int | None
    files: int
    file_bytes: int
    gone: int
    bases: list[int]
    damaged_bases: list[int]
    damages: list[Damage]
    garbage: list[StagedFile]
    leftovers: list[str]


def check_store(store: Store, progress: Progress | None = None) -> Report:
    """Check all of a store and change nothing. What is committed meanwhile is not looked at.

    Raises
    ------
    NoStore
        If there is no store.
    StoreUnavailable
        If it cannot be read.
    """
    staged, leftovers = staged_data(store), store.leftovers()
    head, begin = store.head(), store.history_begins()
    walk = _Walk(store, store.bases())
    walk.check_record(begin)
    for version in range(begin, head + 1):
        walk.check_version(version)
        if progress is not None:
            progress(version + 1 - begin, head + 1 - begin)
    return Report(
        store=store.url,
        head=head,
        history_from=store.history_begins(),
        opens_from=walk.opens_from,
        files=walk.files,
        file_bytes=walk.file_bytes,
        gone=walk.gone,
        bases=walk.sound_bases,
        damaged_bases=walk.damaged_bases,
        damages=walk.damages,
        garbage=walk.garbage(staged),
        leftovers=leftovers,
    )


def repair_store(store: Store, report: Report) -> list[str]:
    """Remove the garbage and the damaged bases that a check found; return what was removed.

    Never removes a manifest or a file that a version names. A damaged base is of no use: readers
    pass it over, and the compactor writes none where one stands.
    """
    for file in report.garbage:
        store.discard(file.kind, file.sha256)
    for version in report.damaged_bases:
        store.discard_base(version)
    return [
        *(f"{file.kind} {file.sha256}" for file in report.garbage),
        *(f"base {version}" for version in report.damaged_bases),
        *(f"left over {name}" for name in store.leftovers(discard=True)),
    ]


class _Walk:
    """The check on its way from genesis to head.

    `_learners` are None until the spec is read, `_parameters` are the fold up to the version
    checked last, None while it cannot be known.
    """

    def __init__(self, store: Store, bases: Sequence[int]) -> None:
        self._store, self._bases = store, set(bases)
        self._covered = self._find_covered()
        self._named: set[StagedFile] = set()
        self._spec_checked = False
        self._learners: Mapping[str, Learner] | None = None
        self._parameters: Parameters | None = None
        self._parent: Verified | None = None
        self._unread = 0
        self.opens_from: int | None = None
        self.files = self.file_bytes = self.gone = 0
        self.sound_bases: list[int] = []
        self.damaged_bases: list[int] = []
        self.damages: list[Damage] = []

    def check_record(self, begin: int) -> None:
        """Check the record of what was dropped, which vouches for the version it begins with."""
        try:
            record = self._store.history_record()
            if record is not None and begin == self._store.history_begins():
                parse_record(record, begin)
        except StoreDamaged as error:
            self._damaged(f"history {begin}", error)

    def check_version(self, version: int) -> None:
        """Check the version and what it names, then the base that stands on it."""
        try:
            manifest = self._check_manifest(version)
        except HistoryGone:  # dropped since the walk began
            self._parameters, self.opens_from = None, None
            return
        if manifest is not None and not self._spec_checked:
            self._check_spec(manifest.spec)
        if version == 0 and self._learners is not None:
            self._parameters, self.opens_from = empty_parameters(self._learners), 0
        if manifest is None or not self._check_files(manifest):
            self._parameters, self.opens_from = None, None
        if version in self._bases:
            self._check_base(version)

    def garbage(self, staged: Sequence[StagedFile]) -> list[StagedFile]:
        """Return those of the files, listed before the walk, that are garbage at its end.

        A manifest that cannot be read may name any of them, so then none is.
        """
        if self._parent is None or self._unread:
            return []
        streams = self._parent.manifest.streams
        return [
            file
            for file in staged
            if file not in self._named and is_settled(self._store, file, streams)
        ]

    def _damaged(self, what: str, error: Exception | str) -> None:
        self.damages.append(Damage(what, str(error)))

    def _check_manifest(self, version: int) -> Manifest | None:
        """Return the manifest if it can be read, whether or not it follows from its parent."""
        parent, self._parent = self._parent, None
        try:
            data = manifest_bytes(self._store, version)
            manifest = parse_version(self._store, version, data)
        except StoreDamaged as error:
            self._damaged(f"version {version}", error)
            self._unread += 1
            return None
        self._parent = Verified(manifest, sha256_hex(data))
        try:
            if parent is not None:
                check_step(self._store, parent, manifest)
        except StoreDamaged as error:
            self._damaged(f"version {version}", error)
        return manifest

    def _check_spec(self, sha256: str) -> None:
        self._spec_checked = True
        try:
            self._learners = make_learners(Spec.from_json(self._store.read("spec", sha256)))
        except (StoreDamaged, SpecError) as error:
            self._damaged(f"spec {sha256}", error)
            return
        check_memory(schemas_of(self._learners).values())

    def _check_files(self, manifest: Manifest) -> bool:
        """Check and fold what a version names; whether all that folding needs is there."""
        self._named |= files_of(manifest)
        foldable = complete = True
        for kind, ref in references_of(manifest.body):
            data = self._read(manifest.version, kind, ref)
            complete &= data is not None
            if kind == "delta":
                foldable &= data is not None and self._fold(manifest, ref, data)
        self.gone += not complete and manifest.version <= self._covered
        return foldable

    def _read(self, version: int, kind: FileKind, ref: FileRef) -> bytes | None:
        try:
            data = self._store.read(kind, ref)
        except StoreDamaged as error:
            if version > self._covered:  # a compactor may have gone on since
                self._covered = self._find_covered()
            if not (isinstance(error, FileMissing) and version <= self._covered):
                self._damaged(f"{kind} {ref.sha256}, named by version {version}", error)
            return None
        self.files += 1
        self.file_bytes += len(data)
        return data

    def _find_covered(self) -> int:
        """Return the version up to which compaction may have removed files.

        It is the oldest base, but for one that leads nowhere: a compactor that was late put it
        below another one's, whose files in between are gone. One file that stands between two
        bases says that the others should, too.
        """
        bases = self._store.bases()
        staged = {StagedFile("delta", sha256) for sha256 in self._store.staged("delta")}
        for base, above in pairwise(bases):
            if any(self._named_by(version) & staged for version in range(base + 1, above + 1)):
                return base
        return max(bases, default=0)

    def _named_by(self, version: int) -> set[StagedFile]:
        try:
            data = self._store.manifest(version)
            return set() if data is None else files_of(parse_manifest(data))
        except (StoreDamaged, HistoryGone):
            return set()

    def _fold(self, manifest: Manifest, ref: FileRef, data: bytes) -> bool:
        if self._learners is None:
            return False
        try:
            file = DeltaFile.decode(data, schemas_of(self._learners))
        except StoreDamaged as error:
            self._damaged(f"a delta of version {manifest.version}", error)
            return False
        if (ref.sha256, file.shard) not in _shards_named(manifest):
            shard = f"shard {file.shard.number} of {file.shard.of}"
            problem = f"says {shard}, the version another one"
            self._damaged(f"delta {ref.sha256}, named by version {manifest.version}", problem)
        if self._parameters is not None:
            apply_changes(self._parameters, [file.changes])
        return True

    def _check_base(self, version: int) -> None:
        if self._learners is None:
            return
        try:
            parameters = read_base(self._store, version, self._learners)
            if self._parameters is None:
                self._parameters, self.opens_from = parameters, version
            else:
                self._compare_base(version, self._parameters)
        except FileMissing:
            return  # removed since it was listed
        except StoreDamaged as error:
            self._damaged(f"base {version}", error)
            self.damaged_bases.append(version)
        else:
            self.sound_bases.append(version)

    def _compare_base(self, version: int, folded: Parameters) -> None:
        expected = sha256_hex(encode_base(version, manifest_bytes(self._store, version), folded))
        found = sha256_hex(self._store.base(version))
        if found != expected:
            raise StoreDamaged(f"has SHA-256 {found}, folding the deltas gives {expected}")


def _shards_named(manifest: Manifest) -> set[tuple[str, Shard]]:
    """Return which shard a version says that each of its delta files is of."""
    body = manifest.body
    files = body.files if isinstance(body, TrainBody) else []
    return {(file.sha256, Shard(file.shard, file.shards)) for file in files}
