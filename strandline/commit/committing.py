"""The commit: one committable becomes one version, once.

::

    run of head's entry is not mine ............................ Superseded
    head's positions == before ................................. Create(head + 1)
    head is ahead of before: walk this stream's versions back,
        within my run, until before is found or passed
        a commit with my identity .............................. Mine(its version)
        none ................................................... Rival
        history begins before that is known ................ Rival
    head is ahead in one partition and behind in another ....... Rival
    head is behind before ...................................... Gap

A partition that one side does not name counts as behind everything there. The bytes made are a
function of committable and parent alone, so a commit repeated after a lost answer is recognised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec

from strandline.commit.committable import Committable
from strandline.encoding.canonical import sha256_hex
from strandline.errors import CommitRefused, Gap, HistoryGone, Rival, StoreDamaged, Superseded
from strandline.limits import MANIFEST_BYTES_MAX
from strandline.manifest import Manifest, StreamEntry, parse_manifest, render_manifest
from strandline.manifest.continuity import check_follows
from strandline.store.base import Store
from strandline.store.chain import manifest_bytes, read_verified, references_of

ReadVersion = Callable[[int], bytes]
"""A version's number -> its manifest's bytes; raises if it is not there."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create this version with these bytes, exclusively; if it is taken, decide anew."""

    version: int
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Mine:
    """The commit was made before, as this version."""

    version: int


Decision = Create | Mine | CommitRefused


class Committed(NamedTuple):
    """A version that stands. `mine`: an earlier attempt had made it."""

    version: int
    mine: bool


def decide(head: int, read: ReadVersion, committable: Committable) -> Decision:
    """Return what to do with the committable while `head` is the newest version.

    Reads versions, changes nothing. A refusal is returned, not raised.
    """
    parent_bytes = read(head)
    parent = parse_manifest(parent_bytes)
    entry = parent.streams.get(committable.stream)
    if entry is None or entry.run != committable.run:
        return superseded(committable.stream, committable.run, head, entry)
    ahead, behind = compare(entry.positions, committable.before)
    if not ahead and not behind:
        return _create(parent, parent_bytes, entry, committable)
    if behind:
        return _rival(head, entry, committable) if ahead else _gap(head, entry, committable)
    try:
        made = _find_mine(entry, read, committable)
    except HistoryGone as error:
        return _unknown(committable, error)
    return _rival(head, entry, committable) if made is None else Mine(made)


def compare(here: dict[str, int], there: dict[str, int]) -> tuple[bool, bool]:
    """Return whether `here` is ahead of `there` in a partition, and whether it is behind in one.

    Examples
    --------
    >>> compare({"0": 5}, {"0": 5})
    (False, False)
    >>> compare({"0": 5, "1": 0}, {"0": 7})
    (True, True)
    """
    ahead = any(offset > there.get(partition, -1) for partition, offset in here.items())
    behind = any(offset > here.get(partition, -1) for partition, offset in there.items())
    return ahead, behind


def superseded(stream: str, run: str, head: int, entry: StreamEntry | None) -> Superseded:
    """Return the refusal of a run that does not hold the stream, as `entry` of head has it."""
    holder = "no run" if entry is None else f"run {entry.run} (open at version {entry.open})"
    return Superseded(
        f"stream {stream}: this is run {run}, but at version {head} the stream is held by"
        f" {holder}; nothing is lost: let that run go on, or start again from"
        " head, without a savepoint"
    )


def commit(store: Store, committable: bytes, *, lengths_only: bool = False) -> Committed:
    """Commit, or find that it was done before; the version is durable when this returns.

    Parameters
    ----------
    store : Store
        Where to.
    committable : bytes
        What `committable_from` made.
    lengths_only : bool
        Look at the length of each file that it names, not at its digest: enough for files that
        this very attempt made durable.

    Raises
    ------
    CommitRefused
        `Superseded`, `Rival` or `Gap`: never worth a retry.
    StoreDamaged
        A file that the committable names is missing or altered, or head does not follow from the
        version before it; nothing was committed.
    StoreUnavailable
        The store did not answer; the outcome is unknown and the same call may be repeated.
    """
    wanted = Committable.parse(committable)
    head, files_checked = 0, False
    lost: StoreDamaged | None = None
    while True:
        head = store.head(head)
        read_verified(store, head)
        decision = decide(head, partial(manifest_bytes, store), wanted)
        if isinstance(decision, CommitRefused):
            raise decision
        if isinstance(decision, Mine):
            # The attempt that made it may have died before its folder was durable.
            store.append(decision.version, manifest_bytes(store, decision.version))
            return Committed(decision.version, mine=True)
        if lost is not None:
            raise lost
        if not files_checked:
            lost, files_checked = _lost(store, wanted, lengths_only), True
            if lost is not None:
                continue  # the files of a run that was superseded meanwhile may go
        if store.append(decision.version, decision.manifest):
            return Committed(decision.version, mine=False)


