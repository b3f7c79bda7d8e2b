"""A segment: the manifests of one full folder of versions, packed into one file.

::

    {"blocks":[[100,12345,"…"],…],"first":12000,"format":1}    canonical JSON, one line
    block, block, …                                            of about a hundred versions each

A block keeps what its versions say beyond the one before, see `restating`, and the header the
SHA-256 of the manifests that it stands for. So one version is read without the others' blocks, and
an altered byte costs a block.

The file stands under the folder's own name, `versions/0000012`. So nothing can ever be created
below that name again: the system refuses with ENOTDIR, whoever asks and however old their question
is. A number stays taken for ever, as if its file were still there.
"""

import hashlib
import json
import os
import threading
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from strandline.encoding.canonical import canonical_json
from strandline.encoding.structs import ready
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX, VERSIONS_PER_FOLDER
from strandline.store.columns import Reading, Writing
from strandline.store.files import open_file, read_at
from strandline.store.restating import Stated, restate

FORMAT: Final = 1
HEADER_BYTES_MAX: Final = 1 << 17
BLOCK_VERSIONS_MAX: Final = 100
BLOCK_BYTES_MAX: Final = 1 << 20
"""Of the manifests of a block, unless a single one is longer."""

_COLUMNS_BYTES_MAX: Final = 2 * MANIFEST_BYTES_MAX

Count = Annotated[int, Meta(ge=1, le=VERSIONS_PER_FOLDER)]
Length = Annotated[int, Meta(ge=1, le=_COLUMNS_BYTES_MAX)]


class _Header(Struct, frozen=True, forbid_unknown_fields=True):
    blocks: list[tuple[Count, Length, str]]
    first: Annotated[int, Meta(ge=0)]
    format: Literal[1]


ready(_Header)


class _Read(NamedTuple):
    """The block that was read last."""

    number: int
    manifests: list[bytes]


class Segment:
    """The packed versions from `first` on. Safe for threads.

    The file stays open, so a walk goes on when the segment is dropped meanwhile.

    Raises
    ------
    StoreDamaged
        If the file is no segment of exactly these versions.
    OSError
        For what the system refuses.
    """

    def __init__(self, path: Path, first: int, count: int) -> None:
        self._path, self._first = path, first
        self._descriptor = open_file(path)
        weakref.finalize(self, os.close, self._descriptor)
        size_bytes = os.fstat(self._descriptor).st_size
        line = read_at(self._descriptor, 0, HEADER_BYTES_MAX).partition(b"\n")[0]
        try:
            header = msgspec.json.decode(line, type=_Header)
            if canonical_json(json.loads(line)) != line:
                raise ValueError("header is not canonical JSON")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise StoreDamaged(f"{path} is no segment of versions: {error}") from error
        self._blocks = header.blocks
        self._versions = list(accumulate((n for n, _, _ in header.blocks), initial=first))
        self._begins = list(accumulate((n for _, n, _ in header.blocks), initial=len(line) + 1))
        self._reading = threading.Lock()
        self._read: _Read | None = None
        found = self._versions[-1] - first
        if (header.first, found, self._begins[-1]) != (first, count, size_bytes):
            raise StoreDamaged(
                f"{path} has {size_bytes} bytes and holds {found} versions from {header.first} on;"
                f" expected {self._begins[-1]} bytes, {count} versions from {first} on; restore the"
                " file from a copy"
            )

    def manifest(self, version: int) -> bytes:
        """Return the manifest's bytes; raises StoreDamaged if its block was altered."""
        number = bisect_right(self._versions, version) - 1
        with self._reading:
            if self._read is None or self._read.number != number:
                self._read = _Read(number, self._manifests(number))
            return self._read.manifests[version - self._versions[number]]

    def check(self) -> None:
        """Raise StoreDamaged unless every block is as it was written."""
        for number in range(len(self._blocks)):
            self._manifests(number)

    def _manifests(self, number: int) -> list[bytes]:
        count, length, sha256 = self._blocks[number]
        data = read_at(self._descriptor, self._begins[number], length)
        try:
            if len(data) != length:
                raise ValueError("the file was cut")
            manifests = _unpacked(data, count)
            if _digest(manifests) != sha256:
                raise ValueError("they are not those that were packed")
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            versions = f"{self._versions[number]} to {self._versions[number + 1] - 1}"
            raise StoreDamaged(
                f"{self._path} was altered where it holds versions {versions}: {error}; restore"
                " the file from a copy"
            ) from error
        return manifests


def segment_parts(first: int, count: int, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the bytes of the segment, its header first; `read` is called once for every version."""
    blocks, lines = [], []
    for manifests in _in_blocks(read(version) for version in range(first, first + count)):
        block = _packed(manifests)
        blocks.append(block)
        lines.append([len(manifests), len(block), _digest(manifests)])
    yield canonical_json({"blocks": lines, "first": first, "format": FORMAT}) + b"\n"
    yield from blocks


def _in_blocks(manifests: Iterator[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size_bytes = 0
    for manifest in manifests:
        size_bytes += len(manifest)
        if block and (len(block) == BLOCK_VERSIONS_MAX or size_bytes > BLOCK_BYTES_MAX):
            yield block
            block, size_bytes = [], len(manifest)
        block.append(manifest)
    if block:
        yield block


def _packed(manifests: list[bytes]) -> bytes:
    columns = Writing()
    parent: Stated | None = None
    for manifest in manifests:
        parent = restate(columns, parent, manifest)
    return columns.packed()


def _unpacked(data: bytes, count: int) -> list[bytes]:
    columns = Reading(data, _COLUMNS_BYTES_MAX)
    manifests: list[bytes] = []
    parent: Stated | None = None
    left = MANIFEST_BYTES_MAX
    for _ in range(count):
        parent = restate(columns, parent, None)
        manifests.append(parent.data)
        left -= len(parent.data)
        if left < 0:
            raise ValueError(f"its manifests have more than {MANIFEST_BYTES_MAX} bytes")
    return manifests


def _digest(manifests: list[bytes]) -> str:
    digest = hashlib.sha256()
    for manifest in manifests:
        digest.update(manifest + b"\n")
    return digest.hexdigest()
