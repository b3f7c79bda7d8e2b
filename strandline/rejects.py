"""Rejected events as lines of JSON: part of the commit that passes them."""

import base64
from typing import Final

from strandline.canonical import canonical_json, sha256_hex
from strandline.features import Rejection
from strandline.limits import REJECT_KEPT_BYTES

DETAIL_CHARS_MAX: Final = 500


def reject_line(partition: int, offset: int, value: bytes | None, rejection: Rejection) -> bytes:
    """Return one canonical line: where the event stands, why it was rejected, how it begins.

    `bytes` is the base64 of the first 4,096 bytes, `length` and `sha256` are of all of them.
    """
    data = b"" if value is None else value
    line = {
        "bytes": base64.b64encode(data[:REJECT_KEPT_BYTES]).decode("ascii"),
        "detail": rejection.detail[:DETAIL_CHARS_MAX],
        "length": len(data),
        "offset": offset,
        "partition": partition,
        "reason": rejection.reason,
        "sha256": sha256_hex(data),
    }
    return canonical_json(line) + b"\n"
