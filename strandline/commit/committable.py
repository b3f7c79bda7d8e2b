"""The committable: what one epoch of a stream proposes to commit, as canonical JSON.

Its identity is the SHA-256 of its bytes, so a commit that is repeated is recognised.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

from strandline.commit.prepared import Prepared
from strandline.encoding.canonical import sha256_hex
from strandline.encoding.structs import ready
from strandline.errors import CommitRefused, Gap
from strandline.manifest import (
    Count,
    Index,
    Name,
    Positions,
    TrainBody,
    Uuid,
    check_canonical,
    newer_format,
)
from strandline.manifest.continuity import render_committable


class _Fields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of a committable. The body stays text: it is never rendered again."""

    after: Positions
    before: Positions
    body: msgspec.Raw
    first: Positions
    format: Literal[1]
    run: Uuid
    seqs: dict[Index, Count]
    stream: Name
    time_ms: Count

    def __post_init__(self) -> None:
        start = self.before | self.first
        if self.before.keys() & self.first.keys():
            raise ValueError(f"first {self.first} names partitions of before {self.before}")
        if self.after.keys() != start.keys():
            raise ValueError(f"after {self.after} and before with first {start} differ in keys")
        if any(self.after[partition] < offset for partition, offset in start.items()):
            raise ValueError(f"after {self.after} is behind before {start}")
        if self.after == self.before:
            raise ValueError(f"nothing was read: after is before, {self.after}")


ready(_Fields)


@dataclass(frozen=True, slots=True)
class Committable:
    """What one epoch of a stream proposes to commit; `identity` is the SHA-256 of its bytes.

    `before` holds every partition the stream has at the epoch's start, `first` the new ones with
    their first offset, `after` both; `seqs` the workers that learned in this epoch.
    """

    after: dict[str, int]
    before: dict[str, int]
    body: TrainBody
    body_text: bytes
    identity: str
    run: str
    seqs: dict[str, int]
    stream: str
    time_ms: int

    @classmethod
    def parse(cls, data: bytes) -> "Committable":
        """Return the committable that the bytes hold.

        Raises
        ------
        CommitRefused
            If they are not canonical JSON of a committable, or contradict themselves.
        """
        try:
            check_canonical(data)
            fields = msgspec.json.decode(data, type=_Fields)
            body = msgspec.json.decode(fields.body, type=TrainBody)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise CommitRefused(f"not a committable: {newer_format(data) or error}") from error
        return cls(
            after=fields.after,
            before=fields.before,
            body=body,
            body_text=bytes(fields.body),
            identity=sha256_hex(data),
            run=fields.run,
            seqs=fields.seqs,
            stream=fields.stream,
            time_ms=fields.time_ms,
        )


def committable_from(prepared: Prepared, before: Mapping[str, int], stream: str) -> bytes:
    """Return the committable of an epoch that begins where the stream stands.

    Parameters
    ----------
    prepared : Prepared
        What its mergers prepared.
    before : mapping
        The stream's position in each partition that it has.
    stream : str
        The stream's name.

    Raises
    ------
    Gap
        If a partition of `before` goes on elsewhere.
    """
    _check_moves(prepared, before, stream)
    first = {str(p): begin for p, begin, _ in prepared.moves if str(p) not in before}
    after = {**before, **{str(p): end for p, _, end in prepared.moves}}
    return render_committable(
        after=after,
        before=before,
        body=msgspec.to_builtins(prepared.body),
        first=first,
        run=prepared.run,
        seqs=prepared.seqs,
        stream=stream,
        time_ms=prepared.time_ms,
    )


def _check_moves(prepared: Prepared, positions: Mapping[str, int], stream: str) -> None:
    for partition, begin, end in prepared.moves:
        at = positions.get(str(partition), begin)
        if at != begin:
            raise Gap(
                f"stream {stream}, partition {partition}: the store stands at {at}, the epoch goes"
                f" from {begin} to {end}; start again: the job goes on from the store's positions"
            )
