"""The bytes between Java and Python: every element is one byte that names its kind, and a payload.

An element is `bytes`, or the mapping of a file that holds it.

=====  ==========  ======================================================================
kind   from        payload
=====  ==========  ======================================================================
``B``  source      a block of events, binary (`decode_block`)
``S``  marker      START: JSON of `Start`; workers pass it on to the merger
``M``  marker      MARK: JSON of a `Mark` at the end of an epoch
``D``  worker      a worker's delta (`WorkerDelta.encode`)
``C``  cut         CUT: JSON of `Cut`
``P``  merger      what was prepared (`encode_prepared`)
``F``  any         a fatal error: JSON of `Fatal`; everybody passes it on, the writer ends the job
``H``  any         the path of a file that is the element; within one machine (`Handles`)
=====  ==========  ======================================================================
"""

import struct
from mmap import mmap
from typing import Final

import msgspec
import numpy as np

from strandline.block import Block, Mark, Span
from strandline.canonical import canonical_json
from strandline.errors import StrandlineError
from strandline.prepared import Prepared
from strandline.structs import ready

BLOCK: Final = b"B"
START: Final = b"S"
MARK: Final = b"M"
DELTA: Final = b"D"
CUT: Final = b"C"
PREPARED: Final = b"P"
FATAL: Final = b"F"
HANDLE: Final = b"H"

# kind, 3 zero bytes, partition, from, to, count, 4 zero bytes, first and last event time
_BLOCK_HEADER: Final = struct.Struct("<c3xiqqi4xqq")
assert _BLOCK_HEADER.size == 48


class Start(msgspec.Struct, frozen=True):
    """Where everybody begins: the run, the version of its open, and which worker this is."""

    run: str
    version: int
    worker: int
    workers: int


class Cut(msgspec.Struct, frozen=True):
    """All that came before belongs to this checkpoint."""

    checkpoint: int
    time_ms: int


class Fatal(msgspec.Struct, frozen=True):
    """An error that ends the job; `code` is that of its class in `strandline.errors`."""

    code: str
    message: str


class _Mark(msgspec.Struct, frozen=True):
    checkpoint: int
    moves: tuple[Span, ...]
    worker: int


ready(Start, Cut, _Mark)


def kind(element: bytes | mmap) -> bytes:
    """The first byte."""
    return element[:1]


def decode_block(element: bytes | mmap) -> Block:
    """Read a block: a 48-byte header, i64 offsets, i32 lengths (-1: null), the records' bytes.

    Raises
    ------
    ValueError
        If the lengths do not add up to the element's size; our own source never sends that.
    """
    _, partition, first, end, count, time_first_ms, time_last_ms = _BLOCK_HEADER.unpack_from(
        element
    )
    at = _BLOCK_HEADER.size
    offsets = np.frombuffer(element, "<i8", count, at)
    lengths = np.frombuffer(element, "<i4", count, at + 8 * count)
    begin = at + 12 * count
    stops = begin + np.cumsum(np.maximum(lengths, 0), dtype=np.int64)
    if len(element) != (int(stops[-1]) if count else begin):
        raise ValueError(f"a block of {count} records does not fill its {len(element)} bytes")
    records: list[bytes | None] = []
    for length, stop in zip(lengths.tolist(), stops.tolist(), strict=True):
        records.append(None if length < 0 else element[stop - length : stop])
    return Block(partition, first, end, offsets, records, time_first_ms, time_last_ms)


def encode_block(block: Block) -> bytes:
    """The inverse of `decode_block`: what the source does, for tests and tools."""
    lengths = [-1 if record is None else len(record) for record in block.records]
    header = _BLOCK_HEADER.pack(
        BLOCK,
        block.partition,
        block.first,
        block.end,
        len(lengths),
        block.time_first_ms,
        block.time_last_ms,
    )
    payload = [record for record in block.records if record is not None]
    offsets = np.asarray(block.offsets, "<i8").tobytes()
    return b"".join([header, offsets, np.asarray(lengths, "<i4").tobytes(), *payload])


def decode_start(element: bytes | mmap) -> Start:
    """Read a START."""
    return msgspec.json.decode(element[1:], type=Start)


def decode_mark(element: bytes | mmap) -> Mark:
    """Read a MARK."""
    mark = msgspec.json.decode(element[1:], type=_Mark)
    return Mark(mark.checkpoint, mark.moves)


def decode_cut(element: bytes | mmap) -> Cut:
    """Read a CUT."""
    return msgspec.json.decode(element[1:], type=Cut)


def encode_prepared(prepared: Prepared) -> bytes:
    """What was prepared: a line of JSON, then the body's text, which Java copies unread."""
    header = msgspec.to_builtins(prepared)
    body = header.pop("body")
    return PREPARED + canonical_json(header) + b"\n" + canonical_json(body)


def encode_fatal(error: StrandlineError) -> bytes:
    """A fatal error as an element."""
    return FATAL + msgspec.json.encode(Fatal(error.code, str(error)))
