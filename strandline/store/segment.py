"""A segment: the manifests of one full folder of versions, packed into one file.

::

    {"first":120000,"format":1,"lengths":[1187,1192,…],"sha256":"…"}    canonical JSON, one line
    {"body":{…},…,"version":120000}                                     one line per manifest
    {"body":{…},…,"version":120001}
    …

It stands under the folder's own name, `versions/000012`. So nothing can ever be created below that
name again: the system refuses with ENOTDIR, whoever asks and however old their question is. A
number stays taken for ever, as if its file were still there.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.encoding.structs import ready
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX

FORMAT: Final = 1
HEADER_BYTES_MAX: Final = 1 << 20


class _Header(Struct, frozen=True, forbid_unknown_fields=True):
    first: Annotated[int, Meta(ge=0)]
    format: Literal[1]
    lengths: list[Annotated[int, Meta(ge=0, le=MANIFEST_BYTES_MAX)]]
    sha256: str


ready(_Header)


class Segment:
    """The packed versions from `first` on, over the bytes of their file.

    Raises
    ------
    StoreDamaged
        If the bytes are not a segment of exactly these versions, or not those written.
    """

    def __init__(self, data: memoryview, first: int, count: int, origin: str) -> None:
        line = bytes(data[:HEADER_BYTES_MAX]).partition(b"\n")[0]
        try:
            header = msgspec.json.decode(line, type=_Header)
            if canonical_json(json.loads(line)) != line:
                raise ValueError("header is not canonical JSON")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise StoreDamaged(f"{origin} is no segment of versions: {error}") from error
        # Where each manifest begins; every one of them ends with a newline of its own.
        self._begins = list(accumulate((n + 1 for n in header.lengths), initial=len(line) + 1))
        self._data, self._first = data, first
        if (header.first, len(header.lengths)) != (first, count) or self._begins[-1] != len(data):
            raise StoreDamaged(
                f"{origin} has {len(data)} bytes and holds {len(header.lengths)} versions from"
                f" {header.first} on; expected {self._begins[-1]} bytes, {count} from {first} on"
            )
        if sha256_hex(data[len(line) + 1 :]) != header.sha256:
            raise StoreDamaged(f"{origin} was altered; restore the file from a copy")

    def manifest(self, version: int) -> bytes:
        """Return the manifest's bytes."""
        begin, end = self._begins[version - self._first : version - self._first + 2]
        return bytes(self._data[begin : end - 1])


def segment_parts(first: int, count: int, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the bytes of the segment; `read` is called twice for every version.

    Manifests may be large and many, so they are never held together.
    """
    lengths, digest = [], hashlib.sha256()
    for version in range(first, first + count):
        data = read(version)
        lengths.append(len(data))
        digest.update(data + b"\n")
    yield (
        canonical_json(
            {"first": first, "format": FORMAT, "lengths": lengths, "sha256": digest.hexdigest()}
        )
        + b"\n"
    )
    for version in range(first, first + count):
        yield read(version) + b"\n"
