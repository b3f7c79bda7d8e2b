"""What a merger answers to a cut: everything a commit needs but the head it meets."""

import msgspec

from strandline.block import Span
from strandline.canonical import canonical_json
from strandline.manifest import TrainBody
from strandline.structs import ready


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
