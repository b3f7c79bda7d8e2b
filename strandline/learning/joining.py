"""How the answers of all shards become one epoch: what a commit needs but the head it meets.

Every shard's merger stages its file and says which deltas it merged. Between two barriers that all
shards passed, all of them merged the same deltas, in one cut or, after an aborted checkpoint, in
several: together that is one epoch.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise

import msgspec

from strandline.commit.prepared import Prepared
from strandline.encoding.canonical import canonical_json
from strandline.encoding.structs import ready
from strandline.errors import CommitRefused, Gap
from strandline.learning.worker_delta import Header
from strandline.manifest import (
    Counts,
    DeltaEntry,
    FileEntry,
    FileRef,
    Prequential,
    Rejects,
    Span,
    TrainBody,
    join_spans,
)
from strandline.metrics.prequential import add_sums
from strandline.store.base import Store
from strandline.tables.shards import Shard


class PreparedShard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shard's answer to one cut.

    Attributes
    ----------
    run, start
        As in `Prepared`.
    shard
        Of how many, and which.
    deltas
        The headers of what was merged, by worker, then by seq.
    files
        The file of the shard's changes; none if no row of it changed.
    rejects
        The file of rejected events, of shard 0 only, if there are any.
    """

    run: str
    start: int
    shard: Shard
    deltas: tuple[Header, ...]
    files: tuple[FileEntry, ...]
    rejects: FileRef | None

    def encode(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json(msgspec.to_builtins(self))

    @classmethod
    def decode(cls, data: bytes) -> "PreparedShard":
        """Read what `encode` made."""
        return msgspec.json.decode(data, type=cls)


ready(PreparedShard)


def join_shards(
    store: Store, stream: str, parts: Sequence[PreparedShard], checkpoint: int | None
) -> Prepared:
    """Make one epoch of what all shards answered between two barriers, in any order.

    Raises
    ------
    CommitRefused
        If the shards did not start at the same version, or did not merge the same deltas.
    Gap
        If a partition's moves do not join.
    """
    shards: dict[Shard, list[PreparedShard]] = {}
    for part in parts:
        shards.setdefault(part.shard, []).append(part)
    _check_shards(stream, shards)
    ordered = [part for shard in sorted(shards) for part in shards[shard]]
    deltas = _merged(shards[min(shards)])
    refs = [part.rejects for part in ordered if part.rejects is not None]
    return prepared_from(
        ordered[0].run,
        ordered[0].start,
        deltas,
        [file for part in ordered for file in part.files],
        moves=join_moves(deltas),
        time_ms=newest_time_ms(deltas),
        rejects=_one_file(store, refs),
        checkpoint=checkpoint,
    )


def prepared_from(
    run: str,
    start: int,
    deltas: Sequence[Header],
    files: list[FileEntry],
    *,
    moves: tuple[Span, ...],
    time_ms: int,
    rejects: FileRef | None = None,
    checkpoint: int | None = None,
) -> Prepared:
    """Return the account of an epoch; `deltas` are by worker, then by seq."""
    counted = [delta for delta in deltas if delta.seq]
    return Prepared(
        run=run,
        start=start,
        moves=moves,
        seqs=newest_seqs(deltas),
        time_ms=time_ms,
        body=_body(checkpoint, counted, files, rejects, without_events(moves, counted)),
    )


def without_events(moves: Iterable[Span], deltas: Sequence[Header]) -> list[tuple[int, int, int]]:
    """Return the parts of the moves that no delta's span covers: what was read held no event."""
    left = []
    for move in moves:
        at = move.first
        spans = sorted(span for delta in deltas for span in delta.spans if span[0] == move[0])
        for span in spans:
            if span.first > at:
                left.append((move.partition, at, span.first))
            at = max(at, span.end)
        if move.end > at or move.first == move.end:
            left.append((move.partition, at, move.end))
    return left


def join_moves(deltas: Iterable[Header]) -> tuple[Span, ...]:
    """Return one span per partition; raises `Gap` if moves of one do not join.

    There are several moves of a partition when a checkpoint between them was aborted.
    """
    joined = join_spans(sorted(chain.from_iterable(delta.moves for delta in deltas)))
    for before, span in pairwise(joined):
        if before.partition == span.partition:
            raise Gap(
                f"partition {span.partition} moved to {before.end} and then from {span.first} to"
                f" {span.end} within one cut; start again: the job goes on from the store's"
                " positions"
            )
    return joined


def newest_seqs(deltas: Iterable[Header]) -> dict[str, int]:
    """Return the newest seq per worker; a delta without events has none."""
    return {str(delta.worker): delta.seq for delta in deltas if delta.seq}


def newest_time_ms(deltas: Iterable[Header]) -> int:
    """Return the time of the last mark: the same in every shard, as no clock of its own is."""
    return max((delta.time_ms for delta in deltas), default=0)


def _check_shards(stream: str, shards: Mapping[Shard, Sequence[PreparedShard]]) -> None:
    """Raise CommitRefused unless every shard is there, and all merged the same from one start."""
    count = min(shards).of
    starts = {(part.run, part.start) for parts in shards.values() for part in parts}
    merged = {shard: _merged(parts) for shard, parts in sorted(shards.items())}
    whole = sorted(shards) == [Shard(index, count) for index in range(count)]
    if whole and len(starts) == 1 and all(each == merged[min(shards)] for each in merged.values()):
        return
    accounts = [
        f"shard {shard.number} of {shard.of} from version {parts[0].start} up to the deltas"
        f" {newest_seqs(merged[shard])}, which moved"
        f" {[tuple(move) for delta in merged[shard] for move in delta.moves]}"
        for shard, parts in sorted(shards.items())
    ]
    raise CommitRefused(
        f"stream {stream}: the shards of one epoch do not hold the same: {'; '.join(accounts)};"
        " nothing of it was committed. Start again without a savepoint: the job goes on from the"
        " store's positions"
    )


def _merged(parts: Sequence[PreparedShard]) -> list[Header]:
    headers = [header for part in parts for header in part.deltas]
    return sorted(headers, key=lambda header: (header.worker, header.seq, header.moves))


def _one_file(store: Store, refs: Sequence[FileRef]) -> FileRef | None:
    """A version names one file of rejected events: those of several cuts are written anew."""
    if len(refs) < 2:
        return refs[0] if refs else None
    return store.stage("rejects", b"".join(store.read("rejects", ref) for ref in refs))


def _body(
    checkpoint: int | None,
    deltas: Sequence[Header],
    files: list[FileEntry],
    rejects_file: FileRef | None,
    empty: list[tuple[int, int, int]],
) -> TrainBody:
    reasons: dict[str, int] = {}
    for delta in deltas:
        for reason, count in delta.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    times_ms = [at for delta in deltas for at in delta.event_time_ms if at]
    events = sum(delta.events for delta in deltas)
    learned = sum(delta.learned for delta in deltas)
    rejected = sum(delta.rejected for delta in deltas)
    return TrainBody(
        checkpoint=checkpoint,
        counts=Counts(
            events=events,
            learned=learned,
            refused=events - learned - rejected,
            rejected=rejected,
        ),
        deltas=[_entry(delta) for delta in deltas],
        empty=empty,
        event_time_ms=(min(times_ms, default=0), max(times_ms, default=0)),
        files=files,
        prequential=_add_prequential(deltas),
        rejects=Rejects(file=rejects_file, reasons=dict(sorted(reasons.items()))),
    )


def _add_prequential(deltas: Sequence[Header]) -> dict[str, Prequential]:
    names = sorted({name for delta in deltas for name in delta.prequential})
    return {
        name: add_sums(delta.prequential[name] for delta in deltas if name in delta.prequential)
        for name in names
    }


def _entry(delta: Header) -> DeltaEntry:
    return DeltaEntry(
        adopted=delta.adopted,
        events=delta.events,
        learned=delta.learned,
        pending=list(delta.pending),
        refused=delta.refused,
        rejected=delta.rejected,
        seq=delta.seq,
        spans=[(span.partition, span.first, span.end) for span in delta.spans],
        worker=delta.worker,
    )
