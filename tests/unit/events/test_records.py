"""Records in one buffer, wherever in it they stand."""

import mmap

import numpy as np
import pytest

from strandline.events.records import Records
from strandline.features import Decoder
from strandline.spec import Spec

VALUES = [b"", None, b"{}", b"x" * 100, None]
SPEC = Spec.parse("""
name = "tiny"
label.path = "y"
features.a.kind = "category"
learners.seen = { type = "counts", feature = "a" }
""")


def test_records_are_the_values_they_were_made_of() -> None:
    records = Records.of(VALUES)
    assert list(records) == VALUES
    assert list(records[1:4]) == VALUES[1:4]
    assert list(records[1:4][1:]) == VALUES[2:4]
    assert Records.of(records) is records
    assert list(Records.of([])) == []
    assert not records.data.flags.writeable


def test_records_at_the_very_end_of_a_mapping_are_decoded() -> None:
    event = b'{"y":1,"a":"k"}'
    count = mmap.PAGESIZE // len(event)
    skipped = mmap.PAGESIZE - count * len(event)
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        page[skipped:] = event * count
        data = np.frombuffer(page, np.uint8)[skipped:]
        batch, rejections = Decoder(SPEC).decode(
            Records.packed(data, np.full(count, len(event), np.int64))
        )
        del data
    assert (batch.rows, rejections, len(set(batch.keys.tolist()))) == (count, [], 2)


def test_records_beyond_their_buffer_never_reach_the_kernel() -> None:
    data, at = np.zeros(10, np.uint8), np.zeros(1, np.int64)
    with pytest.raises(AssertionError, match="not in data"):
        Decoder(SPEC).decode(Records(data, at, at + 11))
    with pytest.raises(AssertionError, match="order"):
        Decoder(SPEC).decode(Records(data, np.array([5, 0]), np.array([5, 5])))
