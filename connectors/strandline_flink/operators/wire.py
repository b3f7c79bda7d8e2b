"""The bytes between Java and Python: every element is one byte that names its kind, and a payload.

An element is `bytes`, or the mapping of a file that holds it.

=====  ==========  ======================================================================
kind   from        payload
=====  ==========  ======================================================================
``B``  source      a block of events, binary (`decode_block`)
``S``  marker      START: JSON of `Start`; workers pass it on to every merger
``M``  marker      MARK: JSON of a `Mark` at the end of an epoch
``D``  worker      a byte that is a shard's index, 6 zero bytes, which keep arrays aligned, a
                   worker's delta (`WorkerDelta.encode`)
``K``  worker      a byte that is a shard's index, the key of a delta that the interpreter of
                   worker and merger holds (`Held`)
``C``  cut         CUT: JSON of `Cut`
``Q``  merger      what one shard of several prepared (`PreparedShard.encode`)
``P``  merger,     what all shards prepared (`encode_prepared`): the only merger's, or what joins
       join        several
``A``  worker,     an account of an epoch: JSON of `Account`; becomes metrics and a line of the
       merger      log right behind the operator, and goes no further
``F``  any         a fatal error: JSON of `Fatal`; everybody passes it on, the writer ends the job
``H``  any         the path of a file that is the element; within one machine (`Handles`)
=====  ==========  ======================================================================
"""

import struct
from mmap import mmap
from typing import Final, TypeAlias

import msgspec
import numpy as np

from strandline.commit.prepared import Prepared
from strandline.encoding.structs import ready
from strandline.errors import StrandlineError
from strandline.events.block import Block, Mark
from strandline.events.records import Records
from strandline.learning.joining import PreparedShard
from strandline.learning.worker_delta import WorkerDelta
from strandline.limits import SHARDS_MAX
from strandline.manifest import Span
from strandline.tables.shards import Shard
from strandline_flink.operators.accounts import Account

Element: TypeAlias = bytes | mmap

BLOCK: Final = b"B"
START: Final = b"S"
MARK: Final = b"M"
DELTA: Final = b"D"
HELD: Final = b"K"
CUT: Final = b"C"
PREPARED_SHARD: Final = b"Q"
PREPARED: Final = b"P"
ACCOUNT: Final = b"A"
FATAL: Final = b"F"
HANDLE: Final = b"H"

# kind, 3 zero bytes, partition, from, to, count, 4 zero bytes, first and last event time
_BLOCK_HEADER: Final = struct.Struct("<c3xiqqi4xqq")
assert _BLOCK_HEADER.size == 48
# kind, shard, 6 zero bytes
_DELTA_HEADER: Final = struct.Struct("<cB6x")
assert SHARDS_MAX <= 256, "a shard's index is one byte"


class Start(msgspec.Struct, frozen=True):
    """Where everybody begins: the run, the version of its open, and which worker this is.

    The worker says which merger it goes to: a function of Flink's has no index of its own.
    """

    run: str
    version: int
    worker: int
    workers: int
    shard: int = 0
    shards: int = 1


class Cut(msgspec.Struct, frozen=True):
    """All that came before belongs to this checkpoint."""

    checkpoint: int


class Fatal(msgspec.Struct, frozen=True):
    """An error that ends the job; `code` is that of its class in `strandline.errors`."""

    code: str
    message: str


class _Mark(msgspec.Struct, frozen=True):
    checkpoint: int
    moves: tuple[Span, ...]
    time_ms: int
    worker: int


ready(Start, Cut, _Mark)


def kind(element: Element) -> bytes:
    """The first byte."""
    return element[:1]


def decode_block(element: Element) -> Block:
    """Read a block: a 48-byte header, i64 offsets, i32 lengths (-1: null), the records' bytes.

    The block's arrays are views of the element.

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
    payload = np.frombuffer(element, np.uint8)[at + 12 * count :]
    if len(payload) != int(np.maximum(lengths, 0).sum(dtype=np.int64)):
        raise ValueError(f"a block of {count} records does not fill its {len(element)} bytes")
    records = Records.packed(payload, lengths.astype(np.int64))
    return Block(partition, first, end, offsets, records, time_first_ms, time_last_ms)


def encode_block(block: Block) -> bytes:
    """The inverse of `decode_block`: what the source does, for tests and tools."""
    lengths = block.records.lengths
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
    return b"".join([header, offsets, lengths.astype("<i4").tobytes(), *payload])


def decode_start(element: Element) -> Start:
    """Read a START."""
    return msgspec.json.decode(element[1:], type=Start)


def encode_start(start: Start, shard: Shard) -> bytes:
    """START for the merger of a shard."""
    addressed = msgspec.structs.replace(start, shard=shard.number, shards=shard.of)
    return START + msgspec.json.encode(addressed)


def decode_mark(element: Element) -> Mark:
    """Read a MARK."""
    mark = msgspec.json.decode(element[1:], type=_Mark)
    return Mark(mark.checkpoint, mark.moves, mark.time_ms)


def encode_delta(delta: WorkerDelta, shard: int) -> bytes:
    """A worker's delta for the merger of a shard."""
    return b"".join([_DELTA_HEADER.pack(DELTA, shard), delta.encode()])


def decode_delta(element: Element) -> WorkerDelta:
    """Read a delta. The arrays are views of the element."""
    return WorkerDelta.decode(memoryview(element)[_DELTA_HEADER.size :])


def encode_held(key: bytes, shard: int) -> bytes:
    """The key of a delta that the merger of a shard is to take."""
    return HELD + bytes([shard]) + key


def decode_held(element: Element) -> bytes:
    """Read a key."""
    return element[2:]


def decode_cut(element: Element) -> Cut:
    """Read a CUT."""
    return msgspec.json.decode(element[1:], type=Cut)


def encode_prepared_shard(prepared: PreparedShard) -> bytes:
    """What one shard prepared."""
    return PREPARED_SHARD + prepared.encode()


def decode_prepared_shard(element: Element) -> PreparedShard:
    """Read what one shard prepared."""
    return PreparedShard.decode(element[1:])


def encode_prepared(prepared: Prepared) -> bytes:
    """What was prepared: a line of JSON, then the body's text, which Java copies unread."""
    return PREPARED + prepared.encode()


def encode_account(account: Account) -> bytes:
    """An account of an epoch as an element."""
    return ACCOUNT + msgspec.json.encode(account)


def encode_fatal(error: StrandlineError) -> bytes:
    """A fatal error as an element."""
    return FATAL + msgspec.json.encode(Fatal(error.code, str(error)))
