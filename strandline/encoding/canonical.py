"""Canonical JSON: one value, one sequence of bytes.

Keys sorted by code point, no white space, ASCII only, floats in their shortest form that reads
back to the same bits, no NaN and no infinity. Digests of manifests and committables are taken
over these bytes.
"""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return the canonical JSON bytes of a value made of JSON types.

    Raises
    ------
    ValueError
        If a float is not finite.

    Examples
    --------
    >>> canonical_json({"b": [1, 0.1], "a": "é"})
    b'{"a":"\\\\u00e9","b":[1,0.1]}'
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def sha256_hex(data: bytes | memoryview) -> str:
    """Return the lower-case hexadecimal SHA-256 of the bytes."""
    return hashlib.sha256(data).hexdigest()
