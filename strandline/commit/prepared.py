"""What an epoch's files and account are when phase one is done: durable, and read by nobody."""

from collections.abc import Mapping
from typing import Any

import msgspec

from strandline.encoding.canonical import canonical_json
from strandline.encoding.structs import ready
from strandline.errors import CommitRefused
from strandline.manifest import Count, Index, Span, TrainBody


class Prepared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An epoch of all shards; the files that `body` names are durable and nobody reads them yet.

    Attributes
    ----------
    run
        The run, "" before the first START.
    start
        The version of START, 0 before it.
    moves
        One span per partition that moved, by partition. None: there is nothing to commit.
    seqs
        The newest delta of each worker that the epoch contains.
    time_ms
        When the last of its marks was made, in ms since 1970.
    body
        Of the manifest to be.
    """

    run: str
    start: int
    moves: tuple[Span, ...]
    seqs: dict[Index, Count]
    time_ms: Count
    body: TrainBody

    def encode(self) -> bytes:
        """Return a line of JSON, then the body's JSON: who needs the first only reads one line."""
        header: dict[str, Any] = msgspec.to_builtins(self)
        body = header.pop("body")
        return canonical_json(header) + b"\n" + canonical_json(body)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> "Prepared":
        """Read what `encode` made.

        Raises
        ------
        CommitRefused
            If it is anything else.
        """
        header, _, body = bytes(data).partition(b"\n")
        try:
            fields: Mapping[str, Any] = msgspec.json.decode(header, type=dict[str, Any])
            made = msgspec.json.decode(body, type=TrainBody)
            return msgspec.convert({**fields, "body": made}, cls)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise CommitRefused(f"not what a merger prepares: {error}") from error


ready(Prepared)
