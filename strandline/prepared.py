"""What a merger answers to a cut: everything a commit needs but the head it meets."""

from collections.abc import Mapping
from typing import Final

import msgspec

from strandline.block import Span
from strandline.canonical import canonical_json
from strandline.errors import Gap
from strandline.manifest import StreamEntry, TrainBody
from strandline.structs import ready

COMMITTABLE_FORMAT: Final = 1


class Prepared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cut's outcome; the files that `body` names are durable and nobody reads them yet.

    Attributes
    ----------
    run
        The run, "" before the first START.
    start
        The version of START, 0 before it.
    moves
        One span per partition that moved, by partition. None: there is nothing to commit.
    seqs
        The newest delta of each worker that this cut contains.
    time_ms
        The epoch's time, given with the cut, in ms since 1970.
    body
        Of the manifest to be.
    """

    run: str
    start: int
    moves: tuple[Span, ...]
    seqs: dict[str, int]
    time_ms: int
    body: TrainBody

    def encode(self) -> bytes:
        """Return canonical JSON; its text of `body` is what the manifest will hold."""
        return canonical_json(msgspec.to_builtins(self))

    @classmethod
    def decode(cls, data: bytes) -> "Prepared":
        """Read what `encode` made."""
        return msgspec.json.decode(data, type=cls)


ready(Prepared)


def committable_from(prepared: Prepared, entry: StreamEntry, stream: str) -> bytes:
    """Return the committable of a cut: it goes from where `entry` says that the stream stands.

    Raises
    ------
    Gap
        If a partition that the entry knows goes on elsewhere.
    """
    _check_moves(prepared, entry.positions, stream)
    first = {str(p): begin for p, begin, _ in prepared.moves if str(p) not in entry.positions}
    after = entry.positions | {str(p): end for p, _, end in prepared.moves}
    return canonical_json(
        {
            "after": after,
            "before": entry.positions,
            "body": msgspec.to_builtins(prepared.body),
            "first": first,
            "format": COMMITTABLE_FORMAT,
            "run": prepared.run,
            "seqs": prepared.seqs,
            "stream": stream,
            "time_ms": prepared.time_ms,
        }
    )


def _check_moves(prepared: Prepared, positions: Mapping[str, int], stream: str) -> None:
    for partition, begin, end in prepared.moves:
        at = positions.get(str(partition), begin)
        if at != begin:
            raise Gap(
                f"stream {stream}, partition {partition}: the store stands at {at}, the epoch goes"
                f" from {begin} to {end}; start again: the job goes on from the store's positions"
            )
