"""What a version says about its stream follows from the version before, event by event."""

from itertools import pairwise

from strandline.errors import StoreDamaged
from strandline.manifest import Manifest, OpenBody, StreamEntry, TrainBody


def check_continuity(parent: Manifest, child: Manifest) -> None:
    """Raise StoreDamaged unless the child's stream goes on where its parent's ended.

    A commit keeps run, open and source; its events lie between the two positions, none twice; seqs
    go up for the workers that it names and stay for all others. An open names the one before it
    and keeps the seqs. That positions never step back is checked elsewhere.
    """
    stream = child.stream
    if stream is None:
        raise StoreDamaged(f"version {child.version} belongs to no stream")
    before, after = parent.streams.get(stream), child.streams[stream]
    where = f"version {child.version}, stream {stream}"
    if isinstance(child.body, OpenBody):
        previous = None if before is None else before.open
        if child.body.previous != previous:
            raise StoreDamaged(f"{where}: names the open {child.body.previous}, not {previous}")
        if after.seqs != ({} if before is None else before.seqs):
            raise StoreDamaged(f"{where}: an open changes seqs to {after.seqs}")
    if isinstance(child.body, TrainBody):
        if before is None or (before.run, before.open, before.source) != (
            after.run,
            after.open,
            after.source,
        ):
            raise StoreDamaged(f"{where}: a commit of run {after.run} without an open of it")
        _check_spans(where, child.body, before, after)
        _check_seqs(where, child.body, before, after)


def _check_spans(where: str, body: TrainBody, before: StreamEntry, after: StreamEntry) -> None:
    spans = sorted(span for delta in body.deltas for span in delta.spans)
    for partition, first, end in spans:
        begin = before.positions.get(str(partition), 0)
        stop = after.positions.get(str(partition), 0)
        if not begin <= first <= end <= stop:
            raise StoreDamaged(
                f"{where}: events {first} to {end} of partition {partition} in a commit that moves"
                f" it from {begin} to {stop}"
            )
    for one, other in pairwise(spans):
        if one[0] == other[0] and one[2] > other[1]:
            raise StoreDamaged(f"{where}: events of partition {one[0]} from {other[1]} on twice")


def _check_seqs(where: str, body: TrainBody, before: StreamEntry, after: StreamEntry) -> None:
    expected = dict(before.seqs)
    for delta in sorted(body.deltas, key=lambda delta: (delta.worker, delta.seq)):
        if delta.seq <= expected.get(str(delta.worker), 0):
            raise StoreDamaged(f"{where}: worker {delta.worker} had seq {delta.seq} before")
        expected[str(delta.worker)] = delta.seq
    if after.seqs != expected:
        raise StoreDamaged(f"{where}: seqs are {after.seqs}, its deltas make them {expected}")
