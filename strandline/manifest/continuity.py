"""What a version says follows from the version before it, event by event.

Whoever builds on a version checks this first: a start, a commit, a reader, a worker, a merger, the
compactor and fsck.
"""

from collections.abc import Mapping
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import msgspec

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import StoreDamaged
from strandline.manifest.bodies import OpenBody, TrainBody
from strandline.manifest.manifest import FORMAT, Manifest, StreamEntry


def check_follows(parent: Manifest, parent_sha256: str, child: Manifest) -> None:
    """Raise StoreDamaged unless the child follows from its parent.

    It names the parent's bytes and its spec. Of the streams only its own changes, and positions
    never step back. An open changes no position and no seq that the store knows. A commit keeps
    run, open and source; its spans cover what it moved, each position once; seqs go up for the
    workers that it names and stay for all others; the committable that parent and child tell of
    has the identity that the child says.
    """
    if child.parent != parent_sha256:
        raise StoreDamaged(
            f"it names the parent {child.parent}, but version {parent.version} has"
            f" {parent_sha256}: one of them was altered; restore it from a copy"
        )
    if child.spec != parent.spec:
        raise StoreDamaged(f"it is of spec {child.spec}, the version before of {parent.spec}")
    _check_other_streams(parent, child)
    stream = child.stream
    if stream is None:
        raise StoreDamaged("it belongs to no stream")
    before, after = parent.streams.get(stream), child.streams[stream]
    try:
        if isinstance(child.body, OpenBody):
            _check_open(child.body, before, after)
        elif isinstance(child.body, TrainBody):
            _check_commit(child, child.body, stream, before, after)
    except StoreDamaged as error:
        raise StoreDamaged(f"stream {stream}: {error}") from None


def render_committable(
    *,
    after: Mapping[str, int],
    before: Mapping[str, int],
    body: Any,
    first: Mapping[str, int],
    run: str,
    seqs: Mapping[str, int],
    stream: str,
    time_ms: int,
) -> bytes:
    """Return the bytes whose SHA-256 is the identity of a commit; `body` of builtin types."""
    return canonical_json(
        {
            "after": after,
            "before": before,
            "body": body,
            "first": first,
            "format": FORMAT,
            "run": run,
            "seqs": seqs,
            "stream": stream,
            "time_ms": time_ms,
        }
    )


def _check_other_streams(parent: Manifest, child: Manifest) -> None:
    for name, before in parent.streams.items():
        after = child.streams.get(name)
        if after is None or (name != child.stream and after != before):
            raise StoreDamaged(f"it changes stream {name}, which is not its own")
        for partition, offset in before.positions.items():
            if after.positions.get(partition, -1) < offset:
                raise StoreDamaged(
                    f"it steps back in stream {name}, partition {partition}: from {offset} to"
                    f" {after.positions.get(partition)}"
                )


def _check_open(body: OpenBody, before: StreamEntry | None, after: StreamEntry) -> None:
    previous = None if before is None else before.open
    if body.previous != previous:
        raise StoreDamaged(f"it names the open {body.previous}, expected {previous}")
    if body.key.restored is None and after.run != body.key.submission:
        raise StoreDamaged(f"a start of submission {body.key.submission} opens run {after.run}")
    if body.key.restored is not None and (before is None or after.run != before.run):
        raise StoreDamaged(f"a restore opens run {after.run}, which did not hold the stream")
    if after.seqs != ({} if before is None else before.seqs):
        raise StoreDamaged(f"an open changes seqs to {after.seqs}")
    for partition, offset in ({} if before is None else before.positions).items():
        if after.positions.get(partition) != offset:
            raise StoreDamaged(
                f"an open moves partition {partition} from {offset} to"
                f" {after.positions.get(partition)}"
            )


def _check_commit(
    child: Manifest, body: TrainBody, stream: str, before: StreamEntry | None, after: StreamEntry
) -> None:
    if before is None or (before.run, before.open, before.source) != (
        after.run,
        after.open,
        after.source,
    ):
        raise StoreDamaged(f"a commit of run {after.run} without an open of it")
    first = _check_spans(body, before.positions, after.positions)
    committable = render_committable(
        after=after.positions,
        before=before.positions,
        body=msgspec.to_builtins(body),
        first=first,
        run=after.run,
        seqs=_check_seqs(body, before.seqs, after.seqs),
        stream=stream,
        time_ms=child.time_ms,
    )
    found = sha256_hex(committable)
    if found != child.committable:
        raise StoreDamaged(
            f"what it says was committed has the SHA-256 {found}, its committable is"
            f" {child.committable}: it was altered, or made by something else than a commit"
        )


def _check_spans(
    body: TrainBody, before: Mapping[str, int], after: Mapping[str, int]
) -> dict[str, int]:
    """Check that spans cover what moved, each position once; return where new partitions begin."""
    spans = sorted([*(span for delta in body.deltas for span in delta.spans), *body.empty])
    begun, ended = dict(before), dict(before)
    for number, group in groupby(spans, key=itemgetter(0)):
        partition, own = str(number), list(group)
        begun.setdefault(partition, own[0][1])
        ended[partition] = own[-1][2]
        if own[0][1] != begun[partition] or any(one[1] > one[2] for one in own):
            raise StoreDamaged(
                f"its events of partition {partition} are {_words(own)}; expected them to begin"
                f" at {begun[partition]}"
            )
        for one, other in pairwise(own):
            if one[2] != other[1]:
                what = "missing" if one[2] < other[1] else "named twice"
                low, high = sorted((one[2], other[1]))
                raise StoreDamaged(f"events {low} to {high} of partition {partition} are {what}")
    if ended != after:
        raise StoreDamaged(f"its events end at {ended}, its positions are {dict(after)}")
    return {partition: at for partition, at in begun.items() if partition not in before}


def _words(spans: list[tuple[int, int, int]]) -> str:
    shown = ", ".join(f"{first} to {end}" for _, first, end in spans[:3])
    return shown + (" …" if len(spans) > 3 else "")


def _check_seqs(
    body: TrainBody, before: Mapping[str, int], after: Mapping[str, int]
) -> dict[str, int]:
    """Check the seqs; return the newest one of every worker that the commit names."""
    newest: dict[str, int] = {}
    for delta in sorted(body.deltas, key=lambda delta: (delta.worker, delta.seq)):
        worker = str(delta.worker)
        if delta.seq <= newest.get(worker, before.get(worker, 0)):
            raise StoreDamaged(f"worker {worker} had seq {delta.seq} before")
        newest[worker] = delta.seq
    expected = {**before, **newest}
    if after != expected:
        raise StoreDamaged(f"seqs are {dict(after)}, its deltas make them {expected}")
    return newest
