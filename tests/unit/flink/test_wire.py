"""The bytes between Java and Python."""

import json
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from strandline.commit.prepared import Prepared
from strandline.errors import Gap
from strandline.events.block import Block, Mark
from strandline.events.records import Records
from strandline.learning.joining import PreparedShard
from strandline.manifest import Counts, Rejects, Span, TrainBody
from strandline.tables.shards import Shard
from strandline_flink.operators import wire
from tests.unit.learning.test_worker_delta import DELTA

# Written out byte by byte, as the Java side writes it.
GOLDEN_BLOCK = (
    b"B\x00\x00\x00"
    + struct.pack("<iqqiiqq", 3, 100, 150, 3, 0, 1_700_000_000_000, 1_700_000_000_009)
    + struct.pack("<qqq", 101, 120, 149)
    + struct.pack("<iii", 2, -1, 0)
    + b"{}"
)


def test_block_is_read_as_java_writes_it() -> None:
    block = wire.decode_block(GOLDEN_BLOCK)
    assert (block.partition, block.first, block.end) == (3, 100, 150)
    assert block.offsets.tolist() == [101, 120, 149]
    assert list(block.records) == [b"{}", None, b""]
    assert (block.time_first_ms, block.time_last_ms) == (1_700_000_000_000, 1_700_000_000_009)
    assert wire.encode_block(block) == GOLDEN_BLOCK


@given(records=st.lists(st.none() | st.binary(max_size=64), max_size=20))
def test_block_survives_the_wire(records: list[bytes | None]) -> None:
    offsets = np.arange(7, 7 + 2 * len(records), 2, dtype=np.int64)
    block = Block(1, 5, 60, offsets, Records.of(records), 1, 2)
    again = wire.decode_block(wire.encode_block(block))
    assert list(again.records) == records
    assert again.offsets.tolist() == offsets.tolist()
    assert (again.partition, again.first, again.end) == (1, 5, 60)


@pytest.mark.parametrize("damage", [GOLDEN_BLOCK + b"x", GOLDEN_BLOCK[:-1]])
def test_block_that_does_not_fill_its_bytes_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="does not fill"):
        wire.decode_block(damage)


def test_control_elements_are_read_as_java_writes_them() -> None:
    start = wire.decode_start(b'S{"run":"ab","version":7,"worker":1,"workers":2}')
    assert start == wire.Start(run="ab", version=7, worker=1, workers=2)
    mark = wire.decode_mark(
        b'M{"checkpoint":9223372036854775807,"moves":[[0,5,9]],"time_ms":8,"worker":0}'
    )
    assert mark == Mark(2**63 - 1, (Span(0, 5, 9),), 8)
    assert wire.decode_cut(b'C{"checkpoint":4}') == wire.Cut(checkpoint=4)


def test_what_a_worker_sends_says_where_java_routes_it() -> None:
    start = wire.Start(run="ab", version=7, worker=1, workers=2)
    element = wire.encode_start(start, Shard(2, 3))
    assert element[:1] == wire.START
    assert json.loads(element[1:])["shard"] == 2
    assert wire.decode_start(element) == structs.replace(start, shard=2, shards=3)
    element = wire.encode_delta(DELTA, 127)
    assert element[:2] == b"D\x7f"
    assert wire.decode_delta(element).header == DELTA.header
    element = wire.encode_held(b"sixteen bytes: k", 255)
    assert element[:2] == b"K\xff"
    assert wire.decode_held(element) == b"sixteen bytes: k"


def test_what_a_shard_prepared_survives_the_wire() -> None:
    prepared = PreparedShard(
        run="ab", start=3, shard=Shard(1, 2), deltas=(DELTA.header,), files=(), rejects=None
    )
    element = wire.encode_prepared_shard(prepared)
    assert wire.kind(element) == wire.PREPARED_SHARD
    assert wire.decode_prepared_shard(element) == prepared


def test_prepared_is_a_line_of_header_and_the_untouched_body() -> None:
    body = TrainBody(
        checkpoint=4,
        counts=Counts(events=0, learned=0, refused=0, rejected=0),
        deltas=[],
        empty=[],
        event_time_ms=(0, 0),
        files=[],
        prequential={},
        rejects=Rejects(file=None, reasons={}),
    )
    prepared = Prepared(
        run="ab", start=3, moves=(Span(0, 5, 9),), seqs={"0": 1}, time_ms=8, body=body
    )
    element = wire.encode_prepared(prepared)
    header, text = element[1:].split(b"\n")
    assert wire.kind(element) == wire.PREPARED
    assert header == b'{"moves":[[0,5,9]],"run":"ab","seqs":{"0":1},"start":3,"time_ms":8}'
    assert msgspec.json.decode(text, type=TrainBody) == body


def test_fatal_error_keeps_its_code_and_message() -> None:
    element = wire.encode_fatal(Gap("3 to 5 are missing"))
    assert element == b'F{"code":"gap","message":"3 to 5 are missing"}'