def _create(
    parent: Manifest, parent_bytes: bytes, entry: StreamEntry, committable: Committable
) -> Create | CommitRefused:
    version = parent.version + 1
    entry = msgspec.structs.replace(
        entry,
        positions=committable.after,
        seqs=entry.seqs | committable.seqs,
        version=version,
    )
    manifest = render_manifest(
        body=committable.body_text,
        committable=committable.identity,
        kind="train",
        parent=sha256_hex(parent_bytes),
        spec=parent.spec,
        streams=parent.streams | {committable.stream: entry},
        time_ms=committable.time_ms,
        version=version,
    )
    if len(manifest) <= MANIFEST_BYTES_MAX:
        return _sound(parent, parent_bytes, version, manifest)
    return CommitRefused(
        f"version {version} of stream {committable.stream} needs a manifest of {len(manifest)}"
        f" bytes, at most {MANIFEST_BYTES_MAX} are allowed; start again from head with a shorter"
        " checkpoint interval"
    )


def _sound(
    parent: Manifest, parent_bytes: bytes, version: int, manifest: bytes
) -> Create | CommitRefused:
    """What nobody would build on must never become head: a version is not taken back."""
    try:
        check_follows(parent, sha256_hex(parent_bytes), parse_manifest(manifest))
    except StoreDamaged as error:
        return CommitRefused(
            f"version {version} would not follow from version {parent.version}: {error}; nothing"
            " was committed"
        )
    return Create(version, manifest)


def _lost(store: Store, wanted: Committable, lengths_only: bool) -> StoreDamaged | None:
    """Return the error of a file that is not as it was prepared; None if all of them are."""
    for kind, ref in references_of(wanted.body):
        try:
            if lengths_only:
                store.check_there(kind, ref)
            else:
                store.read(kind, ref)
        except StoreDamaged as error:
            return StoreDamaged(
                f"stream {wanted.stream}: a file prepared from the events {wanted.before} to"
                f" {wanted.after} was lost before its commit: {error}; expected {ref.bytes} bytes"
                f" of SHA-256 {ref.sha256}. Nothing was committed: look for what else writes to the"
                " store's folders, then start again without a savepoint (in the library: roll"
                " back); these events are read again"
            )
    return None


def _find_mine(entry: StreamEntry, read: ReadVersion, committable: Committable) -> int | None:
    """Return the version that this committable made, walking back within its run."""
    version = entry.version
    while True:
        manifest = parse_manifest(read(version))
        if manifest.committable == committable.identity:
            return version
        # What the parent says of the stream is where this version began.
        began = parse_manifest(read(version - 1)).streams.get(committable.stream)
        if began is None or began.run != committable.run:
            return None
        ahead, behind = compare(began.positions, committable.before)
        if behind or not ahead:
            return None
        version = began.version


def _rival(head: int, entry: StreamEntry, committable: Committable) -> Rival:
    return Rival(
        f"stream {committable.stream}: another commit of run {committable.run} covers these"
        f" events; {_both(head, entry, committable)}; stop the other job of this run, then start"
        " again without a savepoint: the job goes on from head"
    )


def _unknown(committable: Committable, error: HistoryGone) -> Rival:
    return Rival(
        f"stream {committable.stream}: head is past the events {committable.before} to"
        f" {committable.after}, and whether this commit made them a version cannot be looked up:"
        f" {error}. Start again without a savepoint: the job goes on from head"
    )


def _gap(head: int, entry: StreamEntry, committable: Committable) -> Gap:
    return Gap(
        f"stream {committable.stream}: events between head and this commit are missing;"
        f" {_both(head, entry, committable)}; start again without a savepoint: the job reads"
        " them from head's positions"
    )


def _both(head: int, entry: StreamEntry, committable: Committable) -> str:
    return (
        f"version {head} stands at {entry.positions}, the commit goes from"
        f" {committable.before} to {committable.after}"
    )
