"""Rejected events as lines of JSON: part of the commit that passes them."""

from typing import Final

import msgspec

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.encoding.structs import ready
from strandline.features import Rejection
from strandline.limits import REJECT_KEPT_BYTES

DETAIL_CHARS_MAX: Final = 500


class RejectedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a rejects file: where the event stands, why it was rejected, how it begins.

    `path` is where in the event the fault is, "" for the event as a whole.

    `bytes` are the first 4,096 bytes of the record, `length` and `sha256` are of all of them.
    """

    bytes: bytes
    detail: str
    length: int
    offset: int
    partition: int
    path: str
    reason: str
    sha256: str


ready(RejectedEvent)
_LINE: Final = msgspec.json.Decoder(RejectedEvent)


def reject_line(partition: int, offset: int, value: bytes | None, rejection: Rejection) -> bytes:
    """Return the line of a rejected event, canonical JSON with its `bytes` in base64."""
    data = b"" if value is None else value
    event = RejectedEvent(
        bytes=data[:REJECT_KEPT_BYTES],
        detail=rejection.detail[:DETAIL_CHARS_MAX],
        length=len(data),
        offset=offset,
        partition=partition,
        path=rejection.path,
        reason=rejection.reason,
        sha256=sha256_hex(data),
    )
    return canonical_json(msgspec.to_builtins(event)) + b"\n"


def read_rejects(data: bytes) -> list[RejectedEvent]:
    """Return the events of a rejects file; raise `MsgspecError` at a line that is none."""
    return [_LINE.decode(line) for line in data.splitlines()]
